import numpy as np
import pytest
import torch

from leadline.geometry.resizing import enlarge, resize, resize_depth, size_with_area
from leadline.models import resizing


def test_shrinking_averages_over_all_pixels():
    stripes = np.tile(np.array([1.0, 0.0, 0.0, 0.0], np.float32), (64, 16))
    small = resize(np.stack([stripes] * 3, axis=-1), 16, 16)
    assert small.shape == (16, 16, 3)
    # The nearest pixels alone, the second and third of each four, are all 0.
    np.testing.assert_allclose(small[:, 1:-1], 0.25, atol=0.1)


def test_resizing_to_the_same_size_is_no_work():
    depth_m = np.random.default_rng(0).random((5, 7), np.float32)
    assert resize(depth_m, 5, 7) is depth_m
    assert resize_depth(depth_m, 5, 7) is depth_m


def test_bytes_become_floats_of_the_same_shades():
    image = np.array([[[0, 51, 255], [255, 0, 102]]], np.uint8)
    np.testing.assert_allclose(resize(image, 1, 2), image / 255, atol=1e-7)
    np.testing.assert_allclose(resize(image, 1, 1), [[[0.5, 0.1, 0.7]]], atol=1e-6)


def test_enlarging_keeps_outer_edges():
    # Pixel centres 0.5 and 1.5 of a row of two; those of four lie at 0.25, 0.75, 1.25, 1.75.
    row = np.array([[0.0, 4.0]], np.float32)
    assert resize(row, 1, 4).tolist() == [[0.0, 1.0, 3.0, 4.0]]
    assert resize_depth(row, 1, 4).tolist() == [[0.0, 1.0, 3.0, 4.0]]


def test_shrinking_depth_reads_the_nearest_pixels_only():
    row = np.array([[1.0, 2.0, 3.0, 4.0, 50.0, 6.0, 7.0, 8.0]], np.float32)
    assert resize_depth(row, 1, 2).tolist() == [[2.5, 6.5]]  # (2 + 3) / 2, (6 + 7) / 2


@pytest.mark.parametrize("size", [(13, 9), (40, 31), (40, 9), (13, 31), (26, 18)])
def test_tensors_are_resized_as_arrays_are(size):
    image = np.random.default_rng(0).random((26, 18, 3), np.float32)
    batch = torch.from_numpy(image).permute(2, 0, 1)[None]
    np.testing.assert_allclose(resize(image, *size), resizing.resize(batch, *size)[0].permute(1, 2, 0), atol=1e-5)
    depth_m, maps_m = image[..., 0], batch[:, :1]
    np.testing.assert_allclose(resize_depth(depth_m, *size), resizing.resize_depth(maps_m, *size)[0, 0], atol=1e-5)


@pytest.mark.parametrize(
    ("size", "area_px", "expected"),
    [
        ((480, 640), 240 * 320, (240, 320)),
        ((240, 320), 240 * 320, (240, 320)),
        ((640, 480), 240 * 320, (320, 240)),
        ((120, 160), 240 * 320, (240, 320)),
        ((1, 1), 240 * 320, (277, 277)),
        ((1, 8000), 240 * 320, (32, 2400)),
        ((8000, 1), 240 * 320, (2400, 32)),
        ((480, 640), 1, (32, 32)),
    ],
)
def test_size_with_area(size, area_px, expected):
    assert size_with_area(*size, area_px) == expected


@pytest.mark.parametrize("size", [(480, 640), (3000, 4000), (1080, 1920), (333, 777), (5000, 700)])
@pytest.mark.parametrize("multiple", [1, 14, 32])
def test_size_with_area_keeps_area_aspect_and_multiple(size, multiple):
    height, width = size_with_area(*size, 384 * 512, multiple)
    assert height % multiple == width % multiple == 0
    assert height * width == pytest.approx(384 * 512, rel=0.13)
    assert width / height == pytest.approx(size[1] / size[0], rel=0.13)


def test_the_shortest_side_is_rounded_up_to_a_multiple():
    assert size_with_area(1, 1, 1, multiple=14, smallest=32) == (42, 42)


def test_an_enlarged_image_stays_sharper_than_between_its_nearest_pixels():
    """A wave of four pixels, enlarged twice: Lanczos keeps its height, a mean of two neighbours loses a third of it."""
    wave = (0.5 + 0.4 * np.sin(np.pi / 2 * (np.arange(64) + 0.5))).astype(np.float32)
    image = np.tile(wave, (8, 1))[..., None].repeat(3, axis=2)
    true = 0.5 + 0.4 * np.sin(np.pi / 4 * (np.arange(128) + 0.5))
    middle = slice(16, -16)
    sharp, soft = (way(image, 16, 128)[8, middle, 0] for way in (enlarge, resize))
    assert np.abs(sharp - true[middle]).max() < 0.03 < 0.08 < np.abs(soft - true[middle]).max()


def test_an_enlarged_image_stays_between_black_and_white():
    edge = np.zeros((6, 8, 3), np.uint8)
    edge[:, 4:] = 255
    enlarged = enlarge(edge, 6, 32)
    assert enlarged.dtype == np.float32 and enlarged.shape == (6, 32, 3)
    assert enlarged.min() == 0 and enlarged.max() == 1
