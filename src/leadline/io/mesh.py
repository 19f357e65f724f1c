"""Depth in three dimensions: coloured points and textured surfaces, in metres, as files that other programs open."""

from io import BytesIO
from math import ceil, sqrt
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from leadline.errors import LeadlineError
from leadline.geometry import Cloud, known_camera, on_surface
from leadline.io.atomic import SOFTWARE, atomic_file
from leadline.io.glb import POINTS, TRIANGLES, linear_16_bit, write_glb

MAX_TRIANGLES = 200_000
"""What a viewer in a browser, also a phone's, turns smoothly."""
MAX_GRID = 2_000_000
"""Of a larger picture, fewer pixels become vertices before the surface is simplified."""
BRIDGED_M = 0.1
"""A near thing's jumps of depth, as from the rim of a cup to its inside, are no holes up to this."""
MAX_TEXTURE_PX = 4096
TEXTURE_QUALITY = 92
GLTF_AXES = np.array([1.0, -1.0, -1.0], dtype=np.float32)
"""glTF looks along −z with y up; ours looks along z with y down."""


def write_ply(path: Path, cloud: Cloud) -> None:
    """Write points as binary PLY, in camera space: x right, y down, z forward, in metres.

    Raises:
        LeadlineError: if there are no points.
        OSError: if the file cannot be written; nothing of it stays.
    """
    import trimesh

    _require_points(path, cloud)
    encoded = trimesh.PointCloud(cloud.points_m, colors=cloud.rgb).export(file_type="ply")
    with atomic_file(path) as temporary:
        temporary.write_bytes(encoded.replace(b"end_header", f"comment {SOFTWARE}\nend_header".encode(), 1))


def write_points_glb(path: Path, cloud: Cloud) -> None:
    """Write points as binary glTF, in metres, turned to its axes: x right, y up, looking along −z.

    Raises:
        LeadlineError: if there are no points.
        OSError: if the file cannot be written; nothing of it stays.
    """
    _require_points(path, cloud)
    write_glb(path, POINTS, {"POSITION": cloud.points_m * GLTF_AXES, "COLOR_0": linear_16_bit(cloud.rgb)})


def _require_points(path: Path, cloud: Cloud) -> None:
    if not len(cloud.points_m):
        raise LeadlineError(f"{path}: no points to write: no pixel lies on a surface; leave that format out")


def write_mesh_glb(
    path: Path,
    rgb: NDArray[np.uint8],
    depth_m: NDArray[np.float32],
    valid: NDArray[np.bool_],
    intrinsics: NDArray[np.float32] | None,
    max_triangles: int = MAX_TRIANGLES,
) -> None:
    """Write the visible surface as binary glTF with the picture as its texture; axes as `write_points_glb`.

    Args:
        path: the file.
        rgb: (H, W, 3).
        depth_m: metres along the optical axis, (H, W).
        valid: bool, (H, W).
        intrinsics: pinhole matrix in pixels, (3, 3).
        max_triangles: a finer surface is simplified to this many triangles, most of them where it is curved.

    Raises:
        LeadlineError: if the camera is unknown, or no surface is left, or none of so few triangles is found.
        OSError: if the file cannot be written; nothing of it stays.
    """
    matrix, (height, width) = known_camera(intrinsics), depth_m.shape
    step = max(1, ceil(sqrt(height * width / MAX_GRID)))
    rows, columns = np.mgrid[0:height:step, 0:width:step]
    faces = _faces(on_surface(depth_m, valid, BRIDGED_M)[::step, ::step])
    if not len(faces):
        raise LeadlineError(f"{path}: no surface to write: no two neighbouring pixels have a like depth")
    vertices = np.stack([columns, rows, depth_m[::step, ::step]], axis=-1).reshape(-1, 3)
    used, corners = np.unique(faces, return_inverse=True)
    vertices, faces = _simplified(vertices[used].astype(np.float64), corners.reshape(-1, 3), max_triangles, matrix)
    pixels, depths_m = vertices[:, :2], vertices[:, 2:]
    points_m = np.concatenate([pixels, np.ones_like(depths_m)], axis=1) @ np.linalg.inv(matrix.astype(np.float64)).T
    attributes = {
        "POSITION": (points_m * depths_m * GLTF_AXES).astype(np.float32),
        "TEXCOORD_0": ((pixels + 0.5) / (width, height)).astype(np.float32),
    }
    write_glb(path, TRIANGLES, attributes, faces.astype(np.uint32), _jpeg(rgb))


def _simplified(
    vertices: NDArray[np.float64], faces: NDArray[np.int64], max_triangles: int, matrix: NDArray[np.float32]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """A surface of fewer triangles; vertices are column, row, and depth in metres, (N, 3).

    It is simplified in column, row and parallax: there a plane is a plane, and an error counts as much as a viewer
    sees of it who moves aside by half the surface's distance.

    Raises:
        LeadlineError: if no surface of so few triangles is found.
    """
    if len(faces) <= max_triangles:
        return vertices, faces
    import fast_simplification

    pixels, depths_m = vertices[:, :2], vertices[:, 2:]
    parallax_px_m = float(matrix[0, 0]) * np.median(depths_m) / 2
    seen = np.concatenate([pixels, parallax_px_m / depths_m], axis=1)
    num_before = len(faces) + 1
    while max_triangles < len(faces) < num_before:  # one pass ends early where all is exactly flat
        num_before = len(faces)
        seen, faces = fast_simplification.simplify(seen, faces.astype(np.int32), target_count=max_triangles)
    if len(faces) > max_triangles:
        raise LeadlineError(
            f"wanted a surface of at most {max_triangles} triangles, but {len(faces)} are the fewest that keep its "
            f"pieces: raise --max-triangles"
        )
    depths_m = np.clip(parallax_px_m / np.maximum(seen[:, 2:], 1e-9), depths_m.min(), depths_m.max())
    return np.concatenate([seen[:, :2], depths_m], axis=1), faces


def _jpeg(rgb: NDArray[np.uint8]) -> bytes:
    texture, encoded = Image.fromarray(rgb), BytesIO()
    texture.thumbnail((MAX_TEXTURE_PX, MAX_TEXTURE_PX))
    texture.save(encoded, "JPEG", quality=TEXTURE_QUALITY, subsampling=0)
    return encoded.getvalue()


def _faces(kept: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Two triangles for each square of four neighbouring pixels that are all kept, facing the camera, (N, 3)."""
    number = np.arange(kept.size).reshape(kept.shape)
    whole = kept[:-1, :-1] & kept[1:, :-1] & kept[:-1, 1:] & kept[1:, 1:]
    corners = (number[:-1, :-1], number[1:, :-1], number[:-1, 1:], number[1:, 1:])
    top_left, bottom_left, top_right, bottom_right = (corner[whole] for corner in corners)
    triangles = ((top_left, bottom_left, top_right), (top_right, bottom_left, bottom_right))
    return np.concatenate([np.stack(triangle, axis=-1) for triangle in triangles])
