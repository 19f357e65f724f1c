import numpy as np
import pytest

from depth_writers import WRITERS
from leadline.errors import LeadlineError
from leadline.io.depth_files import write_npz
from leadline.io.stored_depth import DEPTH_READERS, read_stored_depth


def metres(*rows: list[float]) -> np.ndarray:
    return np.array(rows, np.float32)


def test_every_ending_of_the_table_is_tried_here():
    assert set(WRITERS) == set(DEPTH_READERS)


@pytest.mark.parametrize("ending", WRITERS)
@pytest.mark.parametrize("case", [str.lower, str.upper])
def test_numbers_come_back_as_they_are_stored(tmp_path, ending, case):
    depth_m = metres([0.5, 1.25, 2.0], [3.0, 4.0, 5.5])
    WRITERS[ending](tmp_path / f"a{ending}", depth_m)
    path = (tmp_path / f"a{ending}").rename(tmp_path / f"b{case(ending)}")
    values = read_stored_depth(path).values
    unit = 1000 if values.dtype.kind == "u" else 1
    assert values.tolist() == (depth_m * unit).tolist()


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.int32])
def test_one_channel_behind_or_none_is_the_same(tmp_path, dtype):
    np.save(tmp_path / "a.npy", np.array([[[1], [2]]], dtype))
    values = read_stored_depth(tmp_path / "a.npy").values
    assert values.dtype == dtype and values.tolist() == [[1, 2]]


@pytest.mark.parametrize("shape", [(1, 2, 3), (1, 1, 2, 3)])
def test_a_batch_and_a_channel_of_one_before_the_rows_are_the_same(tmp_path, shape):
    depth_m = np.arange(1, 7, dtype=np.float32).reshape(2, 3)
    np.save(tmp_path / "a.npy", depth_m.reshape(shape))
    np.savez(tmp_path / "b.npz", depth_m=depth_m.reshape(shape), uncertainty_m=depth_m.reshape(shape))
    for name in ("a.npy", "b.npz"):
        np.testing.assert_array_equal(read_stored_depth(tmp_path / name).values, depth_m)
    np.testing.assert_array_equal(read_stored_depth(tmp_path / "b.npz").uncertainty_m, depth_m)
    np.save(tmp_path / "c.npy", np.stack([depth_m, depth_m]))
    with pytest.raises(LeadlineError, match=r"one channel, got shape \(2, 2, 3\)"):
        read_stored_depth(tmp_path / "c.npy")


def test_depth_beside_a_camera_and_a_mask_is_found_by_its_name(tmp_path):
    depth_m = metres([1.0, 2.0])
    np.savez(tmp_path / "a.npz", depth=depth_m, intrinsics=np.eye(3), mask=np.array([[True, False]]))
    np.savez(tmp_path / "b.npz", pred=depth_m, valid_mask=np.array([[True, False]]))
    for name in ("a.npz", "b.npz"):
        np.testing.assert_array_equal(read_stored_depth(tmp_path / name).known, [[1, np.nan]])


def test_mask_and_uncertainty_of_our_own_file_come_along(tmp_path):
    depth_m = metres([1.0, 2.0])
    write_npz(tmp_path / "a.npz", depth_m, np.array([[True, False]]), np.eye(3, dtype=np.float32), depth_m / 10)
    with pytest.raises(LeadlineError, match="no whole .npz file"):
        np.savez(tmp_path / "b.npz", left=depth_m, right=depth_m)
        read_stored_depth(tmp_path / "b.npz")
    stored = read_stored_depth(tmp_path / "a.npz")
    assert stored.values.tolist() == [[1, 2]] and stored.valid.tolist() == [[True, False]]
    np.testing.assert_array_equal(stored.uncertainty_m, depth_m / 10)
    np.testing.assert_array_equal(stored.known, [[1, np.nan]])


def test_advice_for_an_unreadable_file_is_no_lossy_format(tmp_path):
    (tmp_path / "a.dat").write_bytes(b"depth of some kind")
    with pytest.raises(
        LeadlineError, match=r"no depth map that can be read: wanted PNG or TIFF .*\.npz, .*\.dpt"
    ) as caught:
        read_stored_depth(tmp_path / "a.dat")
    assert "JPEG" not in str(caught.value)


@pytest.mark.parametrize("shape", [(0, 0), (0, 5), (4, 0)])
def test_a_map_without_a_pixel_is_refused(tmp_path, shape):
    np.save(tmp_path / "a.npy", np.zeros(shape, np.float32))
    with pytest.raises(LeadlineError, match=r"a\.npy holds no pixel"):
        read_stored_depth(tmp_path / "a.npy")


@pytest.mark.parametrize("mask", [np.array([[1, 0]], np.uint8), np.array([[255, 0]]), np.array([[[True], [False]]])])
def test_a_mask_of_any_numbers_counts(tmp_path, mask):
    np.savez(tmp_path / "a.npz", depth_m=metres([1.0, 2.0])[..., None], valid=mask)
    assert read_stored_depth(tmp_path / "a.npz").valid.tolist() == [[True, False]]


def test_a_mask_of_another_shape_and_another_unit_are_refused(tmp_path):
    np.savez(tmp_path / "a.npz", depth_m=metres([1.0, 2.0]), valid=np.array([True]))
    with pytest.raises(LeadlineError, match=r"valid must be a mask of \(1, 2\) as its depth is, got bool \(1,\): save"):
        read_stored_depth(tmp_path / "a.npz")
    np.savez(tmp_path / "b.npz", depth=metres([1000.0, 2000.0]), unit=np.array("millimetre"))
    with pytest.raises(LeadlineError, match="holds depth in millimetre, wanted metre"):
        read_stored_depth(tmp_path / "b.npz")
