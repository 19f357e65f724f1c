from pathlib import Path

import pytest

from leadline.backends import table as predictors
from leadline.backends.table import KINDS, open_predictor
from leadline.backends.torch_model import NativePredictor
from leadline.data.catalog import open_dataset
from leadline.errors import LeadlineError


def test_a_plain_name_is_a_leadline_model(rooms: Path, tiny_checkpoint: Path) -> None:
    predictor = open_predictor(tiny_checkpoint, open_dataset(rooms))
    assert isinstance(predictor, NativePredictor)
    assert predictor.name == str(tiny_checkpoint)


@pytest.mark.parametrize(
    ("model", "kind", "name"),
    [
        ("hf:depth-anything/x#metres", "hf", "depth-anything/x#metres"),
        ("files:some/folder", "files", "some/folder"),
        ("some/net.onnx", "onnx", "some/net.onnx"),
        ("onnx:net", "onnx", "net"),
        ("leadline:default", "leadline", "default"),
        ("C:/models/mine", "leadline", "C:/models/mine"),
    ],
)
def test_what_stands_before_the_colon_chooses(
    rooms: Path, monkeypatch: pytest.MonkeyPatch, model: str, kind: str, name: str
) -> None:
    asked: list[tuple[str, str]] = []
    for key in KINDS:
        monkeypatch.setitem(predictors.KINDS, key, lambda name, dataset, key=key: asked.append((key, name)))
    open_predictor(model, open_dataset(rooms))
    assert asked == [(kind, name)]


def test_an_unknown_model_is_named(rooms: Path) -> None:
    with pytest.raises(LeadlineError, match="unknown model 'bsae': did you mean 'base'"):
        open_predictor("bsae", open_dataset(rooms))
