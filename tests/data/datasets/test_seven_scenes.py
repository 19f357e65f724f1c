from pathlib import Path

import pytest
import torch
from layout_files import refusal, save_depth, save_rgb, write

from leadline.data.datasets.seven_scenes import SevenScenesDataset


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two scenes of two sequences; one frame each, but two in the first."""
    for scene in ("chess", "fire"):
        for sequence in ("seq-01", "seq-12"):
            for number in (0, 1) if (scene, sequence) == ("chess", "seq-01") else (7,):
                frame = tmp_path / scene / sequence / f"frame-{number:06d}"
                save_rgb(frame.with_suffix(".color.png"))
                save_depth(frame.with_suffix(".depth.png"), {(0, 0): 65535, (1, 2): 65534, (3, 5): 0}, fill=1500)
                write(frame.with_suffix(".pose.txt"), "1 0 0 0")
        write(tmp_path / scene / "TrainSplit.txt", "sequence12\r\n")
        write(tmp_path / scene / "TestSplit.txt", "sequence1\r\n")
    return tmp_path


def test_all_scenes_are_a_set(root: Path) -> None:
    dataset = SevenScenesDataset(root)
    assert dataset.ids == [
        "chess/seq-01/frame-000000",
        "chess/seq-01/frame-000001",
        "chess/seq-12/frame-000007",
        "fire/seq-01/frame-000007",
        "fire/seq-12/frame-000007",
    ]
    assert dataset.scenes == ["chess"] * 3 + ["fire"] * 2
    assert dataset.official_splits == ["test", "test", "train", "test", "train"]
    assert len(dataset) == 5 and dataset[4].id == "fire/seq-12/frame-000007"


def test_one_scene_is_a_set_with_the_same_ids(root: Path) -> None:
    dataset = SevenScenesDataset(root / "fire")
    assert dataset.ids == SevenScenesDataset(root).ids[3:]
    assert dataset.official_splits == ["test", "train"] and dataset[0].scene == "fire"


def test_depth_is_in_millimetres_and_neither_65535_nor_0_is_depth(root: Path) -> None:
    sample = SevenScenesDataset(root)[0]
    assert sample.depth_m[0, 2, 2].item() == pytest.approx(1.5)
    assert sample.depth_m[0, 1, 2].item() == pytest.approx(65.534)
    assert (~sample.valid[0]).nonzero().tolist() == [[0, 0], [3, 5]]
    assert (sample.depth_m[~sample.valid] == 0).all()
    assert sample.image.shape == (3, 4, 6) and sample.depth_m.dtype == torch.float32


def test_the_camera_of_the_pictures_is_unknown(root: Path) -> None:
    assert SevenScenesDataset(root)[0].intrinsics.isnan().all()


@pytest.mark.parametrize("name", ["frame-000000.color.png", "frame-000000.depth.png"])
def test_missing_files_are_named(root: Path, name: str) -> None:
    dataset = SevenScenesDataset(root)
    (root / "chess" / "seq-01" / name).unlink()
    assert f"{name} does not exist" in refusal(lambda: dataset[0])


def test_missing_and_broken_splits_are_refused(root: Path) -> None:
    write(root / "chess" / "TestSplit.txt", "sequence1\nsequence two\n")
    assert "TestSplit.txt is no list of lines like sequence1" in refusal(lambda: SevenScenesDataset(root))
    (root / "chess" / "TestSplit.txt").unlink()
    assert "TestSplit.txt is no list of lines like sequence1" in refusal(lambda: SevenScenesDataset(root / "chess"))


def test_depth_of_another_size_is_refused(root: Path) -> None:
    save_depth(root / "chess" / "seq-01" / "frame-000000.depth.png", {}, size=(2, 3))
    assert "frame-000000.depth.png must be 4×6 as its picture is, got 2×3" in refusal(
        lambda: SevenScenesDataset(root)[0]
    )


def test_sequences_that_are_still_packed_say_so(tmp_path: Path) -> None:
    for name in ("TrainSplit.txt", "TestSplit.txt"):
        write(tmp_path / name, "sequence1\n")
    write(tmp_path / "seq-01.zip", "")
    assert "unpack seq-*.zip too" in refusal(lambda: SevenScenesDataset(tmp_path))
