"""What the models that come with leadline promise, held against rendered rooms: no data set is needed."""

import re
from functools import cache
from pathlib import Path

import pytest
import torch
from torch import Tensor

from leadline.data.synthetic.dataset import PICTURES_PER_SCENE, SyntheticDataset
from leadline.evaluation.boundary import boundary_scores
from leadline.geometry.camera import focal_px_from_fov
from leadline.models.checkpoint import load_model
from leadline.models.device import autocast
from leadline.models.model import DepthModel

HEIGHT, WIDTH = 240, 320
NUM_ROOMS = 6
NARROWEST_DEG = 50.0


@pytest.fixture(scope="module")
def base() -> DepthModel:
    return load_model("base")


def middle(depth_m: Tensor, fov_deg: float) -> Tensor:
    """The part of a picture (1, H, W) that the middle half of the narrowest view shows, whatever its own view."""
    share = focal_px_from_fov(fov_deg, WIDTH) / focal_px_from_fov(NARROWEST_DEG, WIDTH) / 2
    reach_y, reach_x = round(HEIGHT * share / 2), round(WIDTH * share / 2)
    rows = slice(HEIGHT // 2 - reach_y, HEIGHT // 2 + reach_y)
    return depth_m[..., rows, WIDTH // 2 - reach_x : WIDTH // 2 + reach_x]


@cache
@torch.inference_mode()
def predicted_m(model: DepthModel, room: int, fov_deg: float) -> float:
    """Median predicted depth of a room's middle part, the focal length being known."""
    dataset = SyntheticDataset(PICTURES_PER_SCENE * NUM_ROOMS, 11, HEIGHT, WIDTH, fov_deg)
    sample = dataset[PICTURES_PER_SCENE * room]
    with autocast(torch.device("cpu")):
        depth_m = model.estimate(sample.image[None], sample.intrinsics[:1, 0]).depth_m
    return middle(depth_m[0], fov_deg).median().item()


def test_a_room_is_as_far_through_any_lens(base: DepthModel) -> None:
    fields_deg = (63.0, 50.0, 80.0)
    found = torch.tensor([[predicted_m(base, room, fov_deg) for fov_deg in fields_deg] for room in range(NUM_ROOMS)])
    ratios = (found[:, 1:] / found[:, :1]).median(0).values
    assert ratios.tolist() == pytest.approx([1, 1], abs=0.05)


def test_rendered_rooms_are_about_as_far_as_they_are(base: DepthModel) -> None:
    dataset = SyntheticDataset(PICTURES_PER_SCENE * NUM_ROOMS, 11, HEIGHT, WIDTH)
    errors = []
    for room in range(NUM_ROOMS):
        sample = dataset[PICTURES_PER_SCENE * room]
        true_m = middle(sample.depth_m, dataset.fov_deg).median().item()
        errors.append(abs(predicted_m(base, room, dataset.fov_deg) - true_m) / true_m)
    assert sum(errors) / len(errors) < 0.25  # it has never seen a rendered picture


@torch.inference_mode()
def test_edges_of_things_are_where_the_picture_has_them(base: DepthModel) -> None:
    soft = DepthModel(base.settings.model_copy(update={"edge_radius_px": 0.0}))
    dataset = SyntheticDataset(PICTURES_PER_SCENE * NUM_ROOMS, 11, 480, 640)
    scores = []
    for room in range(2):
        sample = dataset[PICTURES_PER_SCENE * room]
        image, truth_m, valid = (part[None] for part in (sample.image, sample.depth_m, sample.valid))
        with autocast(torch.device("cpu")):
            answer = base.infer(base.prepare(image))
        finished_m = [model.finish(answer, image).depth_m for model in (soft, base)]
        scores.append(torch.cat([boundary_scores(depth_m, truth_m, valid) for depth_m in finished_m]))
    # Precision, recall and F1 of soft edges, then of sharp ones.
    before, after = torch.stack(scores).mean(0)
    assert after[0] > before[0]
    assert after[2] > 3 * before[2]


def test_the_readmes_python_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = Path(__file__).parents[1]
    (code,) = re.findall(r"```python\n(.*?)```", (root / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "examples").symlink_to(root / "examples")
    monkeypatch.chdir(tmp_path)
    exec(code, {})
    assert sorted(path.name for path in (tmp_path / "demo_out").iterdir()) == [
        "coffee.npz",
        "coffee_color.png",
        "coffee_depth.png",
    ]
