"""What is predicted of a picture, and the files that it becomes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from leadline.errors import LeadlineError, unknown_name
from leadline.geometry import (
    Camera,
    Cloud,
    Count,
    DepthSummary,
    Floor,
    check_fields,
    checked,
    find_floor,
    point_cloud,
    summarize_depth,
    surface_normals,
)
from leadline.io import (
    MAX_TRIANGLES,
    require_openexr,
    require_target,
    write_colmap,
    write_depth_png,
    write_exr,
    write_mesh_glb,
    write_normals_png,
    write_npz,
    write_pfm,
    write_ply,
    write_points_glb,
)
from leadline.prediction.anchored import Anchoring, FloorScale
from leadline.prediction.colors import depth_limits, write_color_png
from leadline.prediction.floor_map import floor_map, write_floor_map


@dataclass(frozen=True)
class Prediction:
    """Depth of one picture."""

    rgb: NDArray[np.uint8]
    """The picture, (H, W, 3)."""
    depth_m: NDArray[np.float32]
    """Metres along the optical axis, (H, W)."""
    valid: NDArray[np.bool_]
    """Where there is a depth, (H, W)."""
    camera: Camera | None = None
    """The camera of the image, which also says where it is from; None if nothing tells."""
    uncertainty_m: NDArray[np.float32] | None = None
    """Expected absolute error in metres at each pixel, (H, W); None where the model does not say."""
    anchoring: Anchoring | FloorScale | None = None
    """What known distances or the camera's height made of it; its `str` says so in words. None if nothing was known."""

    def __post_init__(self) -> None:
        """Refuse arrays that are of no picture, or of several."""
        check_fields(self)
        size = self.depth_m.shape
        maps = [it for it in (self.depth_m, self.valid, self.uncertainty_m) if it is not None]
        if len(size) != 2 or self.rgb.shape != (*size, 3) or any(it.shape != size for it in maps):
            shapes = ", ".join(str(it.shape) for it in (self.rgb, *maps))
            raise LeadlineError(f"a prediction is rgb (H, W, 3), depth_m and valid (H, W), got shapes {shapes}")
        if self.rgb.dtype != np.uint8 or self.depth_m.dtype.kind != "f" or self.valid.dtype != np.bool_:
            kinds = f"{self.rgb.dtype}, {self.depth_m.dtype} and {self.valid.dtype}"
            raise LeadlineError(f"a prediction is 8-bit rgb, float depth_m and bool valid, got {kinds}: convert them")

    @property
    def intrinsics(self) -> NDArray[np.float32] | None:
        """Pinhole matrix in pixels of the image, (3, 3); None as `camera`."""
        return None if self.camera is None else self.camera.matrix

    @property
    def focal_px(self) -> float | None:
        """Focal length in pixels of the image, along its rows; None as `camera`."""
        return None if self.camera is None else self.camera.focal_px

    @property
    def focal(self) -> str:
        """Focal length and where it is from, in words."""
        camera = self.camera
        if camera is None:
            return "focal length unknown"
        words = f"focal {camera.focal_px:.0f} px ({camera.source})"
        if not camera.is_pinhole:
            return f"{words}; no pinhole ({camera.lens}): depths are off, most at the edges"
        return f"{words}, undistorted" if camera.undistort else words

    @property
    def pinhole(self) -> NDArray[np.float32] | None:
        """`intrinsics`, where points follow from depth by them.

        Raises:
            LeadlineError: if the camera is known not to be a pinhole.
        """
        if self.camera is not None and not self.camera.is_pinhole:
            raise LeadlineError(
                f"points and surfaces need a pinhole camera, and this one is {self.camera.lens}: undistort the image "
                f"(--undistort, or before), or leave the coefficients out where that was done already"
            )
        return self.intrinsics

    def __repr__(self) -> str:
        """One line: size, near, median and far in metres, and the focal length."""
        height, width = self.depth_m.shape
        near_m, median_m, far_m = self.summary
        metres = f"near {near_m:.2f} m, median {median_m:.2f} m, far {far_m:.2f} m"
        return f"Prediction({width}×{height}, {metres}, {self.focal})"

    @property
    def summary(self) -> DepthSummary:
        """Near, median and far in metres."""
        return summarize_depth(self.depth_m, self.valid)

    @cached_property
    def floor(self) -> Floor:
        """The floor, and the camera's height and tilt above it.

        Raises:
            LeadlineError: if there is none, or the camera is unknown.
        """
        return find_floor(self.depth_m, self.valid, self.pinhole)

    @checked
    def save(
        self,
        stem: str | Path,
        formats: Sequence[str] = ("depth", "color", "npz"),
        max_triangles: Count = MAX_TRIANGLES,
    ) -> list[Path]:
        """Write files named after `stem`.

        Args:
            stem: folder and beginning of the names.
            formats: keys of `FORMATS`.
            max_triangles: of a surface; a finer one is simplified.

        Returns:
            The files.

        Raises:
            LeadlineError: if a format is unknown or shows what the model does not say, or `stem` leads to no place for
                files.
            OSError: if a disk is full or the like; nothing of that file stays.
        """
        check_formats(formats)
        if set(formats) & set(IN_SPACE):
            _ = self.pinhole  # refused before the first file is written
        paths = output_paths(Path(stem), formats)
        for path in paths:
            require_target(path)
        for name in formats:
            path = output_paths(Path(stem), [name])[0]
            FORMATS[name][1](path, self, **({"max_triangles": max_triangles} if name == "glb" else {}))
        return paths


def _write_color(path: Path, prediction: Prediction) -> None:
    limits_m = depth_limits(prediction.depth_m, prediction.valid)
    write_color_png(path, prediction.depth_m, prediction.valid, *limits_m)


def _write_uncertainty(path: Path, prediction: Prediction) -> None:
    if prediction.uncertainty_m is None:
        raise LeadlineError(
            "this model gives no uncertainty to write: leave that format out, or name a model that does"
        )
    limits_m = depth_limits(prediction.uncertainty_m, prediction.valid)
    write_color_png(path, prediction.uncertainty_m, prediction.valid, *limits_m)


def _cloud(prediction: Prediction) -> Cloud:
    return point_cloud(prediction.rgb, prediction.depth_m, prediction.valid, prediction.pinhole)


def _write_mesh(path: Path, it: Prediction, max_triangles: int) -> None:
    write_mesh_glb(path, it.rgb, it.depth_m, it.valid, it.pinhole, max_triangles)


def _write_normals(path: Path, prediction: Prediction) -> None:
    write_normals_png(path, surface_normals(prediction.depth_m, prediction.valid, prediction.pinhole))


def _write_floor(path: Path, prediction: Prediction) -> None:
    plan = floor_map(prediction.floor, prediction.depth_m, prediction.valid, prediction.pinhole)
    write_floor_map(path, plan, prediction.floor)


FORMATS: dict[str, tuple[str, Callable[..., None]]] = {
    "depth": ("_depth.png", lambda path, it: write_depth_png(path, it.depth_m, it.valid)),
    "color": ("_color.png", _write_color),
    "uncertainty": ("_uncertainty.png", _write_uncertainty),
    "normals": ("_normals.png", _write_normals),
    "floor": ("_floor.png", _write_floor),
    "npz": (".npz", lambda path, it: write_npz(path, it.depth_m, it.valid, it.intrinsics, it.uncertainty_m)),
    "colmap": (".geometric.bin", lambda path, it: write_colmap(path, it.depth_m, it.valid)),
    "exr": (".exr", lambda path, it: write_exr(path, it.depth_m, it.valid)),
    "pfm": (".pfm", lambda path, it: write_pfm(path, it.depth_m, it.valid)),
    "ply": (".ply", lambda path, it: write_ply(path, _cloud(it))),
    "points": ("_points.glb", lambda path, it: write_points_glb(path, _cloud(it))),
    "glb": (".glb", _write_mesh),
}
"""Each format's file name ending, and what writes it, given the path and the prediction."""
BESIDE = {"floor": ("_floor.yaml", "_floor_height.png")}
"""Endings of the other files that a format's writer writes beside the first, by its name in `FORMATS`."""
IN_SPACE = ("normals", "floor", "ply", "points", "glb")
"""Those that hold points in space."""
_CLOUDS = "a cloud is ply, or points (as glTF)"
MEANT = dict.fromkeys(("cloud", "pointcloud", "point-cloud", "pcd", "las", "xyz"), _CLOUDS)
MEANT |= dict.fromkeys(("mesh", "obj", "stl", "gltf", "surface"), "a surface is glb")
"""What people call formats that have another name here."""

_ENDINGS = [ending for ending, _ in FORMATS.values()]
AMBIGUOUS_WORDS = {one.removesuffix(other) for one in _ENDINGS for other in _ENDINGS if one.endswith(other)} - {""}
"""What, behind a name, makes one format's file of it another format's file of the longer name: "_points"."""


def check_formats(formats: Sequence[str], together: Sequence[str] = ()) -> None:
    """Refuse formats that are not in `FORMATS`, or need a package that is not installed.

    Args:
        formats: their names.
        together: names of formats for all images together, which are known too.

    Raises:
        LeadlineError: at the first one; it names the nearest, or the package.
    """
    for name in formats:
        if name not in (*FORMATS, *together):
            if name.lower() in MEANT:
                raise LeadlineError(f"unknown format {name!r}: {MEANT[name.lower()]}")
            raise unknown_name("format", name, [*FORMATS, *together])
    if "exr" in formats:
        require_openexr()


def output_paths(stem: Path, formats: Sequence[str]) -> list[Path]:
    """The files of each format for results that are named after `stem`; formats are keys of `FORMATS`.

    The first of a format's is what its writer is given, those of `BESIDE` follow it.

    Raises:
        LeadlineError: if `stem` ends in no name.
    """
    if stem.name in ("", ".."):
        raise LeadlineError(f"wanted a folder and the beginning of the files' names, such as out/chair, got {stem}")
    endings = [ending for name in formats for ending in (FORMATS[name][0], *BESIDE.get(name, ()))]
    return [stem.with_name(stem.name + ending) for ending in endings]
