from pathlib import Path

import capture_files as files
import numpy as np
import pytest
from layout_files import refusal, write

from leadline.data.check.layouts import check_dataset
from leadline.data.synthetic.dataset import synthesize


def test_a_capture_is_looked_through_at_its_own_sizes(tmp_path: Path) -> None:
    report = check_dataset(files.write_polycam(tmp_path / "room"))
    assert report.problems == () and (report.num_pictures, report.num_sampled, report.num_scenes) == (2, 2, 1)
    assert report.picture_sizes == {(64, 48): 2} and report.depth_sizes == {(16, 12): 2}
    assert report.cameras.focals_px == (50, 50) and report.cameras.num_unknown == 0
    assert report.depth and report.depth.median_m == pytest.approx(1.42, abs=0.011)
    assert report.depth.valid_share == 190 / 192  # one is none, one of low confidence


def test_a_folder_with_an_index_is_looked_through_as_one(tmp_path: Path) -> None:
    synthesize(tmp_path, 2, 0, 24, 32)
    assert check_dataset(tmp_path).splits == {"train": 2}


def test_each_fault_is_told_once_and_the_rest_is_counted(tmp_path: Path) -> None:
    root = files.write_polycam(tmp_path / "room")
    (root / "keyframes" / "images" / "5000000.jpg").write_bytes(b"words")
    files.save(root / "keyframes" / "depth" / "5500000.png", np.full((12, 16), 1500, np.uint16))
    report = check_dataset(root)
    assert report.num_sampled == 1 and len(report.problems) == 2
    assert "5000000.jpg is no picture" in report.problems[0]
    assert "depth map of one value only (1 of 1 looked at): room/5500000" in report.problems[1]


def write_tum(root: Path, steps_per_metre: int, near_m: float) -> Path:
    depth = np.tile(np.linspace(near_m, 3.0, 16), (12, 1)) * steps_per_metre
    for name, values in (("rgb", files.colours(12, 16)), ("depth", np.rint(depth).astype(np.uint16))):
        files.save(root / name / "1.png", values)
        write(root / f"{name}.txt", f"# {name}\n1.0 {name}/1.png\n")
    return root


@pytest.mark.parametrize(("steps", "right"), [(5000, True), (1000, False), (256, False)])
def test_a_sequence_of_tums_form_in_another_unit_is_noticed(tmp_path: Path, steps: int, right: bool) -> None:
    report = check_dataset(write_tum(tmp_path, steps, 0.6))
    assert (report.problems == ()) is right
    if steps == 1000:
        assert "which has 5000 steps a metre: values look like millimetres; list the files in" in report.problems[0]


def test_a_folder_of_nothing_known_is_one_line(tmp_path: Path) -> None:
    assert "no data set at" in refusal(lambda: check_dataset(tmp_path))


def write_far(root: Path, far: int) -> Path:
    """A scene of ScanNet whose depth has a number in its first four rows."""
    files.write_scannet(root)
    for path in (root / "depth").iterdir():
        values = files.millimetres()
        values[:4] = far
        files.save(path, values)
    return root


def test_a_code_for_nothing_there_is_found_in_a_capture(tmp_path: Path) -> None:
    (problem,) = check_dataset(write_far(tmp_path / "room", 65535)).problems
    assert "33.5% of the valid pixels have the value 65535, the largest number of 16 bits (65.535 m)" in problem
    assert "the next is 1.5 m: if it means no depth, leadline data convert it and set depth_max_m = 2" in problem


def test_a_wall_far_behind_a_captures_things_is_only_noted(tmp_path: Path) -> None:
    report = check_dataset(write_far(tmp_path / "room", 4000))
    assert report.problems == () and len(report.notes) == 1 and "the value 4000 (4 m)" in report.notes[0]


def test_confidence_above_millimetres_is_found_in_a_capture(tmp_path: Path) -> None:
    root = files.write_scannet(tmp_path / "room")
    for path in (root / "depth").iterdir():
        files.save(path, files.millimetres() | (np.arange(16, dtype=np.uint16) % 8) << 13)
    (problem,) = check_dataset(root).problems
    assert "values look like Android's DEPTH16" in problem


def test_units_that_are_nearly_as_likely_are_told_as_well(tmp_path: Path) -> None:
    (problem,) = check_dataset(write_tum(tmp_path, 1000, 0.01)).problems
    assert "values look like 256 per metre" in problem and "0.001 (millimetres: 1.5" in problem
