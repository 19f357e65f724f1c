import struct
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from leadline.errors import LeadlineError
from leadline.io.raw_depth import read_colmap, read_hdf5, read_pgm, read_sintel, write_colmap

DEPTH_M = np.array([[1, 2, 3], [4, 5, 6]], np.float32)


def colmap(path: Path, values: np.ndarray = DEPTH_M, channels: int = 1) -> Path:
    """As COLMAP's own script writes it: "W&H&C&", then the array (W, H, C) with its first axis fastest."""
    body = np.transpose(values.reshape(*values.shape[:2], channels), (1, 0, 2)).reshape(-1, order="F")
    path.write_bytes(f"{values.shape[1]}&{values.shape[0]}&{channels}&".encode() + body.astype("<f4").tobytes())
    return path


def sintel(path: Path) -> Path:
    path.write_bytes(struct.pack("<fii", 202021.25, 3, 2) + DEPTH_M.tobytes())
    return path


def test_rows_of_colmap_and_sintel_stay_rows(tmp_path: Path) -> None:
    assert read_colmap(colmap(tmp_path / "a.jpg.geometric.bin")).tolist() == [[1, 2, 3], [4, 5, 6]]
    assert read_sintel(sintel(tmp_path / "frame_0001.dpt")).tolist() == [[1, 2, 3], [4, 5, 6]]


def test_a_map_of_normals_is_no_depth(tmp_path: Path) -> None:
    path = colmap(tmp_path / "n.bin", np.ones((2, 3, 3), np.float32), channels=3)
    with pytest.raises(LeadlineError, match="holds 3 channels, wanted depth with one"):
        read_colmap(path)


@pytest.mark.parametrize(
    ("header", "body", "dtype", "stored"),
    [
        (b"P5\n3 1\n255\n", bytes([0, 7, 255]), np.uint8, [0, 7, 255]),
        (b"P5 3 1 100 ", bytes([0, 7, 100]), np.uint8, [0, 7, 100]),
        (b"P5\n# depth in mm\n3 # wide\n1\n5000\n", struct.pack(">3H", 0, 1234, 5000), np.uint16, [0, 1234, 5000]),
        (b"P2\n3 1\n5000\n", b"0 1234\n5000\n", np.uint16, [0, 1234, 5000]),
    ],
)
def test_numbers_of_a_pgm_are_not_stretched_by_its_maxval(
    tmp_path: Path, header: bytes, body: bytes, dtype: type, stored: list[int]
) -> None:
    (tmp_path / "a.pgm").write_bytes(header + body)
    values = read_pgm(tmp_path / "a.pgm")
    assert values.dtype == dtype and values.tolist() == [stored]


def test_hypersims_array_is_taken_before_others(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.hdf5", "w") as file:
        file["dataset"], file["other"] = DEPTH_M.astype(np.float16), [0]
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file["depth"] = DEPTH_M
    assert read_hdf5(tmp_path / "a.hdf5").dtype == np.float16
    assert read_hdf5(tmp_path / "b.h5").tolist() == DEPTH_M.tolist()


@pytest.mark.parametrize(
    ("read", "content", "reason"),
    [
        (read_colmap, b"3x2", "wanted a file that begins with WIDTH&HEIGHT&1&"),
        (read_colmap, b"3&2&1&" + bytes(23), "cut short: wanted 24 bytes of 3×2 numbers, got 23"),
        (read_sintel, bytes(40), "wanted a file that begins with the number 202021.25"),
        (read_sintel, struct.pack("<fii", 202021.25, -1, 2), "cut short: wanted 0 bytes"),
        (read_pgm, b"P6 1 1 255 abc", "is no PGM"),
        (read_pgm, b"P5 1 1 70000 ab", "a maxval of 70000"),
        (read_pgm, b"P2 2 1 255 1 x", "something else than numbers"),
        (read_hdf5, b"words", "no whole HDF5 file"),
    ],
)
def test_foreign_and_broken_files_are_one_line(
    tmp_path: Path, read: Callable[[Path], np.ndarray], content: bytes, reason: str
) -> None:
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(LeadlineError, match=reason) as caught:
        read(tmp_path / "a")
    assert "\n" not in str(caught.value)


def test_an_unclear_hdf5_and_a_missing_file_are_one_line(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["left"], file["right"] = [1], [2]
    with pytest.raises(LeadlineError, match="holds left, right, wanted one named dataset"):
        read_hdf5(tmp_path / "a.h5")
    with pytest.raises(LeadlineError, match="cannot be read"):
        read_sintel(tmp_path / "no.dpt")


def test_a_dense_map_of_colmap_is_read_as_it_was_written(tmp_path: Path) -> None:
    depth_m = np.array([[1, 2, 3], [4, np.nan, 6]], np.float32)
    write_colmap(tmp_path / "a.geometric.bin", np.asfortranarray(depth_m), depth_m != 3)
    assert (tmp_path / "a.geometric.bin").read_bytes().startswith(b"00000003&00000002&00000001&")
    assert read_colmap(tmp_path / "a.geometric.bin").tolist() == [[1, 2, 0], [4, 0, 6]]


def test_of_several_hdf5_arrays_the_one_named_depth_is_meant(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.hdf5", "w") as file:
        file["colors"], file["depth"] = np.zeros((2, 3, 3), np.uint8), DEPTH_M
    assert read_hdf5(tmp_path / "a.hdf5").tolist() == DEPTH_M.tolist()
