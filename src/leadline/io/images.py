"""Reading pictures."""

import functools
import importlib
import importlib.util
import logging
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import BytesIO
from math import floor, sqrt
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from leadline.errors import LeadlineError, brief
from leadline.geometry import Camera, CameraSource, Lens
from leadline.io.color_codes import ColorCode, as_srgb, color_code
from leadline.io.exif import focal_px_from_exif, lens_from_exif, lens_from_xmp
from leadline.io.hdr import TRANSFERS
from leadline.io.png import find_chunk

logger = logging.getLogger(__name__)

# Only these of Pillow's readers are let near a file: some of the others start external programs.
_FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "HEIF", "TIFF", "BMP", "GIF", "PPM")
_HEIF_SUFFIXES = (".heic", ".heif", ".hif")

# A picture of 400 megapixels takes 1.6 GB once decoded; the largest phone cameras give 200.
_MAX_PIXELS_IN_FILE = 400_000_000

# Beyond, a picture must have a file to match: what is uniform packs to a thousandth, photographs hardly to a thirtieth.
_SMALL_PIXELS = 100_000_000
_MOST_PIXELS_PER_BYTE = 100
_guard_lock = threading.Lock()

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


MAX_OF_16_BITS = 65535.0
MAX_OF_12_BITS = 4095
"""A picture of 16 bits that goes no further holds fewer bits, unscaled."""
_CAMERA_BITS = (8, 10, 12)
_WHITE_IS_ZERO = 0  # TIFF's PhotometricInterpretation
_SAMPLE_FORMAT, _SIGNED = 339, 2  # of TIFF
_PLANES, _APART = 284, 2
_NEW_SUBFILE_TYPE, _IS_REDUCED = 254, 1
_SUBFILE_TYPE, _OLD_REDUCED = 255, 2


class Picture(NamedTuple):
    """A picture as it should be looked at."""

    rgb: NDArray[Any]  # (H, W, 3): uint8, or float32 in [0, 1] where the file has more than 8 bits
    focal_px: float | None  # focal length in pixels of `rgb`, from EXIF; None if it does not say
    full_size: tuple[int, int]  # height and width of the picture in its file; `rgb` may have been read smaller
    turned_from: tuple[int, int] | None = None  # height and width before EXIF's orientation; None if it changed nothing
    lens: Lens | None = None  # as XMP tells of a panorama, EXIF of a fish-eye; None if they say nothing of that
    hdr: str = ""  # the HDR that `rgb` was tone-mapped from, "PQ" or "HLG"; "" if it was none

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
    if not os.path.isfile(path):  # to open a pipe is to wait until somebody writes into it
        raise LeadlineError(f"{path} is a pipe or a device, wanted a picture: copy what it gives into a file")
    if path.stat().st_size == 0:
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
    num_bits: int = 8  # of each number in the file, as far as it matters: 16 where Pillow makes 8 of them
    code: ColorCode | None = None


def _decoded(image: Image.Image) -> _Decoded:
    """Decode what Pillow has opened. What is told by undecoded numbers alone is asked first."""
    _read_planes_whole(image)
    num_bits, code = _bits_in_file(image), color_code(image)
    image.load()
    return _Decoded(image, image.size, _exif(image), num_bits, code)


def _require_budget(path: Path, size: tuple[int, int], most: int) -> None:
    """Refuse a picture that would take too much memory once decoded, or far more than its file lets expect.

    Args:
        path: the file.
        size: width and height that are to be decoded.
        most: pixels that are let in.
    """
    num_pixels = size[0] * size[1]
    pixels = f"{path} has {size[0]} x {size[1]} pixels"
    if num_pixels > most:
        raise LeadlineError(f"{pixels}, wanted at most {most // 1_000_000} million: make it smaller or cut it up")
    num_bytes = path.stat().st_size
    if num_pixels > _SMALL_PIXELS and num_pixels > _MOST_PIXELS_PER_BYTE * num_bytes:
        raise LeadlineError(
            f"{pixels} in a file of only {num_bytes:,} bytes, wanted at most {_SMALL_PIXELS // 1_000_000} million in "
            f"so small a file, as it would fill the memory: make it smaller"
        )


def require_decodable(path: Path, most_pixels: int = _MAX_PIXELS_IN_FILE) -> None:
    """Refuse a file by its header that is no picture or has too many pixels; none is decoded.

    Args:
        path: the file.
        most_pixels: that are let in.

    Raises:
        LeadlineError: as `read_image`.
    """
    _require_file(path)
    with _told(path), _open(path) as image:
        _require_budget(path, image.size, most_pixels)


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Tell in one line what Pillow's readers and its EXIF parser raise on damaged files, which is everything."""
    try:
        yield
    except LeadlineError:
        raise
    except UnidentifiedImageError as error:
        raise _not_a_picture(path) from error
    except MemoryError as error:
        raise LeadlineError(f"{path} does not fit into the memory: make it smaller, or free some") from error
    except Exception as error:
        raise LeadlineError(f"{path} is damaged or cut short ({brief(error)}): copy or download it again") from error


def _decode(path: Path, max_pixels: int, before_pixels: Callable[[int], object] | None = None) -> _Decoded:
    """Decode the pixels and the EXIF block of a file."""
    _require_file(path)
    with _told(path), _open(path) as image:
        size = image.size
        _require_budget(path, size, _MAX_PIXELS_IN_FILE)
        if before_pixels is not None:
            before_pixels(min(size[0] * size[1], max_pixels))
        image.draft(None, _size_within(size, max_pixels))
        return _decoded(image)._replace(size_in_file=size)


def decode_image(path: Path) -> Image.Image:
    """Decode the whole of a picture as it is stored: no conversion, no turning, all its pixels.

    Args:
        path: the file.

    Returns:
        The picture in the file's own mode; of an animation, the first frame.

    Raises:
        LeadlineError: if the file is missing, empty, damaged, no picture, too large or may not be read.
    """
    image = _decode(path, _MAX_PIXELS_IN_FILE).image
    # Of a TIFF whose 0 is white Pillow turns 8 bits around, but not 16: numbers are as they are stored.
    return ImageOps.invert(image) if image.mode == "L" and _is_white_zero(image) else image


def _is_white_zero(image: Image.Image) -> bool:
    return bool(_tiff_tag(image, 262) == _WHITE_IS_ZERO)


def _tiff_tag(image: Image.Image, number: int) -> Any:
    """The first value of a TIFF's tag; None for other files and tags that are not there."""
    value = getattr(image, "tag_v2", {}).get(number)
    return next(iter(value), None) if isinstance(value, tuple) else value


def _read_planes_whole(image: Any) -> None:
    """Have a plain TIFF of 16 bits whose channels lie apart read as such: Pillow cuts the bits off its kind of numbers.

    Compressed ones it leaves to a library, which knows.
    """
    if _tiff_tag(image, _PLANES) == _APART and _tiff_tag(image, 258) == 16:
        order = "B" if image.tag_v2.prefix == b"MM" else "L"
        is_grey = image.mode.startswith("I;16")
        image.tile = [
            tile._replace(args=(image.mode if is_grey else f"{tile.args[0]};16{order}", *tile.args[1:]))
            if tile.codec_name == "raw"
            else tile
            for tile in image.tile
        ]


def _bits_in_file(image: Image.Image) -> int:
    """16 where the file has numbers of so many bits, before they are decoded."""
    return 16 if any(";16" in str(tile[3]) for tile in getattr(image, "tile", ())) else 8


def exif_focal_px(path: Path) -> float | None:
    """Focal length in pixels of a picture file by its EXIF block, without decoding the picture; None if it has none."""
    with suppress(Exception), _open(path) as image:
        if image.format == "PNG" and (block := _png_chunk(path, b"eXIf")):
            image.info["exif"] = b"Exif\0\0" + block
        if image.format != "PNG" or "exif" in image.info:  # else Pillow would decode the pixels to look behind them
            return focal_px_from_exif(_exif(image), image.size, _xmp(image))
    return None


def upright_size(path: Path) -> tuple[int, int]:
    """Width and height of a picture as `read_image` returns it, by its header: no pixel is decoded.

    Raises:
        LeadlineError: as `read_image`, but for what only the pixels tell.
    """
    _require_file(path)
    try:
        with _open(path) as image:
            width, height = image.size
            if image.format == "TIFF":  # whose size Pillow has turned already, and no other's
                return width, height
            if image.format == "PNG":  # whose EXIF block Pillow would look for behind the pixels
                exif = Image.Exif()
                exif.load(_png_chunk(path, b"eXIf"))
            else:
                exif = _exif(image)
    except UnidentifiedImageError as error:
        raise _not_a_picture(path) from error
    except Exception as error:
        raise LeadlineError(f"{path} is damaged or cut short ({error}): copy or download it again") from error
    is_on_its_side = exif.get(ExifTags.Base.Orientation, 1) in range(_FIRST_ON_ITS_SIDE, len(_UPRIGHT) + 2)
    return (height, width) if is_on_its_side else (width, height)


def _png_chunk(path: Path, wanted: bytes) -> bytes:
    """A chunk of a PNG file, before its pixels or behind them; empty if it has none."""
    with path.open("rb") as file:
        return find_chunk(file, wanted)


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
    except Exception:
        return Image.Exif()
    return exif


def _xmp(image: Image.Image) -> bytes:
    """The picture's XMP block, which each format keeps in a place of its own; empty if it has none."""
    block = next((image.info[key] for key in ("xmp", "XML:com.adobe.xmp") if image.info.get(key)), b"")
    block = block or getattr(image, "tag_v2", {}).get(ExifTags.Base.XMLPacket, b"")
    return block.encode() if isinstance(block, str) else block if isinstance(block, bytes) else b""


def _grey_in_unit_range(image: Image.Image, name: str) -> Image.Image:
    """A grey picture of more than 8 bits as floats in [0, 1], 0 black."""
    values = np.asarray(image).astype(np.float32)
    low, high = float(values.min()), float(values.max())
    top = 1.0 if image.mode == "F" else _largest_number(image, high)
    if not (low >= 0 and high <= top):
        raise LeadlineError(
            f"{name} holds numbers from {low:g} to {high:g}, wanted a picture from 0 to {top:g}: "
            f"scale it to that range, or save it as 8 or 16 bits (is it a depth map?)"
        )
    if top == MAX_OF_16_BITS and (bits := camera_bits(low, high)):
        _tell_of_bits(bits, f"{name}: its numbers end at {high:g} of 65535")
        top = 2.0**bits - 1
    elif top == MAX_OF_16_BITS and low < high < 2**14:
        _tell_of_dark(name, f"at {high:g}")
    shares = values / np.float32(top)
    return Image.fromarray(1 - shares if _is_white_zero(image) else shares)


def camera_bits(low: float, high: float) -> int:
    """How many bits a camera had whose numbers of 16 end so early; 0 if it had all, or nothing tells.

    Args:
        low: the least number, 0 to 65535; of one shade only, nothing tells.
        high: the largest.
    """
    return next(bits for bits in _CAMERA_BITS if high < 2**bits) if low < high <= MAX_OF_12_BITS else 0


def _largest_number(image: Image.Image, high: float) -> float:
    """What white is stored as, by the file itself where its numbers keep to that; else the largest of 16 bits.

    A PNG's sBIT chunk is only half a promise: the standard wants its bits scaled up to the whole 16.
    """
    bits = [_tiff_tag(image, 258)]
    if image.format == "PNG" and (path := getattr(image, "filename", "")):
        with suppress(OSError):
            bits += _png_chunk(Path(path), b"sBIT")[:1]
    told = [2**count - 1 for count in bits if isinstance(count, int) and 8 < count < 16]
    told += [value for value in (_tiff_tag(image, 341), _tiff_tag(image, 281)) if isinstance(value, int | float)]
    return next((float(value) for value in told if max(255, high) <= value < MAX_OF_16_BITS), MAX_OF_16_BITS)


_told_of_bits: set[int] = set()
_told_of_dark: list[str] = []
_told_of_no_alpha: list[str] = []


def _tell_of_bits(bits: int, found: str) -> None:
    """Say it of the first such file of a process: a data set may hold thousands."""
    if bits not in _told_of_bits:
        _told_of_bits.add(bits)
        logger.warning("%s: taken for those of a camera of %d bits, and so in all such files", found, bits)


def _tell_of_dark(name: str, end: str) -> None:
    """Say it of the first such file of a process, as above."""
    if not _told_of_dark:
        _told_of_dark.append(name)
        logger.warning(
            "%s: its numbers end %s of 65535: taken for a dark picture of 16 bits; if a camera of 14 bits wrote it, "
            "scale them to all 16",
            *(name, end),
        )


def _tell_of_no_alpha(name: str) -> None:
    """Say it of the first such file of a process, as above: sensors and renderers leave the fourth byte at 0."""
    if not _told_of_no_alpha:
        _told_of_no_alpha.append(name)
        logger.warning("%s: transparent everywhere: its colours are taken without that, and so in all such files", name)


def _to_rgb_or_float(image: Image.Image, name: str) -> Image.Image:
    """Any mode of Pillow's as RGB of 8 bits, or as grey floats in [0, 1] where 8 bits would lose some."""
    if image.mode == "F" or image.mode.startswith("I"):
        return _grey_in_unit_range(image, name)
    try:
        if image.has_transparency_data:
            image = image.convert("RGBA")
            if image.getchannel("A").getextrema() == (0, 0):
                _tell_of_no_alpha(name)
                return image.convert("RGB")
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
        return image if image.mode == "RGB" else image.convert("RGB")
    except Exception as error:
        raise LeadlineError(
            f"{name} has colours of a kind that cannot be read ({image.mode}): save it as RGB"
        ) from error


def require_light(rgb: NDArray[Any], name: str) -> None:
    """Refuse a picture that only a wrong unit makes black; one of nothing but 0 is of a lens behind its cap.

    Args:
        rgb: uint8, or float in [0, 1], (H, W, 3).
        name: what to call it in a refusal.

    Raises:
        LeadlineError: if it holds 0 and 1 alone of 255, or shares that were divided by 255 twice.
    """
    highest = rgb.max(initial=0)
    if rgb.dtype == np.uint8 and highest == 1:
        raise LeadlineError(
            f"{name} must be 8-bit from 0 to 255, got one of 0 and 1 alone, which is black: multiply shares by 255 "
            "before they become whole numbers (or is it a mask?)"
        )
    if rgb.dtype != np.uint8 and 0 < highest <= 1 / 255:
        raise LeadlineError(
            f"{name} must be float in [0, 1], got one up to {highest:.2g}, which is black: was it divided by 255 twice?"
        )


def _require_unsigned(image: Image.Image, name: str) -> None:
    """Refuse a TIFF of signed numbers, of which 8 bits come as others from the library and 16 reach half as far.

    Those of 32 bits are what Pillow writes of 16; they are judged by what they hold.
    """
    if _tiff_tag(image, _SAMPLE_FORMAT) == _SIGNED and _tiff_tag(image, 258) != 32:
        raise LeadlineError(
            f"{name} holds signed numbers, wanted a picture of unsigned ones or floats from 0 to 1: "
            "save it as 8 or 16 bits (is it a depth map?)"
        )


def _require_no_thumbnail(image: Image.Image, name: str) -> None:
    """Refuse a TIFF whose first picture is a small copy of another one in the file, as raw files of cameras have it."""
    kind = _tiff_tag(image, _NEW_SUBFILE_TYPE)
    if (isinstance(kind, int) and kind & _IS_REDUCED) or _tiff_tag(image, _SUBFILE_TYPE) == _OLD_REDUCED:
        width, height = image.size
        raise LeadlineError(
            f"{name} begins with a thumbnail of {width}×{height} pixels, wanted the picture itself first: save it as a "
            "TIFF or JPEG of its own (a raw file is developed first)"
        )


def _require_16_bits(image: Image.Image, name: str) -> None:
    """Refuse colours of fewer bits in 16, of which Pillow keeps the upper eight: all but nothing."""
    if image.mode not in ("RGB", "RGBA", "L", "LA"):
        return
    largest = np.asarray(image.getextrema()).reshape(-1, 2)[:, 1]
    high = max(int(value) for value, band in zip(largest, image.getbands(), strict=True) if band != "A")
    if high <= MAX_OF_12_BITS >> 8:
        raise LeadlineError(
            f"{name} is nearly black: its numbers end below {(high + 1) << 8} of 65535, as those of a camera of "
            "10 or 12 bits do: scale them to all 16, or save it as 8 bits"
        )
    if high < 2**14 >> 8:
        _tell_of_dark(name, f"below {(high + 1) << 8}")


def _to_array(image: Image.Image) -> NDArray[Any]:
    """RGB (H, W, 3): uint8, or float32 in [0, 1] of a grey image in floats."""
    values = np.array(image)
    return values if values.ndim == 3 else np.repeat(values[..., None], 3, axis=-1)


def read_image(
    path: Path, max_pixels: int = _SMALL_PIXELS, before_pixels: Callable[[int], object] | None = None
) -> Picture:
    """Read a picture, upright.

    EXIF's orientation is applied. Grey, palette, 1-bit, CMYK and 16-bit pictures become RGB; transparent ones are laid
    on white, unless nothing of them would be seen; of an animation the first frame is taken. HDR (PQ, HLG) that the
    file names is tone-mapped; colour profiles are not applied otherwise. HEIC needs the package pillow-heif.

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


def as_seen(image: Image.Image, max_pixels: int = _SMALL_PIXELS) -> Picture:
    """What `read_image` makes of a file, of a picture that Pillow has opened.

    Raises:
        LeadlineError: if its numbers are no colours, or it is damaged.
    """
    try:
        decoded = _decoded(image)
    except Exception as error:
        raise LeadlineError(f"the picture is damaged or cut short ({brief(error)}): open it again") from error
    return _looked_at(decoded, "the picture", max_pixels)


def read_image_bytes(data: bytes, name: str) -> Picture:
    """What `read_image` makes of a file, of the bytes of one that lies in a container.

    Args:
        data: the bytes.
        name: what to call the picture in a refusal.

    Raises:
        LeadlineError: if they are no picture, or it is damaged.
    """
    return _looked_at(_decoded_bytes(data, name), name)


def decode_image_bytes(data: bytes, name: str) -> Image.Image:
    """What `decode_image` makes of a file, of the bytes of one that lies in a container.

    Raises:
        LeadlineError: if they are no picture, or it is damaged.
    """
    return _decoded_bytes(data, name).image


def _decoded_bytes(data: bytes, name: str) -> _Decoded:
    try:
        return _decoded(Image.open(BytesIO(data), formats=_readable_formats()))
    except Exception as error:
        raise LeadlineError(
            f"{name} holds no picture that can be read ({brief(error)}): copy or export it again"
        ) from error


def _looked_at(decoded: _Decoded, name: str, max_pixels: int = _SMALL_PIXELS) -> Picture:
    image, size_in_file, exif, num_bits, code = decoded
    orientation = exif.get(ExifTags.Base.Orientation, 1)
    turn = _UPRIGHT.get(orientation)
    xmp = _xmp(image)
    focal_px = focal_px_from_exif(exif, size_in_file, xmp)
    if num_bits == 16:
        _require_16_bits(image, name)
    _require_unsigned(image, name)
    _require_no_thumbnail(image, name)
    image = _to_rgb_or_float(image, name)
    if image.size != (size := _size_within(image.size, max_pixels)):
        image = image.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)
    if focal_px is not None:
        focal_px *= max(image.size) / max(size_in_file)
    width, height = size_in_file if turn is None or orientation < _FIRST_ON_ITS_SIDE else size_in_file[::-1]
    rgb = _to_array(image if turn is None else image.transpose(turn))
    if rgb.dtype == np.uint8 or decoded.image.mode == "F":  # of 16 bits some cameras fill the lower ones alone
        require_light(rgb, name)
    rgb = rgb if code is None else as_srgb(rgb, code, name)
    hdr = "" if code is None else TRANSFERS.get(code.transfer, "")
    turned_from = None if turn is None else size_in_file[::-1]
    return Picture(rgb, focal_px, (height, width), turned_from, lens_from_xmp(xmp) or lens_from_exif(exif), hdr)
