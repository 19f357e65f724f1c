from pathlib import Path

import numpy as np
import pytest

from leadline.errors import LeadlineError
from leadline.io.pfm import read_pfm, write_pfm

ROWS = np.array([[1, 2, 3], [4, 5, 6]], np.float32)


def test_metres_come_back_to_the_bit_and_holes_as_nan(tmp_path: Path) -> None:
    write_pfm(tmp_path / "a.pfm", ROWS, ROWS != 2)
    np.testing.assert_array_equal(read_pfm(tmp_path / "a.pfm"), [[1, np.nan, 3], [4, 5, 6]])


def test_the_lowest_row_stands_first_in_small_byte_order(tmp_path: Path) -> None:
    write_pfm(tmp_path / "a.pfm", ROWS, ROWS > 0)
    header, stored = (tmp_path / "a.pfm").read_bytes()[:-24], (tmp_path / "a.pfm").read_bytes()[-24:]
    kind, size, scale = header.decode().splitlines()
    assert (kind, size, float(scale)) == ("Pf", "3 2", -1.0)
    assert np.frombuffer(stored, "<f4").tolist() == [4, 5, 6, 1, 2, 3]


@pytest.mark.parametrize("turn", [np.rot90, np.asfortranarray, lambda it: it[:, ::-1]])
def test_arrays_of_any_memory_order_are_stored_as_they_read(turn, tmp_path: Path) -> None:
    write_pfm(tmp_path / "a.pfm", turn(ROWS), turn(ROWS) > 0)
    np.testing.assert_array_equal(read_pfm(tmp_path / "a.pfm"), turn(ROWS))


@pytest.mark.parametrize("scale", ["-1.0", "1.0", "-1", "1", "-0.003922", "2.5e+00"])
@pytest.mark.parametrize("header", ["Pf\n3 2\n{}\n", "Pf 3 2 {} ", "Pf\r\n3 2\r\n{}\r\n", "Pf\n# a word\n3\n2\n{}\n"])
def test_other_programs_files_are_read_with_either_sign_of_scale(header: str, scale: str, tmp_path: Path) -> None:
    """The scale's size is not applied: programs do not agree on what it is for."""
    stored = ROWS[::-1].astype("<f4" if scale.startswith("-") else ">f4")
    (tmp_path / "a.pfm").write_bytes(header.format(scale).encode() + stored.tobytes())
    read = read_pfm(tmp_path / "a.pfm")
    assert read.dtype == np.float32 and read.dtype.isnative
    np.testing.assert_array_equal(read, ROWS)


def test_three_channels_of_one_depth_are_one(tmp_path: Path) -> None:
    for name, rgb in (("grey", np.stack([ROWS] * 3, -1)), ("colours", np.stack([ROWS, ROWS, 2 * ROWS], -1))):
        (tmp_path / f"{name}.pfm").write_bytes(b"PF\n3 2\n-1.0\n" + rgb[::-1].astype("<f4").tobytes())
    np.testing.assert_array_equal(read_pfm(tmp_path / "grey.pfm"), ROWS)
    with pytest.raises(LeadlineError, match=r"colours\.pfm holds colours \(PF\): wanted depth"):
        read_pfm(tmp_path / "colours.pfm")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is no PFM file"),
        (b"P5\n3 2\n255\n......", "is no PFM file"),
        (b"Pf\n3 -2\n1.0\n", "is no PFM file"),
        (b"Pf\n3 2\n1.0\n" + bytes(23), "is cut short"),
        (b"Pf\n999999999 999999999\n1.0\n" + bytes(24), "is cut short"),
    ],
)
def test_damage_is_one_line(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "a.pfm").write_bytes(content)
    with pytest.raises(LeadlineError, match=rf"a\.pfm {message}"):
        read_pfm(tmp_path / "a.pfm")
    with pytest.raises(LeadlineError, match="none.pfm cannot be read"):
        read_pfm(tmp_path / "none.pfm")
