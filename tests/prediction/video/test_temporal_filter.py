import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter

from leadline.prediction.video.temporal_filter import TemporalFilter, _brightness, _threes

HEIGHT, WIDTH = 60, 80


def scene(edge: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """A bright thing at 1 m in front of a dark wall at 3 m: brightness in [0, 1], and depth; its right edge."""
    near = np.arange(WIDTH) < edge
    grey = np.where(near, 0.8, 0.2) * np.ones((HEIGHT, 1))
    return grey.astype(np.float32), (np.where(near, 1.0, 3.0) * np.ones((HEIGHT, 1))).astype(np.float32)


def frames(edges: list[int], noise: float) -> list[tuple[NDArray[np.uint8], NDArray[np.float32]]]:
    """Pictures and depths, both with noise that changes from frame to frame."""
    rng = np.random.default_rng(0)
    made = []
    for edge in edges:
        grey, depth_m = scene(edge)
        grey = grey[..., None] + rng.normal(0, 0.02, (HEIGHT, WIDTH, 3))
        depth_m = depth_m * np.exp(rng.normal(0, noise, depth_m.shape))
        made.append(((grey.clip(0, 1) * 255).astype(np.uint8), depth_m.astype(np.float32)))
    return made


def flicker(depths_m: list[NDArray[np.float32]]) -> float:
    return float(np.mean([np.abs(np.log(b / a)).mean() for a, b in zip(depths_m[10:], depths_m[11:], strict=False)]))


def test_flicker_of_a_still_scene_falls_by_more_than_half() -> None:
    clip = frames([40] * 30, noise=0.02)
    smooth = TemporalFilter()
    before, after = [depth_m for _, depth_m in clip], [smooth(*frame) for frame in clip]
    assert flicker(after) < 0.25 * flicker(before)
    assert np.abs(after[-1] - scene(40)[1]).mean() < np.abs(before[-1] - scene(40)[1]).mean()


def test_an_edge_that_moves_is_not_blurred() -> None:
    clip = frames([20 + 2 * number for number in range(20)], noise=0.0)
    smooth = TemporalFilter()
    for rgb, depth_m in clip:
        after = smooth(rgb, depth_m)
        np.testing.assert_allclose(after, depth_m, rtol=1e-5)


def test_a_thin_thing_that_passes_leaves_no_trace() -> None:
    """A bright line of 2 px at 1 m before a dark wall at 3 m, 2 px further in each frame."""
    smooth = TemporalFilter()
    for start in range(20, 60, 2):
        thing = (np.arange(WIDTH) >= start) & (np.arange(WIDTH) < start + 2) & np.ones((HEIGHT, 1), bool)
        rgb = np.where(thing, 200, 50).astype(np.uint8)[..., None].repeat(3, axis=-1)
        # As a network blurs it: hardly nearer than the wall, so that depth alone does not tell that it moved.
        depth_m = np.where(thing, 2.85, 3.0).astype(np.float32)
        np.testing.assert_allclose(smooth(rgb, depth_m), depth_m, rtol=1e-5)


def test_plain_surfaces_do_not_stay_behind_when_the_camera_turns() -> None:
    """Stripes of which half the picture is plain: where nothing is seen to move, everything has moved all the same."""
    smooth = TemporalFilter()
    for shift in range(0, 20, 2):
        stripes = ((np.arange(WIDTH) + shift) // 4 % 2 == 0) & (np.arange(WIDTH) < WIDTH // 2)
        rgb = np.where(stripes, 200, 50).astype(np.uint8)[None, :, None].repeat(HEIGHT, 0).repeat(3, -1)
        depth_m = np.linspace(2 + shift / 100, 2.2 + shift / 100, WIDTH, dtype=np.float32)[None].repeat(HEIGHT, 0)
        np.testing.assert_allclose(smooth(rgb, depth_m), depth_m, rtol=1e-5)


def test_a_scene_that_comes_nearer_without_a_change_of_brightness_is_followed() -> None:
    rgb = np.full((HEIGHT, WIDTH, 3), 128, np.uint8)
    smooth = TemporalFilter()
    smooth(rgb, np.full((HEIGHT, WIDTH), 3.0, np.float32))
    after = smooth(rgb, np.full((HEIGHT, WIDTH), 2.0, np.float32))
    np.testing.assert_allclose(after, 2.0, rtol=1e-6)


def test_a_change_of_size_starts_anew() -> None:
    smooth = TemporalFilter()
    smooth(np.zeros((4, 4, 3), np.uint8), np.ones((4, 4), np.float32))
    assert smooth(np.zeros((6, 4, 3), np.uint8), np.full((6, 4), 2.0, np.float32)).shape == (6, 4)


def test_brightness_is_the_sum_of_the_channels() -> None:
    rgb = np.array([[(10, 20, 30), (255, 255, 255)]], np.uint8)
    np.testing.assert_array_equal(_brightness(rgb), [[60, 765]])


def test_threes_are_sums_of_nine_pixels_mirrored_beyond_the_border() -> None:
    values = np.array([[1, 2, 4]], np.int16)
    np.testing.assert_array_equal(_threes(values), [[3 * (1 + 1 + 2), 3 * (1 + 2 + 4), 3 * (2 + 4 + 4)]])


@pytest.mark.parametrize("shape", [(HEIGHT, WIDTH), (2, 3), (1, 1)])
def test_threes_of_threes_are_the_windows_of_nine(shape: tuple[int, int]) -> None:
    values = np.random.default_rng(0).integers(0, 765, shape).astype(np.float32)
    np.testing.assert_allclose(_threes(_threes(values), 3) / 81, uniform_filter(values, 9), rtol=1e-6)
