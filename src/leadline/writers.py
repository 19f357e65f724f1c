"""Predicted depth as files, each of which carries its unit."""

import zipfile
from collections.abc import Sequence
from math import isfinite, sqrt
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from PIL.PngImagePlugin import PngInfo

from leadline.colors import colorize, depth_limits, draw_depth, load_font, scale_bar, summarize_depth
from leadline.depth import to_millimetres
from leadline.errors import UserError
from leadline.files import SOFTWARE, atomic_file
from leadline.image import decode_image
from leadline.png import encode_png

_PNG_UNIT = "millimetre"
_NPZ_UNIT = "metre"
_MOST_MM = 65535
_FAST_PNG = 1  # zlib's level: 5 times faster than the default
_INK = (32, 32, 32)
_TILE_PX = (320, 240)  # of a contact sheet: width and height that no picture exceeds
_SAMPLES_PER_ROW = 100_000
_FONT_PX = 14
_GAP_PX = 12
_LINE_PX = 20


class DepthMap(NamedTuple):
    """Depth as read from a file."""

    depth_m: NDArray[np.float32]  # metres, (H, W); 0 where invalid
    valid: NDArray[np.bool_]  # (H, W)


class DepthFile(NamedTuple):
    """Depth and camera as read from an NPZ file."""

    depth_m: NDArray[np.float32]  # metres, (H, W)
    valid: NDArray[np.bool_]  # (H, W)
    intrinsics: NDArray[np.float32]  # pinhole matrix in pixels, (3, 3); NaN where unknown
    uncertainty_m: NDArray[np.float32] | None = None  # expected absolute error in metres, (H, W); None if not known


class SheetRow(NamedTuple):
    """One picture of a contact sheet."""

    title: str
    rgb: NDArray[np.uint8]  # (H, W, 3)
    depth_m: NDArray[np.float32]  # metres, (H, W)
    valid: NDArray[np.bool_]  # (H, W)


def _require_map(
    depth_m: NDArray[np.float32], valid: NDArray[np.bool_], uncertainty_m: NDArray[np.float32] | None = None
) -> None:
    if depth_m.ndim != 2 or depth_m.shape != valid.shape or valid.dtype != np.bool_:
        raise ValueError(
            f"wanted depth (H, W) with a bool mask (H, W), "
            f"got {depth_m.shape} and {valid.dtype} {valid.shape}: write one depth map a file"
        )
    if uncertainty_m is not None and uncertainty_m.shape != depth_m.shape:
        raise ValueError(f"wanted uncertainty {depth_m.shape} as its depth, got {uncertainty_m.shape}")


def _save_png(path: Path, picture: Image.Image) -> None:
    text = PngInfo()
    text.add_text("software", SOFTWARE)
    with atomic_file(path) as temporary:
        picture.save(temporary, format="PNG", compress_level=_FAST_PNG, pnginfo=text)


def write_depth_png(path: Path, depth_m: NDArray[np.float32], valid: NDArray[np.bool_]) -> None:
    """Write depth as 16-bit PNG in millimetres, with the unit in its text chunks.

    0 means invalid, and so is what 16 bits cannot hold; see `to_millimetres`.

    Args:
        path: the file.
        depth_m: depth in metres, (H, W).
        valid: bool, (H, W).

    Raises:
        ValueError: if the shapes are others.
        OSError: if the file cannot be written; nothing of it stays.
    """
    _require_map(depth_m, valid)
    encoded = encode_png(to_millimetres(depth_m, valid), {"unit": _PNG_UNIT, "invalid": "0", "software": SOFTWARE})
    with atomic_file(path) as temporary:
        temporary.write_bytes(encoded)


def read_depth_png(path: Path) -> DepthMap:
    """Read a depth PNG in millimetres, as `write_depth_png` writes it.

    Args:
        path: the file; 16-bit grey, 0 where invalid. One that names no unit is taken for millimetres.

    Returns:
        Depth in metres and where it is valid.

    Raises:
        UserError: if the file cannot be read, is not 16-bit grey, or names another unit.
    """
    picture = decode_image(path)
    unit = picture.info.get("unit", _PNG_UNIT)
    if not picture.mode.startswith("I"):
        raise UserError(f"{path} is no depth map: wanted a 16-bit grey PNG, got mode {picture.mode}")
    if unit != _PNG_UNIT:
        raise UserError(f"{path} holds depth in {unit}, wanted {_PNG_UNIT}: convert it first")
    millimetres = np.asarray(picture).astype(np.float32)
    return DepthMap(millimetres / np.float32(1000), millimetres > 0)


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
        UserError: unless near_m < far_m.
        OSError: if the file cannot be written; nothing of it stays.
    """
    _require_map(depth_m, valid)
    _save_png(path, draw_depth(depth_m, valid, near_m, far_m))


def write_npz(
    path: Path,
    depth_m: NDArray[np.float32],
    valid: NDArray[np.bool_],
    intrinsics: NDArray[np.float32] | None,
    uncertainty_m: NDArray[np.float32] | None = None,
) -> None:
    """Write depth in full precision with its mask and camera.

    The arrays are `depth_m` (float32, H x W), `valid` (bool, H x W), `intrinsics` (float32, 3 x 3), `unit` (the
    text "metre") and, where it is known, `uncertainty_m` (float32, H x W). They are not compressed: that takes ten
    times as long and saves half.

    Args:
        path: the file.
        depth_m: depth in metres, (H, W).
        valid: bool, (H, W).
        intrinsics: pinhole matrix in pixels, (3, 3); None or NaN where unknown.
        uncertainty_m: expected absolute error in metres, (H, W); None where it is not known.

    Raises:
        ValueError: if the shapes are others.
        OSError: if the file cannot be written; nothing of it stays.
    """
    _require_map(depth_m, valid, uncertainty_m)
    camera = np.full((3, 3), np.nan) if intrinsics is None else intrinsics
    if camera.shape != (3, 3):
        raise ValueError(f"wanted intrinsics of (3, 3), got {camera.shape}: write one depth map a file")
    arrays = {"depth_m": depth_m, "intrinsics": camera, "uncertainty_m": uncertainty_m}
    floats = {name: values.astype(np.float32, copy=False) for name, values in arrays.items() if values is not None}
    with atomic_file(path) as temporary, temporary.open("wb") as file:
        np.savez(file, valid=valid, unit=np.array(_NPZ_UNIT), **floats)  # type: ignore[arg-type]


def read_npz(path: Path) -> DepthFile:
    """Read what `write_npz` writes, without unpickling anything.

    Args:
        path: the file.

    Returns:
        Depth in metres, its mask, its camera and, where the file holds it, its uncertainty.

    Raises:
        UserError: if the file is missing, damaged, or holds something else.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            unit = str(arrays["unit"])
            known = (arrays["depth_m"], arrays["valid"], arrays["intrinsics"])
            result = DepthFile(*known, arrays.get("uncertainty_m"))
            _require_map(result.depth_m, result.valid, result.uncertainty_m)
    except (OSError, ValueError, LookupError, TypeError, AttributeError, zipfile.BadZipFile) as error:
        reason = " ".join(str(error).split())
        raise UserError(
            f"{path} cannot be read as depth ({reason}): wanted an NPZ file with depth_m, valid, intrinsics, unit"
        ) from error
    if unit != _NPZ_UNIT:
        raise UserError(f"{path} holds depth in {unit}, wanted {_NPZ_UNIT}: convert it first")
    return result


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
        UserError: if there are no rows.
        OSError: if the file cannot be written; nothing of it stays.
    """
    if not rows:
        raise UserError("a contact sheet needs at least one picture, got none")
    for row in rows:
        _require_map(row.depth_m, row.valid)
        if row.rgb.shape != (*row.depth_m.shape, 3):
            raise ValueError(f"wanted rgb {(*row.depth_m.shape, 3)} as its depth, got {row.rgb.shape}: resize one")
    captions = [_caption(row) for row in rows]
    sizes = [_fitted(row.rgb.shape[1::-1]) for row in rows]
    text_px = max(int(load_font(_FONT_PX).getlength(caption)) for caption in captions) + 1
    tile = (max(text_px, *(width for width, _ in sizes)), max(height for _, height in sizes))
    limits_m = _common_limits(rows)
    blocks = [_draw_row(row, tile, caption, limits_m) for row, caption in zip(rows, captions, strict=True)]
    _save_png(path, _arrange(blocks, limits_m))


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
