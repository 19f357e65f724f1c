"""The commands that measure in an image and correct a model's scale: measure, calibrate."""

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from leadline.cli.console import EXIT_USAGE, OUT, Runtime, print_error, run_by
from leadline.errors import LeadlineError

NOT_KEPT = (
    "leadline: the model is more accurate without that scale: use it as it is, or measure more points, at several "
    "distances, and check their x,y and the focal length (--focal-px)"
)

LENGTH_WANTED = "--length wants X,Y X,Y METRES: two points, each with a comma, and the metres, as in 60,180 250,180 1.6"


def measure(
    image: Path,
    /,
    *points: str,
    model: str = "default",
    backend: Runtime | None = None,
    focal_px: float | None = None,
    fov: float | None = None,
    intrinsics: Path | None = None,
    undistort: Annotated[bool, Parameter(negative=())] = False,
) -> int:
    """Measure the depth of a point, or the straight-line distance between two, in metres.

    Args:
        image: image file.
        points: X,Y of one point or two, in pixels from the left and from the top, starting at 0. Any image viewer that
            shows the pointer's place tells them; leadline app shows and measures the points that you click.
        model: default, the name of a bundled model, the folder of a checkpoint or a run, an .onnx or OpenVINO .xml
            file, or hf:NAME.
        backend: what runs a leadline model: onnxruntime or torch; if not given, what answers soonest
            (docs/models.md).
        focal_px: focal length in pixels; if not given, from EXIF, else that of the training images.
        fov: horizontal field of view in degrees, instead of --focal-px.
        intrinsics: camera file instead of both (docs/guides/camera.md).
        undistort: first remove the lens distortion whose coefficients the camera file holds; X,Y stay those of the
            image file.
    """
    places = [_point(text) for text in points]
    if len(places) not in (1, 2):
        raise LeadlineError(
            f"wanted X,Y of one point for its depth or of two for their distance, got {len(places)} points"
        )

    from leadline.prediction import WINDOW_PX
    from leadline.prediction import measure as run_measurement

    length = run_measurement(
        image, *places, model=run_by(model, backend), focal_px=focal_px, fov_deg=fov, camera=intrinsics,
        undistort=undistort,
    )  # fmt: skip
    what = "along the optical axis" if len(places) == 1 else "from point to point"
    print(f"{length}  {what}; median of {WINDOW_PX}×{WINDOW_PX} pixels; {length.focal}")
    return 0


def calibrate(
    *paths: Path,
    out: Annotated[Path, OUT],
    model: str = "default",
    length: Annotated[list[tuple[str, str, float]] | None, Parameter(negative=())] = None,
    data: Path | None = None,
    split: str = "all",
    focal_px: float | None = None,
    fov: float | None = None,
    intrinsics: Path | None = None,
    undistort: Annotated[bool, Parameter(negative=())] = False,
) -> int:
    """Make a model's metres right for a camera or a place, by known distances or labelled images.

    A model of metres gets a scale, kept only if leave-one-out validation shows that it is more accurate. A model of
    depth or disparity without a unit gets a scale and a shift in its own space, and predicts metres from then on.

    Args:
        paths: an image and a CSV file of lines x,y,metres; or a CSV file of lines picture,x,y,metres. x,y are pixels
            from the left and the top, as an image viewer or a click in leadline app shows them. Metres are
            depth along the optical axis; for the distance from the camera (by tape), name the column distance_m.
            Lines x,y,x2,y2,metres are lengths between two points. With --length, an image alone is enough.
        out: folder for the calibrated model, which every command then takes.
        model: default, the name of a bundled model, the folder of a checkpoint or a run, an .onnx or OpenVINO .xml
            file, or hf:NAME.
        length: X,Y X,Y METRES of something whose length is known in the image, such as a sheet of paper or a door;
            the scale is the one that makes it right. May be given several times.
        data: labelled images instead: a folder with an index.csv, or a public data set (docs/reference/data-sets.md).
        split: the images to use: all, RULE/PART such as official/test, or a text file of ids.
        focal_px: focal length in pixels; if not given, from EXIF, else that of the training images.
        fov: horizontal field of view in degrees, instead of --focal-px.
        intrinsics: camera file instead of both (docs/guides/camera.md).
        undistort: first remove the lens distortion whose coefficients the camera file holds; X,Y stay those of the
            image file.
    """
    lengths = length or []
    for given in lengths:
        if not ("," in given[0] and "," in given[1]):
            raise LeadlineError(f"{LENGTH_WANTED}; got {' '.join(map(str, given[:2]))}")
    folder = next((path for path in paths if path.is_dir()), None)
    if folder is not None:
        raise LeadlineError(f"{folder} is a folder: labelled images are given as --data {folder}, else name files")
    if len(paths) > 2 or (len(paths) == 0) == (data is None) or (lengths and (len(paths) != 1 or data is not None)):
        got = " ".join(map(str, paths)) or "neither"
        raise LeadlineError(
            "wanted IMAGE and a CSV file of x,y,metres, a CSV file of picture,x,y,metres, or IMAGE and --length, "
            f"or --data; got {got}"
        )

    from leadline.evaluation import calibrate as run_calibration
    from leadline.prediction import known_lengths

    picture, distances = (None, None, *paths)[-2:] if not lengths else (paths[0], None)
    ends = [(_point(start), _point(end), metres) for start, end, metres in lengths]
    unread: list[str] = []
    found = run_calibration(
        model, out,
        distances=distances, picture=picture, lengths=known_lengths(picture, ends), data=data, split=split,
        focal_px=focal_px, fov_deg=fov, camera=intrinsics, undistort=undistort, on_unread=unread.append,
    )  # fmt: skip
    print(f"{found}; " + (f"written to {out}" if found.helps else "nothing written"))
    if not found.helps:
        print(NOT_KEPT, file=sys.stderr)
    for error in unread:
        print_error(error)
    return EXIT_USAGE if unread else 0


def _point(text: str) -> tuple[float, float]:
    try:
        x, y = map(float, text.split(","))
    except ValueError as error:
        raise LeadlineError(f"a point is two numbers, X,Y, such as 320,240; got {text!r}") from error
    return x, y
