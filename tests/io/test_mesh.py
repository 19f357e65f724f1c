from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import trimesh
from numpy.typing import NDArray

from leadline.data.intrinsics import crop_intrinsics, pinhole
from leadline.data.synthetic.dataset import SyntheticDataset
from leadline.errors import LeadlineError
from leadline.geometry.camera import Camera
from leadline.geometry.points import Cloud, on_surface, point_cloud
from leadline.io.camera_files import read_camera
from leadline.io.mesh import write_mesh_glb, write_ply, write_points_glb
from leadline.prediction.result import Prediction

HEIGHT, WIDTH, FOCAL_PX = 48, 64, 52.0
CAMERA: NDArray[np.float32] = pinhole(FOCAL_PX, HEIGHT, WIDTH).numpy()
NORMAL, DISTANCE_M = np.array([0.3, -0.4, np.sqrt(0.75)]), 2.0  # a slanted wall: NORMAL · X = DISTANCE_M


def wall() -> NDArray[np.float32]:
    """Exact depth of the wall: along the ray (x, y, 1) it is DISTANCE_M / (NORMAL · ray)."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    rays = np.stack([(x - (WIDTH - 1) / 2) / FOCAL_PX, (y - (HEIGHT - 1) / 2) / FOCAL_PX, np.ones(x.shape)], axis=-1)
    return (DISTANCE_M / (rays @ NORMAL)).astype(np.float32)


def picture() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)


def everywhere() -> NDArray[np.bool_]:
    return np.ones((HEIGHT, WIDTH), dtype=bool)


def test_a_plane_stays_a_plane_in_the_file(tmp_path: Path) -> None:
    cloud = point_cloud(picture(), wall(), everywhere(), CAMERA)
    write_ply(tmp_path / "wall.ply", cloud)
    loaded = trimesh.load(tmp_path / "wall.ply")
    assert len(loaded.vertices) == HEIGHT * WIDTH
    np.testing.assert_allclose(loaded.vertices @ NORMAL, DISTANCE_M, atol=1e-5)
    np.testing.assert_array_equal(loaded.colors[:, :3], picture().reshape(-1, 3))


def test_a_room_seen_off_centre_keeps_its_planes(tmp_path: Path) -> None:
    """A window cut out of a rendered room, with a camera file of its own: the walls are flat and meet squarely."""
    room = SyntheticDataset(count=1, seed=3, height=240, width=320)
    whole, top, left = room.rendering(0), 20, 90
    rgb, depth_m, surface = (values[top:200, left:300] for values in (whole.rgb, whole.depth_m, whole.surface))
    matrix = crop_intrinsics(room.intrinsics, top, left)
    np.savetxt(tmp_path / "camera.txt", matrix)
    intrinsics = read_camera(tmp_path / "camera.txt").matrix.astype(np.float32)
    assert abs(intrinsics[0, 2] - (depth_m.shape[1] - 1) / 2) > 10  # far from the middle
    prediction = Prediction(rgb, depth_m, np.ones(depth_m.shape, bool), Camera.from_matrix(intrinsics, 210, 180))
    (path,) = prediction.save(tmp_path / "room", ["ply"])
    points_m = np.asarray(trimesh.load(path).vertices)
    seen = surface[on_surface(depth_m, prediction.valid)]
    normals = []
    for side in range(6):
        wall_m = points_m[seen == side]
        if len(wall_m) > 500:
            spread = wall_m - wall_m.mean(0)
            normals.append(np.linalg.svd(spread, full_matrices=False)[2][-1])
            assert np.abs(spread @ normals[-1]).max() < 0.01
    assert len(normals) >= 3
    across = np.abs(np.array(normals) @ np.array(normals).T)
    assert np.minimum(across, 1 - across).max() < 0.01  # parallel or at right angles


def test_points_and_surface_have_gltfs_axes(tmp_path: Path) -> None:
    cloud = point_cloud(picture(), wall(), everywhere(), CAMERA)
    write_points_glb(tmp_path / "points.glb", cloud)
    write_mesh_glb(tmp_path / "mesh.glb", picture(), wall(), everywhere(), CAMERA)
    for name in ("points", "mesh"):
        (shape,) = trimesh.load(tmp_path / f"{name}.glb").geometry.values()
        np.testing.assert_allclose(shape.vertices @ (NORMAL * [1, -1, -1]), DISTANCE_M, atol=1e-5)
        assert (shape.vertices[:, 2] < 0).all()  # in front of a camera that looks along -z


def test_the_surface_faces_the_camera_and_wears_the_picture(tmp_path: Path) -> None:
    write_mesh_glb(tmp_path / "mesh.glb", picture(), wall(), everywhere(), CAMERA)
    (mesh,) = trimesh.load(tmp_path / "mesh.glb").geometry.values()
    assert len(mesh.faces) == 2 * (HEIGHT - 1) * (WIDTH - 1)
    towards_camera = -mesh.triangles_center
    assert ((mesh.face_normals * towards_camera).sum(1) > 0).all()
    texture = np.asarray(mesh.visual.material.baseColorTexture.convert("RGB"))
    np.testing.assert_array_equal(texture, picture())
    # The point of row 10, column 20 wears that pixel.
    ray = np.array([(20 - (WIDTH - 1) / 2) / FOCAL_PX, -(10 - (HEIGHT - 1) / 2) / FOCAL_PX, -1.0])
    point = np.linalg.norm(mesh.vertices - ray * wall()[10, 20], axis=1).argmin()
    u, v = mesh.visual.uv[point]
    assert (int((1 - v) * HEIGHT), int(u * WIDTH)) == (10, 20)


def test_no_surface_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(LeadlineError, match="no surface to write"):
        write_mesh_glb(tmp_path / "mesh.glb", picture(), wall(), ~everywhere(), CAMERA)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("write", "name"), [(write_ply, "a.ply"), (write_points_glb, "a_points.glb")])
def test_no_points_leave_no_file(tmp_path: Path, write: Callable[[Path, Cloud], None], name: str) -> None:
    cloud = point_cloud(picture(), wall(), ~everywhere(), CAMERA)
    with pytest.raises(LeadlineError, match="no points to write: no pixel lies on a surface"):
        write(tmp_path / name, cloud)
    assert not list(tmp_path.iterdir())


def test_a_large_picture_becomes_a_coarser_surface(tmp_path: Path) -> None:
    write_mesh_glb(tmp_path / "mesh.glb", picture(), wall(), everywhere(), CAMERA, most_vertices=HEIGHT * WIDTH // 4)
    (mesh,) = trimesh.load(tmp_path / "mesh.glb").geometry.values()
    assert len(mesh.vertices) == HEIGHT * WIDTH // 4
    np.testing.assert_allclose(mesh.vertices @ (NORMAL * [1, -1, -1]), DISTANCE_M, atol=1e-5)
