import numpy as np
import pytest

from leadline.geometry.normals import surface_normals

MATRIX = np.array([[100, 0, 79.5], [0, 110, 59.5], [0, 0, 1]], np.float32)
Y, X = np.mgrid[:120, :160]
RAYS = np.stack([(X - 79.5) / 100, (Y - 59.5) / 110, np.ones((120, 160))], axis=-1)


def plane(normal: np.ndarray, distance_m: float) -> np.ndarray:
    """Depth of the plane normal · X = -distance, seen from its front."""
    return (-distance_m / (RAYS @ normal)).astype(np.float32)


def angles_deg(found: np.ndarray, normal: np.ndarray) -> np.ndarray:
    return np.degrees(np.arccos((found @ normal).clip(-1, 1)))


@pytest.mark.parametrize("direction", [(0, 0, -1), (0.5, 0.1, -1), (-0.3, -0.8, -1)])
def test_a_plane_has_its_normal_everywhere_even_in_millimetres(direction: tuple[float, ...]) -> None:
    normal = np.array(direction) / np.linalg.norm(direction)
    exact = plane(normal, 2.0)
    everywhere = np.ones(exact.shape, bool)
    assert angles_deg(surface_normals(exact, everywhere, MATRIX), normal).max() < 0.1
    rounded = np.rint(exact * 1000).astype(np.float32) / 1000
    assert np.median(angles_deg(surface_normals(rounded, everywhere, MATRIX), normal)) < 1


def test_edges_are_not_smeared() -> None:
    left, right = (np.array(it) / np.linalg.norm(it) for it in ((0.8, 0, -1), (-0.8, 0, -1)))
    first, second = plane(left, 2.0), plane(right, 2.0)
    depth_m = np.maximum(first, second)  # the corner of a room
    found = surface_normals(depth_m, np.ones(depth_m.shape, bool), MATRIX)
    truth = np.where((first > second)[..., None], left, right)
    assert (np.degrees(np.arccos((found * truth).sum(-1).clip(-1, 1))) < 2).mean() > 0.99


def test_a_step_in_depth_has_two_sides_and_none_between() -> None:
    depth_m = np.where(X < 80, 1.0, 3.0).astype(np.float32)
    found = surface_normals(depth_m, np.ones(depth_m.shape, bool), MATRIX)
    assert angles_deg(found, np.array([0, 0, -1])).max() < 0.1


def test_where_there_is_no_depth_there_is_no_normal() -> None:
    depth_m, valid = np.full((120, 160), 2, np.float32), (X > 40)
    found = surface_normals(depth_m, valid, MATRIX)
    assert (found[~valid] == 0).all()
    assert found[valid] == pytest.approx(np.broadcast_to([0, 0, -1], (valid.sum(), 3)), abs=1e-3)
