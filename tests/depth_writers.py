"""One map of metres in every kind of file that depth is read from, written as its makers do."""

import struct
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image


def save_exr(path: Path, metres: np.ndarray) -> None:
    openexr = pytest.importorskip("OpenEXR", reason="needs OpenEXR")
    openexr.File({"type": openexr.scanlineimage}, {"Z": metres}).write(str(path))


def save_pfm(path: Path, metres: np.ndarray) -> None:
    """Rows from below, little-endian; a scale that is not 1 is not to be applied."""
    path.write_bytes(b"Pf\n%d %d\n-2.0\n" % metres.shape[::-1] + metres[::-1].astype("<f4").tobytes())


def save_hdf5(path: Path, metres: np.ndarray) -> None:
    with h5py.File(path, "w") as file:
        file["dataset"] = metres


def millimetres(metres: np.ndarray) -> np.ndarray:
    return np.rint(metres * 1000).astype(np.uint16)


def save_pgm(path: Path, metres: np.ndarray) -> None:
    height, width = metres.shape
    path.write_bytes(b"P5\n%d %d\n10000\n" % (width, height) + millimetres(metres).astype(">u2").tobytes())


def save_dpt(path: Path, metres: np.ndarray) -> None:
    path.write_bytes(struct.pack("<fii", 202021.25, *metres.shape[::-1]) + metres.astype("<f4").tobytes())


def save_colmap(path: Path, metres: np.ndarray) -> None:
    path.write_bytes(b"%d&%d&1&" % metres.shape[::-1] + metres.astype("<f4").tobytes())


WRITERS: dict[str, Callable[[Path, np.ndarray], None]] = {
    ".npz": lambda path, metres: np.savez(path, depth_m=metres),
    ".npy": np.save,
    ".exr": save_exr,
    ".pfm": save_pfm,
    ".png": lambda path, metres: Image.fromarray(millimetres(metres)).save(path),
    ".tif": lambda path, metres: Image.fromarray(metres).save(path),
    ".tiff": lambda path, metres: Image.fromarray(metres).save(path),
    ".pgm": save_pgm,
    ".dpt": save_dpt,
    ".bin": save_colmap,
    ".hdf5": save_hdf5,
    ".h5": save_hdf5,
}
"""By ending: floats in metres, whole numbers in millimetres."""
