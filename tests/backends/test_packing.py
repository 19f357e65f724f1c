"""A packed model opens, and estimates the same, where its files are not."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from leadline.backends.base import Backend
from leadline.backends.calibrated import save_calibrated
from leadline.backends.packing import open_packed, pack_model
from leadline.backends.table import open_backend
from leadline.errors import LeadlineError
from leadline.export import export
from leadline.geometry import Output

pytestmark = pytest.mark.usefixtures("traced_once")

IMAGE = np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8)


def values(backend: Backend) -> np.ndarray:
    return backend.estimate([IMAGE], [None]).values


def test_a_checkpoint_travels(tiny_checkpoint: Path) -> None:
    expected, packed = values(open_backend(tiny_checkpoint)), pack_model(tiny_checkpoint)
    shutil.rmtree(tiny_checkpoint)
    np.testing.assert_array_equal(values(open_packed(packed)), expected)


@pytest.mark.parametrize("suffix", ["onnx", "xml"])
def test_a_file_travels_with_what_belongs_to_it(suffix: str, tmp_path: Path, tiny_checkpoint: Path) -> None:
    pytest.importorskip("onnxruntime" if suffix == "onnx" else "openvino")
    folder = tmp_path / "files"
    export(tiny_checkpoint, folder / f"tiny.{suffix}")
    (folder / "tiny.toml").write_text("std = [2.0, 2.0, 2.0]")
    (folder / "other.txt").write_text("stays")
    expected, packed = values(open_backend(folder / f"tiny.{suffix}")), pack_model(folder / f"tiny.{suffix}")
    assert set(packed.files) == {path.name for path in folder.iterdir()} - {"other.txt"}
    shutil.rmtree(folder)
    np.testing.assert_array_equal(values(open_packed(packed)), expected)


@pytest.mark.parametrize("names", [["tiny.onnx.data"], ["tiny.onnx_data"], ["tiny.onnx_data", "tiny.onnx_data_1"]])
def test_weights_that_lie_apart_travel_by_whichever_name(
    names: list[str], tmp_path: Path, tiny_checkpoint: Path
) -> None:
    onnx = pytest.importorskip("onnx")
    export(tiny_checkpoint, tmp_path / "tiny.onnx")
    model, folder = onnx.load(tmp_path / "tiny.onnx"), tmp_path / "[files]"
    folder.mkdir()
    large = [entry for entry in model.graph.initializer if len(entry.raw_data) >= 32]
    for place, entry in enumerate(large):
        onnx.external_data_helper.set_external_data(entry, names[place % len(names)])
    onnx.save(model, folder / "tiny.onnx")
    (folder / "other.onnx_data").write_text("stays")
    expected, packed = values(open_backend(folder / "tiny.onnx")), pack_model(folder / "tiny.onnx")
    assert set(packed.files) == {"tiny.onnx", *names}
    shutil.rmtree(folder)
    np.testing.assert_array_equal(values(open_packed(packed)), expected)


def test_a_model_of_the_hub_goes_by_name_and_a_folder_by_its_files(tmp_path: Path) -> None:
    assert pack_model("hf:owner/name#metres") == ("hf", "owner/name#metres", {})
    (tmp_path / "config.json").write_text('{"model_type": "glpn"}')
    files = {"model/config.json": b'{"model_type": "glpn"}'}
    assert pack_model(f"hf:{tmp_path}#metres") == ("hf", "model#metres", files)
    assert pack_model(tmp_path) == ("hf", "model", files)


@pytest.mark.parametrize("of", ["checkpoint", "file"])
def test_a_calibrated_model_travels_with_the_model_that_it_refers_to(
    of: str, tmp_path: Path, tiny_checkpoint: Path
) -> None:
    model, folder = tiny_checkpoint, tmp_path / "calibrated"
    if of == "file":
        pytest.importorskip("onnxruntime", reason="needs the extra onnx")
        model = tmp_path / "tiny.onnx"
        export(tiny_checkpoint, model)
    plain_m = values(open_backend(model))
    save_calibrated(folder, model, Output.METRES, 1.5, 0.0, {}, "")
    packed = pack_model(folder)
    for gone in (tiny_checkpoint, folder):
        shutil.rmtree(gone)
    (tmp_path / "tiny.onnx").unlink(missing_ok=True)
    np.testing.assert_array_equal(values(open_packed(packed)), np.float32(1.5) * plain_m)


def test_what_is_no_model_is_refused() -> None:
    with pytest.raises(LeadlineError, match="unknown model 'nix'"):
        pack_model("nix")
