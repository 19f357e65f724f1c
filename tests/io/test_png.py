import importlib.util
import io
import sys
import zlib

import numpy as np
import pytest
from PIL import Image

from leadline.io import png
from leadline.io.png import encode_png


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 7), (7, 1), (5, 9), (64, 48)])
def test_another_library_reads_the_same_values_and_words(height: int, width: int) -> None:
    values = np.random.default_rng(0).integers(0, 2**16, (height, width), dtype=np.uint16)
    encoded = encode_png(values, {"unit": "millimetre", "note": "5 µm"})
    with Image.open(io.BytesIO(encoded)) as picture:
        picture.load()
        assert (picture.mode, picture.text) == ("I;16", {"unit": "millimetre", "note": "5 µm"})
        assert np.array_equal(np.asarray(picture), values)


def test_a_map_may_lie_in_memory_in_any_order() -> None:
    values = np.arange(12, dtype=np.uint16).reshape(3, 4)
    backwards = np.flip(values, 1).copy()[:, ::-1]
    assert encode_png(np.asfortranarray(values), {}) == encode_png(backwards, {}) == encode_png(values, {})


def test_where_isa_l_is_missing_zlib_writes_the_same_values(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "isal.isal_zlib", None)  # whose import then fails
    spec = importlib.util.spec_from_file_location("png_without_isal", png.__file__)
    assert spec is not None and spec.loader is not None
    without = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(without)
    assert without._deflate is zlib.compress
    values = np.arange(12, dtype=np.uint16).reshape(3, 4)
    with Image.open(io.BytesIO(without.encode_png(values, {}))) as picture:
        assert np.array_equal(np.asarray(picture), values)


def test_each_row_is_stored_as_its_difference_from_the_one_above() -> None:
    encoded = encode_png(np.array([[0x0102, 0xFFFF], [0x0101, 0x0000]], np.uint16), {})
    start = encoded.index(b"IDAT") + 4
    size = int.from_bytes(encoded[start - 8 : start - 4], "big")
    # By hand: filter 2 before each row; 0x01 - 0x01, 0x01 - 0x02, 0x00 - 0xFF twice, modulo 256.
    assert zlib.decompress(encoded[start : start + size]).hex() == "020102ffff" + "0200ff0101"


def test_a_smooth_map_takes_less_than_the_usual_choice_of_filters() -> None:
    coarse = np.random.default_rng(0).uniform(500, 5000, (12, 16)).astype(np.float32)
    values = np.asarray(Image.fromarray(coarse).resize((320, 240), Image.Resampling.BILINEAR)).astype(np.uint16)
    usual = io.BytesIO()
    Image.fromarray(values).save(usual, format="PNG", compress_level=1)
    assert len(encode_png(values, {})) < len(usual.getvalue())


@pytest.mark.parametrize(
    "values", [np.zeros((2, 3), np.uint8), np.zeros((2, 3, 1), np.uint16), np.zeros((0, 3), np.uint16)]
)
def test_what_is_no_map_of_16_bits_is_refused(values: np.ndarray) -> None:
    with pytest.raises(ValueError, match="wanted a uint16 map"):
        encode_png(values, {})


def test_three_channels_are_colours_of_16_bits() -> None:
    values = np.array([[[1, 2, 3], [0xFFFF, 0, 256]], [[4, 5, 6], [7, 8, 9]]], np.uint16)
    encoded = encode_png(values, {})
    assert encoded[24:26] == bytes([16, 2])  # bits a channel, colour type
    raw = zlib.decompress(encoded[encoded.index(b"IDAT") + 4 : encoded.index(b"IEND") - 8])
    assert raw[:13] == bytes([2, 0, 1, 0, 2, 0, 3, 0xFF, 0xFF, 0, 0, 1, 0])
    with Image.open(io.BytesIO(encoded)) as picture:
        assert picture.size == (2, 2) and picture.mode == "RGB"
