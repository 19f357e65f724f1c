"""The commands that measure with a picture, and put a model's scale right: measure, calibrate."""

from pathlib import Path

from leadline.errors import LeadlineError


def measure(
    picture: Path,
    /,
    *points: str,
    model: str = "default",
    focal_px: float | None = None,
    fov: float | None = None,
    intrinsics: Path | None = None,
) -> int:
    """Measure the depth of a point, or the straight distance between two, in metres.

    Args:
        picture: the picture file.
        points: X,Y of one point or two, in pixels from the left and from the top, the first of each being 0.
        model: default, the name of a bundled model, a checkpoint's folder, or a run's.
        focal_px: focal length in pixels of the picture; else from EXIF, else assumed to be the training pictures'.
        fov: horizontal field of view in degrees, instead of --focal-px.
        intrinsics: camera file instead of both (docs/guides/camera.md).
    """
    places = [_point(text) for text in points]
    if len(places) not in (1, 2):
        raise LeadlineError(
            f"wanted X,Y of one point for its depth or of two for their distance, got {len(places)} points"
        )

    from leadline.prediction import WINDOW_PX
    from leadline.prediction import measure as run_measurement

    length = run_measurement(picture, *places, model=model, focal_px=focal_px, fov_deg=fov, intrinsics=intrinsics)
    what = "along the optical axis" if len(places) == 1 else "from point to point"
    print(f"{length}  {what}; median of {WINDOW_PX}×{WINDOW_PX} pixels; {length.focal}")
    return 0


def calibrate(
    *paths: Path,
    out: Path,
    model: str = "default",
    data: Path | None = None,
    split: str = "all",
    focal_px: float | None = None,
    fov: float | None = None,
    intrinsics: Path | None = None,
) -> int:
    """Fit one scale to known distances or labelled pictures; write the rescaled model if that helps on those left out.

    Args:
        paths: a picture and a CSV file of lines x,y,metres; or a CSV file of lines picture,x,y,metres. Metres are
            depth along the optical axis; straight from the camera, as a tape has it, in a column named distance_m.
        out: folder for the new model, which --model then takes.
        model: default, the name of a bundled model, a checkpoint's folder, or a run's.
        data: labelled pictures instead: a folder with an index.csv, or a public data set (docs/reference/data-sets.md).
        split: which of them: all, RULE/PART such as official/test, or a text file of ids.
        focal_px: focal length in pixels of the pictures; else from EXIF, else assumed to be the training pictures'.
        fov: horizontal field of view in degrees, instead of --focal-px.
        intrinsics: camera file instead of both (docs/guides/camera.md).
    """
    if len(paths) > 2 or (len(paths) == 0) == (data is None):
        got = " ".join(map(str, paths)) or "neither"
        raise LeadlineError(
            f"wanted PICTURE and a CSV file of x,y,metres, one of picture,x,y,metres, or --data; got {got}"
        )

    from leadline.prediction import calibrate as run_calibration

    picture, distances = (None, None, *paths)[-2:]
    found = run_calibration(
        model, out,
        distances=distances, picture=picture, data=data, split=split,
        focal_px=focal_px, fov_deg=fov, intrinsics=intrinsics,
    )  # fmt: skip
    print(f"{found}; " + (f"written to {out}" if found.helps else "nothing written"))
    return 0


def _point(text: str) -> tuple[float, float]:
    try:
        x, y = map(float, text.split(","))
    except ValueError as error:
        raise LeadlineError(f"a point is two numbers, X,Y, such as 320,240; got {text!r}") from error
    return x, y
