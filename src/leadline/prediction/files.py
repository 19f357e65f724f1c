"""Prediction of many files: pictures in, files of depth out."""

import logging
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePath
from typing import NamedTuple, Protocol, TypeVar, runtime_checkable

import numpy as np
from PIL import Image

from leadline.arguments import Count, checked
from leadline.backends import Backend, open_backend
from leadline.errors import LeadlineError
from leadline.geometry import DepthSummary, Output, size_with_area
from leadline.io import (
    CONTACT_SHEET,
    MAX_TRIANGLES,
    CameraLike,
    GivenCamera,
    Picture,
    camera_from_options,
    ensure_overwritable,
    is_whole,
    item_error,
    read_image,
    require_target,
)
from leadline.prediction.anchored import FloorScale
from leadline.prediction.contact_sheet import SheetRow, write_contact_sheet
from leadline.prediction.older_names import with_intrinsics
from leadline.prediction.prediction import MAX_PIXELS, AnyModel, open_metric_backend, predict_image
from leadline.prediction.result import AMBIGUOUS_WORDS, Prediction, check_formats, output_paths
from leadline.prediction.thread_pool import MemoryLimiter, ordered_map

P = TypeVar("P", bound=PurePath)

logger = logging.getLogger(__name__)

LARGE_PIXELS = 20_000_000
"""Beyond, a picture is alone from reading to writing: several at once fill the memory."""

MAX_SHEET_ROWS = 40
SHEET_AREA_PX = 320 * 240


@dataclass(frozen=True)
class FileResult:
    """What became of one picture file."""

    path: Path
    written: list[Path]
    summary: DepthSummary | None
    """None if there is no result."""
    focal: str
    """Focal length and where it is from, in words."""
    notes: str
    """What known distances or the camera's height made of it, and the floor if that is written, in words."""
    error: str
    """Why there is no result, such as a picture that cannot be read; "" if there is one."""


@runtime_checkable
class Anchor(Protocol):
    """What is known of images and brings their predictions to it."""

    any_output: bool
    """Whether it makes metres of values without a unit."""

    def camera(self, path: Path) -> GivenCamera | None:
        """The camera of an image, where that is known with it."""
        ...

    def apply(self, prediction: Prediction, path: Path, full_size: tuple[int, int], output: Output) -> Prediction:
        """Bring a prediction of an image, of a height and width in its file, to what is known."""
        ...


class _Done(NamedTuple):
    """What a worker hands back of a picture."""

    result: FileResult
    row: SheetRow | None
    prediction: Prediction | None


@with_intrinsics
@checked
def predict_files(
    paths: Sequence[Path],
    out: Path,
    model: AnyModel = "default",
    *,
    formats: Sequence[str] = ("depth", "color", "npz"),
    sheet: bool = False,
    focal_px: float | None = None,
    fov_deg: float | None = None,
    camera: CameraLike | GivenCamera | None = None,
    max_pixels: Count = MAX_PIXELS,
    max_triangles: Count = MAX_TRIANGLES,
    skip_existing: bool = False,
    tiled: bool = False,
    undistort: bool = False,
    anchor: Anchor | None = None,
    on_prediction: Callable[[Path, Prediction], None] | None = None,
) -> Iterator[FileResult]:
    """Predict many pictures and write the results; one that fails, whatever the reason, is reported and passed over.

    So is one whose result would replace a file that is not leadline's. Several are worked on at a time, each from file
    to result, unless they are very large; see `leadline.prediction.thread_pool`.

    Args:
        paths: picture files.
        out: folder for the results; names follow `output_stems`.
        model: as `leadline.predict`.
        formats: keys of `FORMATS`.
        sheet: also write `contact_sheet.png` with the first 40 pictures; where some are skipped, an older one stays.
        focal_px: focal length in pixels of every picture, instead of EXIF's.
        fov_deg: horizontal field of view of every picture in degrees, instead of `focal_px`.
        camera: the camera that took every picture, its file or its matrix, instead of both.
        max_pixels: larger pictures are read smaller.
        max_triangles: of each surface; a finer one is simplified.
        skip_existing: pass over pictures whose results are all there and, as far as their ends tell, whole. Without
            formats there is nothing to be there, and all are predicted.
        tiled: whether tiles add details, see `predict`.
        undistort: whether the lens' distortion is removed first, see `predict`.
        anchor: known distances, or a known height of the camera, to bring each prediction to.
        on_prediction: is called with each file and its prediction, in order.

    Yields:
        A result for each picture that was predicted, in order.

    Raises:
        LeadlineError: if a format is unknown or lacks its package, the camera is impossible, or `out` not writable.
        OSError: if the contact sheet cannot be written.
    """
    check_formats(formats)
    require_target(out, folder=True)
    given = camera_from_options(focal_px, fov_deg, camera, undistort)
    backend = open_anchored_backend(model, anchor, len(paths))
    rows: list[SheetRow] = []
    pairs = list(zip(paths, output_stems(paths, out), strict=True))
    if skip_existing:
        pairs = [(path, stem) for path, stem in pairs if not _all_there(output_paths(stem, formats))]
    gate = MemoryLimiter()

    def job(path: Path, stem: Path) -> _Done:
        try:
            ensure_overwritable(output_paths(stem, formats))
            with ExitStack() as stack:
                picture = read_image(path, max_pixels, partial(_enter, stack, gate))
                prediction = _predict_anchored(picture, path, backend, given, tiled, anchor)
                result = _written(path, prediction, stem, formats, max_triangles)
        except Exception as error:  # memory, a full disk, foreign libraries: the others are still to be done
            logger.debug("%s", path, exc_info=True)
            return _Done(FileResult(path, [], None, "", "", item_error(path, error)), None, None)
        row = _thumbnail(path.name, prediction) if sheet and len(rows) < MAX_SHEET_ROWS else None
        return _Done(result, row, prediction if on_prediction else None)

    jobs = (partial(job, *pair) for pair in pairs)
    for result, row, prediction in ordered_map(jobs, min(len(pairs), backend.concurrency) or 1):
        if row and len(rows) < MAX_SHEET_ROWS:
            rows.append(row)
        if on_prediction and prediction:
            on_prediction(result.path, prediction)
        yield result
    if rows and not (len(pairs) < len(paths) and (out / CONTACT_SHEET).exists()):
        write_contact_sheet(out / CONTACT_SHEET, rows)


def open_anchored_backend(model: AnyModel, anchor: Anchor | None, num_images: float = 1) -> Backend:
    """Open a model of metres, or of whatever the anchor makes metres of, for about so many images.

    Raises:
        LeadlineError: as `open_metric_backend`.
    """
    return (open_backend if anchor and anchor.any_output else open_metric_backend)(model, num_images)


def _predict_anchored(
    picture: Picture, path: Path, backend: Backend, given: GivenCamera | None, tiled: bool, anchor: Anchor | None
) -> Prediction:
    if anchor is None:
        return predict_image(picture, backend, given, tiled)
    prediction = predict_image(picture, backend, given or anchor.camera(path), tiled)
    return anchor.apply(prediction, path, picture.full_size, backend.output)


def _written(path: Path, prediction: Prediction, stem: Path, formats: Sequence[str], max_triangles: int) -> FileResult:
    """Write the results of an image."""
    notes = [str(prediction.anchoring)] if prediction.anchoring else []
    if "floor" in formats and not isinstance(prediction.anchoring, FloorScale):
        notes.append(str(prediction.floor))  # refuses before anything is written
    written = prediction.save(stem, formats, max_triangles)
    return FileResult(path, written, prediction.summary, prediction.focal, "; ".join(notes), "")


def _enter(stack: ExitStack, gate: MemoryLimiter, num_pixels: int) -> None:
    """Wait until there is room; a large image is then alone until the stack is left, its results written."""
    stack.enter_context(gate.entered(num_pixels > LARGE_PIXELS))


def _all_there(results: Sequence[Path]) -> bool:
    """Whether there are any results to wait for, and all are there and whole."""
    return bool(results) and all(map(is_whole, results))


def output_stems(paths: Sequence[Path], out: Path) -> list[Path]:
    """Where the results of each picture go: `out`/its name, below its folder where there are several.

    Two pictures that differ only in their ending, or in small and capital letters, keep it ("a_jpg", "a_png"), and so
    does "a_points" beside "a", whose surface would have the name of the other's points, so that no result takes the
    other's place.

    Args:
        paths: picture files.
        out: folder for the results.

    Raises:
        LeadlineError: if the pictures are on several drives.
    """
    # A link has its own name, wherever it leads.
    whole = [Path(os.path.abspath(path)) for path in paths]
    try:
        common = Path(os.path.commonpath([path.parent for path in whole])) if whole else out
    except ValueError as error:  # Windows has a tree of folders for each drive
        raise LeadlineError(
            f"wanted pictures of one drive, got some of several ({error}): name each drive's alone"
        ) from error
    return distinct_stems([out / path.relative_to(common) for path in whole])


def distinct_stems(paths: Sequence[P]) -> list[P]:
    """Paths without their endings, but where results named after them would be of one name; see `output_stems`."""
    stems = [path.with_suffix("") for path in paths]
    longer = [stem.with_name(f"{stem.name}_{path.suffix[1:]}") for stem, path in zip(stems, paths, strict=True)]
    # Some disks take "A_depth.png" and "a_depth.png" for one.
    names, longer_names = ([str(stem).casefold() for stem in some] for some in (stems, longer))
    once = set(names)
    taken = {name for name, times in Counter(names).items() if times > 1} | (once & set(longer_names))
    taken |= {name + word for name in once for word in AMBIGUOUS_WORDS} & once
    return [long if name in taken else stem for name, stem, long in zip(names, stems, longer, strict=True)]


def _thumbnail(title: str, prediction: Prediction) -> SheetRow:
    """A small copy, so that a sheet of many large pictures fits into memory."""
    height, width = prediction.depth_m.shape
    if height * width > SHEET_AREA_PX:
        height, width = size_with_area(height, width, SHEET_AREA_PX, smallest=1)
    rgb = Image.fromarray(prediction.rgb).resize((width, height), Image.Resampling.BILINEAR)
    depth = Image.fromarray(prediction.depth_m).resize((width, height), Image.Resampling.NEAREST)
    depth_m = np.asarray(depth)
    return SheetRow(title, np.asarray(rgb), depth_m, np.isfinite(depth_m) & (depth_m > 0))
