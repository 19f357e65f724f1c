"""How far a point of a picture is and how far two are apart, in metres, with the error to expect."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from leadline.errors import LeadlineError
from leadline.geometry import checked, known_camera
from leadline.io import CameraLike, GivenCamera
from leadline.prediction.known_distances import AS_SHARES, look_like_shares
from leadline.prediction.older_names import with_intrinsics
from leadline.prediction.prediction import MAX_PIXELS, AnyModel, AnyPicture, as_picture, predict
from leadline.prediction.result import Prediction

WINDOW_PX = 5
"""A point's depth is the median over this many rows and columns around it."""

Point = tuple[float, float]
"""Column x and row y in pixels; (0, 0) is the centre of the upper left pixel."""


class Measurement(NamedTuple):
    """A length, as one writes it: 2.31 m ± 0.12 m."""

    metres: float
    uncertainty_m: float | None  # expected absolute error; None where the model does not say
    focal: str  # focal length and where it is from, in words

    def __str__(self) -> str:
        """Centimetres are the last digits."""
        tail = "" if self.uncertainty_m is None else f" ± {self.uncertainty_m:.2f} m"
        return f"{self.metres:.2f} m{tail}"


@with_intrinsics
@checked
def measure(
    picture: AnyPicture,
    *points: Point,
    model: AnyModel = "default",
    focal_px: float | None = None,
    fov_deg: float | None = None,
    camera: CameraLike | GivenCamera | None = None,
    undistort: bool = False,
) -> Measurement:
    """Measure the depth of one point, or the straight distance between two.

    Args:
        picture: as `leadline.predict`.
        points: one or two, in pixels of the picture as it is in its file, upright.
        model: as `leadline.predict`.
        focal_px: as `leadline.predict`.
        fov_deg: as `leadline.predict`.
        camera: as `leadline.predict`.
        undistort: as `leadline.predict`; the points are of the picture as it is in its file all the same.

    Returns:
        Of one point, metres along the optical axis; of two, how far they are apart in space.

    Raises:
        LeadlineError: if the picture cannot be read, a point lies outside of it or has no depth, the camera is
            impossible, or the distance between two points needs one and none is known.
    """
    if len(points) not in (1, 2):
        raise LeadlineError(f"wanted one point for its depth or two for their distance, got {len(points)}")
    if look_like_shares(points):
        raise LeadlineError(f"points from 0 to 1, {AS_SHARES}")
    shot = as_picture(picture, MAX_PIXELS)
    for point in points:
        require_inside(point, shot.full_size)
    prediction = predict(shot, model, focal_px=focal_px, fov_deg=fov_deg, camera=camera, undistort=undistort)
    places = [place_in(prediction, point, shot.full_size) for point in points]
    return depth_at(prediction, places[0]) if len(places) == 1 else distance_between(prediction, *places)


def depth_at(prediction: Prediction, point: Point) -> Measurement:
    """Depth of a point: the median over the valid pixels of `WINDOW_PX` × `WINDOW_PX` around it.

    Args:
        prediction: of the picture.
        point: in pixels of the prediction.

    Raises:
        LeadlineError: if the point lies outside, or nothing around it is valid.
    """
    require_inside(point, prediction.valid.shape)
    column, row = (round(value) for value in point)
    reach = WINDOW_PX // 2
    window = np.s_[max(0, row - reach) : row + reach + 1, max(0, column - reach) : column + reach + 1]
    valid = prediction.valid[window]
    if not valid.any():
        raise LeadlineError(f"there is no depth at {_words(point)}: name a point beside it")

    def median(values: NDArray[np.float32]) -> float:
        return float(np.median(values[window][valid]))

    known = prediction.uncertainty_m
    return Measurement(median(prediction.depth_m), None if known is None else median(known), prediction.focal)


def distance_between(prediction: Prediction, first: Point, second: Point) -> Measurement:
    """Straight distance between two points in space.

    Its uncertainty is the sum of what each depth's error can do to it, which it does not exceed on average
    whether the two errors go together or not.

    Args:
        prediction: of the picture.
        first: in pixels of the prediction.
        second: likewise.

    Raises:
        LeadlineError: as `depth_at`, or if the camera is unknown.
    """
    ends = [(depth_at(prediction, point), ray(prediction, point)) for point in (first, second)]
    apart_m = ends[0][0].metres * ends[0][1] - ends[1][0].metres * ends[1][1]
    metres = float(np.linalg.norm(apart_m))
    direction = apart_m / metres if metres else apart_m
    # A depth's error moves its point along the ray; only what lies in the direction of the other changes the distance.
    shares_m = [abs(float(direction @ along)) * (end.uncertainty_m or 0.0) for end, along in ends]
    return Measurement(metres, None if prediction.uncertainty_m is None else sum(shares_m), prediction.focal)


def ray(prediction: Prediction, point: Point) -> NDArray[np.float64]:
    """Where a point of depth 1 m is in camera space, (3,): x right, y down, z = 1.

    Raises:
        LeadlineError: if the camera is unknown.
    """
    matrix = known_camera(prediction.pinhole).astype(np.float64)
    along: NDArray[np.float64] = np.linalg.solve(matrix, np.array([*point, 1.0]))
    return along


def require_inside(point: Point, size: tuple[int, ...]) -> None:
    """Refuse a point outside of a picture of a height and width.

    Raises:
        LeadlineError: with the range of both coordinates.
    """
    height, width = size
    if not (0 <= point[0] <= width - 1 and 0 <= point[1] <= height - 1):
        raise LeadlineError(
            f"the point {_words(point)} lies outside of this picture of {width}×{height} pixels: "
            f"x goes from 0 to {width - 1}, y from 0 to {height - 1}"
        )


def place_in(prediction: Prediction, point: Point, full_size: tuple[int, int]) -> Point:
    """Where a point of an image file, of that height and width, is in the image's prediction.

    Raises:
        LeadlineError: if it lies outside of the file's image, or is not shown once the lens' distortion is removed.
    """
    require_inside(point, full_size)
    height, width = prediction.valid.shape
    x, y = at_size(point, full_size, (height, width))
    if prediction.camera is not None and prediction.camera.removed is not None:
        x, y = prediction.camera.since_without_lens(np.array([[x, y]]))[0].tolist()
        if not (-0.5 <= x <= width - 0.5 and -0.5 <= y <= height - 0.5):
            raise LeadlineError(
                f"the point {_words(point)} is not in the image once its lens' distortion is removed: name one nearer "
                f"to the middle"
            )
    return min(max(x, 0.0), width - 1.0), min(max(y, 0.0), height - 1.0)


def at_size(point: Point, old: tuple[int, ...], new: tuple[int, ...]) -> Point:
    """Where a point is after its picture was resized, both sizes as height and width; outer edges stay outer edges."""
    x, y = ((point[axis] + 0.5) * new[1 - axis] / old[1 - axis] - 0.5 for axis in (0, 1))
    return min(max(x, 0.0), new[1] - 1.0), min(max(y, 0.0), new[0] - 1.0)


def _words(point: Point) -> str:
    return f"{point[0]:g},{point[1]:g}"
