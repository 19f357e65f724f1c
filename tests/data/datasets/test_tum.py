from pathlib import Path

import pytest
import torch
from layout_files import refusal, save_depth, save_rgb, write

from leadline.data.datasets.tum import Stamped, TumDataset, associate

DESK, HALL = "rgbd_dataset_freiburg1_desk", "rgbd_dataset_freiburg3_hall"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two sequences: of three pictures the second has no depth within 0.02 s."""
    for name in (DESK, HALL):
        folder = tmp_path / name
        header = "# color images\n# file: 'rgbd_dataset.bag'\n# timestamp filename\n"
        write(folder / "rgb.txt", header + "100.000000 rgb/100.png\n100.100000 rgb/101.png\n100.200000 rgb/102.png\n")
        write(folder / "depth.txt", header + "100.019000 depth/a.png\n100.121000 depth/b.png\n100.190000 depth/c.png\n")
        for picture in ("100", "101", "102"):
            save_rgb(folder / "rgb" / f"{picture}.png")
        for depth, value in (("a", 5000), ("b", 7500), ("c", 10000)):
            save_depth(folder / "depth" / f"{depth}.png", {(0, 0): 0, (1, 2): 1}, fill=value)
    return tmp_path


def times(*values: float) -> list[Stamped]:
    return [Stamped(value, str(value)) for value in values]


def test_a_sequence_is_a_set(root: Path) -> None:
    dataset = TumDataset(root / DESK)
    assert dataset.ids == [f"{DESK}/100", f"{DESK}/102"]
    assert dataset.scenes == [DESK, DESK] and dataset.official_splits == ["", ""]
    assert len(dataset) == 2


def test_a_folder_of_sequences_is_a_set_too(root: Path) -> None:
    dataset = TumDataset(root)
    assert dataset.ids == [f"{DESK}/100", f"{DESK}/102", f"{HALL}/100", f"{HALL}/102"]
    assert dataset.scenes == [DESK, DESK, HALL, HALL]
    assert torch.equal(dataset[2].image, TumDataset(root / HALL)[0].image)


def test_depth_is_value_over_5000_of_the_nearest_time_and_0_is_none(root: Path) -> None:
    dataset = TumDataset(root / DESK)
    assert [dataset[place].depth_m[0, 3, 3].item() for place in (0, 1)] == pytest.approx([1, 2])
    sample = dataset[0]
    assert sample.depth_m[0, 1, 2].item() == pytest.approx(1 / 5000)
    assert (~sample.valid[0]).nonzero().tolist() == [[0, 0]]
    assert sample.image.shape == (3, 4, 6) and sample.depth_m.dtype == torch.float32


def test_camera_goes_by_the_sequences_name(root: Path) -> None:
    dataset = TumDataset(root)
    torch.testing.assert_close(dataset[0].intrinsics, torch.tensor([[517.3, 0, 318.6], [0, 516.5, 255.3], [0, 0, 1]]))
    torch.testing.assert_close(dataset[2].intrinsics, torch.tensor([[535.4, 0, 320.1], [0, 539.2, 247.6], [0, 0, 1]]))
    (root / HALL).rename(root / "mine")
    assert TumDataset(root / "mine")[0].intrinsics.isnan().all()
    (root / HALL).symlink_to(root / "mine")
    assert TumDataset(root / HALL)[0].intrinsics[0, 0].item() == pytest.approx(535.4)
    (root / HALL).unlink()
    index = root / "mine" / "rgb.txt"
    index.write_text(index.read_text().replace("rgbd_dataset.bag", f"{HALL}.bag"))
    assert TumDataset(root / "mine")[0].intrinsics[0, 0].item() == pytest.approx(535.4)
    assert TumDataset(root)[0].intrinsics[0, 0].item() == pytest.approx(535.4)


def test_camera_goes_by_the_lists_head_or_a_links_name_where_the_folder_was_renamed(root: Path) -> None:
    (root / HALL).rename(root / "mine")
    (root / HALL).symlink_to(root / "mine")
    assert TumDataset(root / HALL)[0].intrinsics[0, 0] == pytest.approx(535.4)
    text = (root / "mine" / "rgb.txt").read_text()
    write(root / "mine" / "rgb.txt", text.replace("rgbd_dataset.bag", "rgbd_dataset_freiburg2_desk.bag"))
    for name in ("mine", HALL):
        assert TumDataset(root / name)[0].intrinsics[0, 0] == pytest.approx(520.9)
    assert TumDataset(root / "mine").time_s(1) == 100.2


def test_the_nearest_pairs_go_first_and_nothing_is_paired_twice() -> None:
    # 1.00 could have either; 1.01 is nearer to 1.012, so 1.00 is left with 0.985.
    pairs = associate(times(1.00, 1.01), times(0.985, 1.012))
    assert [(colour.time_s, depth.time_s) for colour, depth in pairs] == [(1.00, 0.985), (1.01, 1.012)]
    assert associate(times(1.00, 1.01), times(1.009)) == [(*times(1.01), *times(1.009))]


@pytest.mark.parametrize(("apart_s", "num"), [(0.0199, 1), (0.0201, 0)])
def test_pairs_are_less_than_two_hundredths_apart(apart_s: float, num: int) -> None:
    assert len(associate(times(5.0), times(5.0 + apart_s))) == num
    assert len(associate(times(5.0), times(5.0 - apart_s))) == num


def test_missing_files_are_named(root: Path) -> None:
    dataset = TumDataset(root / DESK)
    (root / DESK / "depth" / "c.png").unlink()
    assert "c.png does not exist" in refusal(lambda: dataset[1])
    (root / DESK / "depth.txt").unlink()
    assert "depth.txt cannot be read: unpack the sequence's .tgz again" in refusal(lambda: TumDataset(root))


@pytest.mark.parametrize("line", ["100.3", "soon rgb/103.png"])
def test_a_broken_line_is_named(root: Path, line: str) -> None:
    write(root / DESK / "rgb.txt", f"# comment\n100.0 rgb/100.png\n{line}\n")
    assert f"rgb.txt, line 3: wanted a time and a file, got {line!r}" in refusal(lambda: TumDataset(root))


def test_lists_that_begin_with_a_byte_order_mark_are_read(root: Path) -> None:
    before = TumDataset(root).ids
    for path in (root / DESK).glob("*.txt"):
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert TumDataset(root).ids == before and TumDataset(root)[0].intrinsics.isfinite().all()


def test_depth_of_another_size_is_refused(root: Path) -> None:
    save_depth(root / DESK / "depth" / "a.png", {}, size=(6, 4))
    assert "a.png must be 4×6 as its picture is, got 6×4" in refusal(lambda: TumDataset(root)[0])


def test_times_that_never_meet_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "rgb.txt", "1.0 rgb/1.png\n")
    write(tmp_path / "depth.txt", "2.0 depth/2.png\n")
    assert "wanted rgb.txt and depth.txt of TUM RGB-D with times that meet" in refusal(lambda: TumDataset(tmp_path))
