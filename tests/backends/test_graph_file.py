"""A graph with its weights in one file answers as the graph that is handed them does."""

import shutil
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from leadline.backends.graph_file import whole_graph
from leadline.backends.graph_model import open_graph
from leadline.errors import LeadlineError
from leadline.export.graphs import add_graph
from leadline.models.checkpoint import load_checkpoint, save_checkpoint
from leadline.models.checkpoint_files import bundled_models
from leadline.models.rescaled import save_rescaled


def answers(network: bytes, height: int, width: int) -> list[np.ndarray]:
    image = np.random.default_rng(0).random((1, 3, height, width), np.float32)
    session = onnxruntime.InferenceSession(network, providers=["CPUExecutionProvider"])
    return list(session.run(None, {"working": image}))


def wanted_answers(model: str | Path, height: int, width: int) -> list[np.ndarray]:
    image = np.random.default_rng(0).random((1, 3, height, width), np.float32)
    return list(open_graph(str(model))._session(1).run(None, {"working": image}))


def test_a_bundled_model_is_as_small_as_its_checkpoint() -> None:
    whole = whole_graph("fast")
    stored = sum(path.stat().st_size for path in bundled_models()["fast"].glob("[mn]*"))
    assert len(whole.network) < 1.01 * stored
    assert whole.scale == 1
    assert whole.settings.view == open_graph("fast").settings.view
    for found, wanted in zip(answers(whole.network, 196, 266), wanted_answers("fast", 196, 266), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-4)


@pytest.mark.usefixtures("traced_once")
@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_weights_of_any_precision_go_in(tiny_checkpoint: Path, tmp_path: Path, precision: str) -> None:
    model, folder = load_checkpoint(tiny_checkpoint), tmp_path / precision
    save_checkpoint(folder, model, record={}, card="# tiny\n", precision=precision)
    add_graph(folder)
    found, wanted = answers(whole_graph(folder).network, 96, 128), wanted_answers(folder, 96, 128)
    np.testing.assert_allclose(found[0], wanted[0], rtol=1e-5)


def test_a_calibrated_copy_tells_its_scale(tmp_path: Path) -> None:
    save_rescaled(bundled_models()["fast"], tmp_path / "copy", 1.25, {}, "")
    assert whole_graph(tmp_path / "copy").scale == pytest.approx(1.25)


@pytest.mark.parametrize("name", ["network.onnx", "model.safetensors"])
def test_a_broken_file_is_told(tmp_path: Path, name: str) -> None:
    shutil.copytree(bundled_models()["fast"], tmp_path / "copy")
    path = tmp_path / "copy" / name
    path.write_bytes(path.read_bytes()[:5001])
    with pytest.raises(LeadlineError, match=f"{name} is not a whole file"):
        whole_graph(tmp_path / "copy")


def test_weights_of_another_model_are_told(tmp_path: Path) -> None:
    shutil.copytree(bundled_models()["fast"], tmp_path / "copy")
    config = tmp_path / "copy" / "config.json"
    config.write_text(config.read_text().replace('"head.conv.weight"', '"head.conv.weigh"'))
    with pytest.raises(LeadlineError, match=r"has no head\.conv\.weigh, which network\.onnx wants"):
        whole_graph(tmp_path / "copy")


def test_without_onnx_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(LeadlineError, match=r'pip install "leadline\[static\]"'):
        whole_graph("fast")
