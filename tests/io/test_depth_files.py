import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from leadline.errors import LeadlineError
from leadline.io import depth_files
from leadline.io.depth_files import (
    as_millimetres,
    read_depth_png,
    read_npz,
    write_depth_png,
    write_normals_png,
    write_npz,
)


def metres(*rows: list[float]) -> np.ndarray:
    return np.array(rows, np.float32)


def everywhere(depth_m: np.ndarray) -> np.ndarray:
    return np.ones(depth_m.shape, dtype=bool)


def sloped(height: int, width: int, near_m: float = 1.0, far_m: float = 5.0) -> np.ndarray:
    return np.linspace(near_m, far_m, height * width, dtype=np.float32).reshape(height, width)


# Depth as PNG


def test_depth_png_holds_millimetres_and_names_its_unit(tmp_path):
    depth_m = metres([0.5, 1.2344, 1.2346, 65.535])
    write_depth_png(tmp_path / "a.png", depth_m, everywhere(depth_m))
    with Image.open(tmp_path / "a.png") as picture:
        assert np.asarray(picture).tolist() == [[500, 1234, 1235, 65535]]
        assert picture.mode.startswith("I;16")
        assert picture.info == {"unit": "millimetre", "invalid": "0", "software": "leadline"}


def test_what_16_bits_cannot_hold_becomes_invalid(tmp_path):
    depth_m = metres([65.536, 1000.0, 0.0004, 0.0, -1.0, np.nan, np.inf, 2.0, 3.0])
    valid = everywhere(depth_m)
    valid[0, -1] = False
    write_depth_png(tmp_path / "a.png", depth_m, valid)
    back = read_depth_png(tmp_path / "a.png")
    assert back.depth_m.tolist() == [[0, 0, 0, 0, 0, 0, 0, 2, 0]]
    assert back.valid.tolist() == [[False] * 7 + [True, False]]


def test_depth_that_16_bits_cannot_hold_is_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(depth_files, "_told_of_far", [])
    for held in ([65.535, 0.0004, np.nan], [1e6, 2.0, np.inf]):  # the latter of no valid pixel
        depth_m = metres(held)
        write_depth_png(tmp_path / "a.png", depth_m, depth_m < 1000)
    assert not caplog.records
    for _ in range(2):
        as_millimetres(metres([2.0, 80.0]), np.ones((1, 2), bool))
    (record,) = caplog.records
    assert record.getMessage().startswith("depth of 80 m: what is beyond 65.535 m becomes 0, no depth, in 16-bit")


def test_depth_png_there_and_back_is_within_half_a_millimetre(tmp_path):
    depth_m = sloped(48, 64, 0.5, 60.0)
    write_depth_png(tmp_path / "a.png", depth_m, everywhere(depth_m))
    back = read_depth_png(tmp_path / "a.png")
    assert back.depth_m.dtype == np.float32
    assert back.valid.all()
    assert np.abs(back.depth_m - depth_m).max() <= 0.000505  # and what float32 rounds at 60 m


def test_a_depth_png_without_a_unit_is_taken_for_millimetres(tmp_path):
    Image.fromarray(np.array([[0, 1500]], np.uint16)).save(tmp_path / "a.png")
    back = read_depth_png(tmp_path / "a.png")
    assert back.depth_m.tolist() == [[0, 1.5]]
    assert back.valid.tolist() == [[False, True]]


def test_a_picture_is_no_depth_png(tmp_path):
    Image.new("L", (4, 4)).save(tmp_path / "a.png")
    with pytest.raises(LeadlineError, match=r"a\.png is no depth map: wanted a 16-bit grey PNG, got mode L"):
        read_depth_png(tmp_path / "a.png")


def test_a_depth_png_in_another_unit_is_refused(tmp_path):
    chunks = PngInfo()
    chunks.add_text("unit", "inch")
    Image.fromarray(np.ones((2, 2), np.uint16)).save(tmp_path / "a.png", pnginfo=chunks)
    with pytest.raises(LeadlineError, match="holds depth in inch, wanted millimetre: convert it first"):
        read_depth_png(tmp_path / "a.png")


def test_a_missing_depth_png_is_a_user_error(tmp_path):
    with pytest.raises(LeadlineError, match="does not exist"):
        read_depth_png(tmp_path / "a.png")


# Depth as NPZ


def test_npz_there_and_back_is_exact(tmp_path):
    depth_m = sloped(5, 7)
    valid = depth_m > 2
    matrix = np.array([[500, 0, 3], [0, 500, 2], [0, 0, 1]], np.float64)
    write_npz(tmp_path / "a.npz", depth_m, valid, matrix)  # type: ignore[arg-type]
    back = read_npz(tmp_path / "a.npz")
    np.testing.assert_array_equal(back.depth_m, depth_m)
    np.testing.assert_array_equal(back.valid, valid)
    np.testing.assert_array_equal(back.intrinsics, matrix)
    assert (back.depth_m.dtype, back.valid.dtype, back.intrinsics.dtype) == (np.float32, np.bool_, np.float32)


def test_npz_holds_uncertainty_where_it_is_known(tmp_path):
    depth_m = sloped(5, 7)
    write_npz(tmp_path / "a.npz", depth_m, everywhere(depth_m), None, 0.1 * depth_m)
    back = read_npz(tmp_path / "a.npz")
    np.testing.assert_array_equal(back.uncertainty_m, np.float32(0.1) * depth_m)
    write_npz(tmp_path / "b.npz", depth_m, everywhere(depth_m), None)
    assert read_npz(tmp_path / "b.npz").uncertainty_m is None


def test_npz_refuses_uncertainty_of_another_size(tmp_path):
    with pytest.raises(ValueError, match=r"wanted uncertainty \(2, 2\) as its depth, got \(2, 3\)"):
        write_npz(tmp_path / "a.npz", sloped(2, 2), everywhere(sloped(2, 2)), None, sloped(2, 3))
    np.savez(tmp_path / "b.npz", depth_m=sloped(2, 2), valid=np.ones((2, 2), bool), intrinsics=np.eye(3),
             unit="metre", uncertainty_m=sloped(2, 3))  # fmt: skip
    with pytest.raises(LeadlineError, match=r"b\.npz cannot be read as depth \(wanted uncertainty"):
        read_npz(tmp_path / "b.npz")


def test_npz_is_read_by_anyone_without_unpickling(tmp_path):
    write_npz(tmp_path / "a.npz", sloped(2, 2), np.ones((2, 2), bool), None)
    with np.load(tmp_path / "a.npz", allow_pickle=False) as arrays:
        assert sorted(arrays.files) == ["depth_m", "intrinsics", "unit", "valid"]
        assert str(arrays["unit"]) == "metre"
        assert np.isnan(arrays["intrinsics"]).all()


def test_npz_keeps_the_name_it_was_given(tmp_path):
    write_npz(tmp_path / "depth.data", sloped(2, 2), np.ones((2, 2), bool), None)
    assert [path.name for path in tmp_path.iterdir()] == ["depth.data"]
    assert read_npz(tmp_path / "depth.data").valid.all()


def test_npz_refuses_a_batch_of_cameras(tmp_path):
    with pytest.raises(ValueError, match=r"wanted intrinsics of \(3, 3\), got \(1, 3, 3\)"):
        write_npz(tmp_path / "a.npz", sloped(2, 2), np.ones((2, 2), bool), np.ones((1, 3, 3), np.float32))


def spoil_missing(path: Path) -> None:
    path.unlink()


def spoil_text(path: Path) -> None:
    path.write_text("no archive")


def spoil_cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-30])


def spoil_key(path: Path) -> None:
    np.savez(path, depth_m=sloped(2, 2), unit="metre")


def spoil_shape(path: Path) -> None:
    np.savez(path, depth_m=sloped(2, 2), valid=np.ones(3, bool), intrinsics=np.eye(3), unit="metre")


def spoil_array(path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, sloped(2, 2))


def spoil_pickle(path: Path) -> None:
    objects = np.array([[{}]], dtype=object)
    np.savez(path, depth_m=objects, valid=np.ones((1, 1), bool), intrinsics=np.eye(3), unit="metre")


def spoil_member(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("depth_m", "valid", "intrinsics", "unit"):
            archive.writestr(f"{name}.npy", b"\x93NUMPY\x01\x00nothing")


SPOILERS = [spoil_missing, spoil_text, spoil_cut, spoil_key, spoil_shape, spoil_array, spoil_pickle, spoil_member]


@pytest.mark.parametrize("spoil", SPOILERS)
def test_what_is_no_depth_npz_is_a_user_error(tmp_path, spoil):
    path = tmp_path / "a.npz"
    write_npz(path, sloped(2, 2), np.ones((2, 2), bool), None)
    spoil(path)
    with pytest.raises(
        LeadlineError, match=r"a\.npz cannot be read as depth \(.+\): wanted an NPZ file with"
    ) as caught:
        read_npz(path)
    assert "\n" not in str(caught.value)


def test_npz_in_another_unit_is_refused(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, depth_m=sloped(2, 2), valid=np.ones((2, 2), bool), intrinsics=np.eye(3), unit="foot")
    with pytest.raises(LeadlineError, match="holds depth in foot, wanted metre: convert it first"):
        read_npz(path)


def test_normals_are_written_from_minus_one_to_one(tmp_path: Path) -> None:
    normals = np.array([[[0, 0, -1], [0, 0, 0], [1, 0, 0]]], np.float32)
    write_normals_png(tmp_path / "n.png", normals)
    with Image.open(tmp_path / "n.png") as picture:
        assert "x right, y down, z forward" in picture.info["axes"]
        high_bytes = np.asarray(picture)[0].tolist()
    assert high_bytes == [[128, 128, 0], [0, 0, 0], [255, 128, 128]]
