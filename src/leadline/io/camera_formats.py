"""Camera files of other programs, each read as its makers describe it.

COLMAP and nerfstudio put the centre of the upper left pixel at (0.5, 0.5); theirs is moved to (0, 0), where OpenCV,
ROS, Kalibr, RealSense, KITTI and leadline have it.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from leadline.errors import brief
from leadline.geometry import FOCAL_SIDES, Camera, Lens, LensModel, focal_px_from_fov

PINHOLE_KEYS = ("fx", "fy", "cx", "cy")
MATRIX_KEYS = (
    *("k", "cameramatrix", "intrinsics", "intrinsicmatrix", "intrinsic", "p2", "prect02", "data", "mtx", "camk"),
    *("cameraintrinsic", "cameraintrinsics"),
)
"""Where a file keeps its matrix: ROS's camera_info, OpenCV's and ROS's calibration (whose numbers are below "data"),
Open3D's, ARKit's, MATLAB's, KITTI's, OpenCV's tutorial, BOP's, nuScenes's."""
FOCAL_KEY, CENTRE_KEY = "focallength", "principalpoint"
"""Where ARCore's dumps and MATLAB's keep a focal length, or those along both sides, and the optical axis."""
MAX_SIDE_PX = 1_000_000
"""No picture is wider or higher."""
SIZE_KEYS = (
    *(("height", "width"), ("imageheight", "imagewidth"), ("h", "w")),
    *(("imgheight", "imgwidth"), ("imgh", "imgw"), ("imageh", "imagew")),
)
SIZE_PAIR_KEYS = (
    *("resolution", "imagesize", "imgsize", "imageresolution", "size", "framesize", "dimensions", "imagedimensions"),
    *("referencedimensions", "intrinsicmatrixreferencedimensions", "dim"),
)
"""Where a file keeps width and height together: calibrations in EuRoC's manner, ARKit's captures, Apple's depth.
MATLAB, and who writes an array's shape, has the height first, which the optical axis tells."""
COEFFICIENT_KEYS = (
    *("d", "distortioncoefficients", "distortioncoeffs", "distcoeffs", "coeffs", "distortion", "distcoeff", "dist"),
    *("distcoefs", "distcoef", "distortioncoefficient", "distortionparams", "distortionparameters", "distparams"),
)
MODEL_KEYS = ("distortionmodel", "cameramodel", "projectionmodel", "distortiontype")
"""Matrix, size, coefficients and model are found however a program writes these keys, by their `plain_name`."""
FISH_EYE_KEYS = ("fisheyemodel", "isfisheye", "usefisheye", "fisheye")
"""Where OpenCV's calibration sample and nerfstudio say of coefficients without a model's name that it is a fish-eye."""
RADIAL_KEY, TANGENTIAL_KEY = "radialdistortion", "tangentialdistortion"
"""MATLAB's k1, k2, k3 and p1, p2."""
LOOSE_MODEL_KEYS = ("model", "lensmodel", "cameratype", "lenstype", "projectiontype", "projection", "type", "lens")
"""Keys that tell a model of distortion, or something else, such as a telephone: only names that are known count."""
LENS_MODELS = {
    **dict.fromkeys(("", "none", "pinhole", "perspective", "simplepinhole"), LensModel.RADIAL_TANGENTIAL),
    **dict.fromkeys(("plumbbob", "radtan", "radialtangential", "rationalpolynomial"), LensModel.RADIAL_TANGENTIAL),
    **dict.fromkeys(("opencv", "fullopencv", "simpleradial", "radial"), LensModel.RADIAL_TANGENTIAL),
    **dict.fromkeys(("brownconrady", "modifiedbrownconrady"), LensModel.RADIAL_TANGENTIAL),
    "inversebrownconrady": LensModel.INVERSE_RADIAL_TANGENTIAL,
    **dict.fromkeys(("equidistant", "equi", "fisheye", "opencvfisheye"), LensModel.KANNALA_BRANDT),
    **dict.fromkeys(("kannalabrandt", "kannalabrandt4", "kannalabrandt8"), LensModel.KANNALA_BRANDT),
    "rectified": LensModel.RADIAL_TANGENTIAL,
    **dict.fromkeys(("simpleradialfisheye", "radialfisheye", "simplefisheye"), LensModel.KANNALA_BRANDT),
    **dict.fromkeys(("kb4", "kb8"), LensModel.KANNALA_BRANDT),
    **dict.fromkeys(("equirectangular", "spherical", "panorama", "cylindrical"), LensModel.PANORAMA),
    **dict.fromkeys(("ds", "doublesphere", "eucm", "ucm", "omni", "omnidirectional", "mei", "fov"), LensModel.OTHER),
    **dict.fromkeys(("thinprismfisheye", "radtanthinprismfisheye", "fisheye62", "fisheye624"), LensModel.OTHER),
    **dict.fromkeys(("ftheta", "scaramuzza", "ocam", "atan"), LensModel.OTHER),
}
"""What programs call a model of distortion, as `plain_name`; others are `LensModel.OTHER`."""
COLMAP_PARAMETERS = {
    "SIMPLE_PINHOLE": "f cx cy",
    "PINHOLE": "fx fy cx cy",
    "SIMPLE_RADIAL": "f cx cy k1",
    "RADIAL": "f cx cy k1 k2",
    "OPENCV": "fx fy cx cy k1 k2 p1 p2",
    "OPENCV_FISHEYE": "fx fy cx cy k1 k2 k3 k4",
    "FULL_OPENCV": "fx fy cx cy k1 k2 p1 p2 k3 k4 k5 k6",
    "FOV": "fx fy cx cy omega",
    "SIMPLE_RADIAL_FISHEYE": "f cx cy k1",
    "RADIAL_FISHEYE": "f cx cy k1 k2",
    "THIN_PRISM_FISHEYE": "fx fy cx cy k1 k2 p1 p2 k3 k4 sx1 sy1",
    "RAD_TAN_THIN_PRISM_FISHEYE": "fx fy cx cy k0 k1 k2 k3 k4 k5 p0 p1 s0 s1 s2 s3",
    "SIMPLE_DIVISION": "f cx cy k",
    "DIVISION": "fx fy cx cy k",
    "SIMPLE_FISHEYE": "f cx cy",
    "FISHEYE": "fx fy cx cy",
    "EUCM": "fx fy cx cy alpha beta",
}
"""The parameters of each of COLMAP's models, in the order of cameras.txt; models by their number, from 0."""
_OPENSFM_MODELS = {
    **dict.fromkeys(("perspective", "brown", "radial", "simple_radial"), "opencv"),
    **dict.fromkeys(("fisheye", "fisheye_opencv"), "fisheye"),
    **{kind: kind for kind in ("fisheye62", "fisheye624", "dual")},
}
"""What `LENS_MODELS` call each kind of camera of OpenSfM's; the last are unknown there."""
ORDERS = {
    LensModel.RADIAL_TANGENTIAL: ("k1", "k2", "p1", "p2", "k3", "k4", "k5", "k6"),
    LensModel.KANNALA_BRANDT: ("k1", "k2", "k3", "k4"),
}


class CameraFile(NamedTuple):
    """Intrinsics as a file holds them."""

    matrix: NDArray[np.float64]  # pinhole matrix in pixels, (3, 3)
    size: tuple[int, int] | None = None  # height and width of the images it is for; None: of those it is given with
    lens: Lens | None = None  # None: a pinhole, as far as the file tells
    # Left, top, width and height of what was cut out of a picture that `matrix` and `full_size` are of.
    window: tuple[int, int, int, int] | None = None
    full_size: tuple[int, int] | None = None


def parse_text(text: str) -> CameraFile | None:
    """Read a file of bare numbers, COLMAP's cameras.txt or KITTI's calibration; None if it is none of them.

    Raises:
        ValueError: if it is, and its numbers are no camera.
    """
    lines = [line.partition("#")[0].replace(",", " ").split() for line in text.splitlines()]
    lines = [line for line in lines if line]
    if lines and all(len(line) > 4 and line[1] in COLMAP_PARAMETERS for line in lines):
        return one_camera(
            colmap_camera(model, (int(high), int(wide)), numbers) for _, model, wide, high, *numbers in lines
        )
    named = {line[0].rstrip(":"): line[1:] for line in lines if line[0].endswith(":")}
    for key, size_key in (("P2", ""), ("P_rect_02", "S_rect_02")):
        if key in named and len(named[key]) == 12:
            size = [int(float(word)) for word in named.get(size_key, [])]
            return CameraFile(parse_matrix([float(word) for word in named[key]]), (size[1], size[0]) if size else None)
    try:
        numbers = [float(word) for line in lines for word in line]
    except ValueError:
        return None
    # ARKitScenes' .pincam has the size before; behind the four, two numbers would be distortion, below 1.
    if len(numbers) == 2 + len(PINHOLE_KEYS) and min(numbers) >= 1:
        width, height, *numbers = numbers
        return CameraFile(parse_matrix(numbers), (int(height), int(width)))
    return CameraFile(parse_matrix(numbers))


def parse_tree(tree: Any) -> CameraFile:
    """Read what JSON or YAML hold.

    Raises:
        ValueError: if it is no camera, or several that differ.
    """
    if not isinstance(tree, Mapping):
        if isinstance(tree, list) and tree and all(isinstance(entry, Mapping) for entry in tree):
            return one_camera(parse_tree(entry) for entry in tree)
        return CameraFile(parse_matrix([float(value) for value in np.ravel(tree)]))
    found = next((read for keys, read in READERS if all(key in tree for key in keys)), None)
    if found is not None:
        return found(tree)
    named = _by_plain_name(tree)
    matrix = next((named[key] for key in MATRIX_KEYS if key in named), None)
    if isinstance(matrix, Mapping) and "data" not in matrix:
        return _with_size_and_lens(tree, parse_tree(matrix))
    if matrix is not None:
        numbers = matrix["data"] if isinstance(matrix, Mapping) else matrix
        return _with_size_and_lens(tree, CameraFile(parse_matrix([float(value) for value in np.ravel(numbers)])))
    if FOCAL_KEY in named and CENTRE_KEY in named:
        focal, centre = (np.ravel(named[key]).tolist() for key in (FOCAL_KEY, CENTRE_KEY))
        return _with_size_and_lens(tree, CameraFile(parse_matrix([float(it) for it in (focal[0], focal[-1], *centre)])))
    if tree and all(isinstance(entry, Mapping) for entry in tree.values()):
        return one_camera(parse_tree(entry) for entry in tree.values())
    raise ValueError(f"it has only the keys {', '.join(map(str, tree))}")


def parse_matrix(values: list[float]) -> NDArray[np.float64]:
    """A pinhole matrix from the numbers of a matrix 3×3, 3×4 or 4×4, or from fx fy cx cy.

    Raises:
        ValueError: if they are none.
    """
    if len(values) == len(PINHOLE_KEYS):
        fx, fy, cx, cy = values
        values = [fx, 0.0, cx, 0.0, fy, cy, 0.0, 0.0, 1.0]
    if len(values) not in (9, 12, 16):
        raise ValueError(f"{len(values)} numbers")
    whole = np.array(values, dtype=np.float64).reshape(3 if len(values) < 16 else 4, -1)
    if len(values) == 16 and not np.array_equal(np.delete(whole, 3, 0)[:, 3], (0, 0, 0)):
        raise ValueError("a 4×4 matrix with a shift in its last column is a pose, wanted one of intrinsics")
    matrix = whole[:3, :3]
    if matrix[2, :2].any() and not matrix[:2, 2].any():  # Open3D and ARKit list its columns
        matrix = matrix.T.copy()
    usable = np.isfinite(matrix).all() and (matrix.diagonal() > 0).all()
    if not usable or matrix[2].tolist() != [0, 0, 1] or matrix[1, 0] != 0:
        raise ValueError(f"{matrix.tolist()} is no matrix [[fx, 0, cx], [0, fy, cy], [0, 0, 1]]")
    return matrix


def one_camera(files: Iterable[CameraFile]) -> CameraFile:
    """The camera that all entries of a file have.

    Raises:
        ValueError: if they differ, as nothing tells which of them took an image.
    """
    first, *others = files
    for other in others:
        same = np.allclose(first.matrix, other.matrix, rtol=1e-6) and first.size == other.size
        if not same or first.lens != other.lens:
            raise ValueError(f"it holds {1 + len(others)} cameras that differ: keep the one that took the image")
    return first


def colmap_camera(model: str, size: tuple[int, int], parameters: Sequence[float | str]) -> CameraFile:
    """A camera of COLMAP's.

    Args:
        model: its name, a key of `COLMAP_PARAMETERS`.
        size: height and width of its images.
        parameters: of the model, in its order.

    Raises:
        ValueError: if these are not its parameters.
    """
    names = COLMAP_PARAMETERS[model].split()
    if len(parameters) != len(names):
        raise ValueError(f"{model} has {COLMAP_PARAMETERS[model]}, got {len(parameters)} numbers")
    values = dict(zip(names, map(float, parameters), strict=True))
    fx = values.get("fx", values.get("f", 0.0))
    matrix = parse_matrix([fx, values.get("fy", fx), values["cx"] - 0.5, values["cy"] - 0.5])
    return CameraFile(matrix, size, lens_of({"camera_model": model, **values}))


def _nerfstudio(tree: Mapping[str, Any]) -> CameraFile:
    """transforms.json: fl_x, fl_y, cx, cy, w, h for all frames, or in each of them."""
    lens, size = lens_of(tree), size_of(tree)
    fx = float(tree["fl_x"])
    middle = (None, None) if size is None else (size[1] / 2, size[0] / 2)
    cx, cy = (float(tree.get(key, default)) - 0.5 for key, default in zip(("cx", "cy"), middle, strict=True))
    return CameraFile(parse_matrix([fx, float(tree.get("fl_y", fx)), cx, cy]), size, lens)


def _frames(tree: Mapping[str, Any]) -> CameraFile:
    """transforms.json of nerfstudio, instant-ngp and Blender, which tells a field of view in radians alone."""
    shared = {key: value for key, value in tree.items() if key != "frames"}
    frames = [{**shared, **frame} for frame in tree["frames"] or [{}]]
    if not any("fl_x" in frame for frame in frames) and "camera_angle_x" in tree:
        angle = float(tree["camera_angle_x"])
        if angle >= np.pi:
            raise ValueError(
                f"a camera_angle_x of {angle:g} is no angle in radians, which are degrees · {np.pi / 180:.4f}"
            )
        degrees = float(np.degrees(angle))
        size = size_of(tree)
        if size is None:
            raise ValueError(f"it tells a field of view of {degrees:.2f} degrees and no size: give --fov {degrees:.2f}")
        frames = [{**frame, "fl_x": focal_px_from_fov(degrees, size[1])} for frame in frames]
    return one_camera(_nerfstudio(frame) for frame in frames)


def _realsense(tree: Mapping[str, Any]) -> CameraFile:
    """rs2_intrinsics: ppx and ppy are the centre, the model is the name of an enumeration."""
    return _plain({**tree, "cx": tree["ppx"], "cy": tree["ppy"]})


def _plain(tree: Mapping[str, Any]) -> CameraFile:
    return _with_size_and_lens(tree, CameraFile(parse_matrix([float(tree[key]) for key in PINHOLE_KEYS])))


def _kalibr(tree: Mapping[str, Any]) -> CameraFile:
    """A camera of Kalibr's camchain.yaml or EuRoC's sensor.yaml: the model's own numbers come before fu fv pu pv."""
    values = [float(value) for value in tree["intrinsics"]]
    width, height = (int(value) for value in tree["resolution"])
    lens = lens_of(tree)
    if len(values) > len(PINHOLE_KEYS):
        lens = Lens(LensModel.OTHER, name=str(tree["camera_model"]))
    return CameraFile(parse_matrix(values[-4:]), (height, width), lens)


def _opensfm(tree: Mapping[str, Any]) -> CameraFile:
    """A camera of OpenSfM's and OpenDroneMap's: lengths are shares of the larger side, the axis is from the middle."""
    kind = str(tree.get("projection_type", "perspective"))
    size = size_of(tree)
    if kind not in _OPENSFM_MODELS or size is None:
        raise ValueError(f"a {kind} camera of OpenSfM's, wanted one with a focal length and a size")
    height, width = size
    side = max(size)
    fx = float(tree["focal_x"] if "focal_x" in tree else tree["focal"])
    fy = float(tree.get("focal_y", fx))
    if max(fx, fy) > FOCAL_SIDES[1]:
        raise ValueError(f"OpenSfM's focal length is a share of the larger side, got {fx:g}: write fx, fy, cx and cy")
    cx, cy = float(tree.get("c_x", 0.0)), float(tree.get("c_y", 0.0))
    middle = (width - 1) / 2, (height - 1) / 2
    matrix = parse_matrix([fx * side, fy * side, cx * side + middle[0], cy * side + middle[1]])
    return CameraFile(matrix, size, lens_of({**tree, "camera_model": _OPENSFM_MODELS[kind]}))


def _orb_slam(tree: Mapping[str, Any]) -> CameraFile:
    """ORB-SLAM's settings: "Camera.fx", or "Camera1.fx" beside the "Camera.type" and size of both."""

    def below(name: str) -> dict[str, Any]:
        return {str(key).removeprefix(f"{name}."): tree[key] for key in tree if str(key).startswith(f"{name}.")}

    shared = below("Camera")
    if "cols" in shared and "rows" in shared:  # OpenVSLAM's
        shared |= {"width": shared["cols"], "height": shared["rows"]}
    cameras = [camera for camera in (below("Camera1"), below("Camera2")) if "fx" in camera] or [{}]
    return one_camera(_plain({"camera_model": shared.get("type", ""), **shared, **camera}) for camera in cameras)


READERS: tuple[tuple[tuple[str, ...], Callable[[Mapping[str, Any]], CameraFile]], ...] = (
    (("frames",), _frames),
    (("fl_x",), _nerfstudio),
    (("fx", "fy", "ppx", "ppy"), _realsense),
    (PINHOLE_KEYS, _plain),
    (("camera_model", "intrinsics", "resolution"), _kalibr),
    (("cameras", "shots"), lambda tree: one_camera(map(parse_tree, tree["cameras"].values()))),  # OpenSfM
    (("projection_type",), _opensfm),
    (("focal", "width", "height"), _opensfm),
    (("Camera.fx",), _orb_slam),
    (("Camera1.fx",), _orb_slam),
    (("Camera", "Tracking"), lambda tree: _orb_slam({f"Camera.{key}": it for key, it in tree["Camera"].items()})),
    (("parameters",), lambda tree: parse_tree(tree["parameters"])),  # Open3D's trajectory
)
"""What reads a mapping that has all the keys; the first that fits. Any other has its matrix below `MATRIX_KEYS`."""


def size_of(tree: Mapping[str, Any]) -> tuple[int, int] | None:
    """Height and width of the images, where a file says them.

    Raises:
        ValueError: if they are no size, or one beyond `MAX_SIDE_PX`.
    """
    named = _by_plain_name(tree)
    pair = next((named[key] for key in SIZE_PAIR_KEYS if isinstance(named.get(key), list | Mapping)), None)
    sizes = ((_whole(named[high]), _whole(named[wide])) for high, wide in SIZE_KEYS if high in named and wide in named)
    size = next(sizes, None)
    if size is None and isinstance(pair, Mapping):
        return size_of(pair)
    if size is None and pair is not None:
        width, height = pair
        size = _whole(height), _whole(width)
    if size is not None and not 1 <= min(size) <= max(size) <= MAX_SIDE_PX:
        raise ValueError(f"a picture of {brief(size[1], 20)}×{brief(size[0], 20)} pixels")
    return size


def lens_of(tree: Mapping[str, Any]) -> Lens | None:
    """What a mapping says of distortion; None where it says none, or only zeros of a lens that projects as a pinhole.

    Raises:
        ValueError: if its coefficients are no numbers.
    """
    named = _by_plain_name(tree)
    name = next((named[key] for key in MODEL_KEYS if isinstance(named.get(key), str)), "")
    loose = (named[key] for key in LOOSE_MODEL_KEYS if isinstance(named.get(key), str))
    name = name or next((each for each in loose if _plain_model(each) in LENS_MODELS), "")
    name = name or "fisheye" * any(named.get(key) in (1, "1") for key in FISH_EYE_KEYS)
    model = LENS_MODELS.get(_plain_model(name), LensModel.OTHER)
    listed = next((named[key] for key in COEFFICIENT_KEYS if isinstance(named.get(key), list | Mapping)), None)
    if isinstance(listed, Mapping):
        listed = listed.get("data", [listed.get(key, 0.0) for key in ORDERS.get(model, ())])
    if listed is None and RADIAL_KEY in named:
        (k1, k2, *others), tangential = np.ravel(named[RADIAL_KEY]), np.ravel(named.get(TANGENTIAL_KEY, (0, 0)))
        listed = [k1, k2, *tangential, *others]
    if listed is None:
        listed = [tree.get(key, 0.0) for key in ORDERS.get(model, ORDERS[LensModel.RADIAL_TANGENTIAL])]
    values = tuple(float(value) for value in np.ravel(np.asarray(listed, dtype=np.float64)))
    if not np.isfinite(values).all():
        raise ValueError("distortion coefficients that are not finite")
    while values and values[-1] == 0:
        values = values[:-1]
    if model in (LensModel.RADIAL_TANGENTIAL, LensModel.INVERSE_RADIAL_TANGENTIAL) and not values:
        return None
    if len(values) > len(ORDERS.get(model, ORDERS[LensModel.RADIAL_TANGENTIAL])):  # a thin prism, a tilted sensor
        model = LensModel.OTHER
    return Lens(model, values, name)


def plain_name(name: object) -> str:
    """A name in small letters and digits alone, so that `imageWidth` and `image_width` are the same."""
    return "".join(filter(str.isalnum, str(name).lower()))


def _whole(value: Any) -> int:
    """A number of pixels, which some write as 640.0 or in quotes."""
    return int(float(value))


def _by_plain_name(tree: Mapping[str, Any]) -> dict[str, Any]:
    return {plain_name(key): value for key, value in tree.items()}


def _plain_model(name: str) -> str:
    return plain_name(name.lower().removeprefix("distortion.").removeprefix("rs2_distortion_"))


def _turned_by_axis(tree: Mapping[str, Any], camera: CameraFile) -> tuple[int, int] | None:
    """`size_of` a mapping, whose height may stand first where both are kept together."""
    size, named = size_of(tree), _by_plain_name(tree)
    if size is None or any(high in named and wide in named for high, wide in SIZE_KEYS):
        return size
    height, width = size
    return (width, height) if Camera.from_matrix(camera.matrix, width, height).axis_lies_on_its_side else size


def _with_size_and_lens(tree: Mapping[str, Any], camera: CameraFile) -> CameraFile:
    """With what a mapping says beside the matrix, and of a part that the images are cut to (ROS's roi and binning)."""
    size = _turned_by_axis(tree, camera) or camera.size
    camera = camera._replace(size=size, lens=lens_of(tree) or camera.lens)
    window = tree.get("roi")
    binning = [max(1, int(tree.get(key) or 1)) for key in ("binning_x", "binning_y")]
    if size is None or (not isinstance(window, Mapping) and binning == [1, 1]):
        return camera
    height, width = size
    window = window if isinstance(window, Mapping) else {}
    left, top = int(window.get("x_offset", 0)), int(window.get("y_offset", 0))
    wide, high = int(window.get("width") or width), int(window.get("height") or height)
    if (left, top, wide, high) == (0, 0, width, height):
        return camera
    if min(left, top) < 0 or min(wide, high) < 1 or left + wide > width or top + high > height:
        raise ValueError(f"a region of interest that is not within its image of {width}×{height} pixels")
    return camera._replace(size=(high, wide), window=(left, top, wide, high), full_size=size)
