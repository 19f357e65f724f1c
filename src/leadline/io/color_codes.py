"""How an image file says what its numbers mean: by the code points of ITU-T H.273, kept elsewhere by each format."""

import logging
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from leadline.errors import LeadlineError
from leadline.io.hdr import TRANSFERS, to_srgb
from leadline.io.png import find_chunk

logger = logging.getLogger(__name__)

_NO_SHADES = {8: "linear light", 9: "logarithms of light", 10: "logarithms of light"}
"""Transfer functions of H.273 of which 8 bits, which are all that Pillow reads of colours, keep too few shades."""
_NARROW_RANGE = 16, 235  # black and white among 255, as in video
_ROWS_AT_A_TIME = 256  # of which light is computed in floats
_told_of_hdr: set[int] = set()

_PQ_PROFILE = b"ITUR_2100_PQ_FULL\0"
"""A profile of this name means PQ of BT.2100 in a PNG, by W3C's note from before there was a chunk for it."""
_BT_2020, _PQ = 9, 16
_HEIF = ("AVIF", "HEIF")
_ICC_TAGS, _BYTES_PER_TAG = 128, 12


class ColorCode(NamedTuple):
    """What a picture's numbers mean, by H.273."""

    primaries: int
    transfer: int
    is_full_range: bool = True  # else black is 16 and white 235 of 255


def color_code(image: Image.Image) -> ColorCode | None:
    """What a picture's file says of its numbers; None if it says nothing, or is damaged where it would.

    Of a PNG, the chunk cICP goes before its ICC profile. Elsewhere whichever names HDR is believed: the `colr` box of
    the item that is shown (beside it, a file with a gain map has that of its HDR version), or the `cicp` tag of an ICC
    profile. Without such a box a picture is sRGB, whatever its bitstream says (MIAF, 7.3.6.4).

    Args:
        image: as Pillow has opened it; once its pixels are decoded, only a file of a name is looked into again.
    """
    found = []
    try:
        if image.format == "PNG":
            with _file_of(image) as file:
                found.append(_of_png(file))
        elif image.format in _HEIF:
            with _file_of(image) as file:
                found.append(_of_heif(file.read()))
        if image.format != "PNG" or not found[0]:
            found.append(_of_profile(image.info.get("icc_profile") or b""))
    except (OSError, ValueError, LookupError, struct.error):  # the pixels are still good
        pass
    codes = [code for code in found if code]
    return next((code for code in codes if code.transfer in TRANSFERS), codes[0] if codes else None)


def as_srgb(rgb: NDArray[Any], code: ColorCode, name: str) -> NDArray[Any]:
    """Bring a picture to the numbers of sRGB: HDR is tone-mapped, which is said of the first such picture.

    Args:
        rgb: uint8, or float in [0, 1], (H, W, 3).
        code: what its file says of its numbers.
        name: what to call the picture.

    Returns:
        The picture as it is, if it is of the full range and no HDR; else a new one, uint8 if it was HDR.

    Raises:
        LeadlineError: if its numbers are no shades to look at.
    """
    if code.transfer in _NO_SHADES:
        raise LeadlineError(
            f"{name} says that its numbers are {_NO_SHADES[code.transfer]}, wanted sRGB, PQ or HLG: save it as sRGB"
        )
    is_hdr = code.transfer in TRANSFERS
    if code.is_full_range and not is_hdr:
        return rgb
    highest = 255 if rgb.dtype == np.uint8 else 1
    black, white = (0, 255) if code.is_full_range else _NARROW_RANGE
    shown = np.empty(rgb.shape, np.uint8 if is_hdr else rgb.dtype)
    for start in range(0, len(rgb), _ROWS_AT_A_TIME):
        rows = slice(start, start + _ROWS_AT_A_TIME)
        shares = ((rgb[rows] * np.float32(255 / highest) - black) / (white - black)).clip(0, 1)
        if is_hdr:
            shown[rows] = to_srgb(np.rint(shares * 65535).astype(np.uint16), code.transfer, code.primaries)
        else:
            shown[rows] = np.rint(shares * 255) if highest == 255 else shares
    if is_hdr and code.transfer not in _told_of_hdr:
        _told_of_hdr.add(code.transfer)
        logger.warning("%s: its HDR (%s) is tone-mapped to SDR, as that of all such", name, TRANSFERS[code.transfer])
    return shown


@contextmanager
def _file_of(image: Image.Image) -> Iterator[BinaryIO]:
    """The picture's file from its start; it is left where it stood."""
    file: Any = getattr(image, "fp", None)
    if file is not None and not file.closed:
        place = file.tell()
        file.seek(0)
        try:
            yield file
        finally:
            file.seek(place)
    elif name := getattr(image, "filename", ""):
        with open(name, "rb") as again:
            yield again
    else:
        yield BytesIO()


def _of_png(file: BinaryIO) -> ColorCode | None:
    chunk = find_chunk(file, b"cICP", before=b"IDAT")
    if len(chunk) == 4:
        return ColorCode(chunk[0], chunk[1], is_full_range=chunk[3] != 0)
    profile = find_chunk(file, b"iCCP", before=b"IDAT")
    return ColorCode(_BT_2020, _PQ) if profile.startswith(_PQ_PROFILE) else None


def _of_profile(profile: bytes) -> ColorCode | None:
    """The `cicp` tag of an ICC profile (ICC.1:2022, 9.2.17 and 10.3); None if it has none."""
    if len(profile) <= _ICC_TAGS:
        return None
    (num_tags,) = struct.unpack_from(">I", profile, _ICC_TAGS)
    for index in range(min(num_tags, len(profile) // _BYTES_PER_TAG)):
        kind, start, _ = struct.unpack_from(">4sII", profile, _ICC_TAGS + 4 + _BYTES_PER_TAG * index)
        if kind == b"cicp":
            return ColorCode(*struct.unpack_from(">BB", profile, start + 8))
    return None


def _of_heif(data: bytes) -> ColorCode | None:
    """The `colr` box of the primary item of a HEIF or AVIF file, or of the first track where it has no items."""
    boxes = dict(_boxes(memoryview(data)))
    if b"meta" not in boxes:
        track = bytes(boxes.get(b"moov", b""))
        place = track.find(b"colrnclx")
        return None if place < 0 else ColorCode(*struct.unpack_from(">HH", track, place + 8))
    meta = dict(_boxes(boxes[b"meta"][4:]))
    (item,) = struct.unpack_from(">I" if meta[b"pitm"][0] else ">H", meta[b"pitm"], 4)
    inside = list(_boxes(meta[b"iprp"]))
    properties = list(_boxes(dict(inside)[b"ipco"]))
    for kind, box in inside:
        for index in _property_indices(box, item) if kind == b"ipma" else ():
            name, content = properties[index - 1]
            if name == b"colr" and bytes(content[:4]) == b"nclx":
                return ColorCode(*struct.unpack_from(">HH", content, 4))
    return None


def _boxes(data: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    """Kind and content of each box, by ISO/IEC 14496-12."""
    place = 0
    while place + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, place)
        head = 8
        if size == 1:
            (size,) = struct.unpack_from(">Q", data, place + head)
            head = 16
        end = place + size if size else len(data)
        if end < place + head:
            return
        yield kind, data[place + head : end]
        place = end


def _property_indices(box: memoryview, wanted: int) -> list[int]:
    """Which properties an `ipma` box gives an item, from 1 on, by ISO/IEC 23008-12."""
    version, is_wide = box[0], box[3] & 1
    (num_items,) = struct.unpack_from(">I", box, 4)
    place = 8
    for _ in range(num_items):
        item, count = struct.unpack_from(">IB" if version else ">HB", box, place)
        place += 5 if version else 3
        numbers = struct.unpack_from(f">{count}{'H' if is_wide else 'B'}", box, place)
        if item == wanted:
            return [number & (0x7FFF if is_wide else 0x7F) for number in numbers if number]
        place += count * (2 if is_wide else 1)
    return []
