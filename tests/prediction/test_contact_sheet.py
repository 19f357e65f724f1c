import numpy as np
import pytest
from PIL import Image

from leadline.errors import LeadlineError
from leadline.io.images import read_image
from leadline.prediction import contact_sheet as writers
from leadline.prediction.colors import colorize, depth_limits
from leadline.prediction.contact_sheet import SheetRow, write_contact_sheet

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
    assert read_image(tmp_path / "a.png").rgb.shape[2] == 3


def test_a_sheet_needs_a_row(tmp_path):
    with pytest.raises(LeadlineError, match="at least one picture, got none"):
        write_contact_sheet(tmp_path / "a.png", [])


def test_a_sheet_needs_pictures_of_their_depths_size(tmp_path):
    row = sheet_row(24, 32)._replace(rgb=np.zeros((24, 33, 3), np.uint8))
    with pytest.raises(ValueError, match=r"wanted rgb \(24, 32, 3\) as its depth, got \(24, 33, 3\)"):
        write_contact_sheet(tmp_path / "a.png", [row])
