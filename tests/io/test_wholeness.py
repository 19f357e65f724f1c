from pathlib import Path

import numpy as np
import pytest

from leadline.io.depth_files import write_depth_png, write_npz
from leadline.io.exr import write_exr
from leadline.io.pfm import write_pfm
from leadline.io.raw_depth import write_colmap
from leadline.io.wholeness import is_whole

DEPTH_M = np.linspace(1, 2, 48, dtype=np.float32).reshape(6, 8)
VALID = np.ones((6, 8), bool)


def write(path: Path) -> None:
    writers = {
        "a.pfm": lambda: write_pfm(path, DEPTH_M, VALID),
        "a.geometric.bin": lambda: write_colmap(path, DEPTH_M, VALID),
        "a.exr": lambda: write_exr(path, DEPTH_M, VALID),
        "a.npz": lambda: write_npz(path, DEPTH_M, VALID, None),
        "a_depth.png": lambda: write_depth_png(path, DEPTH_M, VALID),
    }
    writers[path.name]()


@pytest.mark.parametrize("name", ["a.pfm", "a.geometric.bin", "a.exr", "a.npz", "a_depth.png"])
def test_a_result_without_its_last_bytes_is_not_whole(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    write(path)
    assert is_whole(path)

    path.write_bytes(path.read_bytes()[:-8])

    assert not is_whole(path)
