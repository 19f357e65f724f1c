import numpy as np
import pytest

from leadline.geometry.depth import summarize_depth, to_millimetres


def metres(*rows: list[float]) -> np.ndarray:
    return np.array(rows, np.float32)


def everywhere(depth_m: np.ndarray) -> np.ndarray:
    return np.ones(depth_m.shape, dtype=bool)


def sloped(height: int, width: int, near_m: float = 1.0, far_m: float = 5.0) -> np.ndarray:
    return np.linspace(near_m, far_m, height * width, dtype=np.float32).reshape(height, width)


def test_summary_takes_percentiles_of_valid_depths_only():
    depth_m = np.append(np.arange(101, dtype=np.float32), (np.float32(1e6), np.float32(np.nan)))
    valid = np.append(np.ones(101, bool), (False, True))
    assert summarize_depth(depth_m, valid) == (2.0, 50.0, 98.0)


def test_summary_of_very_many_depths_is_close_to_that_of_all():
    depth_m = sloped(2000, 1500, 0, 100)
    assert summarize_depth(depth_m, everywhere(depth_m)) == pytest.approx((2, 50, 98), abs=0.01)


def test_summary_of_nothing_is_nan():
    assert np.isnan(summarize_depth(metres([1, 2]), np.zeros((1, 2), bool))).all()


@pytest.mark.filterwarnings("error")
def test_millimetres_are_0_where_16_bits_cannot_hold_the_depth() -> None:
    depth_m = metres([2.0, 65.535, 65.5355, 0.0004, -1.0, np.nan, np.inf, -np.inf, 1e37, 3.0])
    valid = np.arange(10)[None] < 9
    np.testing.assert_array_equal(to_millimetres(depth_m, valid), [[2000, 65535, 0, 0, 0, 0, 0, 0, 0, 0]])
