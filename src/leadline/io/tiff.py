"""Float TIFFs of 16 and 64 bits, which Pillow does not read.

Source: the TIFF 6.0 specification (1992) and Adobe's technical note 3 (2005, floating-point predictor).
"""

import zlib
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from leadline.errors import LeadlineError

_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _STRIPS, _CHANNELS, _ROWS, _STRIP_BYTES = 256, 257, 258, 259, 273, 277, 278, 279
_PREDICTOR, _TILE_WIDTH, _TILE_HEIGHT, _TILES, _TILE_BYTES, _KIND = 317, 322, 323, 324, 325, 339
_IS_FLOAT = 3  # of the tag that says which kind of number it is
_PLAIN, _DEFLATE = 1, (8, 32946)
_NO_PREDICTOR, _FLOAT_PREDICTOR = 1, 3


def read_float_tiff(path: Path) -> NDArray[Any] | None:
    """Read a one-channel float TIFF of 16 or 64 bits, plain or Deflate, in strips or tiles.

    Args:
        path: the file.

    Returns:
        float16 or float64 (H, W); None if the file is anything else than such a TIFF.

    Raises:
        LeadlineError: if it is one, and broken or packed in another way.
    """
    try:
        with path.open("rb") as file:
            head = file.read(8)
            if head[:4] not in (b"II*\0", b"MM\0*"):
                return None
            tags = ImageFileDirectory_v2(head)
            file.seek(tags.next)
            tags.load(file)
            bits = _number(tags, _BITS, 1)
            if _number(tags, _KIND, 1) != _IS_FLOAT or bits not in (16, 64) or _number(tags, _CHANNELS, 1) != 1:
                return None
            return _decode(path, file, tags, np.dtype(f"{'<' if head[:2] == b'II' else '>'}f{bits // 8}"))
    except LeadlineError:
        raise
    except (OSError, SyntaxError, ValueError, LookupError, TypeError, zlib.error) as error:
        reason = " ".join(str(error).split())
        raise LeadlineError(f"{path} is missing, damaged or cut short ({reason}): copy it again") from error


def _number(tags: ImageFileDirectory_v2, tag: int, default: int) -> int:
    return int(np.atleast_1d(tags.get(tag, default))[0])


def _decode(path: Path, file: BinaryIO, tags: ImageFileDirectory_v2, dtype: np.dtype) -> NDArray[Any]:
    """All strips or tiles, put together."""
    width, height = _number(tags, _WIDTH, 0), _number(tags, _HEIGHT, 0)
    packing, predictor = _number(tags, _COMPRESSION, _PLAIN), _number(tags, _PREDICTOR, _NO_PREDICTOR)
    if packing not in (_PLAIN, *_DEFLATE) or predictor not in (_NO_PREDICTOR, _FLOAT_PREDICTOR):
        raise LeadlineError(f"{path} is packed in a way that is not read: save it plain, with Deflate, or as float32")
    tiled = _TILES in tags
    down = _number(tags, _TILE_HEIGHT, 0) if tiled else min(_number(tags, _ROWS, height), height)
    across = _number(tags, _TILE_WIDTH, 0) if tiled else width
    starts, lengths = (
        np.atleast_1d(tags[tag]) for tag in ((_TILES, _TILE_BYTES) if tiled else (_STRIPS, _STRIP_BYTES))
    )
    values = np.empty((height, width), dtype.newbyteorder("="))
    for place, (start, length) in enumerate(zip(starts.tolist(), lengths.tolist(), strict=True)):
        row, column = divmod(place, -(-width // across))
        top, left = row * down, column * across
        file.seek(start)
        data = file.read(length)
        data = data if packing == _PLAIN else zlib.decompress(data)
        shape = (down if tiled else min(down, height - top), across)
        block = _undo_predictor(data, shape, dtype) if predictor == _FLOAT_PREDICTOR else np.frombuffer(data, dtype)
        values[top : top + down, left : left + across] = block.reshape(shape)[: height - top, : width - left]
    return values


def _undo_predictor(data: bytes, shape: tuple[int, int], dtype: np.dtype) -> NDArray[Any]:
    """Rows whose bytes are differences, with the highest bytes of all numbers first."""
    height, width = shape
    rows = np.frombuffer(data, np.uint8).reshape(height, width * dtype.itemsize).cumsum(axis=1, dtype=np.uint8)
    planes = rows.reshape(height, dtype.itemsize, width).transpose(0, 2, 1)
    return np.ascontiguousarray(planes).view(dtype.newbyteorder(">"))[..., 0]
