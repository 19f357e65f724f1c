r"""Pictures a second from file to depth PNG, beside the depth-estimation pipeline of `transformers`.

    python benchmarks/predict_pipeline.py default runs/mine --pictures photos --rounds 7

The peer is Depth Anything V2 Small's architecture with random weights (no download; speed does not depend on them):
as shipped, in float32 at 518 pixels, its pipeline called on the files; and the same with its network in the precision
and at the input size of each leadline model. The peer's maps are written as 16-bit PNG by Pillow's default. All read
the same files and take turns, each round begins with another; one unmeasured round comes first. Give both the same
cores: taskset -c 0,1 with OMP_NUM_THREADS=2.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial, wraps
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from PIL import Image

from leadline.evaluation.speed.bench import make_images
from leadline.evaluation.speed.results import Spread
from leadline.io.discovery import find_images
from leadline.models.checkpoint import open_model
from leadline.models.device import autocast, has_native_bf16, pick_device
from leadline.prediction.files import predict_files

PATCH = 14
PUBLISHED_SIZE = (518, 518)


def depth_anything_small() -> Any:
    """The network as published, with random weights."""
    backbone = transformers.Dinov2Config(
        hidden_size=384, num_hidden_layers=12, num_attention_heads=6, patch_size=PATCH, image_size=518,
        out_features=["stage3", "stage6", "stage9", "stage12"], reshape_hidden_states=False, apply_layernorm=True,
    )  # fmt: skip
    config = transformers.DepthAnythingConfig(
        backbone_config=backbone, patch_size=PATCH, reassemble_hidden_size=384,
        neck_hidden_sizes=[48, 96, 192, 384], fusion_hidden_size=64, head_hidden_size=32,
    )  # fmt: skip
    torch.manual_seed(0)
    return transformers.DepthAnythingForDepthEstimation(config).eval()


def in_our_precision(network: Any) -> Any:
    """The same network under leadline's autocast; its answer is float32, as the pipeline needs it."""
    plain = network.forward

    @wraps(plain)
    def forward(*arguments: Any, **words: Any) -> Any:
        with autocast(network.device):
            answer = plain(*arguments, **words)
        answer.predicted_depth = answer.predicted_depth.float()
        return answer

    network.forward = forward
    return network


def peer(network: Any, height: int, width: int) -> Any:
    """The library's pipeline; it brings pictures to about this size, their aspect kept."""
    processor = transformers.DPTImageProcessor(
        size={"height": height, "width": width}, keep_aspect_ratio=True, ensure_multiple_of=PATCH,
        do_rescale=True, do_normalize=True, image_mean=[0.485, 0.456, 0.406], image_std=[0.229, 0.224, 0.225],
    )  # fmt: skip
    return transformers.pipeline("depth-estimation", model=network, image_processor=processor, device=pick_device())


def predict_with_peer(pipeline: Any, paths: Sequence[Path], out: Path) -> None:
    for path, result in zip(paths, pipeline([str(path) for path in paths]), strict=True):
        values = result["predicted_depth"].float().cpu().numpy()
        scaled = values.clip(0) * (65535 / max(float(values.max()), 1e-9))
        Image.fromarray(scaled.astype(np.uint16)).save(out / f"{path.stem}.png")


def predict_with_leadline(network: Any, paths: Sequence[Path], out: Path) -> None:
    for result in predict_files(paths, out, network, formats=["depth"]):
        assert not result.error, result.error


def systems(models: Sequence[str], paths: Sequence[Path], out: Path) -> dict[str, Callable[[], None]]:
    """What is to be timed, leadline's models first."""
    ours = {name: open_model(name, pick_device()) for name in models}
    found: dict[str, Callable[[], None]] = {
        f"leadline {name}": partial(predict_with_leadline, network, paths, out) for name, network in ours.items()
    }
    shipped = peer(depth_anything_small(), *PUBLISHED_SIZE)
    found["transformers, as shipped"] = partial(predict_with_peer, shipped, paths, out)
    precision = "bfloat16" if has_native_bf16(pick_device()) else "float32"
    theirs = in_our_precision(depth_anything_small())
    for height, width in dict.fromkeys((it.settings.height, it.settings.width) for it in ours.values()):
        small = peer(theirs, height, width)
        found[f"transformers, {precision}, {height}×{width}"] = partial(predict_with_peer, small, paths, out)
    return found


def take_turns(runs: Mapping[str, Callable[[], None]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each in every round but an unmeasured first one."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    names = list(runs)
    for number in range(rounds + 1):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            start = time.perf_counter()
            runs[name]()
            if number > 0:
                seconds[name].append(time.perf_counter() - start)
    return seconds


def ratios(seconds: Mapping[str, Sequence[float]]) -> list[tuple[str, str, Spread, float, float]]:
    """How many times as fast each of leadline's is as each peer, paired by round: median, spread, least, most."""
    found = []
    for ours in (name for name in seconds if name.startswith("leadline")):
        for theirs in (name for name in seconds if not name.startswith("leadline")):
            each = [there / here for here, there in zip(seconds[ours], seconds[theirs], strict=True)]
            found.append((ours, theirs, Spread.of(each), min(each), max(each)))
    return found


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", default=["default"], help="leadline models: names, checkpoints, runs")
    parser.add_argument("--pictures", nargs="+", help="files, folders, patterns; else 16 made-up ones of 480×640")
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args(words)
    transformers.utils.logging.set_verbosity_error()
    with tempfile.TemporaryDirectory() as name:
        given, out = Path(name, "pictures"), Path(name, "depth")
        given.mkdir()
        out.mkdir()
        paths = find_images(arguments.pictures) if arguments.pictures else make_images(given, 16, 480, 640)
        seconds = take_turns(systems(arguments.models, paths, out), arguments.rounds)
    print(f"{len(paths)} pictures, {arguments.rounds} rounds, {torch.get_num_threads()} threads, {pick_device()}")
    for system, each in seconds.items():
        speed = Spread.of([len(paths) / it for it in each])
        print(f"{system:40} {speed.median:7.2f} ±{speed.half_iqr:.2f} pictures/s")
    for ours, theirs, spread, least, most in ratios(seconds):
        print(f"{ours} / {theirs}: {spread.median:.2f} ±{spread.half_iqr:.2f} times, from {least:.2f} to {most:.2f}")


if __name__ == "__main__":
    main()
