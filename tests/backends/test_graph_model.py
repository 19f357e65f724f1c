"""leadline's own models in onnxruntime: the metres are PyTorch's, and nothing of PyTorch's is loaded for them."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from leadline.backends import graph_model
from leadline.backends.graph_model import Precision, open_graph, overflows_in_int8
from leadline.backends.table import open_backend
from leadline.backends.threads import using_threads
from leadline.backends.torch_model import TorchBackend
from leadline.errors import LeadlineError
from leadline.export.exporter import export
from leadline.export.graphs import add_graph
from leadline.geometry import Camera
from leadline.models.checkpoint import load_model
from leadline.models.checkpoint_files import bundled_models
from leadline.models.rescaled import save_rescaled

PRECISIONS: tuple[Precision, Precision] = ("float32", "int8")
EXAMPLES = Path(__file__).parents[2] / "examples"
WITHOUT_TORCH = """
import sys

EXTRA = {"torch", "torchvision", "timm", "pytorch_lightning", "torchmetrics", "tensorboard", "tomli_w", "h5py"}
EXTRA |= {"pooch", "tqdm", "fsspec"}

sys.modules.update(dict.fromkeys(EXTRA))  # as if none were installed
from leadline.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


def photo(name: str = "room_1.jpg") -> NDArray[np.uint8]:
    return np.asarray(Image.open(EXAMPLES / name).convert("RGB"))


@pytest.mark.parametrize(
    ("name", "focal_px", "cut"),
    [("fast", None, (480, 640)), ("fast", 900.0, (300, 640)), ("base", 350.0, (480, 640))],
)
def test_the_metres_are_those_of_torch_in_float32(name: str, focal_px: float | None, cut: tuple[int, int]) -> None:
    image = photo()[: cut[0], : cut[1]]
    camera = None if focal_px is None else Camera.from_focal_px(focal_px, cut[1], cut[0])
    found = open_graph(name, precision="float32").estimate([image], [camera])
    with torch.inference_mode():
        batch = torch.from_numpy(image.copy()).permute(2, 0, 1)[None] / 255
        wanted = load_model(name).estimate(batch, None if focal_px is None else torch.tensor([focal_px]))
    change = np.abs(np.log(found.values[0] / wanted.depth_m[0, 0].numpy()))
    assert change.mean() < 1e-5 and np.quantile(change, 0.999) < 1e-3  # an edge may fall to the other side
    assert found.relative_error is not None and wanted.relative_error is not None
    np.testing.assert_allclose(found.relative_error[0], wanted.relative_error[0, 0], rtol=1e-3)


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_an_answer_hangs_neither_on_what_is_beside_it_nor_on_the_threads(precision: Precision) -> None:
    backend, image = open_graph("fast", 100, precision), photo()
    alone = backend.estimate([image], [None]).values[0]
    with using_threads(1):
        both = backend.estimate([image[:, ::-1], image], [None, None]).values
    np.testing.assert_allclose(both[1], alone, rtol=1e-4)


@pytest.mark.usefixtures("traced_once")
def test_any_checkpoint_gets_a_graph(tiny_checkpoint: Path) -> None:
    before = (tiny_checkpoint / "model.safetensors").read_bytes()
    assert isinstance(open_backend(tiny_checkpoint), TorchBackend)
    add_graph(tiny_checkpoint)
    backend = open_backend(tiny_checkpoint)
    assert backend.runtime == "onnxruntime float32"
    image = photo()[:100, :120]
    with torch.inference_mode():
        wanted = load_model(tiny_checkpoint)(torch.from_numpy(image.copy()).permute(2, 0, 1)[None] / 255)
    np.testing.assert_allclose(backend.estimate([image], [None]).values[0], wanted[0, 0], rtol=1e-4)
    assert backend.assumed_camera(100, 120) == open_backend(f"torch:{tiny_checkpoint}").assumed_camera(100, 120)
    assert (tiny_checkpoint / "model.safetensors").read_bytes() == before
    assert (tiny_checkpoint / "network.onnx").stat().st_size < len(before)


def test_a_calibrated_copys_scale_is_in_whatever_runs_it(tmp_path: Path) -> None:
    image, source, copy = photo(), bundled_models()["fast"], tmp_path / "copy"
    save_rescaled(source, copy, 0.7, {}, "")
    export(copy, tmp_path / "copy.onnx", "int8")
    names = [f"onnxruntime-float32:{copy}", f"onnxruntime-int8:{copy}", f"torch:{copy}", str(tmp_path / "copy.onnx")]
    before = np.median(open_graph("fast").estimate([image], [None]).values)
    for name in names:
        after = np.median(open_backend(name).estimate([image], [None]).values)
        assert after / before == pytest.approx(0.7, rel=0.01), name


def test_what_runs_a_model_can_be_said(tiny_checkpoint: Path) -> None:
    assert open_backend("torch:fast").runtime.startswith("torch ")
    assert open_backend("onnxruntime:fast").runtime == "onnxruntime float32"
    assert open_backend("onnxruntime-int8:fast").runtime == "onnxruntime int8"
    with pytest.raises(LeadlineError, match=r"has no network.onnx, which onnxruntime needs: take --backend torch"):
        open_backend(f"onnxruntime:{tiny_checkpoint}")


def test_eight_bits_change_little_and_in_no_direction() -> None:
    image = [photo("room_2.jpg"), photo("room_3.jpg")]
    exact, rounded = (open_graph("fast", 100, precision).estimate(image, [None] * 2) for precision in PRECISIONS)
    change = np.log(rounded.values / exact.values)
    coarser = 3 if overflows_in_int8() else 1
    assert 0 < np.abs(change).mean() < 0.005 * coarser and abs(change.mean()) < 0.003 * coarser


@pytest.mark.parametrize(
    ("flags", "is_told"), [("fpu avx avx2 bmi2", True), ("fpu avx avx2 avx_vnni", False), ("fp asimd asimddp", False)]
)
def test_a_processor_whose_eight_bits_overflow_is_told(
    flags: str, is_told: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(graph_model, "_processor_flags", lambda: f"flags : {flags}")
    assert open_backend("onnxruntime-int8:fast").runtime == "onnxruntime int8"
    assert ("can overflow: depth changes by some 1 %" in caplog.text) == is_told


@pytest.mark.parametrize(
    ("num_images", "quick", "expected"), [(1, True, "float32"), (50, True, "int8"), (50, False, "float32")]
)
def test_many_images_are_answered_in_eight_bits_where_that_is_quicker(
    monkeypatch: pytest.MonkeyPatch, num_images: int, quick: bool, expected: str
) -> None:
    monkeypatch.setattr(graph_model, "_multiplies_int8", lambda: quick)
    assert open_graph("fast", num_images).runtime == f"onnxruntime {expected}"


@pytest.mark.parametrize("damage", ["graph", "weights", "another"])
def test_broken_files_are_told_when_the_model_is_opened(tmp_path: Path, damage: str) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(bundled_models()["fast"], folder)
    path = folder / {"graph": "network.onnx", "weights": "model.safetensors", "another": "network.onnx"}[damage]
    if damage == "another":
        shutil.copy(bundled_models()["base"] / "network.onnx", path)
        config = (folder / "config.json").read_text().replace("network.head.conv", "network.head.other")
        (folder / "config.json").write_text(config.replace('"head.conv.weight"', '"head.conv.weigh"'))
    else:
        path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(LeadlineError, match="copy"):
        open_graph(str(folder))


@pytest.mark.parametrize(
    "words",
    [
        ["predict", "PHOTO", "--model", "fast", "--out", "OUT", "--format", "depth,color,npz,ply,points,uncertainty"],
        ["measure", "PHOTO", "100,100", "300,300", "--model", "fast"],
        ["calibrate", "PHOTO", "POINTS", "--model", "fast", "--out", "OUT/calibrated"],
        ["models"],
    ],
    ids=lambda words: words[0],
)
def test_commands_run_where_torch_is_not_installed(tmp_path: Path, words: list[str]) -> None:
    points = tmp_path / "points.csv"
    points.write_text("x,y,metres\n100,100,4\n300,300,4\n500,200,4\n")
    places = {"PHOTO": EXAMPLES / "room_1.jpg", "POINTS": points}
    given = [str(places.get(word, word)).replace("OUT", str(tmp_path)) for word in words]
    run = subprocess.run([sys.executable, "-c", WITHOUT_TORCH, *given], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["predict", "PHOTO", "--fov", "200"], "field of view"),
        (["predict", "PHOTO", "--format", "png"], "unknown format 'png'"),
        (["predict", "PHOTO", "--model", "bas"], "did you mean 'base'"),
        (["measure", "PHOTO", "9999,5"], "9999"),
        (["predict", "PHOTO", "--model", "hf:a/b"], 'pip install "leadline[hf]"'),
        (["predict", "PHOTO", "--model", str(EXAMPLES)], "no checkpoint at"),
        (["train", "base"], 'pip install "leadline[torch]"'),
        (["export", "fast", "--out", "fast.onnx"], 'pip install "leadline[onnx]"'),
        (["export", "fast", "--out", "fast.xml"], 'pip install "leadline[openvino]"'),
        (["cluster", str(EXAMPLES), "--out", "depth"], 'pip install "leadline[ray]"'),
    ],
)
def test_a_mistake_is_one_line_where_torch_is_not_installed(words: list[str], wanted: str) -> None:
    given = [word.replace("PHOTO", str(EXAMPLES / "room_1.jpg")) for word in words]
    run = subprocess.run([sys.executable, "-c", WITHOUT_TORCH, *given], capture_output=True, text=True)
    assert run.returncode == 2 and len(run.stderr.strip().splitlines()) == 1, run.stderr
    assert wanted in run.stderr


def test_a_command_that_needs_torch_says_so_in_one_line() -> None:
    words = ["evaluate", "fast", "--data", str(EXAMPLES)]
    run = subprocess.run([sys.executable, "-c", WITHOUT_TORCH, *words], capture_output=True, text=True)
    assert run.returncode == 2
    assert run.stderr.strip() == 'leadline: this needs torch, which is not installed: pip install "leadline[torch]"'
