import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, features

from leadline.errors import LeadlineError
from leadline.io import color_codes
from leadline.io.color_codes import ColorCode, color_code
from leadline.io.images import as_seen, decode_image, read_image, read_image_bytes

PQ, HLG, SRGB = 16, 18, 13
GREYS = {PQ: (148, 244), HLG: (191, 244)}
"""A code of 255 and what becomes of it: white, which BT.2408 puts at 0.58 of PQ and 0.75 of HLG.

0.75 + 0.25 (1 - 1/e) = 0.908 of light is 244 of 255 in sRGB.
"""


@pytest.fixture(autouse=True)
def _untold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(color_codes, "_told_of_hdr", set())


def grey(value: int, size: int = 64) -> Image.Image:
    return Image.fromarray(np.full((size, size, 3), value, np.uint8))


def expect_white(rgb: np.ndarray, within: int = 2) -> None:
    assert rgb.dtype == np.uint8
    assert np.abs(rgb.astype(int) - 244).max() <= within


def png(image: Image.Image, *chunks: tuple[bytes, bytes], **options: object) -> bytes:
    """A PNG with more chunks before its pixels."""
    file = io.BytesIO()
    image.save(file, "PNG", **options)
    whole = file.getvalue()
    more = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
    place = whole.index(b"IDAT") - 4
    return whole[:place] + more + whole[place:]


def icc_with_cicp(primaries: int, transfer: int) -> bytes:
    """A header and two tags, the second one's content as ICC.1:2022 has it."""
    tags = struct.pack(">I4sII4sII", 2, b"desc", 156, 12, b"cicp", 168, 12)
    return bytes(128) + tags + b"desc\0\0\0\0note" + b"cicp\0\0\0\0" + bytes([primaries, transfer, 0, 1])


def avif(image: Image.Image, transfer: int = SRGB, primaries: int = 1) -> bytes:
    """As Pillow writes it, with other numbers in its only `colr` box."""
    file = io.BytesIO()
    image.save(file, "AVIF", quality=95, subsampling="4:4:4")
    parts = file.getvalue().split(b"colrnclx")
    assert len(parts) == 2
    return parts[0] + b"colrnclx" + struct.pack(">HH", primaries, transfer) + parts[1][4:]


needs_avif = pytest.mark.skipif(not features.check("avif"), reason="Pillow without AVIF")


@pytest.mark.parametrize("transfer", GREYS)
def test_a_png_is_tone_mapped_by_its_chunk_and_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, transfer: int
) -> None:
    path, name = tmp_path / "a.png", {PQ: "PQ", HLG: "HLG"}[transfer]
    path.write_bytes(png(grey(GREYS[transfer][0]), (b"cICP", bytes([9, transfer, 0, 1]))))
    expect_white(read_image(path).rgb)
    expect_white(read_image(path).rgb)
    (message,) = caplog.messages
    assert f"a.png: its HDR ({name}) is tone-mapped to SDR" in message


def test_a_chunk_of_sdr_changes_nothing_whatever_the_profile_says(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(png(grey(148), (b"cICP", bytes([12, SRGB, 0, 1])), icc_profile=icc_with_cicp(9, PQ)))
    assert (read_image(path).rgb == 148).all()


def test_grey_of_16_bits_is_tone_mapped_from_all_of_them(tmp_path: Path) -> None:
    """38058 is PQ's code of 203 cd/m², 23471 of a tenth of it, which is not pressed: 0.1 of light is 89 of 255."""
    values = Image.fromarray(np.array([[38058, 23471]], np.uint16))
    path = tmp_path / "a.png"
    path.write_bytes(png(values, (b"cICP", bytes([9, PQ, 0, 1]))))
    assert read_image(path).rgb[0, :, 0].tolist() == [244, 89]


def test_the_narrow_range_is_spread_over_the_whole(tmp_path: Path) -> None:
    """(126 - 16) / 219 of 255 is 128."""
    path = tmp_path / "a.png"
    shades = Image.fromarray(np.array([[[v] * 3 for v in (0, 16, 126, 235, 255)]], np.uint8))
    path.write_bytes(png(shades, (b"cICP", bytes([1, SRGB, 0, 0]))))
    assert read_image(path).rgb[0, :, 0].tolist() == [0, 0, 128, 255, 255]
    path.write_bytes(png(grey(143), (b"cICP", bytes([9, PQ, 0, 0]))))  # 16 + 219 · 0.58
    expect_white(read_image(path).rgb)


def test_light_itself_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(png(grey(100), (b"cICP", bytes([1, 8, 0, 1]))))
    with pytest.raises(LeadlineError, match=r"a\.png says that its numbers are linear light, wanted sRGB, PQ or HLG"):
        read_image(path)


def test_the_profile_that_meant_pq_before_there_was_a_chunk(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(png(grey(148), (b"iCCP", b"ITUR_2100_PQ_FULL\0\0" + zlib.compress(bytes(200)))))
    expect_white(read_image(path).rgb)


@pytest.mark.parametrize("name", ["a.jpg", "a.tif", "a.webp", "a.png"])
def test_a_profile_tells_it_in_every_format(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    grey(148).save(path, icc_profile=icc_with_cicp(9, PQ))
    expect_white(read_image(path).rgb)


@pytest.mark.parametrize("profile", [b"", bytes(128), bytes(128) + b"\0\0\0\x09abc", icc_with_cicp(9, PQ)[:150]])
def test_a_damaged_profile_does_not_cost_the_picture(tmp_path: Path, profile: bytes) -> None:
    path = tmp_path / "a.jpg"
    grey(148).save(path, icc_profile=profile)
    assert np.abs(read_image(path).rgb.astype(int) - 148).max() <= 1


def test_transparent_hdr_shows_white(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    image = Image.new("RGBA", (4, 4), (90, 90, 90, 0))
    image.putpixel((0, 0), (90, 90, 90, 255))
    path.write_bytes(png(image, (b"cICP", bytes([9, PQ, 0, 1]))))
    rgb = read_image(path).rgb
    assert (rgb.reshape(-1, 3)[1:] == 255).all() and rgb[0, 0].max() < 200


def test_what_pillow_has_opened_and_what_lies_in_a_container(tmp_path: Path) -> None:
    data = png(grey(148), (b"cICP", bytes([9, PQ, 0, 1])))
    path = tmp_path / "a.png"
    path.write_bytes(data)
    expect_white(read_image_bytes(data, "the file's").rgb)
    expect_white(as_seen(Image.open(io.BytesIO(data))).rgb)
    loaded = Image.open(path)
    loaded.load()
    expect_white(as_seen(loaded).rgb)
    assert (np.asarray(decode_image(path)) == 148).all()  # numbers as they are stored


@needs_avif
@pytest.mark.parametrize("transfer", GREYS)
def test_avif_is_tone_mapped_by_its_box(tmp_path: Path, transfer: int) -> None:
    path = tmp_path / "a.avif"
    path.write_bytes(avif(grey(GREYS[transfer][0]), transfer, primaries=9))
    expect_white(read_image(path).rgb, within=3)


@needs_avif
def test_avif_of_sdr_stays_as_it_is(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "a.avif"
    path.write_bytes(avif(grey(148), primaries=12))
    assert np.abs(read_image(path).rgb.astype(int) - 148).max() <= 2
    assert not caplog.messages


@pytest.mark.parametrize("transfer", GREYS)
def test_heic_is_tone_mapped_by_its_box(tmp_path: Path, transfer: int) -> None:
    heif = pytest.importorskip("pillow_heif")
    path, value = tmp_path / "a.heic", GREYS[transfer][0]
    shades = np.full((64, 64, 3), value * 257, np.uint16)
    image = heif.from_bytes("RGB;16", (64, 64), shades.tobytes())  # becomes 10 bits
    image.save(path, quality=95, color_primaries=9, transfer_characteristics=transfer, matrix_coefficients=9)
    expect_white(read_image(path).rgb, within=3)


def box(kind: bytes, *content: bytes) -> bytes:
    data = b"".join(content)
    return struct.pack(">I4s", 8 + len(data), kind) + data


def nclx(primaries: int, transfer: int) -> bytes:
    return box(b"colr", b"nclx", struct.pack(">HHHB", primaries, transfer, 9, 128))


def heif_file(primary: int, associations: bytes, *properties: bytes) -> Image.Image:
    """What is asked of a file, without its pixels."""
    meta = box(
        b"meta",
        bytes(4),
        box(b"pitm", bytes(4), struct.pack(">H", primary)),
        box(b"iprp", box(b"ipco", *properties), box(b"ipma", associations)),
    )
    image = grey(0, 1)
    image.format = "HEIF"
    image.fp = io.BytesIO(box(b"ftyp", b"heic", bytes(4)) + meta)  # type: ignore[attr-defined]
    return image


def test_of_a_file_with_a_gain_map_the_box_of_the_shown_item_counts() -> None:
    """Items 1 (SDR, shown) and 2 (the HDR made of it): properties 1 and 2, 1 and 3."""
    size = box(b"ispe", bytes(12))
    narrow = bytes(4) + struct.pack(">I", 2) + b"\0\1\2\x81\2" + b"\0\2\2\x81\3"
    assert color_code(heif_file(1, narrow, size, nclx(12, SRGB), nclx(9, PQ))) == ColorCode(12, SRGB)
    assert color_code(heif_file(2, narrow, size, nclx(12, SRGB), nclx(9, PQ))) == ColorCode(9, PQ)
    wide = b"\1\0\0\1" + struct.pack(">I", 1) + struct.pack(">IBHH", 7, 2, 0x8001, 2)
    assert color_code(heif_file(7, wide, size, nclx(9, HLG))) == ColorCode(9, HLG)


def test_without_a_box_of_colours_a_picture_is_srgb() -> None:
    one = bytes(4) + struct.pack(">I", 1) + b"\0\1\1\x81"
    assert color_code(heif_file(1, one, box(b"ispe", bytes(12)))) is None
    assert color_code(heif_file(1, one, box(b"colr", b"prof", bytes(8)))) is None


def test_damaged_boxes_do_not_cost_the_picture() -> None:
    one = bytes(4) + struct.pack(">I", 1) + b"\0\1\1\x81"
    whole = heif_file(1, one, nclx(9, PQ))
    data = whole.fp.getvalue()  # type: ignore[attr-defined]
    rng = np.random.default_rng(0)
    for _ in range(300):
        bad = bytearray(data[: rng.integers(1, len(data) + 1)])
        bad[rng.integers(len(bad))] = rng.integers(256)
        whole.fp = io.BytesIO(bytes(bad))  # type: ignore[attr-defined]
        assert color_code(whole) is None or isinstance(color_code(whole), ColorCode)
