import sys
from pathlib import Path

import numpy as np
import pytest

from leadline.errors import LeadlineError
from leadline.io.exr import read_exr, write_exr

OpenEXR = pytest.importorskip("OpenEXR", reason="needs OpenEXR")


def test_metres_come_back_to_the_bit_and_holes_as_nan(tmp_path: Path) -> None:
    depth_m = np.random.default_rng(0).uniform(0.5, 10, (5, 7)).astype(np.float32)
    valid = depth_m > 2
    write_exr(tmp_path / "a.exr", depth_m, valid)
    read = read_exr(tmp_path / "a.exr")
    assert read.dtype == np.float32
    np.testing.assert_array_equal(read, np.where(valid, depth_m, np.nan))
    with OpenEXR.File(str(tmp_path / "a.exr")) as file:
        assert list(file.channels()) == ["Z"] and file.header()["unit"] == "metre"


def test_another_programs_only_channel_is_taken(tmp_path: Path) -> None:
    values = np.full((2, 3), 1.5, np.float32)
    OpenEXR.File({"type": OpenEXR.scanlineimage}, {"depth": values}).write(str(tmp_path / "a.exr"))
    np.testing.assert_array_equal(read_exr(tmp_path / "a.exr"), values)


def test_a_broken_file_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "a.exr").write_bytes(b"v/1\x01")
    with pytest.raises(LeadlineError, match="a.exr is no whole EXR file"):
        read_exr(tmp_path / "a.exr")


def test_without_the_library_the_remedy_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "OpenEXR", None)
    with pytest.raises(LeadlineError, match=r'pip install "leadline\[exr\]"'):
        write_exr(tmp_path / "a.exr", np.ones((2, 2), np.float32), np.ones((2, 2), bool))
    assert not list(tmp_path.iterdir())
