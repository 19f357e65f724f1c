"""HDR for programs that know sRGB: PQ and HLG are brought to the brightness of an ordinary screen."""

from functools import cache

import numpy as np
from numpy.typing import NDArray

TRANSFERS = {16: "PQ", 18: "HLG"}
"""The transfer functions of HDR by their numbers in ITU-T H.273."""
WHITE_NITS = 203.0
"""A white sheet of paper in HDR, by ITU-R BT.2408; it becomes the white of an ordinary picture."""
_HLG_PEAK_NITS = 1000.0
_LUMINANCE_2020 = np.array([0.2627, 0.6780, 0.0593], np.float32)
_KNEE = 0.75
"""Light up to this share of white stays as it is; what is brighter is pressed together up to 1."""
_TO_709 = {
    1: np.eye(3, dtype=np.float32),
    9: np.array([[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]], np.float32),
    12: np.array([[1.2249, -0.2247, 0.0], [-0.0420, 1.0419, 0.0], [-0.0197, -0.0786, 1.0979]], np.float32),
}
"""Linear light of BT.709, BT.2020 and Display P3 to that of BT.709, by their numbers in H.273."""


def to_srgb(coded: NDArray[np.uint16], transfer: int, primaries: int) -> NDArray[np.uint8]:
    """Tone-map a picture.

    Args:
        coded: RGB in the transfer function's numbers, 65535 for 1, (H, W, 3).
        transfer: a key of `TRANSFERS`.
        primaries: what red, green and blue are, by H.273; unknown ones are taken for BT.2020's.

    Returns:
        sRGB, (H, W, 3).
    """
    light = _light(transfer)[coded]
    if TRANSFERS[transfer] == "HLG":  # its numbers are the scene's light; a screen's is more contrasty
        light *= (light @ _LUMINANCE_2020)[..., None] ** np.float32(0.2) * np.float32(_HLG_PEAK_NITS / WHITE_NITS)
    light = np.maximum(light @ _TO_709.get(primaries, _TO_709[9]).T, 0)
    brightest = light.max(axis=-1)
    above = brightest > _KNEE
    pressed = _KNEE + (1 - _KNEE) * (1 - np.exp((_KNEE - brightest[above]) / (1 - _KNEE)))
    light[above] *= (pressed / brightest[above])[:, None]
    return _srgb()[(light * np.float32(65535)).astype(np.uint16)]


@cache
def _srgb() -> NDArray[np.uint8]:
    """The number of each of 65536 steps of linear light."""
    light = np.linspace(0, 1, 65536)
    srgb = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    numbers: NDArray[np.uint8] = np.rint(255 * srgb).astype(np.uint8)
    return numbers


@cache
def _light(transfer: int) -> NDArray[np.float32]:
    """Linear light for each of 65536 numbers: of PQ in shares of `WHITE_NITS`, of HLG in shares of the scene's most."""
    coded = np.linspace(0, 1, 65536)
    if TRANSFERS[transfer] == "PQ":
        power = coded ** (1 / 78.84375)
        nits = 10_000 * (np.maximum(power - 0.8359375, 0) / (18.8515625 - 18.6875 * power)) ** (1 / 0.1593017578125)
        return (nits / WHITE_NITS).astype(np.float32)
    bright = (np.exp((coded - 0.55991073) / 0.17883277) + 0.28466892) / 12
    return np.where(coded <= 0.5, coded**2 / 3, bright).astype(np.float32)
