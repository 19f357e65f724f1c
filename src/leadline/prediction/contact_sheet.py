"""Contact sheets: pictures beside their depth, one row each."""

from collections.abc import Sequence
from math import isfinite, sqrt
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from leadline.errors import LeadlineError
from leadline.geometry import summarize_depth
from leadline.io import require_map, save_png
from leadline.prediction.colors import colorize, depth_limits, load_font, scale_bar

_INK = (32, 32, 32)


_TILE_PX = (320, 240)  # of a contact sheet: width and height that no picture exceeds


_SAMPLES_PER_ROW = 100_000


_FONT_PX = 14


_GAP_PX = 12


_LINE_PX = 20


class SheetRow(NamedTuple):
    """One picture of a contact sheet."""

    title: str
    rgb: NDArray[np.uint8]  # (H, W, 3)
    depth_m: NDArray[np.float32]  # metres, (H, W)
    valid: NDArray[np.bool_]  # (H, W)


def _fitted(size: tuple[int, int]) -> tuple[int, int]:
    """The width and height of a picture once it just fits a tile."""
    scale = min(_TILE_PX[0] / size[0], _TILE_PX[1] / size[1])
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _caption(row: SheetRow) -> str:
    near_m, median_m, far_m = summarize_depth(row.depth_m, row.valid)
    if not isfinite(median_m):
        return "no valid depth"
    return f"near {near_m:.2f} m  median {median_m:.2f} m  far {far_m:.2f} m"


def _shortened(title: str, width_px: int) -> str:
    """A title on one line, its middle left out if it is too long."""
    font, text = load_font(_FONT_PX), " ".join(title.split())
    kept = len(text)
    shown = text
    while font.getlength(shown) > width_px:
        kept -= 1
        shown = f"{text[: kept - kept // 2]}...{text[len(text) - kept // 2 :]}"
    return shown


def _draw_row(row: SheetRow, tile: tuple[int, int], caption: str, limits_m: tuple[float, float]) -> Image.Image:
    """Title, picture and depth side by side, and the depths' numbers."""
    width, height = tile
    block = Image.new("RGB", (2 * width + _GAP_PX, 2 * _LINE_PX + height), "white")
    painted = colorize(row.depth_m, row.valid, *limits_m)
    for left, pixels in ((0, row.rgb), (width + _GAP_PX, painted)):
        picture = Image.fromarray(pixels)
        picture = picture.resize(_fitted(picture.size), Image.Resampling.BILINEAR)
        block.paste(picture, (left + (width - picture.width) // 2, _LINE_PX + (height - picture.height) // 2))
    draw, font = ImageDraw.Draw(block), load_font(_FONT_PX)
    draw.text((0, _LINE_PX // 2), _shortened(row.title, block.width), _INK, font, anchor="lm")
    draw.text((width + _GAP_PX + width // 2, height + _LINE_PX * 3 // 2), caption, _INK, font, anchor="mm")
    return block


def _common_limits(rows: Sequence[SheetRow]) -> tuple[float, float]:
    """Ends of the colours for all rows together, from an even sample of each."""
    every = [slice(None, None, -(-row.valid.size // _SAMPLES_PER_ROW)) for row in rows]
    depth_m = [row.depth_m.ravel()[some] for row, some in zip(rows, every, strict=True)]
    valid = [row.valid.ravel()[some] for row, some in zip(rows, every, strict=True)]
    return depth_limits(np.concatenate(depth_m), np.concatenate(valid))


def write_contact_sheet(path: Path, rows: Sequence[SheetRow]) -> None:
    """Write one picture that shows many: each beside its depth, all in the colours of one scale in metres.

    Under each depth map stand its near, median and far (2nd, 50th, 98th percentile). A sheet grows with the
    number of rows, by about half a megapixel each.

    Args:
        path: the PNG file.
        rows: what to show, at least one; the sizes may differ.

    Raises:
        ValueError: if the shapes are others.
        LeadlineError: if there are no rows.
        OSError: if the file cannot be written; nothing of it stays.
    """
    if not rows:
        raise LeadlineError("a contact sheet needs at least one picture, got none")
    for row in rows:
        require_map(row.depth_m, row.valid)
        if row.rgb.shape != (*row.depth_m.shape, 3):
            raise ValueError(f"wanted rgb {(*row.depth_m.shape, 3)} as its depth, got {row.rgb.shape}: resize one")
    captions = [_caption(row) for row in rows]
    sizes = [_fitted(row.rgb.shape[1::-1]) for row in rows]
    text_px = max(int(load_font(_FONT_PX).getlength(caption)) for caption in captions) + 1
    tile = (max(text_px, *(width for width, _ in sizes)), max(height for _, height in sizes))
    limits_m = _common_limits(rows)
    blocks = [_draw_row(row, tile, caption, limits_m) for row, caption in zip(rows, captions, strict=True)]
    save_png(path, _arrange(blocks, limits_m))


def _arrange(blocks: Sequence[Image.Image], limits_m: tuple[float, float]) -> Image.Image:
    """Blocks of one size in columns, on a sheet about 4:3, with the scale bar at the foot."""
    width, height = blocks[0].width + 2 * _GAP_PX, blocks[0].height + _GAP_PX
    num_columns = max(1, round(sqrt(len(blocks) * height / width * 4 / 3)))
    num_lines = -(-len(blocks) // num_columns)
    bar = scale_bar(*limits_m, min(num_columns * width, 2 * width), _FONT_PX)
    size = (num_columns * width, _GAP_PX + num_lines * height + bar.height + _GAP_PX)
    sheet = Image.new("RGB", size, "white")
    for index, block in enumerate(blocks):
        line, column = divmod(index, num_columns)
        sheet.paste(block, (column * width + _GAP_PX, line * height + _GAP_PX))
    sheet.paste(bar, ((sheet.width - bar.width) // 2, _GAP_PX + num_lines * height))
    return sheet
