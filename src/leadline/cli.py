"""The command line: arguments in, one workflow call, a printed table out; nothing else."""

import logging
import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import partial
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, CycloptsError, Parameter
from cyclopts.validators import Number

from leadline import __version__
from leadline.cli_data import USER_MISTAKE, data_app
from leadline.cli_evaluate import compare, evaluate, figure, print_table, report
from leadline.errors import UserError

if TYPE_CHECKING:
    from leadline.colors import DepthSummary

# Workflows are imported inside the commands: `--help` must not wait seconds for torch.

app = App(name="leadline", version=__version__, help="Metric depth from a single picture.")
app.command(data_app)
for command in (evaluate, compare, report, figure):
    app.command(command)
# By name: its flags are the settings, and building those takes a third of the time of `leadline --help`.
app.command(
    "leadline.cli_train:train",
    name="train",
    help="Train a model by a recipe, any of whose settings can be replaced here.",
)

INTERRUPTED = 130


@app.command
def predict(
    *paths: str,
    model: str = "default",
    out: Path = Path("depth"),
    format: str = "depth,color,npz",
    focal_px: float | None = None,
    fov: float | None = None,
    max_pixels: int = 50_000_000,
    tile: Annotated[bool, Parameter(negative=())] = False,
    seconds: Annotated[float | None, Parameter(validator=Number(gt=0))] = None,
    skip_existing: Annotated[bool, Parameter(negative=())] = False,
    rerun: Annotated[list[str] | None, Parameter(consume_multiple=True, negative=())] = None,
) -> int:
    """Predict the depth of pictures, videos, cameras and streams, in metres.

    A video becomes one of picture beside depth (color) and one of depth in millimetres (depth). So does what a camera
    or a network stream shows, until Ctrl-C.

    Args:
        paths: picture and video files, folders of pictures, patterns such as "photos/*.jpg", cameras (camera:0), and
            streams (rtsp://…, http://…).
        model: default, the name of a bundled model, a checkpoint's folder, or a run's.
        out: folder for the results.
        format: what to write, commas between: depth (16-bit PNG, millimetres), color, npz, exr, ply (points), points
            (GLB), glb (surface with the picture on it), sheet (one for all).
        focal_px: focal length in pixels of the pictures; else from EXIF, else assumed to be the training pictures'.
        fov: horizontal field of view in degrees, instead of --focal-px.
        max_pixels: larger pictures are read smaller.
        tile: look at large pictures tile by tile too, for finer detail: several times slower.
        seconds: how long to record a camera or a stream, instead of until Ctrl-C.
        skip_existing: go on where an earlier run stopped: pass over pictures and videos whose results are all there.
        rerun: show all in the rerun viewer: picture, depth, points and camera; --rerun FILE.rrd saves that instead.
    """
    from leadline.checkpoint import load_model
    from leadline.device import pick_device
    from leadline.image_files import find_images
    from leadline.predicted import check_formats
    from leadline.prediction import output_stems
    from leadline.rerun_log import RERUN_SUFFIX, RerunLog
    from leadline.stream_sources import is_stream
    from leadline.video import is_video

    formats = [name.strip() for name in format.split(",") if name.strip()]
    check_formats([name for name in formats if name != "sheet"])
    recordings = [Path(word) for word in rerun or () if word.endswith(RERUN_SUFFIX)]
    paths = (*paths, *(word for word in rerun or () if not word.endswith(RERUN_SUFFIX)))  # --rerun takes what follows
    streams = [path for path in paths if is_stream(path)]
    videos = [Path(path) for path in paths if is_video(path) and not is_stream(path)]
    pictures = [path for path in paths if not is_stream(path) and not is_video(path)]
    if len(recordings) > 1:
        raise UserError(f"--rerun saves to one file, got {', '.join(map(str, recordings))}: name one")
    if seconds and not streams:
        raise UserError("--seconds is how long to record a camera or a stream, and none is named: leave it out")
    found = find_images(pictures) if pictures or not paths else []
    shared: dict[str, Any] = {"formats": formats, "focal_px": focal_px, "fov_deg": fov}
    with nullcontext() if rerun is None else RerunLog(*recordings[:1]) as log:
        shared |= {"model": load_model(model).to(pick_device()), "log": log}
        jobs = [partial(_predict_stream, it, out, seconds=seconds or inf, **shared) for it in streams]
        for video, stem in zip(videos, output_stems(videos, out), strict=True):
            jobs.append(partial(_predict_video, video, stem, skip_existing, **shared))
        if found:
            more = {"max_pixels": max_pixels, "skip_existing": skip_existing, "tiled": tile}
            jobs.append(partial(_predict_pictures, found, out, **shared, **more))
        return _do(jobs)


def _do(jobs: Sequence[Callable[[], int]]) -> int:
    """Do one job after the other, each of which says what of it is broken, and go on past the broken ones."""
    num_broken = 0
    for job in jobs:
        try:
            num_broken += job()
        except UserError as error:  # the others are still to be done
            num_broken += 1
            print(f"leadline: {error}", file=sys.stderr)
    return USER_MISTAKE if num_broken else 0


def _predict_stream(source: str, out: Path, log: Any, **options: Any) -> int:
    from leadline.stream_sources import shown
    from leadline.streams import predict_stream, stream_stem

    stem = stream_stem(source, out)
    print(f"{shown(source)}: opening; Ctrl-C ends the recording", flush=True)
    recording = predict_stream(source, stem, show=log and log.clip(stem.name), **options)
    print(
        f"{shown(source)}  {_depths(recording.summary)}  {recording.focal}  {recording.num_frames} frames in "
        f"{recording.seconds:.1f} s, {recording.num_dropped} dropped"
    )
    for written in recording.written:
        print(written)
    if recording.broken:
        print(f"leadline: {shown(source)} broke off ({recording.broken}); what came is written", file=sys.stderr)
    return bool(recording.broken)


def _predict_video(path: Path, stem: Path, skip_existing: bool, log: Any, **options: Any) -> int:
    from leadline.clips import clip_paths
    from leadline.video import predict_video

    if skip_existing and all(it.exists() for it in clip_paths(stem, options["formats"], str(path)).values()):
        print(f"{path.name} was there")
        return 0
    clip = predict_video(path, stem, show=log and log.clip(path.name), **options)
    print(f"{path.name}  {_depths(clip.summary)}  {clip.focal}  {clip.num_frames} frames")
    for written in clip.written:
        print(written)
    return 0


def _predict_pictures(pictures: Sequence[Path], out: Path, log: Any, **options: Any) -> int:
    from leadline.prediction import predict_files

    options["sheet"] = "sheet" in options["formats"]
    options["formats"] = [name for name in options["formats"] if name != "sheet"]
    broken, num_written = [], 0
    width = max(len(path.name) for path in pictures)
    for result in predict_files(pictures, out, show=log and log.picture, **options):
        if result.summary is None:
            broken.append(result)
            continue
        num_written += 1
        print(f"{result.path.name:<{width}}  {_depths(result.summary)}  {result.focal}", flush=True)
    num_there = len(pictures) - len(broken) - num_written
    print(f"{num_written} of {len(pictures)} pictures written to {out}" + f", {num_there} were there" * bool(num_there))
    for result in broken:
        print(f"leadline: {result.error}", file=sys.stderr)
    return len(broken)


def _depths(summary: "DepthSummary") -> str:
    return f"near {summary.near_m:5.2f} m  median {summary.median_m:5.2f} m  far {summary.far_m:5.2f} m"


@app.command
def reproduce(
    *,
    data: Path,
    out: Path,
    only: Annotated[list[str] | None, Parameter(consume_multiple=True, negative=())] = None,
    epochs: Annotated[int | None, Parameter(validator=Number(gte=1))] = None,
    encoder_weights: dict[str, Path] | None = None,
) -> int:
    """Train the student report's networks one after the other and write its Table 1 beside its numbers.

    Started again with the same --out, it goes on where it was stopped.

    Args:
        data: the data set: a folder with an index.csv, or a public one as its makers ship it (docs/data-sets.md).
        out: folder for report.md, its figures, and each network's run and scores.
        only: cae, unet, xception, densenet; or all of a study: table1 (the default), official (the same networks
            without scenes shared between training and test), ablations.
        epochs: instead of the recipes' own, for a quick try.
        encoder_weights: file of an encoder's weights instead of a download: --encoder-weights.densenet121 FILE.
    """
    from leadline.reproduce import reproduce as run_reproduction

    page = run_reproduction(data, out, only or (), epochs, encoder_weights, sys.stderr.isatty())
    print(page.read_text(encoding="utf-8"))
    print(f"written to {page}")
    return 0


@app.command
def models() -> int:
    """List what can be loaded and what can be trained."""
    from rich.table import Table

    from leadline.checkpoint import DEFAULT, bundled_models, read_config
    from leadline.settings import recipe_names

    table = Table("model", "network", "range in metres", "encoder started from", "trained on", "numbers")
    for name, folder in bundled_models().items():
        config = read_config(folder)
        record, model = config["record"], config["model"]
        tests = [f"{it['protocol']}: δ1 {it['per_image']['delta1']:.3f}" for it in record.get("tests", [])]
        table.add_row(
            f"{name} (default)" if name == DEFAULT else name,
            model["encoder"]["name"],
            f"{model['head']['min_depth_m']:g} to {model['head']['max_depth_m']:g}",
            Path(record["settings"]["model"]["encoder"]["weights"]).name,
            record["data"],
            "\n".join(tests),
        )
    print_table(table)
    print(f"recipes to train: {', '.join(recipe_names())}")
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        arguments: words after the program's name; the process's own if None.

    Returns:
        The exit code: 0, or 2 after a mistake by the user, which is one line on stderr.
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        result: Any = app(arguments, exit_on_error=False, print_error=False, result_action="return_value")
        return result if isinstance(result, int) else 0
    except (UserError, CycloptsError, OSError) as error:
        print(f"leadline: {' '.join(str(_in_our_words(error)).split())}", file=sys.stderr)
        return USER_MISTAKE
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:
        if type(error).__name__ != "Interrupted":  # its class would import Lightning
            raise
        print(f"leadline: {error}", file=sys.stderr)
        return INTERRUPTED


def _in_our_words(error: Exception) -> Exception:
    """What pydantic or a worker process says, as one line; any other error as it is."""
    from pydantic import ValidationError

    from leadline.settings import first_mistake

    reason = error.__cause__ or error.__context__
    if isinstance(error, CycloptsError) and isinstance(reason, ValidationError):
        return first_mistake(reason, "settings")
    # A worker process sends its whole traceback; its last line is the mistake.
    _, from_worker, text = str(error).rpartition("leadline.errors.UserError: ")
    return UserError(text) if from_worker else error
