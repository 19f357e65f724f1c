import errno
import zipfile
from pathlib import Path
from typing import IO

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from leadline.errors import LeadlineError
from leadline.geometry.depth import summarize_depth
from leadline.io.depth_files import read_depth_png, read_npz, write_depth_png, write_npz
from leadline.io.images import read_image
from leadline.prediction import colors
from leadline.prediction import contact_sheet as writers
from leadline.prediction.colors import colorize, depth_limits, scale_bar, write_color_png
from leadline.prediction.contact_sheet import SheetRow, write_contact_sheet

GREY = (128, 128, 128)
BLUE = (40, 90, 200)  # in no depth map and no text


def metres(*rows: list[float]) -> np.ndarray:
    return np.array(rows, np.float32)


def everywhere(depth_m: np.ndarray) -> np.ndarray:
    return np.ones(depth_m.shape, dtype=bool)


def sloped(height: int, width: int, near_m: float = 1.0, far_m: float = 5.0) -> np.ndarray:
    return np.linspace(near_m, far_m, height * width, dtype=np.float32).reshape(height, width)


def sheet_row(height: int, width: int, title: str = "a.jpg") -> SheetRow:
    depth_m = sloped(height, width)
    return SheetRow(title, np.full((height, width, 3), BLUE, np.uint8), depth_m, everywhere(depth_m))


WRITERS = {
    "depth.png": lambda path: write_depth_png(path, sloped(4, 5), everywhere(sloped(4, 5))),
    "color.png": lambda path: write_color_png(path, sloped(4, 5), everywhere(sloped(4, 5)), 1, 5),
    "depth.npz": lambda path: write_npz(path, sloped(4, 5), everywhere(sloped(4, 5)), None),
    "sheet.png": lambda path: write_contact_sheet(path, [sheet_row(4, 5)]),
}


# Depth as PNG


def test_depth_png_holds_millimetres_and_names_its_unit(tmp_path):
    depth_m = metres([0.5, 1.2344, 1.2346, 65.535])
    write_depth_png(tmp_path / "a.png", depth_m, everywhere(depth_m))
    with Image.open(tmp_path / "a.png") as picture:
        assert np.asarray(picture).tolist() == [[500, 1234, 1235, 65535]]
        assert picture.mode.startswith("I;16")
        assert picture.info == {"unit": "millimetre", "invalid": "0", "software": "leadline"}


def test_what_16_bits_cannot_hold_becomes_invalid(tmp_path):
    depth_m = metres([65.536, 1000.0, 0.0004, 0.0, -1.0, np.nan, np.inf, 2.0, 3.0])
    valid = everywhere(depth_m)
    valid[0, -1] = False
    write_depth_png(tmp_path / "a.png", depth_m, valid)
    back = read_depth_png(tmp_path / "a.png")
    assert back.depth_m.tolist() == [[0, 0, 0, 0, 0, 0, 0, 2, 0]]
    assert back.valid.tolist() == [[False] * 7 + [True, False]]


def test_depth_png_there_and_back_is_within_half_a_millimetre(tmp_path):
    depth_m = sloped(48, 64, 0.5, 60.0)
    write_depth_png(tmp_path / "a.png", depth_m, everywhere(depth_m))
    back = read_depth_png(tmp_path / "a.png")
    assert back.depth_m.dtype == np.float32
    assert back.valid.all()
    assert np.abs(back.depth_m - depth_m).max() <= 0.000505  # and what float32 rounds at 60 m


def test_a_depth_png_without_a_unit_is_taken_for_millimetres(tmp_path):
    Image.fromarray(np.array([[0, 1500]], np.uint16)).save(tmp_path / "a.png")
    back = read_depth_png(tmp_path / "a.png")
    assert back.depth_m.tolist() == [[0, 1.5]]
    assert back.valid.tolist() == [[False, True]]


def test_a_picture_is_no_depth_png(tmp_path):
    Image.new("L", (4, 4)).save(tmp_path / "a.png")
    with pytest.raises(LeadlineError, match=r"a\.png is no depth map: wanted a 16-bit grey PNG, got mode L"):
        read_depth_png(tmp_path / "a.png")


def test_a_depth_png_in_another_unit_is_refused(tmp_path):
    chunks = PngInfo()
    chunks.add_text("unit", "inch")
    Image.fromarray(np.ones((2, 2), np.uint16)).save(tmp_path / "a.png", pnginfo=chunks)
    with pytest.raises(LeadlineError, match="holds depth in inch, wanted millimetre: convert it first"):
        read_depth_png(tmp_path / "a.png")


def test_a_missing_depth_png_is_a_user_error(tmp_path):
    with pytest.raises(LeadlineError, match="does not exist"):
        read_depth_png(tmp_path / "a.png")


# Colours


def test_near_is_brighter_and_warmer_than_far():
    near, middle, far = colorize(metres([1, 3, 5]), np.ones((1, 3), bool), 1, 5)[0].astype(int)
    assert near.sum() > middle.sum() > far.sum()
    assert near[0] > near[2]


def test_brightness_falls_at_every_step():
    depth_m = np.linspace(1, 5, 256, dtype=np.float32)[None]
    luma = colorize(depth_m, everywhere(depth_m), 1, 5)[0] @ np.array([0.299, 0.587, 0.114])
    assert (np.diff(luma) < 0.5).all()
    assert luma[0] > 230 and luma[-1] < 5


def test_the_ends_have_the_ends_of_the_map():
    ends = colorize(metres([1, 5]), np.ones((1, 2), bool), 1, 5)
    assert ends.tolist() == [[[252, 253, 191], [0, 0, 4]]]


def test_colours_are_clamped_beyond_the_ends():
    painted = colorize(metres([0.1, 1, 5, 99]), np.ones((1, 4), bool), 1, 5)[0]
    assert painted.dtype == np.uint8
    np.testing.assert_array_equal(painted[0], painted[1])
    np.testing.assert_array_equal(painted[2], painted[3])


def test_invalid_pixels_are_grey_whatever_they_hold():
    painted = colorize(metres([np.nan, np.inf, 2, 2]), np.array([[True, True, False, True]]), 1, 5)[0]
    assert [tuple(color) for color in painted[:3].tolist()] == [GREY] * 3
    assert tuple(painted[3].tolist()) != GREY


@pytest.mark.parametrize("ends", [(2.0, 2.0), (3.0, 2.0), (float("nan"), 2.0)])
def test_colours_without_a_range_are_refused(ends):
    with pytest.raises(LeadlineError, match="colours need near < far in metres, got"):
        colorize(metres([1]), np.ones((1, 1), bool), *ends)


def test_summary_takes_percentiles_of_valid_depths_only():
    depth_m = np.append(np.arange(101, dtype=np.float32), (np.float32(1e6), np.float32(np.nan)))
    valid = np.append(np.ones(101, bool), (False, True))
    assert summarize_depth(depth_m, valid) == (2.0, 50.0, 98.0)


def test_summary_of_very_many_depths_is_close_to_that_of_all():
    depth_m = sloped(2000, 1500, 0, 100)
    assert summarize_depth(depth_m, everywhere(depth_m)) == pytest.approx((2, 50, 98), abs=0.01)


def test_summary_of_nothing_is_nan():
    assert np.isnan(summarize_depth(metres([1, 2]), np.zeros((1, 2), bool))).all()


@pytest.mark.parametrize(
    ("near_m", "far_m", "expected"),
    [
        (0.83, 5.97, (0.5, 6.0)),  # 5.14 / 20 = 0.257, so steps of 0.5
        (0.5, 4.0, (0.4, 4.0)),  # 3.5 / 20 = 0.175, so steps of 0.2
        (120.0, 900.0, (100.0, 900.0)),
        (2.0, 2.0, (2.0, 2.2)),  # a tenth of the median apart at least
        (0.0, 0.0, (0.0, 0.01)),
    ],
)
def test_limits_are_rounded_outwards(near_m, far_m, expected):
    depth_m = np.repeat(np.array([near_m, far_m], np.float32), 50)
    limits_m = depth_limits(depth_m, everywhere(depth_m))
    assert limits_m == pytest.approx(expected)
    assert limits_m[0] < limits_m[1]


def test_limits_hold_the_percentiles_of_anything():
    random = np.random.default_rng(0)
    for _ in range(200):
        depth_m = (random.uniform(0, 1, 50) * 10 ** random.uniform(-3, 4)).astype(np.float32)
        near_m, far_m = depth_limits(depth_m, everywhere(depth_m))
        summary = summarize_depth(depth_m, everywhere(depth_m))
        assert 0 <= near_m <= summary.near_m + 1e-6 * far_m
        assert summary.far_m <= far_m * (1 + 1e-6)


def test_limits_of_nothing_can_still_be_drawn():
    assert depth_limits(metres([1, 2]), np.zeros((1, 2), bool)) == (0.0, 1.0)


def test_limits_hardly_widen_the_range():
    near_m, far_m = depth_limits(sloped(50, 50, 0.83, 5.97), np.ones((50, 50), bool))
    assert far_m - near_m <= (5.97 - 0.83) * 1.2


# The scale bar


def test_the_scale_bar_paints_depth_in_proportion():
    bar = np.asarray(scale_bar(1.0, 5.0, 400, 14))
    assert bar.shape[1] == 400
    strip = bar[14]  # gap 7, then 14 rows of colour
    columns = np.flatnonzero((strip != 255).any(axis=1))
    middle = strip[(columns[0] + columns[-1]) // 2].astype(int)
    np.testing.assert_allclose(middle, colorize(metres([3]), np.ones((1, 1), bool), 1, 5)[0, 0], atol=2)


@pytest.mark.parametrize("ends", [(0.0, 1.0), (0.5, 4.0), (0.005, 0.045), (100, 65000), (0.84, 0.85), (0.123456, 7)])
@pytest.mark.parametrize("width_px", [240, 640])
def test_the_scale_bar_cuts_no_label(ends, width_px):
    bar = np.asarray(scale_bar(*ends, width_px, 14))
    border = np.concatenate((bar[:, :1], bar[:, -1:]), axis=1)
    assert (border == 255).all()
    assert (bar[-1] == 255).all()
    assert (bar[25:] < 100).any()  # there is text


@pytest.mark.parametrize(
    ("ends", "apart_m", "expected"),
    [
        ((0.5, 4.0), 0.4, [0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4]),
        ((0.5, 4.0), 0.6, [0.5, 2, 3, 4]),  # 1 would touch 0.5
        ((0.72, 0.94), 0.1, [0.72, 0.94]),
        ((0.0, 1.0), 9.0, [0, 1]),
    ],
)
def test_ticks_are_round_apart_and_at_both_ends(ends, apart_m, expected):
    assert colors._ticks(*ends, apart_m) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("depth_m", "text"), [(2.0, "2 m"), (0.5, "0.5 m"), (0.005, "0.005 m"), (100.0, "100 m"), (0.0, "0 m")]
)
def test_labels_are_metres_without_idle_zeros(depth_m, text):
    assert colors._label(depth_m) == text


# Depth as a coloured picture


@pytest.mark.parametrize(("height", "width"), [(1, 1), (40, 60), (300, 400), (500, 20)])
def test_color_png_shows_every_pixel_and_a_scale(tmp_path, height, width):
    depth_m, valid = sloped(height, width), np.ones((height, width), bool)
    valid[0, 0] = False
    write_color_png(tmp_path / "a.png", depth_m, valid, 1.0, 5.0)
    picture = np.asarray(Image.open(tmp_path / "a.png"))
    np.testing.assert_array_equal(picture[:height, :width], colorize(depth_m, valid, 1.0, 5.0))
    assert tuple(picture[0, 0].tolist()) == GREY
    assert picture.shape[1] == max(width, 240)
    assert picture.shape[0] > height + 40


# Depth as NPZ


def test_npz_there_and_back_is_exact(tmp_path):
    depth_m = sloped(5, 7)
    valid = depth_m > 2
    matrix = np.array([[500, 0, 3], [0, 500, 2], [0, 0, 1]], np.float64)
    write_npz(tmp_path / "a.npz", depth_m, valid, matrix)  # type: ignore[arg-type]
    back = read_npz(tmp_path / "a.npz")
    np.testing.assert_array_equal(back.depth_m, depth_m)
    np.testing.assert_array_equal(back.valid, valid)
    np.testing.assert_array_equal(back.intrinsics, matrix)
    assert (back.depth_m.dtype, back.valid.dtype, back.intrinsics.dtype) == (np.float32, np.bool_, np.float32)


def test_npz_holds_uncertainty_where_it_is_known(tmp_path):
    depth_m = sloped(5, 7)
    write_npz(tmp_path / "a.npz", depth_m, everywhere(depth_m), None, 0.1 * depth_m)
    back = read_npz(tmp_path / "a.npz")
    np.testing.assert_array_equal(back.uncertainty_m, np.float32(0.1) * depth_m)
    write_npz(tmp_path / "b.npz", depth_m, everywhere(depth_m), None)
    assert read_npz(tmp_path / "b.npz").uncertainty_m is None


def test_npz_refuses_uncertainty_of_another_size(tmp_path):
    with pytest.raises(ValueError, match=r"wanted uncertainty \(2, 2\) as its depth, got \(2, 3\)"):
        write_npz(tmp_path / "a.npz", sloped(2, 2), everywhere(sloped(2, 2)), None, sloped(2, 3))
    np.savez(tmp_path / "b.npz", depth_m=sloped(2, 2), valid=np.ones((2, 2), bool), intrinsics=np.eye(3),
             unit="metre", uncertainty_m=sloped(2, 3))  # fmt: skip
    with pytest.raises(LeadlineError, match=r"b\.npz cannot be read as depth \(wanted uncertainty"):
        read_npz(tmp_path / "b.npz")


def test_npz_is_read_by_anyone_without_unpickling(tmp_path):
    write_npz(tmp_path / "a.npz", sloped(2, 2), np.ones((2, 2), bool), None)
    with np.load(tmp_path / "a.npz", allow_pickle=False) as arrays:
        assert sorted(arrays.files) == ["depth_m", "intrinsics", "unit", "valid"]
        assert str(arrays["unit"]) == "metre"
        assert np.isnan(arrays["intrinsics"]).all()


def test_npz_keeps_the_name_it_was_given(tmp_path):
    write_npz(tmp_path / "depth.data", sloped(2, 2), np.ones((2, 2), bool), None)
    assert [path.name for path in tmp_path.iterdir()] == ["depth.data"]
    assert read_npz(tmp_path / "depth.data").valid.all()


def test_npz_refuses_a_batch_of_cameras(tmp_path):
    with pytest.raises(ValueError, match=r"wanted intrinsics of \(3, 3\), got \(1, 3, 3\)"):
        write_npz(tmp_path / "a.npz", sloped(2, 2), np.ones((2, 2), bool), np.ones((1, 3, 3), np.float32))


def spoil_missing(path: Path) -> None:
    path.unlink()


def spoil_text(path: Path) -> None:
    path.write_text("no archive")


def spoil_cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-30])


def spoil_key(path: Path) -> None:
    np.savez(path, depth_m=sloped(2, 2), unit="metre")


def spoil_shape(path: Path) -> None:
    np.savez(path, depth_m=sloped(2, 2), valid=np.ones(3, bool), intrinsics=np.eye(3), unit="metre")


def spoil_array(path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, sloped(2, 2))


def spoil_pickle(path: Path) -> None:
    objects = np.array([[{}]], dtype=object)
    np.savez(path, depth_m=objects, valid=np.ones((1, 1), bool), intrinsics=np.eye(3), unit="metre")


def spoil_member(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("depth_m", "valid", "intrinsics", "unit"):
            archive.writestr(f"{name}.npy", b"\x93NUMPY\x01\x00nothing")


SPOILERS = [spoil_missing, spoil_text, spoil_cut, spoil_key, spoil_shape, spoil_array, spoil_pickle, spoil_member]


@pytest.mark.parametrize("spoil", SPOILERS)
def test_what_is_no_depth_npz_is_a_user_error(tmp_path, spoil):
    path = tmp_path / "a.npz"
    write_npz(path, sloped(2, 2), np.ones((2, 2), bool), None)
    spoil(path)
    with pytest.raises(
        LeadlineError, match=r"a\.npz cannot be read as depth \(.+\): wanted an NPZ file with"
    ) as caught:
        read_npz(path)
    assert "\n" not in str(caught.value)


def test_npz_in_another_unit_is_refused(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, depth_m=sloped(2, 2), valid=np.ones((2, 2), bool), intrinsics=np.eye(3), unit="foot")
    with pytest.raises(LeadlineError, match="holds depth in foot, wanted metre: convert it first"):
        read_npz(path)


# The contact sheet


@pytest.mark.parametrize("num_rows", [1, 2, 5])
def test_a_sheet_shows_every_picture_beside_its_depth(tmp_path, num_rows):
    rows = [sheet_row(48, 64) for _ in range(num_rows)]
    write_contact_sheet(tmp_path / "a.png", rows)
    sheet = np.asarray(Image.open(tmp_path / "a.png"))
    assert (sheet == BLUE).all(axis=2).sum() == num_rows * 320 * 240
    near, far = colorize(metres([1, 5]), np.ones((1, 2), bool), *depth_limits(rows[0].depth_m, rows[0].valid))[0]
    for end in (near, far):
        assert (np.abs(sheet.astype(int) - end).max(axis=2) <= 2).sum() >= num_rows


def test_a_sheet_has_white_margins_whatever_the_shapes_and_titles(tmp_path):
    rows = [sheet_row(60, 20, "t" * 300), sheet_row(10, 90, "two\nlines"), sheet_row(1, 1, "\u00fc \u4f60")]
    write_contact_sheet(tmp_path / "a.png", [*rows, sheet_row(30, 40, "")])
    sheet = np.asarray(Image.open(tmp_path / "a.png"))
    for edge in (sheet[:3], sheet[-3:], sheet[:, :2], sheet[:, -2:]):
        assert (edge == 255).all()


@pytest.mark.parametrize(
    ("size", "expected"),
    [((640, 480), (320, 240)), ((20, 60), (80, 240)), ((90, 10), (320, 36)), ((9999, 1), (320, 1))],
)
def test_pictures_fit_their_tile_and_keep_their_aspect(size, expected):
    assert writers._fitted(size) == expected


def test_a_narrow_picture_leaves_room_for_its_caption(tmp_path):
    row = sheet_row(60, 20)
    write_contact_sheet(tmp_path / "a.png", [row])
    with Image.open(tmp_path / "a.png") as sheet:
        assert sheet.width >= 2 * writers.load_font(14).getlength(writers._caption(row)) + 3 * 12


def test_the_rows_of_a_sheet_share_one_scale(tmp_path):
    near_row = sheet_row(24, 32)
    far_row = near_row._replace(depth_m=near_row.depth_m + 5)
    near_m, far_m = writers._common_limits([near_row, far_row])
    assert near_m <= 1.2 and far_m >= 9.8


def test_a_long_title_keeps_both_its_ends():
    short = writers._shortened("kitchen" + "x" * 300 + "0001.jpg", 300)
    assert short.startswith("kitchen") and "..." in short and short.endswith("0001.jpg")
    assert writers.load_font(14).getlength(short) <= 300
    assert writers._shortened("kitchen 1.jpg", 300) == "kitchen 1.jpg"


def test_the_caption_gives_metres_or_says_that_there_are_none():
    row = sheet_row(30, 40)
    assert writers._caption(row) == "near 1.08 m  median 3.00 m  far 4.92 m"
    assert writers._caption(row._replace(valid=~row.valid)) == "no valid depth"


def test_a_sheet_of_nothing_valid_is_written(tmp_path):
    row = sheet_row(24, 32)
    write_contact_sheet(tmp_path / "a.png", [row._replace(valid=~row.valid)])
    assert read_image(tmp_path / "a.png").rgb.shape[0] == 3


def test_a_sheet_needs_a_row(tmp_path):
    with pytest.raises(LeadlineError, match="at least one picture, got none"):
        write_contact_sheet(tmp_path / "a.png", [])


def test_a_sheet_needs_pictures_of_their_depths_size(tmp_path):
    row = sheet_row(24, 32)._replace(rgb=np.zeros((24, 33, 3), np.uint8))
    with pytest.raises(ValueError, match=r"wanted rgb \(24, 32, 3\) as its depth, got \(24, 33, 3\)"):
        write_contact_sheet(tmp_path / "a.png", [row])


# Every writer


@pytest.mark.parametrize(
    ("depth_shape", "valid"),
    [((1, 4, 5), np.ones((1, 4, 5), bool)), ((4, 5), np.ones((5, 4), bool)), ((4, 5), np.ones((4, 5), np.uint8))],
)
def test_other_shapes_and_masks_are_refused(tmp_path, depth_shape, valid):
    depth_m = np.ones(depth_shape, np.float32)
    row = SheetRow("", np.zeros((4, 5, 3), np.uint8), depth_m, valid)
    for write in (
        lambda path: write_depth_png(path, depth_m, valid),
        lambda path: write_color_png(path, depth_m, valid, 1, 2),
        lambda path: write_npz(path, depth_m, valid, None),
        lambda path: write_contact_sheet(path, [row]),
    ):
        with pytest.raises(ValueError, match=r"wanted depth \(H, W\) with a bool mask \(H, W\), got"):
            write(tmp_path / "a")
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("name", WRITERS)
def test_folders_are_made_and_an_old_file_is_replaced(tmp_path, name):
    path = tmp_path / "new" / "deeper" / name
    for _ in range(2):
        WRITERS[name](path)
    assert [file.name for file in path.parent.iterdir()] == [name]


@pytest.mark.parametrize("name", WRITERS)
def test_a_target_that_cannot_be_written_is_an_os_error(tmp_path, name):
    (tmp_path / "file").touch()
    with pytest.raises(OSError):
        WRITERS[name](tmp_path / "file" / name)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("name", WRITERS)
def test_a_full_disk_passes_up_and_leaves_the_old_file(tmp_path, monkeypatch, name):
    path = tmp_path / name
    WRITERS[name](path)
    old = path.read_bytes()

    write_bytes = Path.write_bytes

    def write_half(target: Path, data: bytes) -> None:
        write_bytes(target, data[:4])
        raise OSError(errno.ENOSPC, "No space left on device")

    def save_half(_: object, target: Path, **__: object) -> None:
        target.write_bytes(b"half")

    def savez_half(file: IO[bytes], **__: object) -> None:
        file.write(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", write_half)
    monkeypatch.setattr(Image.Image, "save", save_half)
    monkeypatch.setattr(np, "savez", savez_half)
    with pytest.raises(OSError, match="No space left"):
        WRITERS[name](path)
    assert path.read_bytes() == old
    assert [file.name for file in tmp_path.iterdir()] == [name]
