"""A small rendered data set and a tiny model, shared by tests of whole workflows."""

import copy
import hashlib
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from leadline.data.synthetic.dataset import synthesize
from leadline.export.network import trace
from leadline.models.build import build_model
from leadline.models.checkpoint import save_checkpoint
from leadline.models.heads import Estimate
from leadline.models.model import DepthModel
from leadline.models.settings import ModelSettings, PlainSettings
from leadline.training.settings import RunSettings

TINY_MODEL = ModelSettings(network="unet", height=36, width=48, plain=PlainSettings(width=4, levels=2))


@pytest.fixture(scope="session")
def rooms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder data set of 32 rendered pictures of 72×96."""
    root = tmp_path_factory.mktemp("data") / "rooms"
    synthesize(root, 32, seed=3, height=72, width=96)
    return root


@pytest.fixture
def tiny_settings() -> RunSettings:
    """A run of two short epochs, with everything on that carries state."""
    return RunSettings.model_validate(
        {
            "epochs": 3,
            "ema_decay": 0.9,
            "precision": "float32",
            "model": TINY_MODEL.model_dump(),
            "data": {
                "split": "official",
                "validation": 0.2,
                "batch_size": 4,
                "workers": 0,
                "augment": {"colour": 0.2, "zoom": 1.2, "rotate_deg": 5.0},
            },
        }
    )


@pytest.fixture
def tiny_model() -> DepthModel:
    """A model with random weights, the same each time, its skips open as after training."""
    torch.manual_seed(0)
    model = build_model(TINY_MODEL.model_copy(update={"focal_px": 40.0})).eval()
    for module in model.network.modules():
        if isinstance(module, nn.Conv2d):
            module.reset_parameters()
    return model


class FlatModel(DepthModel):
    """Answers 2 m everywhere, for a camera of 100 px at a picture's own size; takes any size as it is."""

    def __init__(self) -> None:
        super().__init__(TINY_MODEL)

    def estimate(self, image: torch.Tensor, focal_px: torch.Tensor | None = None) -> Estimate:
        scale = torch.ones(1) if focal_px is None else focal_px / 100
        return Estimate(torch.full_like(image[:, :1], 2.0) * scale.view(-1, 1, 1, 1), None)


@pytest.fixture
def flat_model() -> DepthModel:
    """Depth that one can reckon with by hand, see `FlatModel`."""
    return FlatModel().eval()


@pytest.fixture
def tiny_checkpoint(tmp_path: Path, tiny_model: DepthModel) -> Path:
    """A saved tiny model."""
    folder = tmp_path / "tiny"
    save_checkpoint(folder, tiny_model, record={"settings": RunSettings().model_dump()}, card="# tiny\n")
    return folder


@pytest.fixture(scope="session")
def traces() -> dict[str, Any]:
    """What `traced_once` has traced."""
    return {}


@pytest.fixture(scope="module")
def traced_once(traces: dict[str, Any]) -> Iterator[None]:
    """Exports of the same weights share one tracing by PyTorch, which takes nearly all of their time."""

    def traced(model: DepthModel) -> Any:
        digest = hashlib.sha256(model.settings.model_dump_json().encode())
        for name, tensor in model.state_dict().items():
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode() + tensor.numpy().tobytes())
        key = digest.hexdigest()
        if key not in traces:
            traces[key] = trace(model)
        return copy.deepcopy(traces[key])

    with pytest.MonkeyPatch.context() as patch:
        for module in ("exporter", "graphs", "int8"):
            patch.setattr(import_module(f"leadline.export.{module}"), "trace", traced)
        yield
