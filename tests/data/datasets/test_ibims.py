from pathlib import Path

import numpy as np
import pytest
import torch
from layout_files import refusal, save_depth, save_rgb, write
from PIL import Image

from leadline.data.datasets.ibims import IbimsDataset


def save_mask(path: Path, dark: tuple[int, int], bits: int) -> None:
    """A mask that is not 0 but in one pixel, of 1 or 8 bits."""
    mask = np.full((4, 6), 255, np.uint8)
    mask[dark] = 0
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(mask)
    (picture.convert("1") if bits == 1 else picture).save(path)


@pytest.fixture(params=[1, 8])
def root(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    for name in ("storageroom_01", "corridor_02"):
        save_rgb(tmp_path / "rgb" / f"{name}.png")
        save_depth(tmp_path / "depth" / f"{name}.png", {(0, 1): 0, (0, 2): 65535, (0, 3): 13107}, fill=2621)
        save_mask(tmp_path / "mask_invalid" / f"{name}.png", (3, 0), request.param)
        save_mask(tmp_path / "mask_transp" / f"{name}.png", (3, 1), request.param)
        write(tmp_path / "calib" / f"{name}.txt", "5.5e+02,551.25,319.5,239.25\n")
    return tmp_path


def test_pictures_are_listed_by_name_for_testing(root: Path) -> None:
    dataset = IbimsDataset(root)
    assert dataset.ids == ["corridor_02", "storageroom_01"]
    assert dataset.scenes == ["corridor", "storageroom"]
    assert dataset.official_splits == ["test", "test"]
    assert len(dataset) == 2


def test_depth_is_value_of_65535_times_50_m(root: Path) -> None:
    sample = IbimsDataset(root)[0]
    got = [sample.depth_m[0, 0, column].item() for column in (0, 2, 3)]
    assert got == pytest.approx([2621 * 50 / 65535, 50, 10], rel=1e-6)
    assert sample.depth_m.dtype == torch.float32 and sample.image.shape == (3, 4, 6)


def test_zero_depth_and_both_masks_take_pixels_away(root: Path) -> None:
    sample = IbimsDataset(root)[0]
    assert (~sample.valid[0]).nonzero().tolist() == [[0, 1], [3, 0], [3, 1]]
    assert (sample.depth_m[~sample.valid] == 0).all()


def test_camera_is_the_pictures_own(root: Path) -> None:
    write(root / "calib" / "storageroom_01.txt", "1\n2\n3\n4\n")
    dataset = IbimsDataset(root)
    assert dataset[0].intrinsics.tolist() == [[550, 0, 319.5], [0, 551.25, 239.25], [0, 0, 1]]
    assert dataset[1].intrinsics.tolist() == [[1, 0, 3], [0, 2, 4], [0, 0, 1]]


@pytest.mark.parametrize("name", ["rgb", "depth", "mask_invalid", "mask_transp", "calib"])
def test_missing_files_are_named(root: Path, name: str) -> None:
    dataset = IbimsDataset(root)
    path = next((root / name).glob("corridor_02.*"))
    path.unlink()
    assert f"{path} does not exist" in refusal(lambda: dataset[0])


def test_other_sizes_are_refused(root: Path) -> None:
    save_depth(root / "mask_transp" / "corridor_02.png", {}, size=(4, 5))
    assert "must be 4×6 as its depth map is, got 4×5" in refusal(lambda: IbimsDataset(root)[0])


def test_a_folder_without_pictures_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mask_transp").mkdir()
    assert "wanted rgb, depth, mask_invalid, mask_transp and calib" in refusal(lambda: IbimsDataset(tmp_path))
