"""Depth in three dimensions: coloured points and textured surfaces, in metres, as files that other programs open."""

from math import ceil, sqrt
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from leadline.errors import LeadlineError
from leadline.geometry import Cloud, on_surface, vertices_of
from leadline.io.atomic import SOFTWARE, atomic_file

MAX_VERTICES = 2_000_000
"""What few viewers open more of; a larger picture's points stay all."""
MAX_TEXTURE_PX = 4096
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
    import trimesh

    _require_points(path, cloud)
    _export_glb(path, trimesh.Scene(trimesh.PointCloud(cloud.points_m * GLTF_AXES, colors=cloud.rgb)))


def _require_points(path: Path, cloud: Cloud) -> None:
    if not len(cloud.points_m):
        raise LeadlineError(f"{path}: no points to write: no pixel lies on a surface; leave that format out")


def write_mesh_glb(
    path: Path,
    rgb: NDArray[np.uint8],
    depth_m: NDArray[np.float32],
    valid: NDArray[np.bool_],
    intrinsics: NDArray[np.float32] | None,
    most_vertices: int = MAX_VERTICES,
) -> None:
    """Write the visible surface as binary glTF with the picture as its texture; axes as `write_points_glb`.

    Args:
        path: the file.
        rgb: (H, W, 3).
        depth_m: metres along the optical axis, (H, W).
        valid: bool, (H, W).
        intrinsics: pinhole matrix in pixels, (3, 3).
        most_vertices: a larger picture becomes a coarser surface.

    Raises:
        LeadlineError: if the camera is unknown, or no surface is left.
        OSError: if the file cannot be written; nothing of it stays.
    """
    import trimesh

    height, width = depth_m.shape
    step = max(1, ceil(sqrt(height * width / most_vertices)))
    rows, columns = np.arange(0, height, step), np.arange(0, width, step)
    grid = np.ix_(rows, columns)
    faces = _faces(on_surface(depth_m, valid)[grid])
    if not len(faces):
        raise LeadlineError(f"{path}: no surface to write: no two neighbouring pixels have a like depth")
    # glTF's v runs from the top, trimesh's from the bottom.
    u, v = np.meshgrid((columns + 0.5) / width, 1 - (rows + 0.5) / height)
    texture = Image.fromarray(rgb)
    texture.thumbnail((MAX_TEXTURE_PX, MAX_TEXTURE_PX))
    # Lit by its own picture alone: the light of the room is in it already.
    material = trimesh.visual.material.PBRMaterial(
        baseColorTexture=texture, metallicFactor=0.0, roughnessFactor=1.0, doubleSided=True
    )
    mesh = trimesh.Trimesh(
        vertices=(vertices_of(depth_m, intrinsics)[grid] * GLTF_AXES).reshape(-1, 3),
        faces=faces,
        visual=trimesh.visual.TextureVisuals(uv=np.stack([u, v], axis=-1).reshape(-1, 2), material=material),
        process=False,
    )
    mesh.remove_unreferenced_vertices()
    _export_glb(path, trimesh.Scene(mesh))


def _faces(kept: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Two triangles for each square of four neighbouring pixels that are all kept, facing the camera, (N, 3)."""
    number = np.arange(kept.size).reshape(kept.shape)
    whole = kept[:-1, :-1] & kept[1:, :-1] & kept[:-1, 1:] & kept[1:, 1:]
    corners = (number[:-1, :-1], number[1:, :-1], number[:-1, 1:], number[1:, 1:])
    top_left, bottom_left, top_right, bottom_right = (corner[whole] for corner in corners)
    triangles = ((top_left, bottom_left, top_right), (top_right, bottom_left, bottom_right))
    return np.concatenate([np.stack(triangle, axis=-1) for triangle in triangles])


def _export_glb(path: Path, scene: Any) -> None:
    with atomic_file(path) as temporary:
        scene.export(temporary, tree_postprocessor=lambda tree: tree["asset"].update(generator=SOFTWARE))
