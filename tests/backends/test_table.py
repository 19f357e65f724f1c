import json
from pathlib import Path

import numpy as np
import pytest

from leadline.backends import table
from leadline.backends.table import KINDS, find_kind, open_backend
from leadline.backends.torch_model import TorchBackend
from leadline.errors import LeadlineError
from leadline.models.model import DepthModel


def test_a_plain_name_is_a_leadline_model(tiny_checkpoint: Path) -> None:
    backend = open_backend(tiny_checkpoint)
    assert isinstance(backend, TorchBackend)
    assert backend.name == str(tiny_checkpoint)


def test_a_loaded_model_becomes_a_backend_and_a_backend_stays_one(tiny_model: DepthModel) -> None:
    backend = open_backend(tiny_model)
    assert isinstance(backend, TorchBackend) and backend.model is tiny_model
    assert open_backend(backend) is backend


@pytest.mark.parametrize(
    ("model", "kind", "name"),
    [
        ("hf:depth-anything/x#metres", "hf", "depth-anything/x#metres"),
        ("some/net.onnx", "onnx", "some/net.onnx"),
        ("some/NET.ONNX", "onnx", "some/NET.ONNX"),
        ("onnx:net", "onnx", "net"),
        ("some/net.xml", "openvino", "some/net.xml"),
        ("leadline:default", "leadline", "default"),
        ("C:/models/mine", "leadline", "C:/models/mine"),
    ],
)
def test_a_prefix_or_an_ending_chooses(model: str, kind: str, name: str) -> None:
    assert find_kind(model) == (kind, name)


@pytest.mark.parametrize(
    ("config", "kind"),
    [
        ({"model_type": "glpn", "architectures": ["x"]}, "hf"),
        ({"format": 1, "leadline": "1", "model": {}, "model_type": "mine"}, "leadline"),
        ([], "leadline"),
    ],
)
def test_a_folder_is_known_by_its_configuration(tmp_path: Path, config: object, kind: str) -> None:
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    assert find_kind(tmp_path) == (kind, str(tmp_path))
    (tmp_path / "calibrated.json").write_text("{}", encoding="utf-8")
    assert find_kind(tmp_path) == ("calibrated", str(tmp_path))


def test_a_damaged_configuration_is_left_to_leadline_to_complain_of(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes(b"\xff{")
    assert find_kind(tmp_path)[0] == "leadline"


def test_the_table_s_places_are_there_and_open_what_they_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    assert all(callable(table._opener(place)) for place in KINDS.values())
    monkeypatch.setitem(KINDS, "hf", f"{np.__name__}:array")
    assert open_backend("hf:3") == np.array("3")


def test_an_unknown_model_is_named_with_what_else_can_be_given() -> None:
    with pytest.raises(LeadlineError, match=r"unknown model 'bsae': did you mean 'base'\?; .*FILE\.onnx.* hf:NAME"):
        open_backend("bsae")


@pytest.mark.parametrize("kind", ["leadline", "onnxruntime", "onnxruntime-int8", "torch"])
@pytest.mark.parametrize(("name", "of"), [("net.onnx", "onnx"), ("net.xml", "openvino"), ("hf:a/b", "hf")])
def test_what_runs_leadline_models_is_not_asked_to_run_others(kind: str, name: str, of: str) -> None:
    with pytest.raises(LeadlineError, match=rf"^{kind} runs leadline's own models, and {name} is .*\({of}\)"):
        open_backend(f"{kind}:{name}")


def test_a_missing_pytorch_is_told_with_what_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(KINDS, "torch", "torch.nothing:here")
    with pytest.raises(LeadlineError, match=r'^this needs torch, which is not .* pip install "leadline\[torch\]"'):
        open_backend("torch:fast")


@pytest.mark.parametrize(
    ("flags", "device", "asked"),
    [
        ("flags : avx512f amx_bf16 amx_tile", "null", True),
        ("flags : avx512f avx512_bf16", "null", False),
        ("flags : avx2", "nvidia0", True),
        ("flags : avx2", "nvidia-caps", False),
        (None, "null", True),
    ],
)
def test_pytorch_is_loaded_only_where_it_may_be_quicker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: str | None, device: str, asked: bool
) -> None:
    (tmp_path / device).touch()
    if flags is not None:
        (tmp_path / "cpuinfo").write_text(flags, encoding="utf-8")
    monkeypatch.setattr(table, "CPU_INFO", tmp_path / "cpuinfo")
    monkeypatch.setattr(table, "DEVICES", tmp_path)
    assert table._may_have_gpu_or_tiles() is asked
