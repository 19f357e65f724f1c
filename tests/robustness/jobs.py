"""What is killed: each job begins anew or goes on, and tells what of it must be the same in the end."""

import csv
import hashlib
import json
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from nyu_files import pictures, write_mat, write_splits
from PIL import Image
from safetensors.torch import load_file

from leadline.cli.main import main
from leadline.data.synthetic import synthesize
from leadline.io.video import pyav
from leadline.io.wholeness import is_whole
from leadline.models.build import build_model
from leadline.models.checkpoint import load_checkpoint, save_checkpoint
from leadline.models.rescaled import save_rescaled
from leadline.models.settings import ModelSettings, PlainSettings

Digest = dict[str, str]
NUM_REPLACEMENTS = 60


class Job(NamedTuple):
    """One kind of work."""

    run: Callable[[Path], int]  # from the beginning, or on, into a folder
    digest: Callable[[Path], Digest]  # what stands there under its own name, by name; nothing may be half of itself
    may_differ: bool = False  # whether a name may stand for an older whole thing until the end


def write_inputs(root: Path) -> dict[str, Job]:
    """Write what the jobs begin with, and give them by name."""
    torch.manual_seed(0)
    settings = ModelSettings(network="unet", height=36, width=48, plain=PlainSettings(width=4, levels=2), focal_px=40.0)
    model = root / "model"
    save_checkpoint(model, build_model(settings), {"recipe": "tiny"}, "card")
    (root / "images").mkdir()
    noise = np.random.default_rng(0)
    for name in range(12):
        pixels = noise.integers(0, 255, (48, 64, 3), np.uint8)
        Image.fromarray(pixels).save(root / "images" / f"{name}.png")
    _write_clip(root / "clip.mp4", noise)
    synthesize(root / "rooms", 8, seed=3, height=48, width=64)
    write_mat(root / "a.mat", pictures())
    write_splits(root / "splits.mat")

    def predict(out: Path) -> int:
        return _main("predict", root / "images", "--model", model, "--out", out / "depth", "--skip-existing")

    def video(out: Path) -> int:
        return _main("predict", root / "clip.mp4", "--model", model, "--out", out / "depth", "--skip-existing")

    def train(out: Path) -> int:
        if (out / "run" / "settings.toml").is_file():
            return _main("train", "--resume", out / "run")
        return _main("train", "report-unet", "--data", root / "rooms", "--out", out / "run", *TRAINING)

    def prepare(out: Path) -> int:
        files = ("--mat", root / "a.mat", "--splits", root / "splits.mat")
        return _main("data", "prepare", "nyu", *files, "--out", out / "nyu")

    def export(out: Path) -> int:
        return _main("export", model, "--out", out / "tiny.onnx")

    def replace(out: Path) -> int:
        for number in range(NUM_REPLACEMENTS):
            save_rescaled(model, out / "copy", 1 + number / NUM_REPLACEMENTS, {}, "")
        return 0

    return {
        "predict": Job(predict, _results),
        "video": Job(video, _results),
        "train": Job(train, _run, may_differ=True),
        "data prepare": Job(prepare, _results),
        "export": Job(export, _results),
        "replace a folder": Job(replace, _copy, may_differ=True),
    }


TRAINING = (
    *("--epochs", "3", "--precision", "float32", "--data.split", "report", "--data.batch-size", "2"),
    *("--data.workers", "0", "--model.height", "32", "--model.width", "48", "--model.plain.width", "4"),
    *("--model.plain.levels", "2"),
)


def _main(*words: object) -> int:
    return main([str(word) for word in words])


def _write_clip(path: Path, noise: np.random.Generator) -> None:
    av = pyav()
    with av.open(str(path), "w") as out:
        stream = out.add_stream("mpeg4", rate=Fraction(10))
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for _ in range(30):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(noise.integers(0, 255, (48, 64, 3), np.uint8))))
        out.mux(stream.encode())


def _files(folder: Path) -> list[Path]:
    """All but hidden ones, which are nobody's."""
    found = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return [path for path in found if not any(part.startswith(".") for part in path.relative_to(folder).parts)]


def _results(folder: Path) -> Digest:
    for path in _files(folder):
        assert is_whole(path), f"{path} is half of itself"
    return {str(path.relative_to(folder)): _sha(_content(path)) for path in _files(folder)}


def _content(path: Path) -> bytes:
    """What a file holds, without the times and random names that its format writes down."""
    if path.suffix == ".npz":
        with np.load(path) as arrays:
            return b"".join(name.encode() + arrays[name].tobytes() for name in sorted(arrays.files))
    if path.suffix in (".mp4", ".mkv"):
        with pyav().open(str(path)) as clip:
            return b"".join(frame.to_ndarray().tobytes() for frame in clip.decode(video=0))
    return path.read_bytes()


def _run(folder: Path) -> Digest:
    """Weights and metrics of a run; of times nothing."""
    run = folder / "run"
    digest = {}
    if (best := run / "checkpoints" / "best").exists():
        load_checkpoint(best)
        tensors = load_file(best / "model.safetensors")
        digest["best"] = _sha(b"".join(name.encode() + tensors[name].numpy().tobytes() for name in sorted(tensors)))
    if (state := run / "checkpoints" / "last.ckpt").exists():
        weights = torch.load(state, weights_only=True)["state_dict"]
        digest["state"] = _sha(b"".join(name.encode() + weights[name].numpy().tobytes() for name in sorted(weights)))
    if (metrics := run / "metrics.csv").exists():
        with metrics.open(newline="") as file:
            rows = [{name: value for name, value in row.items() if name != "seconds"} for row in csv.DictReader(file)]
        digest["metrics"] = _sha(json.dumps(rows).encode())
    return digest


def _copy(folder: Path) -> Digest:
    copy = folder / "copy"
    if not copy.exists():
        return {}
    load_checkpoint(copy)
    return {"copy": _sha(b"".join((copy / name).read_bytes() for name in ("config.json", "model.safetensors")))}


def _sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def names_of(jobs: dict[str, Job], only: Sequence[str] | None) -> list[str]:
    """Those that are asked for, or all."""
    return [name for name in jobs if not only or name in only]
