import csv
from pathlib import Path

import capture_files as files
import numpy as np
import pytest
import torch
from layout_files import refusal
from PIL import Image

from leadline.data.catalog import open_dataset
from leadline.data.check.layouts import check_dataset
from leadline.data.conversion import Thinning, convert
from leadline.data.datasets.folder import FolderDataset
from leadline.data.sample import Sample
from leadline.data.synthetic.dataset import synthesize
from leadline.errors import LeadlineError


def poses(folder: Path) -> list[dict[str, str]]:
    with (folder / "poses.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_capture_becomes_a_folder_of_the_same_numbers(tmp_path: Path) -> None:
    source = open_dataset(files.write_polycam(tmp_path / "room"))
    assert convert(tmp_path / "room", tmp_path / "out") == 2
    target = open_dataset(tmp_path / "out")
    assert (
        target.ids == source.ids and target.scenes == source.scenes and check_dataset(tmp_path / "out").problems == ()
    )
    for before, after in ((source[index], target[index]) for index in range(2)):
        assert torch.equal(before.image, after.image) and torch.equal(before.intrinsics, after.intrinsics)
        assert torch.equal(before.valid, after.valid)
        torch.testing.assert_close(before.depth_m, after.depth_m)
    copied = (tmp_path / "out" / "rgb" / "room" / "5000000.jpg").read_bytes()
    assert copied == (tmp_path / "room" / "keyframes" / "images" / "5000000.jpg").read_bytes()


def test_pose_and_time_are_kept(tmp_path: Path) -> None:
    convert(files.write_polycam(tmp_path / "room"), tmp_path / "out")
    first, second = poses(tmp_path / "out")
    assert (first["id"], first["time_s"], second["time_s"]) == ("room/5000000", "5.000000", "5.500000")
    numbers = [float(first[name]) for name in ("tx", "ty", "tz", "qx", "qy", "qz", "qw")]
    assert np.abs(numbers) == pytest.approx([0.5, 1.5, 2.5, 1, 0, 0, 0])  # half a turn about x: y and z swap sign


def test_a_picture_on_its_side_is_turned_upright_with_depth_camera_and_pose(tmp_path: Path) -> None:
    source = open_dataset(files.write_stray(tmp_path / "room"))
    convert(tmp_path / "room", tmp_path / "out")
    before, after = source[2], open_dataset(tmp_path / "out")[2]
    assert after.image.shape == (3, 64, 48) and after.depth_m.shape == (1, 16, 12)
    assert float(after.image[0, -3, 2]) > 0.9  # red was in the upper left: a quarter turn brings it to the lower left
    torch.testing.assert_close(after.depth_m[0, :, 3], before.depth_m[0, 3].flip(0), rtol=0, atol=1e-4)
    # (x, y) → (y, 63 - x): the centre (32, 24) goes to (24, 31)
    assert after.intrinsics.tolist() == [[50, 0, 24], [0, 50, 31], [0, 0, 1]]
    quaternion = [float(poses(tmp_path / "out")[2][name]) for name in ("qx", "qy", "qz", "qw")]
    # x right is the world's x, y down its -y: the camera now stands upright and looks along -z
    assert np.abs(quaternion) == pytest.approx([1, 0, 0, 0], abs=1e-6)
    assert float(poses(tmp_path / "out")[2]["ty"]) == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("thinning", "kept"),
    [
        (Thinning(), [0, 1, 2, 3, 4]),
        (Thinning(every_s=0.5), [0, 2, 4]),  # frames are 0.25 s and 0.1 m apart
        (Thinning(motion_m=0.29), [0, 3]),
        (Thinning(every_s=0.5, motion_m=0.05), [0, 2, 4]),
    ],
)
def test_thinning_by_time_and_motion(tmp_path: Path, thinning: Thinning, kept: list[int]) -> None:
    assert convert(files.write_stray(tmp_path / "room"), tmp_path / "out", thinning) == len(kept)
    assert [row["id"] for row in poses(tmp_path / "out")] == [f"room/{number:06d}" for number in kept]


def test_turning_counts_as_motion_and_lost_poses_are_left_out(tmp_path: Path) -> None:
    root = files.write_scannet(tmp_path / "room")
    turned = files.POSE_CV.copy()
    turned[:3, :3] = turned[:3, :3] @ [[0.96, 0, 0.28], [0, 1, 0], [-0.28, 0, 0.96]]  # 16 degrees
    np.savetxt(root / "pose" / "10.txt", turned)
    assert convert(root, tmp_path / "out", Thinning(motion_m=1)) == 2
    assert open_dataset(tmp_path / "out").ids == ["room/0", "room/10"]


def test_a_folder_set_is_converted_too_and_has_no_poses(tmp_path: Path) -> None:
    synthesize(tmp_path / "rooms", 3, 0, 24, 32)
    assert convert(tmp_path / "rooms", tmp_path / "out") == 3
    assert not (tmp_path / "out" / "poses.csv").exists()
    assert open_dataset(tmp_path / "out").official_splits == open_dataset(tmp_path / "rooms").official_splits
    remedy = "thin by --motion, or not at all"
    assert remedy in refusal(lambda: convert(tmp_path / "rooms", tmp_path / "out", Thinning(every_s=1)))
    assert "thin by --every" in refusal(lambda: convert(tmp_path / "rooms", tmp_path / "out", Thinning(motion_m=1)))


def test_depth_beyond_sixteen_bits_of_millimetres_is_not_lost(tmp_path: Path) -> None:
    synthesize(tmp_path / "rooms", 1, 0, 24, 32)
    Image.fromarray(np.full((24, 32), 70, np.float32)).save(tmp_path / "rooms" / "depth" / "far.tiff")
    text = (tmp_path / "rooms" / "index.csv").read_text().replace("depth/00001.png", "depth/far.tiff")
    (tmp_path / "rooms" / "index.csv").write_text(text)
    (tmp_path / "rooms" / "dataset.toml").unlink()
    convert(tmp_path / "rooms", tmp_path / "out")
    depth_m, valid = open_dataset(tmp_path / "out").ground_truth(0)
    assert bool(valid.all()) and float(depth_m.min()) == 70


def test_a_folder_of_other_things_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "letter.txt").write_text("dear")
    source = files.write_polycam(tmp_path / "room")
    assert "holds 'letter.txt'" in refusal(lambda: convert(source, tmp_path / "out"))


def test_a_set_is_not_written_over_itself_nor_thinned_backwards(tmp_path: Path) -> None:
    synthesize(tmp_path / "rooms", 1, 0, 24, 32)
    assert "is the capture itself" in refusal(lambda: convert(tmp_path / "rooms", tmp_path / "rooms"))
    assert "from 0 on, got -1" in refusal(lambda: convert(tmp_path / "rooms", tmp_path / "out", Thinning(every_s=-1)))


@pytest.mark.parametrize("thinning", [Thinning(motion_m=float("nan")), Thinning(every_s=float("inf"))])
def test_what_no_picture_can_be_apart_is_refused(tmp_path: Path, thinning: Thinning) -> None:
    root = files.write_polycam(tmp_path / "room")
    assert "seconds and metres from 0 on, got " in refusal(lambda: convert(root, tmp_path / "out", thinning))


def test_an_exception_of_a_foreign_library_ends_no_conversion(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synthesize(tmp_path / "rooms", 2, 0, 24, 32)
    read = FolderDataset.__getitem__

    def broken_first(self: FolderDataset, index: int) -> Sample:
        if index == 0:
            raise MemoryError("too large")
        return read(self, index)

    monkeypatch.setattr(FolderDataset, "__getitem__", broken_first)
    broken: list[LeadlineError] = []
    assert convert(tmp_path / "rooms", tmp_path / "out", on_broken=broken.append) == 1
    (error,) = broken
    assert str(error) == f"{open_dataset(tmp_path / 'rooms').ids[0]}: no result (MemoryError: too large)"


def test_a_broken_picture_is_left_out_and_told(tmp_path: Path) -> None:
    synthesize(tmp_path / "rooms", 3, 0, 24, 32)
    first, second, third = sorted((tmp_path / "rooms" / "depth").rglob("*.png"))
    second.write_bytes(second.read_bytes()[:60])
    broken: list[LeadlineError] = []

    assert convert(tmp_path / "rooms", tmp_path / "out", on_broken=broken.append) == 2

    (error,) = broken
    assert second.name in str(error)
    written = open_dataset(tmp_path / "out")
    assert [len(written), written[1].depth_m.shape] == [2, (1, 24, 32)]
    assert second.name in refusal(lambda: convert(tmp_path / "rooms", tmp_path / "out"))
    for path in (first, third):
        path.write_bytes(b"")
    assert "none of the pictures can be read" in refusal(
        lambda: convert(tmp_path / "rooms", tmp_path / "out", on_broken=broken.append)
    )
    assert len(open_dataset(tmp_path / "out")) == 2  # the earlier one stays
