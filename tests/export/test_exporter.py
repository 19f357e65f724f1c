import math
import re
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from leadline.backends.onnx import open_onnx
from leadline.backends.openvino import open_openvino
from leadline.backends.table import open_backend
from leadline.backends.torch_model import TorchBackend
from leadline.cli.main import main
from leadline.errors import LeadlineError
from leadline.export import exporter
from leadline.export.exporter import export
from leadline.export.network import trace
from leadline.geometry.camera import Camera
from leadline.geometry.depth import Output
from leadline.io.provenance import ensure_overwritable
from leadline.models.build import build_model
from leadline.models.checkpoint import load_model, save_checkpoint
from leadline.models.model import DepthModel
from leadline.models.settings import DecoderSettings, EncoderSettings, ModelSettings, PlainSettings

needs_openvino = pytest.mark.skipif(find_spec("openvino") is None, reason="needs the extra openvino")
for package in ("onnx", "onnxruntime", "onnxscript"):
    pytest.importorskip(package, reason="needs the extra onnx")

pytestmark = pytest.mark.usefixtures("traced_once")

PLAIN = ModelSettings(network="cae", height=48, width=64, focal_px=60.0, plain=PlainSettings(width=4, levels=1))
TRANSFORMER = ModelSettings(
    network="encoder-decoder", height=64, width=96, multiple_px=16,
    focal_px=90.0, focal_share=0.2, edge_radius_px=4.0,
    encoder=EncoderSettings(name="vit_tiny_patch16_224", num_blocks=4),
    decoder=DecoderSettings(kind="dpt", width=16),
)  # fmt: skip


IMAGES = list(np.random.default_rng(1).integers(0, 256, (2, 61, 83, 3), dtype=np.uint8))


def in_float32(model: DepthModel, focal_px: float | None) -> NDArray[np.float32]:
    """Metres (2, 61, 83) of `IMAGES`, the focal length of the first unknown, without autocast."""
    batch = torch.from_numpy(np.stack(IMAGES)).permute(0, 3, 1, 2) / 255
    with torch.no_grad():
        metres = model.estimate(batch, torch.tensor([math.nan, focal_px or math.nan])).depth_m
    values: NDArray[np.float32] = metres[:, 0].numpy()
    return values


def checkpoint(folder: Path, settings: ModelSettings) -> Path:
    torch.manual_seed(0)
    model = build_model(settings)
    torch.nn.init.normal_(model.head.conv.weight, std=0.1)  # an answer that depends on the picture
    save_checkpoint(folder, model, {"encoder_licence": "MIT"}, "card")
    return folder


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkpoint(tmp_path_factory.mktemp("models") / "plain", PLAIN)


@pytest.fixture(scope="module")
def transformer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkpoint(tmp_path_factory.mktemp("models") / "transformer", TRANSFORMER)


@pytest.fixture(scope="module")
def exported(transformer: Path, traced_once: None) -> Path:
    path = transformer.parent / "transformer.onnx"
    checks = export(transformer, path)
    assert [(check.num_pictures, check.height, check.width) for check in checks] == [
        (1, 480, 640), (2, 501, 375), (1, 90, 160)
    ]  # fmt: skip
    # 480×640 has 50 times the pixels of 64×96: the focal length is √50 times as long.
    assert checks[0].focal_px == pytest.approx(90 * 50**0.5)
    assert max(check.difference for check in checks) < 5e-4  # shares of a mean have 16 bits
    return path


@pytest.mark.parametrize("focal_px", [None, 70.0, 250.0])
def test_the_file_is_scored_like_the_model_with_its_edges(
    exported: Path, transformer: Path, focal_px: float | None
) -> None:
    model = load_model(transformer)
    assert model.settings.edge_radius_px > 0
    estimate = open_onnx(exported).estimate(IMAGES, [None, focal_px and Camera.from_focal_px(focal_px, 83, 61)])
    change = np.abs(np.log(estimate.values / in_float32(model, focal_px)))
    assert change.mean() < 1e-4 and np.quantile(change, 0.99) < 1e-3  # an edge may fall to the other side


@pytest.mark.parametrize(("height", "width"), [(61, 83), (480, 640), (1080, 1920)])
@pytest.mark.parametrize("suffix", [".onnx", pytest.param(".xml", marks=needs_openvino)])
def test_the_file_assumes_the_camera_and_the_size_that_the_model_does(
    exported: Path, transformer: Path, suffix: str, height: int, width: int
) -> None:
    path = exported
    if suffix == ".xml":
        path = exported.with_suffix(".xml")
        if not path.exists():
            export(transformer, path)
    model, file = TorchBackend(load_model(transformer), "model"), open_backend(path)
    assert file.working_size == model.working_size == (64, 96)
    camera = file.assumed_camera(height, width)
    assert camera is not None and camera == model.assumed_camera(height, width)


def test_a_model_that_knows_no_focal_length_makes_a_file_that_does_not(tmp_path: Path) -> None:
    unknown = checkpoint(tmp_path / "model", PLAIN.model_copy(update={"focal_px": None}))
    export(unknown, tmp_path / "model.onnx")
    backend = open_onnx(tmp_path / "model.onnx")
    assert (backend.working_size, backend.assumed_camera(60, 80)) == ((48, 64), None)


def test_the_file_says_what_it_is_and_not_who_made_it_where(exported: Path) -> None:
    import onnx

    whole = onnx.load(exported)
    assert whole.producer_name == "leadline"
    assert {entry.key: entry.value for entry in whole.metadata_props} == {
        "leadline.output": "metres",
        "leadline.working_size": "[64, 96]",
        "leadline.multiple_px": "16",
        "leadline.trained_focal_px": "90.0",
        "leadline.edge_radius_px": "4.0",
        "leadline.precision": "float32",
    }
    for words in ("RGB in [0, 1]", "focal_px (1,)", "metres along the optical axis", "0.5 to 10", "weights: MIT"):
        assert words in whole.doc_string
    content = exported.read_bytes()
    assert b"site-packages" not in content
    assert str(Path(exporter.__file__).parent).encode() not in content


@needs_openvino
def test_openvinos_file_is_scored_like_the_model(plain: Path, tmp_path: Path) -> None:
    path = tmp_path / "model.xml"
    assert all(check.difference < 2e-4 for check in export(plain, path))
    assert {it.name for it in tmp_path.iterdir()} == {"model.xml", "model.bin"}
    text = path.read_text(encoding="utf-8")
    assert "focal_px (1,): their focal length in pixels, NaN where unknown." in text and "weights: MIT." in text
    assert "site-packages" not in text and str(tmp_path) not in text
    backend = open_openvino(path)
    cameras = [None, Camera.from_focal_px(70.0, 83, 61)]
    expected = in_float32(load_model(plain), 70.0)
    np.testing.assert_allclose(backend.estimate(IMAGES, cameras).values, expected, rtol=1e-5, atol=1e-5)
    assert (backend.output, backend.working_size) == (Output.METRES, (48, 64))
    export(plain, path)  # onto its own files
    ensure_overwritable([path, path.with_suffix(".bin")])


@needs_openvino
def test_openvinos_files_are_kept_together(plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "model.xml"
    path.with_suffix(".bin").write_bytes(b"mine")
    with pytest.raises(LeadlineError, match="model.bin is there and not leadline's own"):
        ensure_overwritable([path, path.with_suffix(".bin")])
    monkeypatch.setitem(exporter.MAX_DIFFERENCE, "float32", -1.0)
    with pytest.raises(LeadlineError, match=r"it is not kept: .* openvino 20"):
        export(plain, path)
    assert [(it.name, it.read_bytes()) for it in tmp_path.iterdir()] == [("model.bin", b"mine")]


def test_a_file_that_answers_otherwise_is_not_kept(
    plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import onnx

    def wrong(network: Any, settings: ModelSettings) -> Any:
        return export_around(network, settings.model_copy(update={"focal_px": 1.01 * 60.0}))

    export_around = exporter.around
    monkeypatch.setattr(exporter, "around", wrong)
    path = tmp_path / "model.onnx"
    path.write_bytes(b"older")
    message = rf"differs from .*plain by 0\.0\d+ of the depth at .*, wanted at most .*torch.*onnx {onnx.__version__}"
    with pytest.raises(LeadlineError, match=message):
        export(plain, path)
    assert [(it.name, it.read_bytes()) for it in tmp_path.iterdir()] == [("model.onnx", b"older")]


def test_a_network_that_torch_cannot_export_is_one_line(
    plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise torch.onnx.OnnxExporterError("pages\nof advice") from RuntimeError("no such operator: aten::x\nmore")

    monkeypatch.setattr(exporter, "trace", trace)  # itself, not what it has given before
    monkeypatch.setattr(torch.onnx, "export", fail)
    with pytest.raises(
        LeadlineError, match=rf"torch {re.escape(torch.__version__)} cannot .*no such operator: aten::x$"
    ):
        export(plain, tmp_path / "model.onnx")
    assert not any(tmp_path.iterdir())


def test_weights_that_one_file_cannot_hold_are_told_before_the_work(
    plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporter, "MAX_BYTES", 1000)
    with pytest.raises(LeadlineError, match=r"GB of weights, and one ONNX file holds at most 2"):
        export(plain, tmp_path / "model.onnx")
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(("name", "kind"), [("a.onnx", "onnx"), ("hf:some/model", "hf"), ("calibrated", "calibrated")])
def test_what_is_no_leadline_model_is_told_by_its_kind(tmp_path: Path, name: str, kind: str) -> None:
    (tmp_path / "calibrated").mkdir()
    (tmp_path / "calibrated" / "calibrated.json").write_text("{}")
    model = name if kind == "hf" else tmp_path / name
    with pytest.raises(LeadlineError, match=f"is no leadline model but of the kind '{kind}'"):
        export(model, tmp_path / "b.onnx")


def test_another_suffix_and_a_missing_package_are_told_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(LeadlineError, match=r"ends in \.onnx or \.xml, got .*model\.pt"):
        export("no-model", tmp_path / "model.pt")
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(LeadlineError, match=r'export needs onnxscript: pip install "leadline\[onnx\]"'):
        export("no-model", tmp_path / "model.onnx")
    monkeypatch.undo()
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(LeadlineError, match=r'export needs openvino: pip install "leadline\[openvino\]"'):
        export("no-model", tmp_path / "model.xml")


def test_the_command_shows_how_it_was_verified_and_replaces_only_its_own(
    plain: Path, exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "model.ONNX"
    path.write_bytes(b"somebody else's")
    assert main(["export", str(plain), "--out", str(path)]) == 2
    assert "is there and not leadline's own" in capsys.readouterr().err
    path.write_bytes(exported.read_bytes())
    done = [exporter.Check(1, 480, 640, 600.0, 2.5e-6, 0.0), exporter.Check(2, 501, 375, None, 1e-6, 0.0)]
    monkeypatch.setattr(sys.modules["leadline.export"], "export", lambda model, out, precision: done)
    assert main(["export", str(plain), "--out", str(path)]) == 0
    shown = capsys.readouterr().out
    for words in ("1 of 480×640", "600", "2.5e-06 of the depth", "2 of 501×375", f"written to {path}"):
        assert words in shown
