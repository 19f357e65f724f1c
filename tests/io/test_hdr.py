import numpy as np
import pytest

from leadline.io.hdr import to_srgb

TO_2020 = np.array([[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]])
"""Linear light of BT.709 in BT.2020, by ITU-R BT.2087."""


def pq(nits: np.ndarray) -> np.ndarray:
    """SMPTE ST 2084."""
    power = (nits / 10_000) ** (1305 / 8192)
    return ((107 / 128 + 2413 / 128 * power) / (1 + 2392 / 128 * power)) ** (2523 / 32)


def hlg(nits: np.ndarray) -> np.ndarray:
    """ITU-R BT.2100, shown on a screen of 1000 cd/m²."""
    luminance = nits @ [0.2627, 0.6780, 0.0593]
    scene = nits / 1000 * (np.maximum(luminance, 1e-9)[..., None] / 1000) ** (1 / 1.2 - 1)
    bright = 0.17883277 * np.log(np.maximum(12 * scene - 0.28466892, 1e-9)) + 0.55991073
    return np.where(scene <= 1 / 12, np.sqrt(3 * scene), bright)


def linear(rgb: np.ndarray) -> np.ndarray:
    share = rgb / 255
    return np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)


def stored(coded: np.ndarray) -> np.ndarray:
    return np.rint(65535 * coded).astype(np.uint16)


@pytest.mark.parametrize(("transfer", "code"), [(16, pq), (18, hlg)])
def test_what_is_no_brighter_than_paper_in_shade_comes_back(transfer: int, code) -> None:
    """Up to 0.75 of white, which is 225 of 255, nothing is pressed."""
    rgb = np.array([[[0, 0, 0], [128, 128, 128], [224, 224, 224], [200, 60, 30], [20, 90, 210]]], np.uint8)
    nits = 203 * linear(rgb) @ TO_2020.T
    assert np.abs(to_srgb(stored(code(nits)), transfer, 9).astype(int) - rgb).max() <= 1


@pytest.mark.parametrize(("transfer", "white"), [(16, 0.5807), (18, 0.75)])
def test_white_and_what_is_brighter_is_pressed_together(transfer: int, white: float) -> None:
    """By hand for white: 0.75 + 0.25 (1 - 1/e) = 0.9080 of light is 244 of 255. The codes are BT.2408's."""
    codes = stored(np.array([white, 0.8, 0.9, 1.0])[None, :, None].repeat(3, -1))
    shades = to_srgb(codes, transfer, 9)[0, :, 0]
    assert abs(int(shades[0]) - 244) <= 1
    assert (np.diff(shades.astype(int)) >= 0).all() and shades[-1] == 255


@pytest.mark.parametrize(("primaries", "known_as"), [(1, 1), (12, 12), (9, 9), (2, 9)])
def test_grey_is_grey_and_unknown_colours_are_those_of_hdr(primaries: int, known_as: int) -> None:
    grey, red = np.full((1, 1, 3), 30_000, np.uint16), np.array([[[30_000, 20_000, 10_000]]], np.uint16)
    assert np.ptp(to_srgb(grey, 16, primaries).astype(int)) <= 1
    np.testing.assert_array_equal(to_srgb(red, 16, primaries), to_srgb(red, 16, known_as))
