import numpy as np
import pytest

from leadline.prediction.color_map import MAGMA_REVERSED
from leadline.prediction.colors import ADAPTING_S, COLOR_MAP, AdaptingLimits, depth_limits


def ramp(near_m: float, far_m: float) -> tuple[np.ndarray, np.ndarray]:
    depth_m = np.linspace(near_m, far_m, 10_001, dtype=np.float32)
    return depth_m, np.ones(depth_m.shape, bool)


def test_colours_of_a_still_scene_stay() -> None:
    limits = AdaptingLimits()
    first = limits(*ramp(1, 5), 0.0)
    assert first == depth_limits(*ramp(1, 5))
    rng = np.random.default_rng(0)
    for number in range(1, 100):  # near and far flicker by a tenth of a step
        assert limits(*ramp(1 + rng.normal(0, 0.02), 5 + rng.normal(0, 0.02)), number / 30) == first


def test_colours_follow_a_scene_slowly() -> None:
    limits = AdaptingLimits()
    before = limits(*ramp(1, 5), 0.0)
    ends = [limits(*ramp(1, 9), now_s) for now_s in np.arange(1, 301) / 20]
    fars_m = np.array([far_m for _, far_m in ends])
    assert (np.diff(fars_m) >= 0).all() and np.diff(fars_m).max() <= 1.0  # in small steps
    assert fars_m[0] == before[1]
    # After `ADAPTING_S` two thirds of the way (1 - 1/e = 0.632) from 4.92 m to 8.84 m, the 98th percentiles: 7.4 m.
    assert fars_m[round(20 * ADAPTING_S)] == pytest.approx(7.4, abs=0.6)
    assert ends[-1] == pytest.approx(depth_limits(*ramp(1, 9)), abs=0.5)


def test_a_frame_without_depth_changes_nothing() -> None:
    limits = AdaptingLimits()
    nothing = np.ones(4, np.float32), np.zeros(4, bool)
    assert limits(*nothing, 0.0) == (0.0, 1.0)
    before = limits(*ramp(1, 5), 1.0)
    assert limits(*nothing, 2.0) == before


def test_the_colour_map_is_matplotlibs() -> None:
    colormaps = pytest.importorskip("matplotlib").colormaps
    wanted = np.rint(np.asarray(colormaps[COLOR_MAP](np.arange(256)))[:, :3] * 255).astype(np.uint8)
    assert wanted.tobytes() == MAGMA_REVERSED
