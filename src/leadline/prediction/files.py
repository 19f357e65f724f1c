"""Prediction of many files: pictures in, files of depth out."""

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import NamedTuple, Protocol, TypeVar, runtime_checkable

import numpy as np
from PIL import Image

from leadline.backends import Backend, open_backend
from leadline.errors import LeadlineError
from leadline.geometry import Count, DepthSummary, Output, checked, size_with_area
from leadline.io import (
    CONTACT_SHEET,
    MAX_TRIANGLES,
    CameraLike,
    GivenCamera,
    camera_from_options,
    ensure_overwritable,
    is_current,
    item_error,
    read_image,
    require_target,
    upright_size,
)
from leadline.prediction.anchored import FloorScale
from leadline.prediction.contact_sheet import SheetRow, write_contact_sheet
from leadline.prediction.loop import Sink, predict_each
from leadline.prediction.older_names import with_intrinsics
from leadline.prediction.prediction import MAX_PIXELS, AnyModel, open_metric_backend, predict_image
from leadline.prediction.result import AMBIGUOUS_WORDS, Prediction, check_formats, output_paths
from leadline.prediction.thread_pool import MemoryLimiter

P = TypeVar("P", bound=PurePath)

LARGE_PIXELS = 20_000_000
"""Beyond, a picture is alone from reading to writing: several at once fill the memory."""

SAME_CAMERA = 1e-3
"""How far, as a share, focal lengths of a stored prediction and of this run may be apart."""
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

    def camera(self, path: Path, turned_from: tuple[int, int] | None) -> GivenCamera | None:
        """The camera of an image, where that is known with it; see `Picture.turned_from`."""
        ...

    def apply(self, prediction: Prediction, path: Path, full_size: tuple[int, int], output: Output) -> Prediction:
        """Bring a prediction of an image, of a height and width in its file, to what is known."""
        ...


class _ImageFile(NamedTuple):
    """An image that is not read yet."""

    path: Path
    stem: Path  # of its results


class _ImageFiles:
    """Image files, of which one that fails is told and passed over; see `leadline.prediction.loop.Source`."""

    def __init__(
        self,
        files: Sequence[_ImageFile],
        backend: Backend,
        given: GivenCamera | None,
        max_pixels: int,
        tiled: bool,
        anchor: Anchor | None,
    ) -> None:
        self._files, self._backend, self._given = files, backend, given
        self._max_pixels, self._tiled, self._anchor = max_pixels, tiled, anchor
        self._gate = MemoryLimiter()
        self.concurrency = min(len(files), backend.concurrency) or 1

    def __iter__(self) -> Iterator[_ImageFile]:
        return iter(self._files)

    def predict(self, file: _ImageFile, stack: ExitStack) -> Prediction:
        """A large image is alone until the stack is left, its results written."""
        picture = read_image(
            file.path,
            self._max_pixels,
            lambda num_pixels: stack.enter_context(self._gate.entered(num_pixels > LARGE_PIXELS)),
        )
        anchor = self._anchor
        if anchor is None:
            return predict_image(picture, self._backend, self._given, self._tiled)
        known = anchor.camera(file.path, picture.turned_from)
        prediction = predict_image(picture, self._backend, self._given or known, self._tiled)
        return anchor.apply(prediction, file.path, picture.full_size, self._backend.output)

    def failure(self, file: _ImageFile, error: Exception) -> FileResult:
        return FileResult(file.path, [], None, "", "", item_error(file.path, error))


class _Files(Sink[_ImageFile]):
    """Each image's own results."""

    def __init__(self, formats: Sequence[str], max_triangles: int) -> None:
        self._formats, self._max_triangles = formats, max_triangles

    def admit(self, file: _ImageFile) -> None:
        ensure_overwritable(output_paths(file.stem, self._formats))

    def prepare(self, file: _ImageFile, prediction: Prediction) -> FileResult:
        notes = [str(prediction.anchoring)] if prediction.anchoring else []
        if "floor" in self._formats and not isinstance(prediction.anchoring, FloorScale):
            notes.append(str(prediction.floor))  # refuses before anything is written
        written = prediction.save(file.stem, self._formats, self._max_triangles)
        return FileResult(file.path, written, prediction.summary, prediction.focal, "; ".join(notes), "")


class _Sheet(Sink[_ImageFile]):
    """Small copies of the first images."""

    def __init__(self) -> None:
        self.rows: list[SheetRow] = []

    def prepare(self, file: _ImageFile, prediction: Prediction) -> SheetRow | None:
        return _thumbnail(file.path.name, prediction) if len(self.rows) < MAX_SHEET_ROWS else None

    def take(self, row: SheetRow | None) -> None:
        if row and len(self.rows) < MAX_SHEET_ROWS:
            self.rows.append(row)


class _Calls(Sink[_ImageFile]):
    """The caller's view of each prediction."""

    def __init__(self, on_prediction: Callable[[Path, Prediction], None]) -> None:
        self._on_prediction = on_prediction

    def prepare(self, file: _ImageFile, prediction: Prediction) -> tuple[Path, Prediction]:
        return file.path, prediction

    def take(self, seen: tuple[Path, Prediction]) -> None:
        self._on_prediction(*seen)


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
        skip_existing: pass over pictures whose results are all there, whole as far as their ends tell, no older than
            the picture and, as far as an NPZ tells, of the camera that is given now. Without formats there is nothing
            to be there, and all are predicted.
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
    files = list(map(_ImageFile, paths, output_stems(paths, out)))
    if skip_existing:
        files = [file for file in files if not _is_done(file, output_paths(file.stem, formats), given)]
    source = _ImageFiles(files, backend, given, max_pixels, tiled, anchor)
    small = _Sheet()
    sinks: list[Sink[_ImageFile]] = [_Files(formats, max_triangles)]
    sinks += [small] if sheet else []
    sinks += [_Calls(on_prediction)] if on_prediction else []
    for prepared, failure in predict_each(source, sinks):
        yield failure or prepared[0]
    if small.rows and not (len(files) < len(paths) and (out / CONTACT_SHEET).exists()):
        write_contact_sheet(out / CONTACT_SHEET, small.rows)


def open_anchored_backend(model: AnyModel, anchor: Anchor | None, num_images: float = 1) -> Backend:
    """Open a model of metres, or of whatever the anchor makes metres of, for about so many images.

    Raises:
        LeadlineError: as `open_metric_backend`.
    """
    return (open_backend if anchor and anchor.any_output else open_metric_backend)(model, num_images)


def _is_done(file: _ImageFile, results: Sequence[Path], given: GivenCamera | None) -> bool:
    """Whether there are any results to wait for, and all are what this run would write, as far as they tell."""
    if not results or not all(is_current(result, file.path) for result in results):
        return False
    stored = next((result for result in results if result.suffix == ".npz"), None)
    return given is None or stored is None or _is_of(stored, given, file.path)


def _is_of(stored: Path, given: GivenCamera, path: Path) -> bool:
    """Whether a stored prediction is by the camera that is given for its image."""
    try:
        width, height = upright_size(path)
        with np.load(stored, allow_pickle=False) as arrays:
            (rows, columns), matrix = arrays["valid"].shape, arrays["intrinsics"]
        return np.allclose(matrix, given(height, width).resized(columns, rows).matrix, rtol=SAME_CAMERA, atol=1)
    except (LeadlineError, OSError, KeyError, ValueError):  # of the image, which is to be told, or of the file
        return False


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
