import numpy as np
import pytest
from PIL import Image

from leadline.errors import LeadlineError
from leadline.geometry.depth import summarize_depth
from leadline.prediction import colors
from leadline.prediction.color_map import MAGMA_REVERSED
from leadline.prediction.colors import (
    ADAPTING_S,
    COLOR_MAP,
    AdaptingLimits,
    colorize,
    depth_limits,
    load_font,
    scale_bar,
    write_color_png,
)

GREY = (128, 128, 128)


def metres(*rows: list[float]) -> np.ndarray:
    return np.array(rows, np.float32)


def everywhere(depth_m: np.ndarray) -> np.ndarray:
    return np.ones(depth_m.shape, dtype=bool)


def sloped(height: int, width: int, near_m: float = 1.0, far_m: float = 5.0) -> np.ndarray:
    return np.linspace(near_m, far_m, height * width, dtype=np.float32).reshape(height, width)


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


def test_near_is_brighter_and_warmer_than_far():
    near, middle, far = colorize(metres([1, 3, 5]), np.ones((1, 3), bool), 1, 5)[0].astype(int)
    assert near.sum() > middle.sum() > far.sum()
    assert near[0] > near[2]


def test_brightness_falls_at_every_step():
    depth_m = np.linspace(1, 5, 256, dtype=np.float32)[None]
    luma = colorize(depth_m, everywhere(depth_m), 1, 5)[0] @ np.array([0.299, 0.587, 0.114])
    assert (np.diff(luma) < 0.5).all()
    assert luma[0] > 230 and luma[-1] < 5


def test_the_ends_have_the_ends_of_the_map():
    ends = colorize(metres([1, 5]), np.ones((1, 2), bool), 1, 5)
    assert ends.tolist() == [[[252, 253, 191], [0, 0, 4]]]


def test_colours_are_clamped_beyond_the_ends():
    painted = colorize(metres([0.1, 1, 5, 99]), np.ones((1, 4), bool), 1, 5)[0]
    assert painted.dtype == np.uint8
    np.testing.assert_array_equal(painted[0], painted[1])
    np.testing.assert_array_equal(painted[2], painted[3])


def test_invalid_pixels_are_grey_whatever_they_hold():
    painted = colorize(metres([np.nan, np.inf, 2, 2]), np.array([[True, True, False, True]]), 1, 5)[0]
    assert [tuple(color) for color in painted[:3].tolist()] == [GREY] * 3
    assert tuple(painted[3].tolist()) != GREY


@pytest.mark.parametrize("ends", [(2.0, 2.0), (3.0, 2.0), (float("nan"), 2.0)])
def test_colours_without_a_range_are_refused(ends):
    with pytest.raises(LeadlineError, match="colours need near < far in metres, got"):
        colorize(metres([1]), np.ones((1, 1), bool), *ends)


@pytest.mark.parametrize(
    ("near_m", "far_m", "expected"),
    [
        (0.83, 5.97, (0.5, 6.0)),  # 5.14 / 20 = 0.257, so steps of 0.5
        (0.5, 4.0, (0.4, 4.0)),  # 3.5 / 20 = 0.175, so steps of 0.2
        (120.0, 900.0, (100.0, 900.0)),
        (2.0, 2.0, (2.0, 2.2)),  # a tenth of the median apart at least
        (0.0, 0.0, (0.0, 0.01)),
    ],
)
def test_limits_are_rounded_outwards(near_m, far_m, expected):
    depth_m = np.repeat(np.array([near_m, far_m], np.float32), 50)
    limits_m = depth_limits(depth_m, everywhere(depth_m))
    assert limits_m == pytest.approx(expected)
    assert limits_m[0] < limits_m[1]


def test_limits_hold_the_percentiles_of_anything():
    random = np.random.default_rng(0)
    for _ in range(200):
        depth_m = (random.uniform(0, 1, 50) * 10 ** random.uniform(-3, 4)).astype(np.float32)
        near_m, far_m = depth_limits(depth_m, everywhere(depth_m))
        summary = summarize_depth(depth_m, everywhere(depth_m))
        assert 0 <= near_m <= summary.near_m + 1e-6 * far_m
        assert summary.far_m <= far_m * (1 + 1e-6)


def test_limits_of_nothing_can_still_be_drawn():
    assert depth_limits(metres([1, 2]), np.zeros((1, 2), bool)) == (0.0, 1.0)


def test_limits_hardly_widen_the_range():
    near_m, far_m = depth_limits(sloped(50, 50, 0.83, 5.97), np.ones((50, 50), bool))
    assert far_m - near_m <= (5.97 - 0.83) * 1.2


def test_the_scale_bar_paints_depth_in_proportion():
    bar = np.asarray(scale_bar(1.0, 5.0, 400, 14))
    assert bar.shape[1] == 400
    strip = bar[14]  # gap 7, then 14 rows of colour
    columns = np.flatnonzero((strip != 255).any(axis=1))
    middle = strip[(columns[0] + columns[-1]) // 2].astype(int)
    np.testing.assert_allclose(middle, colorize(metres([3]), np.ones((1, 1), bool), 1, 5)[0, 0], atol=2)


@pytest.mark.parametrize("ends", [(0.0, 1.0), (0.5, 4.0), (0.005, 0.045), (100, 65000), (0.84, 0.85), (0.123456, 7)])
@pytest.mark.parametrize("width_px", [240, 640])
def test_the_scale_bar_cuts_no_label(ends, width_px):
    bar = np.asarray(scale_bar(*ends, width_px, 14))
    border = np.concatenate((bar[:, :1], bar[:, -1:]), axis=1)
    assert (border == 255).all()
    assert (bar[-1] == 255).all()
    assert (bar[25:] < 100).any()  # there is text


@pytest.mark.parametrize(
    ("ends", "apart_m", "expected"),
    [
        ((0.5, 4.0), 0.4, [0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4]),
        ((0.5, 4.0), 0.6, [0.5, 2, 3, 4]),  # 1 would touch 0.5
        ((0.72, 0.94), 0.1, [0.72, 0.94]),
        ((0.0, 1.0), 9.0, [0, 1]),
    ],
)
def test_ticks_are_round_apart_and_at_both_ends(ends, apart_m, expected):
    assert colors._ticks(*ends, apart_m) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("depth_m", "text"), [(2.0, "2 m"), (0.5, "0.5 m"), (0.005, "0.005 m"), (100.0, "100 m"), (0.0, "0 m")]
)
def test_labels_are_metres_without_idle_zeros(depth_m, text):
    assert colors._label(depth_m) == text


@pytest.mark.parametrize(("height", "width"), [(1, 1), (40, 60), (300, 400), (500, 20)])
def test_color_png_shows_every_pixel_and_a_scale(tmp_path, height, width):
    depth_m, valid = sloped(height, width), np.ones((height, width), bool)
    valid[0, 0] = False
    write_color_png(tmp_path / "a.png", depth_m, valid, 1.0, 5.0)
    picture = np.asarray(Image.open(tmp_path / "a.png"))
    np.testing.assert_array_equal(picture[:height, :width], colorize(depth_m, valid, 1.0, 5.0))
    assert tuple(picture[0, 0].tolist()) == GREY
    assert picture.shape[1] == max(width, 240)
    assert picture.shape[0] > height + 40


def test_text_is_in_the_font_that_matplotlib_brings() -> None:
    pytest.importorskip("matplotlib")
    assert load_font(14).getname()[0] == "DejaVu Sans"
