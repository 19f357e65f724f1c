from pathlib import Path

import numpy as np
import pytest
import scipy.io
import torch
from layout_files import refusal, save_depth, save_rgb, write

from leadline.data.datasets.sunrgbd import SunRgbdDataset, read_allsplit

NYU = "kv1/NYUdata/NYU0001"
PLACE = "xtion/sun3ddata/brown_bm_1/brown_bm_1/0000103-000003437178"
MAKERS = "/n/fs/sun3d/data/SUNRGBD/"


def turned(depth_mm: int) -> int:
    """What the makers store for a depth: its 16 bits turned left by three."""
    bits = f"{depth_mm:016b}"
    return int(bits[3:] + bits[:3], 2)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in (NYU, PLACE):
        folder = tmp_path / "SUNRGBD" / name
        save_rgb(folder / "image" / "0000103.jpg")
        save_rgb(folder / "fullres" / "0000103.jpg", 8, 12)
        write(folder / "fullres" / "intrinsics.txt", "not looked at")
        pixels = {(0, 0): turned(1000), (1, 2): turned(7999), (2, 3): turned(8192), (3, 5): turned(1)}
        save_depth(folder / "depth" / "0000103-000003437178.png", pixels)
        save_depth(folder / "depth_bfx" / "0000103-000003437178.png", {}, fill=turned(5000))
        write(folder / "intrinsics.txt", "529.5 0.0 365.0\n0 528.5 265.0\n0 0 1")
    return tmp_path / "SUNRGBD"


def write_split(root: Path, train: list[str], test: list[str]) -> Path:
    """As MATLAB has it: cell arrays of paths."""
    path = root.parent / "SUNRGBDtoolbox" / "traintestSUNRGBD" / "allsplit.mat"
    path.parent.mkdir(parents=True, exist_ok=True)
    cells = {"alltrain": np.array([train], dtype=object), "alltest": np.array([test], dtype=object)}
    scipy.io.savemat(path, cells, format="5")
    return path


def test_a_folder_is_a_picture_and_its_path_the_id(root: Path) -> None:
    dataset = SunRgbdDataset(root)
    assert dataset.ids == [NYU, PLACE]
    assert dataset.scenes == ["", "xtion/sun3ddata/brown_bm_1"]
    assert dataset.official_splits == ["", ""]
    assert len(dataset) == 2


@pytest.mark.parametrize("tail", ["", "/"])
def test_split_is_the_toolboxs_that_lies_beside(root: Path, tail: str) -> None:
    write_split(root, [MAKERS + PLACE + tail, MAKERS + "kv2/kinect2data/other"], [MAKERS + "/" + NYU + tail])
    assert SunRgbdDataset(root).official_splits == ["test", "train"]


def test_bits_are_turned_back_and_millimetres_become_metres(root: Path) -> None:
    assert [turned(1), turned(8192)] == [8, 1]  # by hand: 1 << 3, and bit 13 goes round to bit 0
    sample = SunRgbdDataset(root)[1]
    got = [sample.depth_m[0, row, column].item() for row, column in ((0, 0), (1, 2), (2, 3), (3, 5))]
    assert got == pytest.approx([1, 7.999, 8.192, 0.001], rel=1e-6)
    assert sample.valid.sum() == 4 and sample.depth_m.sum() == pytest.approx(sum(got))
    assert sample.image.shape == (3, 4, 6) and sample.depth_m.dtype == torch.float32


def test_camera_is_the_pictures_own(root: Path) -> None:
    write(root / PLACE / "intrinsics.txt", "570.34 0 310 0 570.35 225 0 0 1")
    dataset = SunRgbdDataset(root)
    assert dataset[0].intrinsics.tolist() == [[529.5, 0, 365], [0, 528.5, 265], [0, 0, 1]]
    assert dataset[1].intrinsics[1].tolist() == pytest.approx([0, 570.35, 225])


@pytest.mark.parametrize(("part", "pattern"), [("image", "*.jpg"), ("depth", "*.png")])
def test_missing_files_are_named_when_they_are_needed(root: Path, part: str, pattern: str) -> None:
    next((root / NYU / part).glob(pattern)).unlink()
    dataset = SunRgbdDataset(root)
    assert f"{root / NYU / part} holds no {pattern}: unpack SUNRGBD.zip again" in refusal(lambda: dataset[0])
    dataset[1]


def test_depth_of_another_size_or_in_colour_is_refused(root: Path) -> None:
    depth = root / NYU / "depth" / "0000103-000003437178.png"
    save_depth(depth, {}, size=(4, 5))
    assert "must be 4×6 as its picture is, got 4×5" in refusal(lambda: SunRgbdDataset(root)[0])
    save_rgb(depth)
    assert "must have one channel, got shape (4, 6, 3)" in refusal(lambda: SunRgbdDataset(root)[0])


def test_broken_intrinsics_are_refused(root: Path) -> None:
    write(root / NYU / "intrinsics.txt", "529.5 0 365")
    assert "intrinsics.txt must hold 9 numbers, got 3" in refusal(lambda: SunRgbdDataset(root)[0])


def test_a_folder_without_pictures_is_refused(tmp_path: Path) -> None:
    (tmp_path / "kv1").mkdir()
    assert "wanted kv1, kv2, realsense, xtion with an intrinsics.txt" in refusal(lambda: SunRgbdDataset(tmp_path))


def test_a_split_of_another_kind_is_refused(root: Path) -> None:
    path = write_split(root, [], [])
    scipy.io.savemat(path, {"alltrain": 1})
    assert "is no list of alltrain and alltest ('alltest')" in refusal(lambda: SunRgbdDataset(root))
    path.write_text("words")
    assert "unpack SUNRGBDtoolbox.zip again" in refusal(lambda: read_allsplit(path))
