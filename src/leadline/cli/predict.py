"""The command that turns images, videos, cameras and streams into depth: predict."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import partial
from math import inf
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from cyclopts import Parameter
from cyclopts.validators import Number

from leadline.cli.console import EXIT_USAGE, OUT, Formats, Runtime, counting, depths, print_error, run_by
from leadline.errors import LeadlineError

Options = dict[str, Any]

TOGETHER = ("sheet", "fused")
"""Formats that all images become one file of."""


def predict(
    *paths: str,
    model: str = "default",
    backend: Runtime | None = None,
    out: Annotated[Path, OUT] = Path("depth"),
    format: Formats = ("depth", "color", "npz"),
    focal_px: float | None = None,
    fov: float | None = None,
    intrinsics: Path | None = None,
    undistort: Annotated[bool, Parameter(negative=())] = False,
    max_pixels: Annotated[int | None, Parameter(validator=Number(gte=1))] = None,
    max_triangles: Annotated[int, Parameter(validator=Number(gte=1))] = 200_000,
    known: Path | None = None,
    sparse: Path | None = None,
    colmap: Path | None = None,
    camera_height: Annotated[float | None, Parameter(validator=Number(gt=0))] = None,
    tile: Annotated[bool, Parameter(negative=())] = False,
    seconds: Annotated[float | None, Parameter(validator=Number(gt=0))] = None,
    skip_existing: Annotated[bool, Parameter(negative=())] = False,
    rerun: Annotated[list[str] | None, Parameter(consume_multiple=True, negative=())] = None,
) -> int:
    """Predict the depth of images, videos, cameras and streams, in metres.

    A video gives two videos: image and depth side by side (color), and depth in millimetres (depth). So does a camera
    or a network stream, which is recorded until Ctrl-C.

    Args:
        paths: image and video files, folders of them, patterns such as "photos/*.jpg", cameras (camera:0), and
            streams (rtsp://…, http://…).
        model: default, the name of a bundled model, the folder of a checkpoint or a run, an .onnx or OpenVINO .xml
            file, or hf:NAME.
        backend: what runs a leadline model: onnxruntime or torch; if not given, what answers soonest
            (docs/models.md).
        out: folder for the results.
        format: depth (16-bit PNG, millimetres), color, uncertainty (from models that
            estimate it), normals (16-bit PNG, camera space), floor (occupancy and heights from above, PNG and YAML for
            ROS's map_server), npz, exr, pfm, colmap (its dense map), ply (point cloud), points (point cloud as GLB),
            glb (textured surface); for all images together: sheet (one contact sheet), fused (one PLY of the images of
            --colmap, in its axes).
        focal_px: focal length in pixels; if not given, from EXIF, else that of the training images.
        fov: horizontal field of view in degrees, instead of --focal-px.
        intrinsics: camera file instead of both: a 3x3 matrix or fx fy cx cy as text, JSON or YAML, or another program's
            (docs/guides/camera.md).
        undistort: first remove the lens distortion whose coefficients the camera file holds.
        max_pixels: larger images and frames are reduced to this many pixels when read; by default 50 million, and 16.8
            million in a video.
        max_triangles: a surface (glb) finer than that is simplified; the default suits viewers in a browser.
        known: CSV file of known distances, lines of x,y,metres (of one image) or picture,x,y,metres: dense metres by
            a smooth field, by one factor or as they are, whichever leave-one-out validation prefers; any model.
        sparse: the same from a sparse depth map (LiDAR, projected points) of the image's size or smaller, 0 or NaN
            where nothing is known, whole numbers in millimetres; or a folder of them, named after the images.
        colmap: the same from a COLMAP reconstruction in metres, with its camera.
        camera_height: metres of the camera above the floor, which then fixes the scale of the image.
        tile: also predict large images tile by tile, for finer detail; several times slower.
        seconds: how long to record a camera or a stream, instead of until Ctrl-C.
        skip_existing: resume an interrupted run: skip images and videos whose results all exist, are whole and no
            older than they.
        rerun: show image, depth, points and camera in the rerun viewer; --rerun FILE.rrd saves a recording instead.
    """
    from leadline.io import camera_from_options
    from leadline.prediction import MAX_PIXELS, RerunLog, check_formats, open_anchored_backend

    check_formats(format, TOGETHER)
    given = camera_from_options(focal_px, fov, intrinsics, undistort)  # refuses before the model is loaded
    found, recordings = _find([*paths, *(rerun or ())], seconds)  # --rerun takes what follows
    anchor = _anchor(found.images, known, sparse, colmap, camera_height)
    if anchor and found.moving:
        raise LeadlineError(f"what is known is of images, got {found.moving[0]}: name images alone")
    with nullcontext() if rerun is None else RerunLog(*recordings) as log:
        num_images = inf if found.moving else len(found.images)
        opened = open_anchored_backend(run_by(model, backend), anchor, num_images)
        shared = {"model": opened, "formats": list(format), "log": log, "given": given}
        more: Options = {"max_pixels": max_pixels or MAX_PIXELS, "max_triangles": max_triangles}
        more |= {"tiled": tile, "anchor": anchor}
        limit = {} if max_pixels is None else {"max_pixels": max_pixels}
        code = _do(_jobs(found, out, skip_existing, {"seconds": seconds or inf}, limit, more, shared))
    for recording in recordings:
        print(f"recording written to {recording}: open it with 'rerun {recording}'")
    return code


def _jobs(
    found: "_Found",
    out: Path,
    skip_existing: bool,
    streaming: Options,
    filming: Options,
    more: Options,
    shared: Options,
) -> list[tuple[str, Callable[[], int]]]:
    """What is to be done, by name, with the options of streams, of videos, of images, and of all."""
    from leadline.io import redact_url
    from leadline.prediction import output_stems

    jobs: list[tuple[str, Callable[[], int]]]
    jobs = [(redact_url(it), partial(_predict_stream, it, out, **streaming, **shared)) for it in found.streams]
    for video, stem in zip(found.videos, output_stems(found.videos, out), strict=True):
        jobs.append((str(video), partial(_predict_video, video, stem, skip_existing, **shared, **filming)))
    if found.images:
        more = {**more, "skip_existing": skip_existing}
        jobs.append((str(out), partial(_predict_pictures, found.images, out, **shared, **more)))
    return jobs


def _anchor(images: list[Path], *told: Any) -> Any:
    """What is known of the images; nothing of it is imported where nothing is."""
    if all(each is None for each in told):
        return None
    from leadline.prediction import read_anchor

    return read_anchor(images, *told)


class _Found(NamedTuple):
    """What is to be predicted."""

    streams: list[str]
    videos: list[Path]
    images: list[Path]

    @property
    def moving(self) -> list[str | Path]:
        """Streams and videos."""
        return [*self.streams, *self.videos]


def _find(words: Sequence[str], seconds: float | None) -> tuple[_Found, list[Path]]:
    """What is to be predicted, and the file of a recording, at most one."""
    from leadline.io import IMAGE_SUFFIXES, VIDEO_SUFFIXES, find_images, is_stream, is_video, pyav
    from leadline.prediction import RERUN_SUFFIX

    recordings = [Path(word) for word in words if word.endswith(RERUN_SUFFIX)]
    streams = [word for word in words if is_stream(word)]
    if len(recordings) > 1:
        raise LeadlineError(f"--rerun saves to one file, got {', '.join(map(str, recordings))}: name one")
    if seconds and not streams:
        raise LeadlineError("--seconds limits the recording of a camera or a stream, and none is named: leave it out")
    files = [word for word in words if not is_stream(word) and not word.endswith(RERUN_SUFFIX)]
    paths = find_images(files, IMAGE_SUFFIXES + VIDEO_SUFFIXES) if files or not streams else []
    videos = [path for path in paths if is_video(path)]
    if streams or videos:
        pyav()  # a missing package is told before the first frame
    return _Found(streams, videos, [path for path in paths if not is_video(path)]), recordings


def _do(jobs: Sequence[tuple[str, Callable[[], int]]]) -> int:
    """Do one named job after the other, each of which says what of it is broken, and go on past the broken ones."""
    from leadline.io import item_error

    num_broken = 0
    for name, job in jobs:
        try:
            num_broken += job()
        except Exception as error:  # the others are still to be done
            num_broken += 1
            print_error(item_error(name, error))
    return EXIT_USAGE if num_broken else 0


def _predict_stream(source: str, out: Path, log: Any, **options: Any) -> int:
    from leadline.io import redact_url
    from leadline.prediction.video import predict_stream, stream_stem

    stem = stream_stem(source, out)
    print(f"{redact_url(source)}: opening; Ctrl-C ends the recording", flush=True)
    recording = predict_stream(source, stem, on_prediction=log and log.clip(stem.name), **options)
    print(
        f"{redact_url(source)}  {depths(*recording.summary)}  {recording.focal}  {recording.num_frames} frames in "
        f"{recording.seconds:.1f} s, {recording.num_dropped} dropped ({options['model'].runtime})"
    )
    for written in recording.written:
        print(written)
    if recording.broken:
        print_error(f"{redact_url(source)} broke off ({recording.broken}); the frames received are written")
    return bool(recording.broken)


def _predict_video(path: Path, stem: Path, skip_existing: bool, log: Any, **options: Any) -> int:
    from leadline.io import is_current
    from leadline.prediction.video import clip_paths, predict_video

    results = clip_paths(stem, options["formats"], str(path)).values()
    if skip_existing and all(is_current(it, path) for it in results):
        print(f"{path.name}: its results are already there")
        return 0
    clip = predict_video(path, stem, on_prediction=log and log.clip(path.name), **options)
    runtime = options["model"].runtime
    print(f"{path.name}  {depths(*clip.summary)}  {clip.focal}  {clip.num_frames} frames ({runtime})")
    for written in clip.written:
        print(written)
    if clip.wrong:
        print_error(f"{path} {clip.wrong}")
    return bool(clip.wrong)


def _predict_pictures(pictures: Sequence[Path], out: Path, log: Any, **options: Any) -> int:
    from leadline.prediction import FUSED, predict_files

    options["camera"] = options.pop("given")
    options["sheet"] = "sheet" in options["formats"]
    fused = _fused(options["anchor"]) if "fused" in options["formats"] else None
    options["formats"] = [name for name in options["formats"] if name not in TOGETHER]
    broken, num_written, there = [], 0, ""
    left_out: list[str] = []
    watchers = [watch for watch in (log and log.picture, fused and partial(_fuse, fused, left_out)) if watch]
    places = {path: place for place, path in enumerate(pictures, start=1)}
    width = max(len(path.name) for path in pictures)
    try:
        with counting("images", len(pictures)) as count:
            for result in predict_files(pictures, out, on_prediction=_all(watchers), **options):
                count(places[result.path])
                if result.summary is None:
                    broken.append(result)
                    continue
                num_written += 1
                notes = f"  {result.notes}" if result.notes else ""
                print(f"{result.path.name:<{width}}  {depths(*result.summary)}  {result.focal}{notes}", flush=True)
        if fused and num_written > len(left_out):
            fused.write(out / FUSED)
            print(f"one cloud of all images: {out / FUSED}")
        num_there = len(pictures) - len(broken) - num_written
        there = f", {num_there} already there" * bool(num_there)
    finally:  # also where the contact sheet or the viewer fails
        _print_written(num_written, len(pictures), out, there, options)
        for error in (*(result.error for result in broken), *left_out):
            print_error(error)
    return len(broken) + len(left_out)


def _print_written(num_written: int, num_all: int, out: Path, there: str, options: Options) -> None:
    """Say how many images were written where, as what and by what, and which files are of all of them."""
    from leadline.io import CONTACT_SHEET

    formats = options["formats"]
    kinds = f" as {', '.join(formats)}" * bool(num_written and formats)
    done = f"written to {out}{kinds}" if formats else "predicted"
    print(f"{num_written} of {num_all} images {done}{there} ({options['model'].runtime})")
    if options["sheet"] and num_written and (out / CONTACT_SHEET).exists():
        print(f"contact sheet: {out / CONTACT_SHEET}")


def _fused(anchor: Any) -> Any:
    from leadline.prediction import ColmapPoints, FusedCloud

    if not isinstance(anchor, ColmapPoints):
        raise LeadlineError("one point cloud of all images needs their poses: give --colmap, or leave fused out")
    return FusedCloud(anchor.to_world)


def _fuse(fused: Any, left_out: list[str], path: Path, prediction: Any) -> None:
    """Add an image's points to the cloud of all; or say why it has none, and go on."""
    from leadline.io import item_error
    from leadline.prediction import FUSED

    try:
        fused.add(path, prediction)
    except LeadlineError as error:
        left_out.append(f"{item_error(path, error)}; it is left out of {FUSED}")


def _all(watchers: Sequence[Callable[[Path, Any], None]]) -> Callable[[Path, Any], None] | None:
    """One callback that calls all; None of none, so that nothing is kept for it."""

    def watch(path: Path, prediction: Any) -> None:
        for each in watchers:
            each(path, prediction)

    return watch if watchers else None
