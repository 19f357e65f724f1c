import io
import os
import struct
import zlib
from math import hypot
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import ExifTags, Image

from leadline.data import image_tensor
from leadline.errors import LeadlineError
from leadline.geometry.resizing import resize
from leadline.io import images as image_module
from leadline.io.images import Picture, decode_image, read_image
from leadline.io.png import encode_png

CORNERED = np.zeros((24, 32, 3), np.uint8)  # white in its upper left corner
CORNERED[:8, :8] = 255
FORMATS = {"a.jpg": "JPEG", "a.png": "PNG", "a.webp": "WEBP", "a.tif": "TIFF", "a.bmp": "BMP", "a.gif": "GIF"}
FORMATS |= {"a.ppm": "PPM"}


def exif_block(orientation: int = 1, film_mm: int = 0) -> bytes:
    block = Image.Exif()
    block[ExifTags.Base.Orientation] = orientation
    block[ExifTags.IFD.Exif] = {ExifTags.Base.FocalLengthIn35mmFilm: film_mm}
    return block.tobytes()


def saved(path: Path, pixels: np.ndarray | Image.Image, **options: object) -> Path:
    picture = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    picture.save(path, **options)  # type: ignore[arg-type]
    return path


def noise(height: int, width: int) -> np.ndarray:
    blocks = np.random.default_rng(0).integers(0, 256, (-(-height // 8), -(-width // 8), 3), dtype=np.uint8)
    return np.kron(blocks, np.ones((8, 8, 1), np.uint8))[:height, :width]


def seen(picture: Picture) -> torch.Tensor:
    """RGB in [0, 1], (3, H, W)."""
    return image_tensor(picture.rgb)


# Reading: sizes and modes


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (5, 3), (24, 32)])
def test_the_pixels_of_a_png_arrive_as_they_are(tmp_path, size):
    pixels = noise(*size)
    rgb = seen(read_image(saved(tmp_path / "a.png", pixels)))
    assert rgb.dtype == torch.float32
    assert rgb.is_contiguous()
    assert rgb.shape == (3, *size)
    np.testing.assert_array_equal((rgb * 255).round().numpy().astype(np.uint8).transpose(1, 2, 0), pixels)
    assert rgb.max() <= 1


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_is_read(tmp_path, name):
    rgb = seen(read_image(saved(tmp_path / name, CORNERED)))
    assert rgb.shape == (3, 24, 32)
    assert rgb[:, 1:6, 1:6].min() > 0.9
    assert rgb[:, 10:, 10:].max() < 0.1


def test_the_ending_of_a_name_does_not_matter(tmp_path):
    assert seen(read_image(saved(tmp_path / "a.jpg", CORNERED, format="PNG"))).shape == (3, 24, 32)


def test_an_upper_case_ending_is_read(tmp_path):
    assert seen(read_image(saved(tmp_path / "A.JPG", CORNERED))).shape == (3, 24, 32)


def expect_colors(path: Path, *colors: tuple[float, float, float], atol: float = 1e-6) -> None:
    """The first row of the picture holds these colours, each in [0, 1]."""
    row = seen(read_image(path))[:, 0].T
    torch.testing.assert_close(row[: len(colors)], torch.tensor(colors, dtype=torch.float32), rtol=0, atol=atol)


def test_grey_becomes_three_equal_channels(tmp_path):
    expect_colors(saved(tmp_path / "a.png", np.array([[0, 51]], np.uint8)), (0, 0, 0), (0.2, 0.2, 0.2))


def test_one_bit_is_black_and_white(tmp_path):
    bits = Image.fromarray(np.array([[0, 255]], np.uint8)).convert("1")
    expect_colors(saved(tmp_path / "a.png", bits), (0, 0, 0), (1, 1, 1))


def test_palette_entries_become_their_colours(tmp_path):
    picture = Image.fromarray(np.array([[0, 1]], np.uint8), "L").convert("P")
    picture.putpalette([255, 0, 0, 0, 51, 0])
    expect_colors(saved(tmp_path / "a.png", picture), (1, 0, 0), (0, 0.2, 0))


def test_what_is_transparent_shows_white(tmp_path):
    rgba = np.array([[[255, 0, 0, 255], [255, 0, 0, 0], [0, 0, 0, 51]]], np.uint8)
    expect_colors(saved(tmp_path / "a.png", rgba), (1, 0, 0), (1, 1, 1), (0.8, 0.8, 0.8))


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.webp"])
def test_what_is_transparent_everywhere_keeps_its_colours(
    tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_module, "_told_of_no_alpha", [])
    rgba = np.array([[[255, 0, 0, 0], [0, 51, 0, 0]]], np.uint8)
    options = {"lossless": True, "exact": True} if name == "a.webp" else {}
    for _ in range(2):
        expect_colors(saved(tmp_path / name, rgba, **options), (1, 0, 0), (0, 0.2, 0))
    assert [record.getMessage() for record in caplog.records] == [
        f"{tmp_path / name}: transparent everywhere: its colours are taken without that, and so in all such files"
    ]


def test_transparent_grey_shows_white(tmp_path):
    expect_colors(saved(tmp_path / "a.png", np.array([[[51, 255], [51, 0]]], np.uint8)), (0.2, 0.2, 0.2), (1, 1, 1))


def test_a_transparent_palette_colour_shows_white(tmp_path):
    picture = Image.fromarray(np.array([[0, 1]], np.uint8), "L").convert("P")
    picture.putpalette([255, 0, 0, 0, 51, 0])
    expect_colors(saved(tmp_path / "a.png", picture, transparency=0), (1, 1, 1), (0, 0.2, 0))


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_sixteen_bit_grey_does_not_saturate(tmp_path, name):
    path = saved(tmp_path / name, np.array([[0, 257, 32896, 65535]], np.uint16))
    expect_colors(path, *[(v, v, v) for v in (0, 1 / 255, 32896 / 65535, 1)])


def test_sixteen_bit_grey_of_a_pgm(tmp_path):
    (tmp_path / "a.pgm").write_bytes(b"P5 2 1 65535\n" + np.array([257, 65535], ">u2").tobytes())
    expect_colors(tmp_path / "a.pgm", (1 / 255,) * 3, (1, 1, 1))


def test_sixteen_bit_rgb(tmp_path):
    row = b"\0" + np.array([[65535, 0, 13107]], ">u2").tobytes()
    header = struct.pack(">IIBBBBB", 1, 1, 16, 2, 0, 0, 0)
    (tmp_path / "a.png").write_bytes(png(("IHDR", header), ("IDAT", zlib.compress(row)), ("IEND", b"")))
    expect_colors(tmp_path / "a.png", (1, 0, 0.2), atol=1 / 255)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("num_channels", [1, 3])
def test_a_tiff_of_16_bits_whose_channels_lie_apart(tmp_path: Path, order: str, num_channels: int) -> None:
    values = np.array([[[65535, 0, 13107], [257, 32896, 65535]]], np.uint16)[..., :num_channels]
    planes = values.transpose(2, 0, 1).astype(f"{order}u2").tobytes()
    size = len(planes) // num_channels
    tags = {256: 2, 257: 1, 258: 16, 259: 1, 262: 2 if num_channels == 3 else 1, 277: num_channels, 278: 1, 284: 2}
    starts = 8 + 2 + 12 * (len(tags) + 2) + 4
    lists, after = b"", starts + len(planes)

    def entry(tag: int, values: list[int]) -> bytes:
        nonlocal lists
        data = struct.pack(f"{order}{len(values)}I", *values)
        if len(data) > 4:
            data, lists = struct.pack(f"{order}I", after + len(lists)), lists + data
        return struct.pack(f"{order}HHI", tag, 4, len(values)) + data

    more = {273: [starts + size * band for band in range(num_channels)], 279: [size] * num_channels}
    whole = {tag: [value] * (num_channels if tag == 258 else 1) for tag, value in tags.items()} | more
    entries = b"".join(entry(tag, whole[tag]) for tag in sorted(whole))
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}IH", 8, len(whole))
    (tmp_path / "a.tif").write_bytes(head + entries + bytes(4) + planes + lists)
    rgb = np.broadcast_to(values[0] / 65535, (2, 3))
    expect_colors(tmp_path / "a.tif", *map(tuple, rgb.tolist()), atol=1 / 255)


def test_cmyk_becomes_rgb(tmp_path):
    cmyk = Image.new("CMYK", (16, 16), (0, 255, 255, 0))
    expect_colors(saved(tmp_path / "a.jpg", cmyk, quality=100), (1, 0, 0), atol=0.02)


def test_floats_from_0_to_1_are_grey(tmp_path):
    expect_colors(saved(tmp_path / "a.tif", np.array([[0, 0.25, 1]], np.float32)), (0,) * 3, (0.25,) * 3, (1,) * 3)


@pytest.mark.parametrize(
    ("values", "got"),
    [
        (np.array([[0, 4]], np.float32), "from 0 to 4, wanted a picture from 0 to 1:"),
        (np.array([[-1, 1]], np.float32), "from -1 to 1, wanted"),
        (np.array([[np.nan, 1]], np.float32), "from nan to nan, wanted"),
        (np.array([[0, 70000]], np.int32), "from 0 to 70000, wanted a picture from 0 to 65535:"),
    ],
)
def test_numbers_that_are_no_colours_are_refused(tmp_path, values, got):
    expect_refusal(saved(tmp_path / "a.tif", values), f"{got}.*depth map")


def test_colours_that_cannot_be_read_are_refused(tmp_path, monkeypatch):
    path = saved(tmp_path / "a.tif", Image.new("LAB", (4, 4)))

    def refuse(picture: Image.Image, mode: str) -> None:
        raise ValueError(f"conversion from {picture.mode} to {mode} not supported")

    monkeypatch.setattr(Image.Image, "convert", refuse)
    expect_refusal(path, r"colours of a kind that cannot be read \(LAB\): save it as RGB")


def test_an_animation_shows_its_first_frame(tmp_path):
    frames = [Image.new("RGB", (4, 4), color) for color in ("red", "blue")]
    expect_colors(saved(tmp_path / "a.gif", frames[0], save_all=True, append_images=frames[1:]), (1, 0, 0))


# Reading: orientation, focal length, budget


def corner(rgb: torch.Tensor) -> tuple[tuple[int, ...], bool, bool]:
    """Height and width, and whether the white corner lies at the top and at the left."""
    rows, columns = (rgb[0] > 0.5).nonzero(as_tuple=True)
    return tuple(rgb.shape[1:]), bool(rows.min() == 0), bool(columns.min() == 0)


UPRIGHT = {
    1: ((24, 32), True, True),
    2: ((24, 32), True, False),
    3: ((24, 32), False, False),
    4: ((24, 32), False, True),
    5: ((32, 24), True, True),
    6: ((32, 24), True, False),
    7: ((32, 24), False, False),
    8: ((32, 24), False, True),
    9: ((24, 32), True, True),
}


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "a.tif"])
@pytest.mark.parametrize("orientation", UPRIGHT)
def test_every_orientation_is_turned_upright(tmp_path, name, orientation):
    path = saved(tmp_path / name, CORNERED, exif=exif_block(orientation, film_mm=28))
    picture = read_image(path)
    assert corner(seen(picture)) == UPRIGHT[orientation]
    assert picture.focal_px == pytest.approx(28 * hypot(32, 24) / hypot(36, 24))
    assert picture.full_size == tuple(picture.rgb.shape[:2])


def test_heic_is_read_where_its_package_is(tmp_path):
    pytest.importorskip("pillow_heif", reason="pillow-heif is not installed").register_heif_opener()
    path = saved(tmp_path / "a.heic", np.kron(CORNERED, np.ones((4, 4, 1), np.uint8)), exif=exif_block(6, 28))
    picture = read_image(path)
    assert corner(seen(picture)) == ((128, 96), True, False)
    assert picture.focal_px == pytest.approx(28 * hypot(128, 96) / hypot(36, 24))


def test_the_stored_picture_is_not_turned(tmp_path):
    path = saved(tmp_path / "a.png", CORNERED, exif=exif_block(6))
    assert decode_image(path).size == (32, 24)


def test_the_stored_picture_keeps_its_mode_and_all_its_pixels(tmp_path):
    values = np.array([[0, 70, 65535]], np.uint16)
    np.testing.assert_array_equal(np.asarray(decode_image(saved(tmp_path / "a.png", values))), values)


def test_without_exif_the_focal_length_is_unknown(tmp_path):
    assert read_image(saved(tmp_path / "a.jpg", CORNERED)).focal_px is None


def test_damaged_exif_does_not_cost_the_picture(tmp_path):
    block = bytearray(exif_block(6, 28))
    block[14:] = b"\xff" * len(block[14:])
    picture = read_image(saved(tmp_path / "a.jpg", CORNERED, exif=bytes(block)))
    assert picture.rgb.shape == (24, 32, 3)
    assert picture.focal_px is None


@pytest.mark.parametrize("name", ["a.jpg", "a.png"])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_a_picture_beyond_the_budget_comes_smaller(tmp_path, name, mode):
    pixels = Image.fromarray(noise(48, 64)).resize((320, 240), Image.Resampling.BICUBIC).convert(mode)
    path = saved(tmp_path / name, pixels, exif=exif_block(6, film_mm=28))
    whole, small = read_image(path), read_image(path, max_pixels=60 * 80)
    assert whole.rgb.shape == (320, 240, 3)
    assert small.rgb.shape == (80, 60, 3)
    assert whole.focal_px is not None
    assert small.focal_px == pytest.approx(whole.focal_px / 4)
    assert small.full_size == whole.full_size == (320, 240)
    reference = resize(whole.rgb, 80, 60)
    assert np.abs(small.rgb / 255 - reference).mean() < 0.03


def png_with(path: Path, values: np.ndarray, kind: bytes, data: bytes) -> Path:
    """A PNG with one more chunk before its pixels."""
    whole = saved(path, values).read_bytes()
    chunk = struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    place = whole.index(b"IDAT") - 4
    path.write_bytes(whole[:place] + chunk + whole[place:])
    return path


@pytest.mark.parametrize(("highest", "bits"), [(1023, 10), (4095, 12), (700, 10), (1024, 12), (200, 8)])
@pytest.mark.parametrize("ending", ["png", "tiff"])
def test_grey_of_few_bits_in_16_is_taken_for_a_cameras_and_told_once(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    highest: int,
    bits: int,
    ending: str,
) -> None:
    monkeypatch.setattr(image_module, "_told_of_bits", set())
    path = saved(tmp_path / f"a.{ending}", np.array([[0, highest // 2, highest]], np.uint16))
    for _ in range(2):
        expected = [0, highest // 2 / (2**bits - 1), highest / (2**bits - 1)]
        assert seen(read_image(path))[0, 0].tolist() == pytest.approx(expected)
    (message,) = caplog.messages
    assert f"a.{ending}: its numbers end at {highest} of 65535: taken for those of a camera of {bits} bits" in message


def test_dark_grey_of_16_bits_is_read_as_it_is(tmp_path: Path) -> None:
    rgb = seen(read_image(saved(tmp_path / "a.png", np.array([[0, 4096]], np.uint16))))
    assert rgb[0, 0].tolist() == [0, pytest.approx(4096 / 65535)]


def test_grey_that_may_be_of_14_bits_is_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(image_module, "_told_of_dark", [])
    for name, highest in (("a", 16383), ("b", 16383), ("c", 16384)):
        rgb = seen(read_image(saved(tmp_path / f"{name}.png", np.array([[0, highest]], np.uint16))))
        assert rgb[0, 0].tolist() == [0, pytest.approx(highest / 65535)]
    (message,) = caplog.messages
    assert "a.png: its numbers end at 16383 of 65535: taken for a dark picture of 16 bits; if a camera of 14" in message


def test_bytes_of_0_and_1_are_refused(tmp_path: Path) -> None:
    for highest in (0, 2):  # the former is of a lens behind its cap
        path = saved(tmp_path / "a.png", np.array([[0, highest]], np.uint8))
        assert read_image(path).rgb[0, :, 0].tolist() == [0, highest]
    for picture in (np.array([[0, 1]], np.uint8), np.ones((4, 4, 3), np.uint8)):
        with pytest.raises(LeadlineError, match=r"a\.png must be 8-bit .* 0 and 1 alone, which is black: multiply"):
            read_image(saved(tmp_path / "a.png", picture))


def test_shares_divided_twice_are_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.tiff", np.full((4, 4), 255 / 255 / 255, np.float32))
    with pytest.raises(LeadlineError, match=r"a\.tiff must be float .* up to 0\.0039, which is black"):
        read_image(path)


@pytest.mark.parametrize("bits", [10, 12])
def test_significant_bits_tell_the_range_where_the_numbers_keep_to_it(tmp_path: Path, bits: int) -> None:
    values = np.array([[0, 2**bits // 4, 2**bits - 1]], np.uint16)
    rgb = seen(read_image(png_with(tmp_path / "a.png", values, b"sBIT", bytes([bits]))))
    assert rgb[1, 0].tolist() == pytest.approx([0, 2**bits // 4 / (2**bits - 1), 1])
    # As the standard has it, they are scaled up.
    scaled = png_with(tmp_path / "b.png", values << (16 - bits), b"sBIT", bytes([bits]))
    assert seen(read_image(scaled))[1, 0, 1] == pytest.approx(0.25, abs=1e-4)


@pytest.mark.parametrize("tag", [281, 341])
def test_a_tiffs_own_largest_value_is_white(tmp_path: Path, tag: int) -> None:
    image = Image.fromarray(np.array([[0, 1000, 4000]], np.uint16))
    image.save(tmp_path / "a.tiff", tiffinfo={tag: 4000})
    assert seen(read_image(tmp_path / "a.tiff"))[0, 0].tolist() == pytest.approx([0, 0.25, 1])


def tiff(path: Path, values: np.ndarray, photometric: int) -> Path:
    """An uncompressed TIFF of one strip, with the numbers as they are: Pillow turns some around when it writes them."""
    height, width, channels = (*values.shape, 1)[:3]
    kind = {"u": 1, "i": 2, "f": 3}[values.dtype.kind]
    bits = 8 * values.dtype.itemsize
    num = 10
    data_at = 8 + 2 + 12 * num + 4 + 12
    shorts = {
        256: width, 257: height, 258: bits, 259: 1, 262: photometric, 273: data_at, 277: channels, 278: height,
        279: values.nbytes, 339: kind,
    }  # fmt: skip
    entries = b""
    for tag, value in shorts.items():
        many = channels if tag in (258, 339) else 1
        place = data_at - 12 + (6 if tag == 339 else 0)
        entries += struct.pack("<HHI", tag, 3, many) + (
            struct.pack("<I", place) if many == 3 else struct.pack("<HH", value, 0)
        )
    extra = struct.pack("<3H", *[bits] * 3) + struct.pack("<3H", *[kind] * 3)
    path.write_bytes(b"II*\0" + struct.pack("<IH", 8, num) + entries + bytes(4) + extra + values.tobytes())
    return path


def test_colours_of_few_bits_in_16_are_refused(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 1024, (4, 6, 3)).astype(np.uint16)
    with pytest.raises(LeadlineError, match="below 1024 of 65535, as those of a camera of 10 or 12 bits do"):
        read_image(tiff(tmp_path / "a.tiff", values, 2))
    scaled = tiff(tmp_path / "b.tiff", values * np.uint16(64), 2)
    np.testing.assert_allclose(seen(read_image(scaled)).permute(1, 2, 0), values / 1024, atol=1 / 255)


@pytest.mark.parametrize("dtype", [np.int8, np.int16])
def test_a_tiff_of_signed_numbers_is_refused(tmp_path: Path, dtype: type) -> None:
    for values in (np.array([[-100, 0, 100]]), np.array([[[0, 1, 2], [50, 60, 70]]])):
        with pytest.raises(LeadlineError, match=r"holds signed numbers, wanted a picture|no picture that can be read"):
            read_image(tiff(tmp_path / "a.tiff", values.astype(dtype), 1 if values.ndim == 2 else 2))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_a_tiff_whose_0_is_white_is_turned_around(tmp_path: Path, dtype: type) -> None:
    top = 1 if dtype is np.float32 else np.iinfo(dtype).max
    values = (np.array([[0, 0.2, 1]]) * top).astype(dtype)
    for white_is_zero, expected in ((True, [1, 0.8, 0]), (False, [0, 0.2, 1])):
        path = tiff(tmp_path / "a.tiff", values, int(not white_is_zero))
        assert seen(read_image(path))[0, 0].tolist() == pytest.approx(expected, abs=1e-4)
        np.testing.assert_array_equal(np.asarray(decode_image(path)), values)  # numbers are as they are stored


def test_pgm_is_scaled_by_its_largest_value(tmp_path: Path) -> None:
    (tmp_path / "a.pgm").write_bytes(b"P5 3 1 1023\n" + np.array([0, 512, 1023], ">u2").tobytes())
    assert seen(read_image(tmp_path / "a.pgm"))[0, 0].tolist() == pytest.approx([0, 512 / 1023, 1], abs=1e-4)


def test_sixteen_bits_survive_the_budget(tmp_path):
    path = saved(tmp_path / "a.png", np.full((40, 40), 257, np.uint16))
    torch.testing.assert_close(seen(read_image(path, max_pixels=100)), torch.full((3, 10, 10), 1 / 255))


def test_the_budget_is_kept_at_any_aspect(tmp_path):
    rgb = seen(read_image(saved(tmp_path / "a.png", noise(3, 1001)), max_pixels=500))
    assert 0 < rgb.shape[1] * rgb.shape[2] <= 500


def test_a_large_photograph_is_read_within_its_budget(tmp_path):
    path = saved(tmp_path / "a.jpg", Image.new("RGB", (8000, 6000), "white"))
    assert seen(read_image(path, max_pixels=750_000)).shape == (3, 750, 1000)


def test_pillows_own_limit_neither_applies_nor_is_lost(tmp_path, monkeypatch):
    path = saved(tmp_path / "a.png", CORNERED)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    assert seen(read_image(path)).shape == (3, 24, 32)
    assert Image.MAX_IMAGE_PIXELS == 10
    with pytest.raises(Image.DecompressionBombError):
        Image.open(path)


# Reading: refusals


def expect_refusal(path: Path, pattern: str) -> None:
    with pytest.raises(LeadlineError, match=pattern) as caught:
        read_image(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def png(*chunks: tuple[str, bytes]) -> bytes:
    parts = [
        struct.pack(">I", len(data)) + name.encode() + data + struct.pack(">I", zlib.crc32(name.encode() + data))
        for name, data in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def test_a_missing_file(tmp_path):
    expect_refusal(tmp_path / "a.png", "does not exist: check the path")
    expect_refusal(tmp_path / ("a" * 300), "does not exist: check the path")


def test_a_folder(tmp_path):
    expect_refusal(tmp_path, "is a folder, wanted a picture: name a file in it")


def test_an_empty_file(tmp_path):
    (tmp_path / "a.png").touch()
    expect_refusal(tmp_path / "a.png", r"is empty \(0 bytes\): copy or download it again")


def test_text_that_is_called_a_picture(tmp_path):
    (tmp_path / "a.png").write_text("Dear reader, this is no picture at all.")
    expect_refusal(tmp_path / "a.png", "no picture that can be read, .*wanted JPEG, PNG.*save it again")


def test_a_format_that_runs_other_programs_is_not_opened(tmp_path):
    (tmp_path / "a.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 4 4\n%%EndComments\n")
    expect_refusal(tmp_path / "a.png", "no picture that can be read")


def test_no_permission(tmp_path, monkeypatch):
    path = saved(tmp_path / "a.png", CORNERED)
    monkeypatch.setattr(os, "access", lambda *_: False)
    expect_refusal(path, "may not be read: no permission; change it with chmod")


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() == 0, reason="permissions do not bind this user")
def test_no_permission_for_real(tmp_path):
    path = saved(tmp_path / "a.png", CORNERED)
    path.chmod(0)
    expect_refusal(path, "may not be read: no permission")


def test_heic_without_its_package_names_it(tmp_path, monkeypatch):
    (tmp_path / "a.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + b"\0" * 40)
    monkeypatch.setattr(image_module, "_readable_formats", lambda: ("JPEG", "PNG"))
    expect_refusal(tmp_path / "a.heic", "is HEIC, which needs one more package: pip install pillow-heif")


def test_a_size_that_would_fill_the_memory(tmp_path):
    header = struct.pack(">IIBBBBB", 30000, 20000, 8, 2, 0, 0, 0)
    (tmp_path / "a.png").write_bytes(png(("IHDR", header), ("IDAT", zlib.compress(b"")), ("IEND", b"")))
    expect_refusal(tmp_path / "a.png", "30000 x 20000 pixels, wanted at most 400 million: make it smaller")


@pytest.mark.parametrize("name", [*FORMATS, "progressive.jpg", "a.avif"])
def test_a_file_that_was_cut_short_is_refused_or_whole(tmp_path, name):
    if name.endswith(".avif") and "AVIF" not in image_module._readable_formats():
        pytest.skip("this Pillow reads no AVIF")
    data = saved(tmp_path / name, noise(24, 32), **{"progressive": True} if "prog" in name else {}).read_bytes()
    whole = seen(read_image(tmp_path / name))
    path, num_refused = tmp_path / ("cut" + Path(name).suffix), 0
    lengths = {
        1,
        4,
        16,
        64,
        len(data) // 4,
        len(data) // 2,
        len(data) * 3 // 4,
        len(data) - 20,
        len(data) - 1,
    }
    for length in lengths:
        path.write_bytes(data[:length])
        try:
            torch.testing.assert_close(seen(read_image(path)), whole, rtol=0, atol=0)
        except LeadlineError as error:
            num_refused += 1
            assert str(error).startswith(str(path)) and "\n" not in str(error)
    assert num_refused >= len(lengths) - 2  # the last bytes of PNG and GIF hold no pixels


def test_the_refusal_of_a_cut_picture_says_so(tmp_path):
    path = saved(tmp_path / "a.jpg", noise(64, 64))
    path.write_bytes(path.read_bytes()[:-200])
    expect_refusal(path, r"is damaged or cut short \(.*truncated.*\): copy or download it again")


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "a.tif"])
def test_damage_anywhere_is_at_worst_a_refusal(tmp_path, name):
    buffer = io.BytesIO()
    Image.fromarray(noise(24, 32)).save(buffer, FORMATS[name], exif=exif_block(6, 28))
    random, path = np.random.default_rng(0), tmp_path / name
    for _ in range(40):
        data = np.frombuffer(buffer.getvalue(), np.uint8).copy()
        data[random.integers(0, min(len(data), 300), 4)] = random.integers(0, 256, 4)
        path.write_bytes(data.tobytes())
        try:
            assert seen(read_image(path)).isfinite().all()
        except LeadlineError as error:
            assert "\n" not in str(error)


# The header alone


def test_the_number_of_pixels_is_told_before_any_is_decoded(tmp_path):
    Image.new("RGB", (30, 20)).save(tmp_path / "a.png")
    seen = []
    read_image(tmp_path / "a.png", before_pixels=seen.append)
    read_image(tmp_path / "a.png", 500, before_pixels=seen.append)
    assert seen == [600, 500]
    content = bytearray((tmp_path / "a.png").read_bytes())
    content[-30] ^= 255
    (tmp_path / "b.png").write_bytes(content[:-20])
    with pytest.raises(LeadlineError, match="damaged"):
        read_image(tmp_path / "b.png", before_pixels=seen.append)
    assert seen == [600, 500, 600]


def test_a_file_is_opened_once(tmp_path, monkeypatch):
    Image.new("RGB", (30, 20)).save(tmp_path / "a.jpg")
    opened, real = [], Image.open
    monkeypatch.setattr(Image, "open", lambda *args, **more: opened.append(args) or real(*args, **more))
    read_image(tmp_path / "a.jpg", before_pixels=lambda pixels: None)
    assert len(opened) == 1


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.png")
    for look in (read_image, image_module.upright_size, image_module.decode_image, image_module.require_decodable):
        with pytest.raises(LeadlineError, match=r"a\.png is a pipe or a device, wanted a picture"):
            look(tmp_path / "a.png")


@pytest.mark.parametrize("tags", [{254: 1}, {255: 2}])
def test_a_thumbnail_is_not_taken_for_the_picture_behind_it(tmp_path: Path, tags: dict[int, int]) -> None:
    """As in DNG and other raw files, which are TIFF with a small picture first."""
    path = tmp_path / "shot.dng"
    small, whole = Image.new("RGB", (32, 24), "red"), Image.new("RGB", (640, 480), "red")
    small.save(path, "TIFF", save_all=True, append_images=[whole], tiffinfo=tags)

    with pytest.raises(LeadlineError, match="begins with a thumbnail of 32×24 pixels, wanted the picture itself"):
        read_image(path)


def test_a_tiff_of_several_whole_pictures_gives_the_first(tmp_path: Path) -> None:
    path = tmp_path / "pages.tif"
    Image.new("RGB", (32, 24), "red").save(path, save_all=True, append_images=[Image.new("RGB", (64, 48))])

    assert read_image(path).rgb.shape == (24, 32, 3)


def test_colours_that_may_be_of_14_bits_are_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_module, "_told_of_dark", [])
    path = tmp_path / "a.png"
    path.write_bytes(encode_png(np.full((4, 4, 3), 16383, np.uint16), {}))

    read_image(path)

    (message,) = caplog.messages
    assert "a.png: its numbers end below 16384 of 65535: taken for a dark picture of 16 bits" in message
