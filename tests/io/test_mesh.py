import json
import os
import shutil
import struct
import subprocess
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trimesh
from numpy.typing import NDArray
from PIL import Image

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


def content(path: Path) -> tuple[dict[str, Any], list[bytes]]:
    """A GLB's tree, and the bytes of each of its views."""
    held = path.read_bytes()
    size = struct.unpack("<I", held[12:16])[0]
    tree, block = json.loads(held[20 : 20 + size]), held[28 + size :]
    views = [block[it["byteOffset"] : it["byteOffset"] + it["byteLength"]] for it in tree["bufferViews"]]
    return tree, views


def test_colours_of_points_are_linear(tmp_path: Path) -> None:
    """By hand: ((128 / 255 + 0.055) / 1.055) ** 2.4 = 0.21586, and 10 / 255 / 12.92 = 0.0030353 below the knee."""
    cloud = Cloud(np.ones((2, 3), np.float32), np.array([[0, 10, 128], [255, 128, 10]], np.uint8))
    write_points_glb(tmp_path / "a.glb", cloud)
    tree, views = content(tmp_path / "a.glb")
    accessor = tree["accessors"][tree["meshes"][0]["primitives"][0]["attributes"]["COLOR_0"]]
    assert (accessor["componentType"], accessor["normalized"], accessor["type"]) == (5123, True, "VEC4")
    stored = np.frombuffer(views[accessor["bufferView"]], np.uint16).reshape(2, 4)
    assert stored.tolist() == [[0, 199, 14146, 65535], [65535, 14146, 199, 65535]]


def test_a_ply_keeps_the_pictures_bytes(tmp_path: Path) -> None:
    cloud = Cloud(np.ones((1, 3), np.float32), np.array([[0, 10, 128]], np.uint8))
    write_ply(tmp_path / "a.ply", cloud)
    assert trimesh.load(tmp_path / "a.ply").colors[0, :3].tolist() == [0, 10, 128]


def test_the_surface_is_unlit_in_the_pictures_colours(tmp_path: Path) -> None:
    """The texture is JPEG: an even grey comes back to the number, noise about so."""
    for name, rgb, most in (("grey", np.full((HEIGHT, WIDTH, 3), 128, np.uint8), 0), ("noise", picture(), 8)):
        write_mesh_glb(tmp_path / f"{name}.glb", rgb, wall(), everywhere(), CAMERA)
        tree, views = content(tmp_path / f"{name}.glb")
        (material,) = tree["materials"]
        assert tree["extensionsUsed"] == ["KHR_materials_unlit"] and "KHR_materials_unlit" in material["extensions"]
        image = tree["images"][
            tree["textures"][material["pbrMetallicRoughness"]["baseColorTexture"]["index"]]["source"]
        ]
        assert image["mimeType"] == "image/jpeg"
        with Image.open(BytesIO(views[image["bufferView"]])) as texture:
            assert texture.format == "JPEG" and texture.size == (WIDTH, HEIGHT)
            assert np.abs(np.asarray(texture).astype(int) - rgb).mean() <= most


@pytest.mark.parametrize("max_triangles", [2 * 47 * 63, 1000, 100])
def test_a_fine_surface_is_simplified_to_the_budget(tmp_path: Path, max_triangles: int) -> None:
    write_mesh_glb(tmp_path / "mesh.glb", picture(), wall(), everywhere(), CAMERA, max_triangles=max_triangles)
    (mesh,) = trimesh.load(tmp_path / "mesh.glb").geometry.values()
    assert 0.9 * max_triangles <= len(mesh.faces) <= max_triangles
    np.testing.assert_allclose(mesh.vertices @ (NORMAL * [1, -1, -1]), DISTANCE_M, atol=1e-4)
    corners = mesh.vertices[:, :2] / -mesh.vertices[:, 2:] * FOCAL_PX  # of the picture, about its centre
    np.testing.assert_allclose(np.abs(corners).max(0), [(WIDTH - 1) / 2, (HEIGHT - 1) / 2], rtol=1e-4)
    towards_camera = -mesh.triangles_center
    assert ((mesh.face_normals * towards_camera).sum(1) > 0).all()
    u, v = mesh.visual.uv.T  # each vertex wears the pixel behind which it lies
    np.testing.assert_allclose(u * WIDTH - 0.5, corners[:, 0] + (WIDTH - 1) / 2, atol=1e-3)
    np.testing.assert_allclose((1 - v) * HEIGHT - 0.5, (HEIGHT - 1) / 2 - corners[:, 1], atol=1e-3)


def test_a_budget_below_its_pieces_is_refused(tmp_path: Path) -> None:
    valid = everywhere()
    valid[:, 10::10] = False  # strips, which cannot be joined
    with pytest.raises(LeadlineError, match="wanted a surface of at most 3 triangles, but .* raise --max-triangles"):
        write_mesh_glb(tmp_path / "mesh.glb", picture(), wall(), valid, CAMERA, max_triangles=3)
    assert not list(tmp_path.iterdir())


def test_what_is_curved_keeps_its_triangles(tmp_path: Path) -> None:
    """A ball before a wall: of 600 triangles, most are the ball's."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    bulge = np.maximum(0, 1 - ((x - 32) ** 2 + (y - 24) ** 2) / 15**2)
    depth_m = (3 - 0.6 * np.sqrt(bulge)).astype(np.float32)
    write_mesh_glb(tmp_path / "mesh.glb", picture(), depth_m, everywhere(), CAMERA, max_triangles=600)
    (mesh,) = trimesh.load(tmp_path / "mesh.glb").geometry.values()
    centres = mesh.triangles_center
    across_px = np.hypot(*(centres[:, :2] / -centres[:, 2:] * FOCAL_PX).T)
    assert (across_px < 18).mean() > 0.7  # its disc has a third of the picture


def test_small_jumps_of_near_things_are_no_holes(tmp_path: Path) -> None:
    """A step of 8 cm at 0.6 m, as of a cup's rim, is bridged; one of 15 cm, as of a thing before another, is cut."""
    for step_m, is_whole in ((0.08, True), (0.15, False)):
        depth_m = np.where(np.arange(WIDTH) < 32, 0.6, 0.6 + step_m)[None].repeat(HEIGHT, 0).astype(np.float32)
        write_mesh_glb(tmp_path / "mesh.glb", picture(), depth_m, everywhere(), CAMERA)
        (mesh,) = trimesh.load(tmp_path / "mesh.glb").geometry.values()
        assert (mesh.body_count == 1) is is_whole


def test_the_validator_of_the_standard_finds_nothing_wrong(tmp_path: Path) -> None:
    """The npm package gltf-validator, where Node and it are there (NODE_PATH, or installed globally)."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("needs Node")
    found = subprocess.run([npm, "root", "--global"], capture_output=True, text=True).stdout.strip()
    environment = {**os.environ, "NODE_PATH": os.pathsep.join(filter(None, (os.environ.get("NODE_PATH"), found)))}
    write_points_glb(tmp_path / "points.glb", point_cloud(picture(), wall(), everywhere(), CAMERA))
    write_mesh_glb(tmp_path / "mesh.glb", picture(), wall(), everywhere(), CAMERA)
    write_mesh_glb(tmp_path / "simple.glb", picture(), wall(), everywhere(), CAMERA, max_triangles=500)
    (tmp_path / "check.js").write_text(VALIDATION)
    for path in tmp_path.glob("*.glb"):
        done = subprocess.run([node, tmp_path / "check.js", path], capture_output=True, text=True, env=environment)
        if "MODULE_NOT_FOUND" in done.stderr:
            pytest.skip("needs the npm package gltf-validator")
        assert done.returncode == 0, done.stderr
        issues = json.loads(done.stdout)
        assert (issues["numErrors"], issues["numWarnings"]) == (0, 0), issues["messages"]


VALIDATION = """
const bytes = new Uint8Array(require("fs").readFileSync(process.argv[2]));
require("gltf-validator").validateBytes(bytes).then((report) => console.log(JSON.stringify(report.issues)));
"""
