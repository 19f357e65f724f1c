from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from leadline.data.check import check_folder
from leadline.data.check.inverted import LEAST, MIN_IMAGES, describe_inverted, downward_trend

FLOOR_M = np.linspace(3, 1, 60)[:, None].repeat(80, 1)
KNOWN = np.ones_like(FLOOR_M, bool)


def test_a_floor_is_nearer_below_and_its_disparity_is_not() -> None:
    assert downward_trend(FLOOR_M, KNOWN) == pytest.approx(-1)
    assert downward_trend(1 / FLOOR_M, KNOWN) == pytest.approx(1)
    assert downward_trend(np.random.default_rng(0).random((60, 80)), KNOWN) == pytest.approx(0, abs=0.05)


def test_a_wall_of_one_depth_has_no_trend() -> None:
    wall_m = np.full((60, 80), 2.0)
    wall_m[20:40, 30:50] = 1.5  # a box in its middle
    assert downward_trend(wall_m, KNOWN) == pytest.approx(0, abs=1e-9)
    # By hand: ranks r, R, R in rows 0, 1, 2: the sum of products is R - r, of squares 2 and 2 (R - r)² / 3.
    assert downward_trend(np.repeat([[1.0], [2.0], [2.0]], 50, axis=1), np.ones((3, 50), bool)) == pytest.approx(
        0.5 * 3**0.5
    )


def test_what_is_not_known_does_not_count() -> None:
    holes = KNOWN.copy()
    holes[:30] = False
    depth_m = np.where(holes, FLOOR_M, 0)
    assert downward_trend(depth_m, holes) == pytest.approx(-1)
    assert downward_trend(np.full_like(FLOOR_M, 2), KNOWN) is None
    assert downward_trend(FLOOR_M, ~KNOWN) is None
    row = np.zeros_like(KNOWN)
    row[5] = True
    assert downward_trend(FLOOR_M + np.random.default_rng(0).random((60, 80)), row) is None


def test_a_few_images_or_a_weak_trend_tell_nothing() -> None:
    assert describe_inverted([0.9] * (MIN_IMAGES - 1) + [None]) is None
    assert describe_inverted([LEAST - 0.01] * MIN_IMAGES) is None
    told = describe_inverted([0.5, 0.7] * MIN_IMAGES)
    assert told is not None and "mean correlation with the row 0.60)" in told and "disparity" in told


@pytest.fixture
def disparity(rooms: Path, tmp_path: Path) -> Path:
    """The rendered rooms with inverse depth for depth, in the same range."""
    for path in sorted(rooms.rglob("*")):
        if path.is_file():
            copy = tmp_path / path.relative_to(rooms)
            copy.parent.mkdir(parents=True, exist_ok=True)
            if path.parent.name == "depth":
                stored = np.asarray(Image.open(path)).astype(float)
                Image.fromarray(np.where(stored > 0, 4e6 / np.maximum(stored, 1), 0).astype(np.uint16)).save(copy)
            else:
                copy.write_bytes(path.read_bytes())
    return tmp_path


def test_disparity_for_depth_is_told_of_a_whole_data_set(rooms: Path, disparity: Path) -> None:
    assert not any("disparity" in problem for problem in check_folder(rooms).problems)
    assert any("it is disparity or inverse depth" in problem for problem in check_folder(disparity).problems)
