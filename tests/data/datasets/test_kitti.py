import pickle
from pathlib import Path

import pytest
import torch
from layout_files import refusal, save_depth, save_rgb, write

from leadline.data.catalog import open_dataset
from leadline.data.datasets.kitti import KittiDataset, KittiSelectionDataset
from leadline.data.splits import select

DRIVES = {"train": "2011_09_26_drive_0001_sync", "val": "2011_09_28_drive_0037_sync"}
LEFT = "2011_09_26/2011_09_26_drive_0001_sync/image_02/data/0000000005.png"

# The lines of the makers' files for two days, shortened to what is asked for and a line before and after it.
CALIBRATIONS = {
    "2011_09_26": """calib_time: 09-Jan-2012 13:57:47
S_rect_02: 1.242000e+03 3.750000e+02
P_rect_02: 7.215377e+02 0.000000e+00 6.095593e+02 4.485728e+01 0.000000e+00 7.215377e+02 1.728540e+02 2.163791e-01 \
0.000000e+00 0.000000e+00 1.000000e+00 2.745884e-03
P_rect_03: 7.215377e+02 0.000000e+00 6.095593e+02 -3.395242e+02 0.000000e+00 7.215377e+02 1.728540e+02 2.199936e+00 \
0.000000e+00 0.000000e+00 1.000000e+00 2.729905e-03
""",
    "2011_09_28": "P_rect_02: 707.0493 0 604.0814 45.75831 0 707.0493 180.5066 -0.3454157 0 0 1 0.004981016\n",
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two drives with depth, one frame each (the first drive left and right), and a third without raw pictures."""
    for part, drive in DRIVES.items():
        for camera in ("image_02", "image_03") if part == "train" else ("image_02",):
            save_rgb(tmp_path / drive[:10] / drive / camera / "data" / "0000000005.png")
            save_rgb(tmp_path / drive[:10] / drive / camera / "data" / "0000000000.png")  # has no depth
            depth = tmp_path / part / drive / "proj_depth" / "groundtruth" / camera / "0000000005.png"
            save_depth(depth, {(1, 2): 2560, (3, 5): 1})
    save_depth(
        tmp_path / "train" / "2011_10_03_drive_0042_sync" / "proj_depth" / "groundtruth" / "image_02" / "05.png", {}
    )
    for day, text in CALIBRATIONS.items():
        write(tmp_path / day / "calib_cam_to_cam.txt", text)
    return tmp_path


def test_pictures_with_depth_of_both_cameras_are_listed_as_eigens_lists_spell_them(root: Path) -> None:
    dataset = KittiDataset(root)
    right = LEFT.replace("image_02", "image_03")
    assert dataset.ids == [LEFT, right, "2011_09_28/2011_09_28_drive_0037_sync/image_02/data/0000000005.png"]
    assert dataset.scenes == [DRIVES["train"], DRIVES["train"], DRIVES["val"]]
    assert dataset.official_splits == ["train", "train", "test"]
    assert len(dataset) == 3
    assert dataset.stems[0] == LEFT.removesuffix(".png")


def test_a_published_list_of_pictures_is_a_split(root: Path) -> None:
    write(root / "eigen_test.txt", f"{LEFT}\n")
    assert select(KittiDataset(root), str(root / "eigen_test.txt")) == [0]


def test_depth_is_value_over_256_and_0_is_none(root: Path) -> None:
    sample = KittiDataset(root)[0]
    assert sample.image.shape == (3, 4, 6) and sample.image[:, 0, 0].tolist() == [1, 0, 0]
    assert sample.depth_m.dtype == torch.float32 and sample.valid.dtype == torch.bool
    assert sample.depth_m[0, 1, 2] == 10 and sample.depth_m[0, 3, 5] == 1 / 256
    assert sample.valid.sum() == 2 and sample.depth_m.sum() == 10 + 1 / 256
    assert (sample.id, sample.scene) == (LEFT, DRIVES["train"])


def test_camera_is_the_projection_of_the_day(root: Path) -> None:
    dataset = KittiDataset(root)
    wanted = torch.tensor([[721.5377, 0, 609.5593], [0, 721.5377, 172.854], [0, 0, 1]])
    torch.testing.assert_close(dataset[0].intrinsics, wanted)
    torch.testing.assert_close(dataset[1].intrinsics, wanted)
    assert dataset[2].intrinsics[0].tolist() == pytest.approx([707.0493, 0, 604.0814])
    assert dataset[2].intrinsics[1].tolist() == pytest.approx([0, 707.0493, 180.5066])


def test_missing_files_are_named(root: Path) -> None:
    dataset = KittiDataset(root)
    (root / LEFT).unlink()
    assert "0000000005.png does not exist" in refusal(lambda: dataset[0])
    (root / "2011_09_26" / "calib_cam_to_cam.txt").unlink()
    assert "calib_cam_to_cam.txt cannot be read: unpack KITTI's calibration of that day (2011_09_26_calib.zip)" in (
        refusal(lambda: dataset[1])
    )


def test_calibration_without_its_line_is_refused(root: Path) -> None:
    for text in ("P_rect_02: 1 2 three", "P_rect_02: 1 2", "R_rect_02: 1"):
        write(root / "2011_09_26" / "calib_cam_to_cam.txt", text)
        assert "has no line 'P_rect_02:' of twelve numbers" in refusal(lambda: KittiDataset(root)[0])


def test_depth_of_another_size_is_refused(root: Path) -> None:
    save_depth(root / "train" / DRIVES["train"] / "proj_depth/groundtruth/image_02/0000000005.png", {}, size=(6, 4))
    assert "0000000005.png must be 4×6 as its picture is, got 6×4" in refusal(lambda: KittiDataset(root)[0])


def test_depth_maps_without_any_raw_pictures_say_what_is_missing(tmp_path: Path) -> None:
    save_depth(tmp_path / "train" / DRIVES["train"] / "proj_depth/groundtruth/image_02/0000000005.png", {})
    assert "wanted train/DRIVE_sync/proj_depth, and its pictures in DAY/" in refusal(lambda: open_dataset(tmp_path))


def test_worker_processes_can_have_it(root: Path) -> None:
    assert pickle.loads(pickle.dumps(KittiDataset(root)))[0].id == LEFT


NAME = "2011_10_03_drive_0047_sync_{}_0000000761_image_02"


@pytest.fixture
def selection(tmp_path: Path) -> Path:
    save_rgb(tmp_path / "image" / f"{NAME.format('image')}.png")
    save_depth(tmp_path / "groundtruth_depth" / f"{NAME.format('groundtruth_depth')}.png", {(0, 0): 512})
    write(tmp_path / "intrinsics" / f"{NAME.format('image')}.txt", "718.856 0 598.19 0 718.856 161.2 0 0 1\n")
    return tmp_path


def test_selection_by_hand(selection: Path) -> None:
    dataset = KittiSelectionDataset(selection)
    assert dataset.ids == [NAME.format("image")]
    assert (dataset.scenes, dataset.official_splits) == (["2011_10_03_drive_0047_sync"], ["test"])
    sample = dataset[0]
    assert sample.depth_m[0, 0, 0] == 2 and sample.valid.sum() == 1
    torch.testing.assert_close(sample.intrinsics, torch.tensor([[718.856, 0, 598.19], [0, 718.856, 161.2], [0, 0, 1]]))


@pytest.mark.parametrize(
    ("text", "said"), [("1 2 3", "must hold 9 numbers, got 3"), ("a b", "cannot be read as 9 numbers")]
)
def test_broken_camera_of_the_selection_is_refused(selection: Path, text: str, said: str) -> None:
    write(selection / "intrinsics" / f"{NAME.format('image')}.txt", text)
    assert said in refusal(lambda: KittiSelectionDataset(selection)[0])


def test_missing_camera_of_the_selection_is_named(selection: Path) -> None:
    (selection / "intrinsics" / f"{NAME.format('image')}.txt").unlink()
    assert "image_02.txt does not exist" in refusal(lambda: KittiSelectionDataset(selection)[0])
