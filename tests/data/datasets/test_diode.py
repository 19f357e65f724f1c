from pathlib import Path

import numpy as np
import pytest
import torch
from layout_files import refusal, save_rgb

from leadline.data.datasets.diode import DiodeDataset

INDOORS = "val/indoors/scene_00019/scan_00183/00019_00183_indoors_000_010"
OUTDOOR = "train/outdoor/scene_00002/scan_00017/00002_00017_outdoor_300_020"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    depth_m = np.full((4, 6, 1), 2.5, np.float32)
    depth_m[1, 2], depth_m[2, :3, 0] = 218.75, [0, np.nan, np.inf]
    mask = np.ones((4, 6), np.float32)
    mask[0, 0] = 0
    for name in (INDOORS, OUTDOOR):
        save_rgb(tmp_path / f"{name}.png")
        np.save(tmp_path / f"{name}_depth.npy", depth_m)
        np.save(tmp_path / f"{name}_depth_mask.npy", mask)
    return tmp_path


def test_pictures_are_listed_with_scene_and_part(root: Path) -> None:
    dataset = DiodeDataset(root)
    assert dataset.ids == [OUTDOOR, INDOORS]
    assert dataset.scenes == ["scene_00002", "scene_00019"]
    assert dataset.official_splits == ["train", "test"]
    assert len(dataset) == 2


def test_depth_is_in_metres_where_the_mask_says_so(root: Path) -> None:
    sample = DiodeDataset(root)[1]
    assert sample.id == INDOORS and sample.image.shape == (3, 4, 6)
    assert sample.depth_m.dtype == torch.float32 and sample.depth_m.shape == (1, 4, 6)
    assert sample.depth_m[0, 1, 2] == 218.75 and sample.depth_m[0, 3, 3] == 2.5
    invalid = (~sample.valid[0]).nonzero().tolist()
    assert invalid == [[0, 0], [2, 0], [2, 1], [2, 2]]  # masked out, no depth, no number
    assert (sample.depth_m[~sample.valid] == 0).all()


def test_camera_is_the_makers(root: Path) -> None:
    torch.testing.assert_close(
        DiodeDataset(root)[0].intrinsics, torch.tensor([[886.81, 0, 512], [0, 927.06, 384], [0, 0, 1]])
    )


@pytest.mark.parametrize("ending", ["_depth.npy", "_depth_mask.npy", ".png"])
def test_missing_files_are_named(root: Path, ending: str) -> None:
    dataset = DiodeDataset(root)
    (root / f"{OUTDOOR}{ending}").unlink()
    message = refusal(lambda: dataset[0])
    assert f"{OUTDOOR}{ending}" in message and ("is missing" in message or "does not exist" in message)


def test_other_sizes_are_refused(root: Path) -> None:
    np.save(root / f"{OUTDOOR}_depth_mask.npy", np.ones((4, 5)))
    assert "_depth_mask.npy must be 4×6 as its depth map is, got 4×5" in refusal(lambda: DiodeDataset(root)[0])
    np.save(root / f"{INDOORS}_depth.npy", np.ones((3, 6, 1)))
    np.save(root / f"{INDOORS}_depth_mask.npy", np.ones((3, 6)))
    assert "_depth.npy must be 4×6 as its picture is, got 3×6" in refusal(lambda: DiodeDataset(root)[1])


def test_arrays_of_no_numbers_are_refused_and_never_unpickled(root: Path) -> None:
    np.save(root / f"{OUTDOOR}_depth.npy", np.array([["near"]]))
    assert "must be one array of numbers" in refusal(lambda: DiodeDataset(root)[0])
    np.save(root / f"{OUTDOOR}_depth.npy", np.array([[{}]], dtype=object), allow_pickle=True)
    assert "is missing or no .npy array" in refusal(lambda: DiodeDataset(root)[0])


def test_a_folder_without_pictures_is_refused(tmp_path: Path) -> None:
    (tmp_path / "val/indoors/scene_00019").mkdir(parents=True)
    assert "wanted val/indoors/scene_00019/scan_00183/*.png" in refusal(lambda: DiodeDataset(tmp_path))
