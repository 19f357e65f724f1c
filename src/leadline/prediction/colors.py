"""Depth as colours that a person can read: limits, the colour map, and a scale bar in metres."""

import functools
import importlib.util
from math import ceil, exp, floor, isfinite, log10, sqrt
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from leadline.errors import LeadlineError
from leadline.geometry import summarize_depth
from leadline.io import require_map, save_png
from leadline.prediction.color_map import MAGMA_REVERSED

COLOR_MAP = "magma_r"  # matplotlib's name of it
INVALID_RGB = (128, 128, 128)
_INK = (32, 32, 32)
_FONT_PX = 14
_MIN_BAR_PX = 240
ADAPTING_S = 3.0  # how long colours take to follow a scene, by two thirds


def _round_step(length_m: float) -> float:
    """The smallest of 1, 2, 5, 10, ... times a power of ten that is at least a length."""
    power = 10.0 ** floor(log10(length_m))
    return next(power * digit for digit in (1.0, 2.0, 5.0, 10.0) if power * digit >= length_m * (1 - 1e-9))


def depth_limits(depth_m: NDArray[np.float32], valid: NDArray[np.bool_]) -> tuple[float, float]:
    """Round ends for the colours of a depth map.

    Args:
        depth_m: depth in metres, any shape.
        valid: which of them count, the same shape.

    Returns:
        Near and far in metres, near < far: the 2nd and 98th percentile of the valid depths, rounded outwards
        to a step of about a twentieth of their distance, which is at least a tenth of the median; (0, 1) if
        nothing is valid.
    """
    seen_m = _ends(depth_m, valid)
    return (0.0, 1.0) if seen_m is None else _rounded(*seen_m)


def _ends(depth_m: NDArray[np.float32], valid: NDArray[np.bool_]) -> tuple[float, float] | None:
    """Where the depths lie that are to be told apart, in metres; None if none is valid."""
    near_m, median_m, far_m = summarize_depth(depth_m, valid)
    if not isfinite(median_m):
        return None
    return near_m, near_m + max(far_m - near_m, 0.1 * abs(median_m), 0.01)


def _rounded(near_m: float, far_m: float) -> tuple[float, float]:
    """Both ends rounded outwards to a step of about a twentieth of their distance."""
    step_m = _round_step((far_m - near_m) / 20)
    first, last = floor(near_m / step_m + 1e-6), ceil(far_m / step_m - 1e-6)
    return round(first * step_m, 6), round(last * step_m, 6)


class AdaptingLimits:
    """Round ends for the colours of a moving picture: they follow the scene slowly, and not every flicker of it."""

    def __init__(self) -> None:
        """Start before the first frame."""
        self._last_s = 0.0
        self._mean_m: tuple[float, float] | None = None
        self._limits_m = 0.0, 1.0

    def __call__(self, depth_m: NDArray[np.float32], valid: NDArray[np.bool_], now_s: float) -> tuple[float, float]:
        """Take the next frame into account.

        Args:
            depth_m: depth in metres, any shape.
            valid: which of them count, the same shape.
            now_s: the frame's time in seconds.

        Returns:
            Near and far in metres, near < far. At first those of `depth_limits`; later its ends' exponential average
            over `ADAPTING_S`, rounded anew only where it has left an end by more than a step.
        """
        seen_m = _ends(depth_m, valid)
        if seen_m is None:
            return self._limits_m
        share = 1 - exp((self._last_s - now_s) / ADAPTING_S)
        old_m, self._last_s = self._mean_m, now_s
        if old_m is None:
            self._mean_m, self._limits_m = seen_m, _rounded(*seen_m)
            return self._limits_m
        near_m, far_m = (old + share * (seen - old) for old, seen in zip(old_m, seen_m, strict=True))
        self._mean_m = near_m, far_m
        step_m = _round_step((far_m - near_m) / 20) * (1 + 1e-6)
        if max(abs(near_m - self._limits_m[0]), abs(far_m - self._limits_m[1])) > step_m:
            self._limits_m = _rounded(near_m, far_m)
        return self._limits_m


def colorize(
    depth_m: NDArray[np.float32],
    valid: NDArray[np.bool_],
    near_m: float,
    far_m: float,
    color_map: bytes = MAGMA_REVERSED,
) -> NDArray[np.uint8]:
    """Paint a depth map: near is bright and warm, far is dark, invalid is grey.

    Args:
        depth_m: depth in metres, (H, W).
        valid: bool, (H, W).
        near_m: depth of the first colour; nearer ones get it too.
        far_m: depth of the last colour; farther ones get it too.
        color_map: 256 RGB triples, the nearest first.

    Returns:
        RGB, uint8 (H, W, 3), even in metres between the ends.

    Raises:
        LeadlineError: unless near_m < far_m.
    """
    if not near_m < far_m:
        raise LeadlineError(f"colours need near < far in metres, got {near_m} and {far_m}: swap or move them")
    paintable = valid & np.isfinite(depth_m)
    share = np.where(paintable, depth_m, np.float32(near_m))
    share -= near_m  # in place, since a large picture's depth is large
    share *= 255 / (far_m - near_m)
    np.rint(share.clip(0, 255, out=share), out=share)
    painted = Image.fromarray(share.astype(np.uint8))
    painted.putpalette(color_map)  # NumPy would make eight bytes of each index
    colors: NDArray[np.uint8] = np.array(painted.convert("RGB"))
    if not paintable.all():
        colors[~paintable] = INVALID_RGB
    return colors


@functools.cache
def load_font(size_px: int) -> ImageFont.FreeTypeFont:
    """DejaVu Sans where matplotlib is installed, which brings it, for letters beyond ASCII; else Pillow's own font.

    Args:
        size_px: height of a line in pixels, about.

    Returns:
        The font.
    """
    package = importlib.util.find_spec("matplotlib")  # finds it without importing it
    folder = Path(package.origin if package and package.origin else "").parent
    path = folder / "mpl-data" / "fonts" / "ttf" / "DejaVuSans.ttf"
    if path.is_file():
        return ImageFont.truetype(path, size_px)
    return cast(ImageFont.FreeTypeFont, ImageFont.load_default(size_px))


def _label(depth_m: float) -> str:
    """A depth to the millimetre, without trailing zeros."""
    return f"{depth_m:.3f}".rstrip("0").rstrip(".") + " m"


def _ticks(near_m: float, far_m: float, apart_m: float) -> list[float]:
    """Both ends, and between them evenly spaced round depths, none closer to another than `apart_m`."""
    step_m = _round_step(apart_m)
    between = [index * step_m for index in range(ceil(near_m / step_m), floor(far_m / step_m) + 1)]
    return [near_m, *(tick for tick in between if near_m + apart_m <= tick <= far_m - apart_m), far_m]


def scale_bar(
    near_m: float, far_m: float, width_px: int, font_px: int, color_map: bytes = MAGMA_REVERSED
) -> Image.Image:
    """Draw the colours from near to far with depths in metres below, on white.

    Args:
        near_m: depth of the first colour.
        far_m: depth of the last colour.
        width_px: of the whole drawing.
        font_px: height of the text; everything else follows from it.
        color_map: 256 RGB triples, the nearest first.

    Returns:
        RGB, `width_px` wide and about three lines of text high.
    """
    font = load_font(font_px)
    gap = font_px // 2
    label_px = max(font.getlength(_label(depth_m)) for depth_m in (near_m, far_m, 0.05))
    inset = ceil(label_px / 2) + 2
    bar_px = max(2, width_px - 2 * inset)
    drawing = Image.new("RGB", (width_px, 3 * font_px + gap), "white")
    depths_m = np.linspace(near_m, far_m, bar_px, dtype=np.float32)[None]
    strip = Image.fromarray(colorize(depths_m, np.ones_like(depths_m, dtype=bool), near_m, far_m, color_map))
    drawing.paste(strip.resize((bar_px, font_px)), (inset, gap))
    draw = ImageDraw.Draw(drawing)
    for tick_m in _ticks(near_m, far_m, apart_m=(far_m - near_m) * 1.2 * label_px / bar_px):
        x = inset + round((tick_m - near_m) / (far_m - near_m) * (bar_px - 1))
        draw.line((x, gap + font_px, x, gap + font_px + gap // 2), _INK, width=max(1, font_px // 12))
        draw.text((x, gap + font_px + gap // 2 + 1), _label(tick_m), _INK, font, anchor="ma")
    return drawing


def draw_depth(
    depth_m: NDArray[np.float32],
    valid: NDArray[np.bool_],
    near_m: float,
    far_m: float,
    color_map: bytes = MAGMA_REVERSED,
) -> Image.Image:
    """Draw a depth map with a scale bar in metres below it.

    Args:
        depth_m: depth in metres, (H, W).
        valid: bool, (H, W); the rest is grey.
        near_m: depth of the first colour.
        far_m: depth of the last colour.
        color_map: 256 RGB triples, the nearest first.

    Returns:
        RGB, whose first H rows are the depth map, pixel for pixel, starting at the left; see `colorize`.

    Raises:
        LeadlineError: unless near_m < far_m.
    """
    height, width = depth_m.shape
    bar = scale_bar(near_m, far_m, max(width, _MIN_BAR_PX), max(_FONT_PX, round(sqrt(height * width) / 32)), color_map)
    drawing = Image.new("RGB", (bar.width, height + bar.height), "white")
    drawing.paste(Image.fromarray(colorize(depth_m, valid, near_m, far_m, color_map)), (0, 0))
    drawing.paste(bar, (0, height))
    return drawing


def write_color_png(
    path: Path, depth_m: NDArray[np.float32], valid: NDArray[np.bool_], near_m: float, far_m: float
) -> None:
    """Write depth as a picture to look at; see `draw_depth`.

    Args:
        path: the file.
        depth_m: depth in metres, (H, W).
        valid: bool, (H, W); the rest is grey.
        near_m: depth of the first colour.
        far_m: depth of the last colour.

    Raises:
        ValueError: if the shapes are others.
        LeadlineError: unless near_m < far_m.
        OSError: if the file cannot be written; nothing of it stays.
    """
    require_map(depth_m, valid)
    save_png(path, draw_depth(depth_m, valid, near_m, far_m))
