import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from leadline.data.synthetic.dataset import SyntheticDataset
from leadline.geometry.resizing import resize, resize_depth
from leadline.models.heads import Estimate
from leadline.models.model import DepthModel
from leadline.prediction.prediction import predict
from leadline.prediction.tiling import OVERLAP, _axis, tiled_depth

WORKING = 120, 160
NEAREST_M, RATIO = 0.3, 50.0  # the picture shows log depth, from 0.3 m (black) to 15 m (white)


Map = NDArray[np.float32]


def room() -> Map:
    """Depth of a rendered room in metres, (480, 640)."""
    return SyntheticDataset(count=1, seed=0, height=480, width=640)[0].depth_m[0].numpy()


def shown(depth_m: Map) -> Map:
    """A picture of it, (H, W, 3)."""
    return np.repeat((np.log(depth_m / NEAREST_M) / np.float32(np.log(RATIO)))[..., None], 3, axis=-1)


def seer(factors: Callable[[], float], bend: float = 0.0) -> tuple[Callable[[Map], Map], list[tuple[int, ...]]]:
    """What reads the depth off the picture, up to a factor for each call (1 for the first), and the sizes it saw.

    Every call but the first also makes one side `bend` farther than the other, in log depth.
    """
    sizes: list[tuple[int, ...]] = []

    def ask(image: Map) -> Map:
        factor, tilt = (factors(), bend) if sizes else (1.0, 0.0)
        sizes.append(image.shape[:2])
        ramp = np.exp(np.linspace(-tilt / 2, tilt / 2, image.shape[1]))
        return (NEAREST_M * RATIO ** image[..., 0] * factor * ramp).astype(np.float32)

    return ask, sizes


def log_error(found_m: Map, true_m: Map) -> tuple[float, float]:
    """The largest error, and the largest step of the error from one pixel to the next, in log depth."""
    error = np.log(found_m / true_m)
    steps = max(np.abs(np.diff(error, axis=axis)).max() for axis in (0, 1))
    return float(np.abs(error).max()), float(steps)


def test_tiles_off_by_a_random_factor_come_together_without_a_seam() -> None:
    true_m, rng = room(), np.random.default_rng(0)
    ask, sizes = seer(lambda: float(np.exp(rng.uniform(-1.4, 1.4))))
    found_m = tiled_depth(shown(true_m), ask, *WORKING)
    assert sizes[0] == WORKING and set(sizes[1:]) == {(240, 320)}  # shrunk by 4, in a tile by 2
    error, step = log_error(found_m, true_m)
    assert len(sizes) == 1 + 9
    assert error < 1e-4 and step < 1e-4
    once_m = resize_depth(ask(resize(shown(true_m), *WORKING)), 480, 640)
    assert log_error(once_m, true_m)[1] > 0.5  # one look loses the edges


def test_what_changes_slowly_is_taken_from_the_whole() -> None:
    """Tiles that lean by a fifth from side to side, a tenth each way, come out straight, and without a step."""
    true_m = room()
    error, step = log_error(tiled_depth(shown(true_m), seer(lambda: 1.0, bend=0.2)[0], *WORKING), true_m)
    assert error < 0.01 and step < 0.001


@pytest.mark.parametrize(("length", "side"), [(160, 480), (160, 161), (214, 8000), (7, 7), (3, 400)])
def test_weights_sum_to_one_and_tiles_overlap_by_a_quarter(length: int, side: int) -> None:
    axis = _axis(length, side)
    assert axis.starts[0] == 0 and axis.starts[-1] == side - length
    assert max(np.diff(axis.starts), default=0) <= length * (1 - OVERLAP) + 1
    total = np.zeros(side)
    for start, weight in zip(axis.starts, axis.weights, strict=True):
        assert (weight > 0).all()
        total[start : start + length] += weight
    np.testing.assert_allclose(total, 1, rtol=1e-6)


def test_a_small_picture_is_looked_at_once() -> None:
    ask, sizes = seer(lambda: 1.0)
    small = resize(shown(room()), 120, 160)
    np.testing.assert_array_equal(tiled_depth(small, ask, *WORKING), ask(small))
    assert len(sizes) == 2


def test_a_panorama_is_cut_across_only() -> None:
    true_m = np.tile(room()[:100], 4)  # 100×2560
    ask, sizes = seer(lambda: 2.0)
    error, step = log_error(tiled_depth(shown(true_m), ask, 60, 80), true_m)
    assert sizes[0] == (32, 150) and set(sizes[1:]) == {(100, 133)}  # the working aspect
    assert error < 1e-4 and step < 1e-4


def test_tiles_change_detail_and_keep_scale(rooms: Path, tiny_model: DepthModel) -> None:
    picture = next((rooms / "rgb").iterdir())  # 72×96: twice the working size
    whole, tiled = predict(picture, tiny_model, focal_px=90), predict(picture, tiny_model, focal_px=90, tiled=True)
    assert tiled.depth_m.shape == whole.depth_m.shape and tiled.focal_px == whole.focal_px == 90
    change = np.log(tiled.depth_m / whole.depth_m)
    assert np.abs(change).max() > 1e-3 and abs(np.median(change)) < 0.05


def test_a_tiled_prediction_is_as_uncertain_as_one_look_at_the_whole(
    rooms: Path, tiny_model: DepthModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    depth_alone, looks = tiny_model.estimate, []

    def estimate(image: Tensor, focal_px: Tensor | None = None) -> Estimate:
        looks.append(image)
        return Estimate(depth_alone(image, focal_px).depth_m, torch.full_like(image[:, :1], 0.1 * len(looks)))

    monkeypatch.setattr(tiny_model, "estimate", estimate)
    prediction = predict(next((rooms / "rgb").iterdir()), tiny_model, focal_px=90, tiled=True)
    assert len(looks) > 1 and prediction.uncertainty_m is not None
    np.testing.assert_allclose(prediction.uncertainty_m, 0.1 * prediction.depth_m, rtol=1e-5)


def test_a_tiled_prediction_follows_the_focal_length(rooms: Path, tiny_model: DepthModel) -> None:
    picture = next((rooms / "rgb").iterdir())
    one, two = (predict(picture, tiny_model, focal_px=focal_px, tiled=True).depth_m for focal_px in (90, 180))
    np.testing.assert_allclose(two, 2 * one, rtol=1e-4)


MEASURED = """
import resource, sys
from pathlib import Path
from leadline.models import load_model
from leadline.prediction import predict_files
pictures = [Path(path) for path in sys.argv[2:]]
formats = ("color",)  # takes the most
results = list(predict_files(pictures, pictures[0].parent, load_model(sys.argv[1]), formats=formats, tiled=True))
assert all(result.summary for result in results), results
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="kilobytes on Linux, bytes elsewhere")
def test_100_megapixels_and_panoramas_fit_into_4_gb(tmp_path: Path, tiny_checkpoint: Path) -> None:
    sizes = {"large.png": (11600, 8700), "panorama.png": (8000, 400)}
    for name, size in sizes.items():
        Image.new("RGB", size, "teal").save(tmp_path / name, compress_level=1)
    command = [sys.executable, "-c", MEASURED, str(tiny_checkpoint), *(str(tmp_path / name) for name in sizes)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert int(done.stdout.split()[-1]) < 4_000_000
