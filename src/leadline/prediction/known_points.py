"""Where known distances of images are from: CSV files, sparse depth maps and COLMAP reconstructions."""

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import exp, hypot, log
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leadline.errors import LeadlineError
from leadline.geometry import Output
from leadline.io import FAR_CODES, FARTHEST_M, ColmapView, GivenCamera, fit_camera, read_colmap_model, read_stored_depth
from leadline.prediction.anchored import CHECK_METRES, Anchoring, FloorScale
from leadline.prediction.anchoring import KnownPoints, anchor_to_points
from leadline.prediction.known_distances import KnownDistance, names_pictures, read_distances
from leadline.prediction.measurement import require_inside
from leadline.prediction.result import Prediction

FLOOR_ERROR, FLOOR_SD = 2.0, 0.25
"""Relative error of the height of a predicted floor, which is off and askew: in expected errors of a pixel, and where
those are large, since they are of the scale then, at the most."""
SCALE_SHARE = 0.25
"""Standard deviation of the logarithm of a prediction's true factor at the least, as a share of what the floor says: a
floor that is far off comes of a scale that is. (All three by research/LOG.md, "The height of the camera".)"""
MAX_FULL_SHARE = 0.01
"""Share of a sparse map's pixels that may be beyond, or at the end of their range: more mean that nothing is known."""
MAP_SUFFIXES = (".png", ".npz", ".npy", ".exr", ".tif", ".tiff", ".pfm", ".pgm", ".dpt", ".h5", ".hdf5")
"""Endings of sparse maps, in the order in which they are looked for beside each other."""


class AnyKnown(ABC):
    """What brings predictions to known points, whatever the model's values mean."""

    any_output = True
    remedy = CHECK_METRES
    """What to do if the points are far from the metres of the model."""

    def camera(self, path: Path, turned_from: tuple[int, int] | None = None) -> GivenCamera | None:
        """The camera of an image, where the points come with one.

        Args:
            path: the image file.
            turned_from: its height and width before its EXIF block turned it; None if it did not.

        Raises:
            LeadlineError: if points and camera are of the image as it lies in its file, and it was turned.
        """
        return None

    @abstractmethod
    def points(self, path: Path, full_size: tuple[int, int]) -> KnownPoints:
        """The points of an image.

        Args:
            path: the image file.
            full_size: its height and width.

        Raises:
            LeadlineError: if there are none, or they do not fit the image.
        """

    def apply(self, prediction: Prediction, path: Path, full_size: tuple[int, int], output: Output) -> Prediction:
        """Bring a prediction to its points; see `anchor_to_points`."""
        found = anchor_to_points(prediction, self.points(path, full_size), full_size, output)
        if output is not Output.METRES or not isinstance(found.anchoring, Anchoring):
            return found
        seen = found.valid & prediction.valid & (prediction.depth_m > 0)
        factor = float(np.median(found.depth_m[seen] / prediction.depth_m[seen])) if seen.any() else 1.0
        return replace(found, anchoring=replace(found.anchoring, factor=factor, remedy=self.remedy))


@dataclass(frozen=True)
class ListedPoints(AnyKnown):
    """Points of a CSV file, see `read_distances`."""

    file: Path
    by_picture: dict[str, list[KnownDistance]]

    @classmethod
    def read(cls, file: Path, pictures: Sequence[Path]) -> "ListedPoints":
        """Read the points of some images; lines without an image are those of the only one.

        Raises:
            LeadlineError: if the file cannot be read, holds lengths, or lines without an image while there are several.
        """
        named = names_pictures(file)
        if not named and len(pictures) != 1:
            raise LeadlineError(
                f"{file} holds x,y,metres of one image, got {len(pictures)}: name the image in each line, "
                f"as picture,x,y,metres"
            )
        known = read_distances(file, None if named else pictures[0])
        by_picture: dict[str, list[KnownDistance]] = {}
        for it in known:
            by_picture.setdefault(os.path.realpath(it.picture), []).append(it)
        return cls(file, by_picture)

    def points(self, path: Path, full_size: tuple[int, int]) -> KnownPoints:
        """See `AnyKnown`."""
        known = self.by_picture.get(os.path.realpath(path))
        if not known:
            raise LeadlineError(f"{self.file} holds no distance of {path}: add one, or leave the image out")
        for it in known:
            if it.end is not None:
                raise LeadlineError(f"{self.file} holds lengths, wanted points: fit lengths with leadline calibrate")
            require_inside(it.point, full_size)
        return KnownPoints(
            np.array([it.point for it in known]),
            np.array([it.metres for it in known]),
            np.array([it.from_camera for it in known]),
        )


@dataclass(frozen=True)
class MappedPoints(AnyKnown):
    """Points of sparse depth maps, of the image's size or smaller: whole numbers are millimetres, others metres."""

    place: Path
    """A map, or a folder of them that have the images' names."""

    @classmethod
    def of(cls, place: Path, pictures: Sequence[Path]) -> "MappedPoints":
        """Name the map of an image, or the folder of maps of several.

        Raises:
            LeadlineError: if there is no such place, or one map and several images.
        """
        if not place.exists():
            raise LeadlineError(f"no sparse depth map at {place}: check the path")
        if len(pictures) != 1 and not place.is_dir():
            raise LeadlineError(
                f"{place} is one map, got {len(pictures)} images: give a folder of maps named after them"
            )
        return cls(place)

    def points(self, path: Path, full_size: tuple[int, int]) -> KnownPoints:
        """See `AnyKnown`."""
        file = self._file(path)
        values, valid, _ = read_stored_depth(file)
        if values.ndim != 2:
            raise LeadlineError(f"{file} is no depth map: wanted one channel, got shape {values.shape}")
        scale = 0.001 if values.dtype.kind in "ui" else 1.0
        usable = np.isfinite(values) & (values > 0) & (True if valid is None else valid)
        _refuse_codes(file, values[usable], scale, values.size)
        (height, width), (rows, columns) = full_size, values.shape
        if abs(height * columns / width - rows) > max(1.0, rows / height):
            raise LeadlineError(
                f"{file} is of {columns}×{rows} pixels, another shape than its image of {width}×{height}: "
                f"give the map of this image, as upright as it"
            )
        y, x = np.nonzero(usable)
        if not len(x):
            raise LeadlineError(f"{file} holds no depth: wanted some pixels above 0")
        xy = (np.stack([x, y], axis=1) + 0.5) * (width / columns, height / rows) - 0.5
        metres = values[y, x].astype(np.float64) * scale
        return KnownPoints(xy, metres, np.zeros(len(x), bool))

    def _file(self, path: Path) -> Path:
        if not self.place.is_dir():
            return self.place
        files = [self.place / f"{path.stem}{suffix}" for suffix in MAP_SUFFIXES]
        found = next((file for file in files if file.exists()), None)
        if found is None:
            raise LeadlineError(f"{self.place} holds no depth map of {path.name}: wanted {files[0].name} or the like")
        return found


def _refuse_codes(file: Path, values: NDArray[Any], metres_per_unit: float, num_pixels: int) -> None:
    """Refuse a map whose numbers for "nothing here" would be known distances."""
    largest = np.iinfo(values.dtype).max if values.dtype.kind in "ui" else np.inf
    codes = values[(values == largest) | np.isin(values, list(FAR_CODES)) | (values > FARTHEST_M / metres_per_unit)]
    if len(codes) > MAX_FULL_SHARE * num_pixels:
        code = codes.max()
        largest_of = f"the largest number of {8 * values.itemsize} bits" if code == largest else ""
        what = ", ".join(filter(None, [f"{len(codes)} pixels", FAR_CODES.get(float(code), largest_of)]))
        raise LeadlineError(
            f"{file} holds {code:.10g} at {what}, which would be known distances of "
            f"{code * metres_per_unit:.3g} m: write 0 where nothing is known"
        )


@dataclass(frozen=True)
class ColmapPoints(AnyKnown):
    """Points that a COLMAP reconstruction sees in its images, with its cameras; its unit is taken for metres."""

    folder: Path
    views: dict[str, ColmapView]
    remedy = "scale the reconstruction to metres first (colmap model_aligner)"

    @classmethod
    def read(cls, folder: Path) -> "ColmapPoints":
        """Read a reconstruction, see `read_colmap_model`."""
        return cls(folder, read_colmap_model(folder))

    def camera(self, path: Path, turned_from: tuple[int, int] | None = None) -> GivenCamera | None:
        """See `AnyKnown`; COLMAP takes no notice of EXIF's orientation."""
        camera = self._view(path).camera
        height, width = camera.size or turned_from or (0, 0)
        if turned_from is not None and (height > width) == (turned_from[0] > turned_from[1]):
            raise LeadlineError(
                f"{path} is turned by its EXIF block, and COLMAP took it as it is stored: reconstruct from images that "
                f"were saved upright, without an orientation"
            )
        return partial(fit_camera, camera)

    def points(self, path: Path, full_size: tuple[int, int]) -> KnownPoints:
        """See `AnyKnown`."""
        view = self._view(path)
        (height, width), (rows, columns) = full_size, view.camera.size or full_size
        xy = (view.xy + 0.5) * (width / columns, height / rows) - 0.5
        if not len(xy):
            raise LeadlineError(f"{self.folder} has no point in {path.name}: leave the image out")
        return KnownPoints(xy, view.depth_m, np.zeros(len(xy), bool))

    def to_world(self, path: Path) -> NDArray[np.float64]:
        """The pose of an image: camera space to the reconstruction's axes, (4, 4)."""
        return self._view(path).to_world

    def _view(self, path: Path) -> ColmapView:
        """By the longest end of the path that the reconstruction has as a name."""
        parts = path.parts
        names = ["/".join(parts[start:]) for start in range(len(parts))]
        found = next((name for name in names if name in self.views), None)
        if found is None:
            raise LeadlineError(f"{self.folder} has no image {path.name}: give images of the reconstruction")
        return self.views[found]


@dataclass(frozen=True)
class CameraHeight:
    """A known height of the camera above the floor, which gives an image its scale."""

    metres: float
    any_output = False

    def camera(self, path: Path, turned_from: tuple[int, int] | None = None) -> GivenCamera | None:
        """None: a height tells nothing of the lens."""
        return None

    def apply(self, prediction: Prediction, path: Path, full_size: tuple[int, int], output: Output) -> Prediction:
        """Scale a prediction towards where its floor is known to be; see `scale_by_floor`."""
        return scale_by_floor(prediction, self.metres)


def scale_by_floor(prediction: Prediction, camera_height_m: float) -> Prediction:
    """Scale a prediction towards where the camera is at a known height above its floor.

    A predicted floor errs too, by `FLOOR_ERROR` and `FLOOR_SD`. The logarithm of the factor is the best guess from what
    the floor says and from how far off the prediction expects to be: what the floor says times the share of the
    variance that is not the floor's own error. Without an expected error it counts whole.

    Args:
        prediction: in metres.
        camera_height_m: of the camera's centre above the floor.

    Raises:
        LeadlineError: if no floor is found, or the camera is unknown or no pinhole.
    """
    floor = prediction.floor
    exponent = log(camera_height_m / floor.camera_height_m)
    scale = exp(exponent * _share_of_floor(prediction, exponent))
    return replace(
        prediction,
        depth_m=prediction.depth_m * np.float32(scale),
        uncertainty_m=None if prediction.uncertainty_m is None else prediction.uncertainty_m * np.float32(scale),
        anchoring=FloorScale(scale, replace(floor, camera_height_m=floor.camera_height_m * scale)),
    )


def _share_of_floor(prediction: Prediction, exponent: float) -> float:
    """How much of the logarithm that the floor says counts, 0 to 1."""
    if prediction.uncertainty_m is None:
        return 1.0
    error = float(np.median((prediction.uncertainty_m / prediction.depth_m)[prediction.valid]))
    of_floor = 1 / hypot(1 / max(FLOOR_ERROR * error, 1e-9), 1 / FLOOR_SD)
    of_scale = hypot(error, SCALE_SHARE * exponent)
    return of_scale**2 / (of_scale**2 + of_floor**2)


def read_anchor(
    pictures: Sequence[Path],
    known: Path | None = None,
    sparse: Path | None = None,
    colmap: Path | None = None,
    camera_height_m: float | None = None,
) -> AnyKnown | CameraHeight | None:
    """Read what is known of images, one thing at the most.

    Args:
        pictures: the images.
        known: CSV file of distances.
        sparse: a sparse depth map, or a folder of them.
        colmap: folder of a reconstruction.
        camera_height_m: of the camera above the floor.

    Raises:
        LeadlineError: if more than one is given, or it cannot be read.
    """
    ways: dict[str, tuple[object, Callable[[], AnyKnown | CameraHeight]]] = {
        "--known": (known, lambda: ListedPoints.read(Path(str(known)), pictures)),
        "--sparse": (sparse, lambda: MappedPoints.of(Path(str(sparse)), pictures)),
        "--colmap": (colmap, lambda: ColmapPoints.read(Path(str(colmap)))),
        "--camera-height": (camera_height_m, lambda: CameraHeight(float(camera_height_m or 0))),
    }
    given = [name for name, (value, _) in ways.items() if value is not None]
    if len(given) > 1:
        raise LeadlineError(f"give {' or '.join(given)}, not {'both' if len(given) == 2 else 'all'}")
    return ways[given[0]][1]() if given else None
