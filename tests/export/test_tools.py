"""Programs that others make read exported files, and say nothing of them."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from leadline.export.exporter import export
from leadline.models.build import build_model
from leadline.models.checkpoint import save_checkpoint
from leadline.models.settings import HeadSettings, ModelSettings, PlainSettings

onnx = pytest.importorskip("onnx", reason="needs the extra onnx")
onnxruntime = pytest.importorskip("onnxruntime")


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory, traced_once: None) -> Path:
    """The file of a small model with all that a file can have."""
    folder = tmp_path_factory.mktemp("export")
    settings = ModelSettings(
        network="unet",
        height=48,
        width=64,
        focal_px=50.0,
        edge_radius_px=4.0,
        plain=PlainSettings(width=8, levels=2),
        head=HeadSettings(uncertainty=True),
    )
    save_checkpoint(folder / "model", build_model(settings).eval(), record={}, card="")
    export(folder / "model", folder / "net.onnx")
    return folder / "net.onnx"


def answer(path: Path) -> np.ndarray:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    picture = np.random.default_rng(0).random((1, 3, 90, 120), np.float32)
    return session.run(None, {"picture": picture, "focal_px": np.array([120], np.float32)})[0]


def test_onnxruntime_opens_it_without_a_word(exported: Path) -> None:
    words = f"import onnxruntime as o; print([i.name for i in o.InferenceSession({str(exported)!r}).get_inputs()])"
    run = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "['picture', 'focal_px']"
    assert "focal_px" not in run.stderr


def test_each_domain_stands_once_in_the_list_of_opsets(exported: Path) -> None:
    assert [(entry.domain, entry.version) for entry in onnx.load(exported).opset_import] == [("", 20)]


def test_onnxruntimes_quantiser_takes_it(exported: Path, tmp_path: Path) -> None:
    quantization = pytest.importorskip("onnxruntime.quantization")
    quantization.quantize_dynamic(exported, tmp_path / "int8.onnx", per_channel=True)
    np.testing.assert_allclose(answer(tmp_path / "int8.onnx"), answer(exported), rtol=0.2)


def test_onnxruntimes_optimiser_takes_it(exported: Path, tmp_path: Path) -> None:
    optimizer = pytest.importorskip("onnxruntime.transformers.optimizer")
    optimizer.optimize_model(str(exported), model_type="vit").save_model_to_file(str(tmp_path / "optimised.onnx"))
    np.testing.assert_allclose(answer(tmp_path / "optimised.onnx"), answer(exported), rtol=1e-4)


@pytest.mark.parametrize("precision", ["float32", "fp16"])
def test_onnxs_checker_takes_each_precision(exported: Path, tmp_path: Path, precision: str) -> None:
    # onnxruntime 1.32's quantiser takes a float16 file as well, and writes one that onnxruntime refuses.
    export(exported.parent / "model", tmp_path / "file.onnx", precision)  # type: ignore[arg-type]
    onnx.checker.check_model(tmp_path / "file.onnx", full_check=True)


@pytest.mark.parametrize("precision", ["fp16"])
def test_a_file_in_fewer_bits_says_so_and_is_near(exported: Path, tmp_path: Path, precision: str) -> None:
    checks = export(exported.parent / "model", tmp_path / "small.onnx", precision)  # type: ignore[arg-type]
    assert 0 < max(check.difference for check in checks) < 0.05
    said = {entry.key: entry.value for entry in onnx.load(tmp_path / "small.onnx").metadata_props}
    assert said["leadline.precision"] == precision
    assert (tmp_path / "small.onnx").stat().st_size < exported.stat().st_size


def test_openvino_takes_it_by_itself_in_bfloat16_and_stays_near(exported: Path) -> None:
    openvino = pytest.importorskip("openvino", reason="needs the extra openvino")
    network = openvino.Core().compile_model(exported, "CPU")
    picture = np.random.default_rng(0).random((1, 3, 90, 120), np.float32)
    found = network({"picture": picture, "focal_px": np.array([120], np.float32)})[0]
    assert np.abs(np.log(found / answer(exported))).mean() < 0.01
