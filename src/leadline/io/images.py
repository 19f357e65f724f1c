"""Reading pictures."""

import functools
import importlib
import importlib.util
import os
import struct
import threading
import zlib
from collections.abc import Callable
from contextlib import suppress
from math import floor, sqrt
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError

from leadline.errors import LeadlineError
from leadline.geometry import Camera, CameraSource
from leadline.io.exif import focal_px_from_exif

# Only these of Pillow's readers are let near a file: some of the others start external programs.
_FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "HEIF", "TIFF", "BMP", "GIF", "PPM")
_HEIF_SUFFIXES = (".heic", ".heif", ".hif")

# A picture of 400 megapixels takes 1.6 GB once decoded; the largest phone cameras give 200.
_MAX_PIXELS_IN_FILE = 400_000_000
_guard_lock = threading.Lock()

# Pillow's readers and its EXIF parser raise all of these on damaged files.
_DAMAGE = (
    *(OSError, SyntaxError, ValueError, TypeError, LookupError, EOFError, ArithmeticError),
    *(AttributeError, RuntimeError, struct.error, zlib.error, Image.DecompressionBombError),
)

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What to do with the pixels for each value of EXIF's Orientation; 1 and unknown values: nothing."""
_FIRST_ON_ITS_SIDE = 5
"""From this value on, width and height change places."""


class Picture(NamedTuple):
    """A picture as it should be looked at."""

    rgb: NDArray[Any]  # (H, W, 3): uint8, or float32 in [0, 1] where the file has more than 8 bits
    focal_px: float | None  # focal length in pixels of `rgb`, from EXIF; None if it does not say
    full_size: tuple[int, int]  # height and width of the picture in its file; `rgb` may have been read smaller
    turned_from: tuple[int, int] | None = None  # height and width before EXIF's orientation; None if it changed nothing

    @property
    def camera(self) -> Camera | None:
        """The camera of `rgb` that EXIF names; None if it names none."""
        height, width = self.rgb.shape[:2]
        if self.focal_px is None:
            return None
        return Camera.from_focal_px(self.focal_px, width, height, CameraSource.EXIF)


def _require_file(path: Path) -> None:
    """Refuse what is not a readable, non-empty file, with the reason.

    `os.path` answers False where `Path` raises (a name too long, a parent that may not be searched).
    """
    if os.path.isdir(path):
        raise LeadlineError(f"{path} is a folder, wanted a picture: name a file in it")
    if not os.path.exists(path):
        raise LeadlineError(f"{path} does not exist: check the path")
    if not os.access(path, os.R_OK):
        raise LeadlineError(f"{path} may not be read: no permission; change it with chmod or copy the file")
    if path.is_file() and path.stat().st_size == 0:
        raise LeadlineError(f"{path} is empty (0 bytes): copy or download it again")


@functools.cache
def _readable_formats() -> tuple[str, ...]:
    """Those of `_FORMATS` that this installation of Pillow can read."""
    if importlib.util.find_spec("pillow_heif") is not None:
        importlib.import_module("pillow_heif").register_heif_opener()
    Image.init()
    return tuple(name for name in _FORMATS if name in Image.OPEN)


def _open(path: Path) -> Image.Image:
    """Read a picture's header; the pixels are decoded later."""
    formats = _readable_formats()
    # Pillow refuses more than 180 megapixels by a global, which is put back at once; `_decode` has its limit.
    with _guard_lock:
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            return Image.open(path, formats=formats)
        finally:
            Image.MAX_IMAGE_PIXELS = limit


def _not_a_picture(path: Path) -> LeadlineError:
    if path.suffix.lower() in _HEIF_SUFFIXES and "HEIF" not in _readable_formats():
        return LeadlineError(f"{path} is HEIC, which needs one more package: pip install pillow-heif")
    return LeadlineError(
        f"{path} is no picture that can be read, whatever its name says: "
        f"wanted {', '.join(_readable_formats())}; save it again as PNG or JPEG"
    )


class _Decoded(NamedTuple):
    image: Image.Image  # as stored; a JPEG already reduced if it is far beyond the budget
    size_in_file: tuple[int, int]  # width and height
    exif: Image.Exif


def _decode(path: Path, max_pixels: int, before_pixels: Callable[[int], object] | None = None) -> _Decoded:
    """Decode the pixels and the EXIF block of a file."""
    _require_file(path)
    try:
        with _open(path) as image:
            size = image.size
            if size[0] * size[1] > _MAX_PIXELS_IN_FILE:
                raise LeadlineError(
                    f"{path} has {size[0]} x {size[1]} pixels, wanted at most "
                    f"{_MAX_PIXELS_IN_FILE // 1_000_000} million: make it smaller or cut it up"
                )
            if before_pixels is not None:
                before_pixels(min(size[0] * size[1], max_pixels))
            image.draft(None, _size_within(size, max_pixels))
            image.load()
            return _Decoded(image, size, _exif(image))
    except LeadlineError:
        raise
    except UnidentifiedImageError as error:
        raise _not_a_picture(path) from error
    except _DAMAGE as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise LeadlineError(f"{path} is damaged or cut short ({reason}): copy or download it again") from error


def decode_image(path: Path) -> Image.Image:
    """Decode the whole of a picture as it is stored: no conversion, no turning, all its pixels.

    Args:
        path: the file.

    Returns:
        The picture in the file's own mode; of an animation, the first frame.

    Raises:
        LeadlineError: if the file is missing, empty, damaged, no picture, too large or may not be read.
    """
    return _decode(path, _MAX_PIXELS_IN_FILE).image


def exif_focal_px(path: Path) -> float | None:
    """Focal length in pixels of a picture file by its EXIF block, without decoding the picture; None if it has none."""
    with suppress(*_DAMAGE), _open(path) as image:
        if image.format == "PNG" and (block := _exif_of_png(path)):
            image.info["exif"] = block
        if image.format != "PNG" or "exif" in image.info:  # else Pillow would decode the pixels to look behind them
            return focal_px_from_exif(_exif(image), image.size)
    return None


def _exif_of_png(path: Path) -> bytes:
    """The EXIF block of a PNG file, before its pixels or behind them; empty if it has none."""
    with path.open("rb") as file:
        file.seek(8)
        while len(head := file.read(8)) == 8:
            length, kind = struct.unpack(">I4s", head)
            if kind == b"eXIf":
                return b"Exif\0\0" + file.read(length)
            file.seek(length + 4, os.SEEK_CUR)
    return b""


def _size_within(size: tuple[int, int], max_pixels: int) -> tuple[int, int]:
    """The size (width, height) or, if it has too many pixels, the largest of the same aspect that has not."""
    width, height = size
    if width * height <= max_pixels:
        return size
    scale = sqrt(max_pixels / (width * height))
    return max(1, floor(width * scale)), max(1, floor(height * scale))


def _exif(image: Image.Image) -> Image.Exif:
    """The picture's EXIF block, or an empty one where it is damaged: the pixels are still good."""
    try:
        exif = image.getexif()
        exif.get_ifd(ExifTags.IFD.Exif)
    except _DAMAGE:
        return Image.Exif()
    return exif


def _grey_in_unit_range(image: Image.Image, name: str) -> Image.Image:
    """A grey picture of more than 8 bits as floats in [0, 1]."""
    values = np.asarray(image).astype(np.float32)
    top = 1.0 if image.mode == "F" else 65535.0
    low, high = float(values.min()), float(values.max())
    if not (low >= 0 and high <= top):
        raise LeadlineError(
            f"{name} holds numbers from {low:g} to {high:g}, wanted a picture from 0 to {top:g}: "
            f"scale it to that range, or save it as 8 or 16 bits (is it a depth map?)"
        )
    return Image.fromarray(values / np.float32(top))


def _to_rgb_or_float(image: Image.Image, name: str) -> Image.Image:
    """Any mode of Pillow's as RGB of 8 bits, or as grey floats in [0, 1] where 8 bits would lose some."""
    if image.mode == "F" or image.mode.startswith("I"):
        return _grey_in_unit_range(image, name)
    try:
        if image.has_transparency_data:
            image = image.convert("RGBA")
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
        return image if image.mode == "RGB" else image.convert("RGB")
    except ValueError as error:
        raise LeadlineError(
            f"{name} has colours of a kind that cannot be read ({image.mode}): save it as RGB"
        ) from error


def _to_array(image: Image.Image) -> NDArray[Any]:
    """RGB (H, W, 3): uint8, or float32 in [0, 1] of a grey image in floats."""
    values = np.array(image)
    return values if values.ndim == 3 else np.repeat(values[..., None], 3, axis=-1)


def read_image(
    path: Path, max_pixels: int = 100_000_000, before_pixels: Callable[[int], object] | None = None
) -> Picture:
    """Read a picture, upright.

    EXIF's orientation is applied. Grey, palette, 1-bit, CMYK and 16-bit pictures become RGB; transparent ones
    are laid on white; of an animation the first frame is taken. Colour profiles are not applied. HEIC needs
    the package pillow-heif.

    Args:
        path: the file.
        max_pixels: a picture that has more is returned smaller, with the same aspect (JPEG is already decoded
            smaller, which is much faster).
        before_pixels: is called with how many pixels there will be once the header is read, before any is decoded:
            where memory is scarce it may wait.

    Returns:
        The picture and its focal length in pixels.

    Raises:
        LeadlineError: if the file is missing, empty, damaged, no picture, too large or may not be read, or if its
            numbers are no colours.
    """
    return _looked_at(_decode(path, max_pixels, before_pixels), str(path), max_pixels)


def as_seen(image: Image.Image, max_pixels: int = 100_000_000) -> Picture:
    """What `read_image` makes of a file, of a picture that Pillow has opened.

    Raises:
        LeadlineError: if its numbers are no colours, or it is damaged.
    """
    try:
        image.load()
    except _DAMAGE as error:
        raise LeadlineError(f"the picture is damaged or cut short ({error}): open it again") from error
    return _looked_at(_Decoded(image, image.size, _exif(image)), "the picture", max_pixels)


def _looked_at(decoded: _Decoded, name: str, max_pixels: int) -> Picture:
    image, size_in_file, exif = decoded
    orientation = exif.get(ExifTags.Base.Orientation, 1)
    turn = _UPRIGHT.get(orientation)
    focal_px = focal_px_from_exif(exif, size_in_file)
    image = _to_rgb_or_float(image, name)
    if image.size != (size := _size_within(image.size, max_pixels)):
        image = image.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)
    if focal_px is not None:
        focal_px *= max(image.size) / max(size_in_file)
    width, height = size_in_file if turn is None or orientation < _FIRST_ON_ITS_SIDE else size_in_file[::-1]
    rgb = _to_array(image if turn is None else image.transpose(turn))
    return Picture(rgb, focal_px, (height, width), None if turn is None else size_in_file[::-1])
