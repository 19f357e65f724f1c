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


def write_parts(path: Path, *parts: tuple[str, dict[str, np.ndarray]], **header: object) -> None:
    made = [OpenEXR.Part({"type": OpenEXR.scanlineimage, **header}, channels, name) for name, channels in parts]
    with OpenEXR.File(made) as file:
        file.write(str(path))


def numbers(start: float = 0) -> np.ndarray:
    return (start + np.arange(6, dtype=np.float32)).reshape(2, 3)


@pytest.mark.parametrize("turn", [np.rot90, np.asfortranarray, lambda it: it[:, ::-1], lambda it: it[::2, 1:]])
def test_arrays_of_any_memory_order_are_stored_as_they_read(turn, tmp_path: Path) -> None:
    depth_m = turn(np.random.default_rng(0).uniform(0.5, 10, (6, 7)).astype(np.float32))
    write_exr(tmp_path / "a.exr", depth_m, np.ones(depth_m.shape, bool))
    np.testing.assert_array_equal(read_exr(tmp_path / "a.exr"), depth_m)


COLOURS = {name: numbers(start).astype(np.float16) for start, name in enumerate("RGB")}


@pytest.mark.parametrize(
    "parts",
    [
        [("rgb", COLOURS), ("depth", {"Z": numbers(5)})],
        [("rgb", COLOURS), ("depth", {"V": numbers(5)})],
        [("rgba", COLOURS), ("rgba.depth", {"depth.R": numbers(5)})],
        [("", {**COLOURS, "depth.Z": numbers(5)})],
        [("", {"ViewLayer.Combined.R": numbers(), "ViewLayer.Depth.V": numbers(5), "ViewLayer.Depth.A": numbers()})],
        [("", {"View.Denoising Depth.Z": numbers(1), "View.Mist.Z": numbers(2), "View.Depth.Z": numbers(5)})],
        [("", {"N.X": numbers(1), "N.Y": numbers(2), "N.Z": numbers(3), "deep.Z": numbers(5)})],
        [("", {"R": numbers(5), "G": numbers(5), "B": numbers(5), "A": numbers()})],
    ],
    ids=["part-z", "part-v", "part-below", "layer", "blender", "denoising", "normals", "grey"],
)
def test_depth_is_found_among_parts_layers_and_colours(
    parts: list[tuple[str, dict[str, np.ndarray]]], tmp_path: Path
) -> None:
    write_parts(tmp_path / "a.exr", *parts)
    np.testing.assert_array_equal(read_exr(tmp_path / "a.exr"), numbers(5))


def test_a_mist_pass_is_no_depth(tmp_path: Path) -> None:
    write_parts(tmp_path / "a.exr", ("", {"View.Mist.Z": numbers()}))
    with pytest.raises(LeadlineError, match=r"a\.exr holds .*: wanted depth in a channel named Z"):
        read_exr(tmp_path / "a.exr")


def test_colours_that_differ_are_no_depth(tmp_path: Path) -> None:
    write_parts(tmp_path / "a.exr", ("", COLOURS))
    with pytest.raises(LeadlineError, match=r"a\.exr holds b, g, r: wanted depth in a channel named Z"):
        read_exr(tmp_path / "a.exr")


def windows(left: int, top: int, last_column: int, last_row: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """A data window of 3×2 pixels from (left, top) on, and a display window."""
    corners = [(left, top), (left + 2, top + 1)], [(0, 0), (last_column, last_row)]
    data, display = (tuple(np.array(it, np.int32) for it in pair) for pair in corners)
    return {"dataWindow": data, "displayWindow": display}


def test_a_rendered_region_stands_at_its_place(tmp_path: Path) -> None:
    write_parts(tmp_path / "a.exr", ("", {"Z": numbers(1)}), **windows(1, 2, 4, 3))
    wanted = np.full((4, 5), np.nan, np.float32)
    wanted[2:, 1:4] = [[1, 2, 3], [4, 5, 6]]
    np.testing.assert_array_equal(read_exr(tmp_path / "a.exr"), wanted)


def test_what_lies_outside_the_frame_is_left_out(tmp_path: Path) -> None:
    write_parts(tmp_path / "a.exr", ("", {"Z": numbers(1)}), **windows(-1, -1, 2, 1))
    wanted = [[5, 6, np.nan], [np.nan] * 3]
    np.testing.assert_array_equal(read_exr(tmp_path / "a.exr"), np.array(wanted, np.float32))


def test_an_absurd_frame_is_refused(tmp_path: Path) -> None:
    write_parts(tmp_path / "a.exr", ("", {"Z": numbers(1)}), **windows(0, 0, 99_999, 99_999))
    with pytest.raises(LeadlineError, match=r"a\.exr is a frame of 100000×100000 pixels; wanted at most 200,000,000"):
        read_exr(tmp_path / "a.exr")
