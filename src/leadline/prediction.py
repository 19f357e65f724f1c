"""Prediction: a picture becomes metres, files of pictures become files of depth."""

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from leadline.camera import pinhole, resize_intrinsics
from leadline.camera_files import GivenCamera, Intrinsics, given_camera
from leadline.checkpoint import load_model
from leadline.colors import DepthSummary
from leadline.device import autocast, pick_device
from leadline.errors import UserError
from leadline.image import Picture, read_image, resize_depth, size_with_area
from leadline.models.heads import Estimate
from leadline.models.model import DepthModel
from leadline.predicted import Prediction, check_formats, output_paths
from leadline.tiling import tiled_depth
from leadline.writers import SheetRow, write_contact_sheet

MAX_PIXELS = 50_000_000
"""Pictures with more pixels are predicted, and written, smaller; 8000×6000 is still whole."""

LARGE_PIXELS = 20_000_000
"""Beyond, the next picture is read only once this one's results are written: several at once fill the memory."""

AnyPicture = str | Path | Image.Image | NDArray[Any] | Tensor | Picture

CONTACT_SHEET = "contact_sheet.png"
MAX_SHEET_ROWS = 40
SHEET_AREA_PX = 320 * 240


def predict(
    picture: AnyPicture,
    model: DepthModel | str | Path = "default",
    *,
    focal_px: float | None = None,
    fov_deg: float | None = None,
    intrinsics: Intrinsics | None = None,
    max_pixels: int = MAX_PIXELS,
    tiled: bool = False,
) -> Prediction:
    """Predict the depth of one picture.

    Depth scales with the focal length. It is taken from the arguments, else from the picture's EXIF block, else
    assumed to be that of the training pictures.

    Args:
        picture: a file; a PIL image; an array (H, W, 3), 8-bit or float in [0, 1]; a tensor (3, H, W) in [0, 1]; or
            a `Picture` that was read before.
        model: a model, or what `load_model` takes. Load it once for many pictures.
        focal_px: focal length in pixels of the picture as it is in its file.
        fov_deg: horizontal field of view in degrees, instead of `focal_px`.
        intrinsics: the camera's file or its matrix (3, 3) in pixels of the picture, instead of both.
        max_pixels: larger picture files are read smaller, and the camera follows.
        tiled: whether tiles add details that one look at the whole misses, see `tiled_depth`; slower.

    Returns:
        The prediction, at the picture's own size.

    Raises:
        UserError: if the picture cannot be read, or the camera is impossible or does not fit it.
    """
    given = given_camera(focal_px, fov_deg, intrinsics)
    network = model if isinstance(model, DepthModel) else load_model(model).to(pick_device())
    return predict_picture(as_picture(picture, max_pixels), network, given, tiled)


@dataclass(frozen=True)
class FileResult:
    """What became of one picture file."""

    path: Path
    written: list[Path]
    summary: DepthSummary | None
    """None if the picture could not be read."""
    focal: str
    """Focal length and where it is from, in words."""
    error: str
    """Why the picture could not be read; "" if it could."""


def predict_files(
    paths: Sequence[Path],
    out: Path,
    model: DepthModel,
    *,
    formats: Sequence[str] = ("depth", "color", "npz"),
    sheet: bool = False,
    focal_px: float | None = None,
    fov_deg: float | None = None,
    intrinsics: Intrinsics | None = None,
    max_pixels: int = MAX_PIXELS,
    skip_existing: bool = False,
    tiled: bool = False,
    show: Callable[[Path, Prediction], None] | None = None,
) -> Iterator[FileResult]:
    """Predict many pictures and write the results; a broken one is reported and passed over.

    The next picture is decoded and the last result written beside the model's work, unless they are very large.

    Args:
        paths: picture files.
        out: folder for the results; names follow `output_stems`.
        model: the model, on its device.
        formats: keys of `FORMATS`.
        sheet: also write `contact_sheet.png` with the first 40 pictures.
        focal_px: focal length in pixels of every picture, instead of EXIF's.
        fov_deg: horizontal field of view of every picture in degrees, instead of `focal_px`.
        intrinsics: file or matrix of the camera that took every picture, instead of both.
        max_pixels: larger pictures are read smaller.
        skip_existing: pass over pictures whose results are all there; results appear whole or not at all.
        tiled: whether tiles add details, see `predict`.
        show: what else is to see each picture's prediction.

    Yields:
        A result for each picture that was predicted, in order.

    Raises:
        UserError: if a format is unknown or shows what the model does not say, or the camera is impossible.
        OSError: if a result cannot be written.
    """
    check_formats(formats)
    given = given_camera(focal_px, fov_deg, intrinsics)
    rows: list[SheetRow] = []
    stems = output_stems(paths, out)
    if skip_existing:
        left = [place for place, stem in enumerate(stems) if not all(map(Path.exists, output_paths(stem, formats)))]
        paths, stems = [paths[place] for place in left], [stems[place] for place in left]
    with ThreadPoolExecutor(1) as reader, ThreadPoolExecutor(1) as writer:
        reading: Future[Picture] | None = None
        writing: Future[FileResult] | None = None
        for index, path in enumerate(paths):
            current = reading or reader.submit(read_image, path, max_pixels)
            reading, following = None, paths[index + 1 : index + 2]
            try:
                picture = current.result()
                large = picture.rgb[0].numel() > LARGE_PIXELS
                if following and not large:
                    reading = reader.submit(read_image, following[0], max_pixels)
                prediction = predict_picture(picture, model, given, tiled)
            except UserError as error:
                written: Future[FileResult] = writer.submit(FileResult, path, [], None, "", str(error))
            else:
                if sheet and len(rows) < MAX_SHEET_ROWS:
                    rows.append(_thumbnail(path.name, prediction))
                if show:
                    show(path, prediction)
                written = writer.submit(_save, path, prediction, stems[index], formats)
                del current, picture  # its floats need not stay while its results are written
                if large:
                    wait([written])
            if writing:
                yield writing.result()
            writing = written
        if writing:
            yield writing.result()
    if rows:
        write_contact_sheet(out / CONTACT_SHEET, rows)


def output_stems(paths: Sequence[Path], out: Path) -> list[Path]:
    """Where the results of each picture go: `out`/its name, below its folder where there are several.

    Two pictures that differ only in their ending keep it ("a_jpg", "a_png"), so that no result takes the
    other's place.

    Args:
        paths: picture files.
        out: folder for the results.
    """
    whole = [path.resolve() for path in paths]
    common = Path(os.path.commonpath([path.parent for path in whole])) if whole else out
    stems = [out / path.relative_to(common).with_suffix("") for path in whole]
    longer = [stem.with_name(f"{stem.name}_{path.suffix[1:]}") for stem, path in zip(stems, whole, strict=True)]
    taken = {stem for stem, times in Counter(stems).items() if times > 1} | (set(stems) & set(longer))
    return [long if stem in taken else stem for stem, long in zip(stems, longer, strict=True)]


def _save(path: Path, prediction: Prediction, stem: Path, formats: Sequence[str]) -> FileResult:
    return FileResult(path, prediction.save(stem, formats), prediction.summary, prediction.focal, "")


@torch.inference_mode()
def predict_picture(picture: Picture, model: DepthModel, given: GivenCamera | None, tiled: bool = False) -> Prediction:
    """Predict the depth of a picture that is read already; see `predict`.

    Args:
        picture: the picture.
        model: the model, on its device.
        given: what is told of its camera.
        tiled: whether tiles add details, see `predict`.

    Raises:
        UserError: if the camera does not fit the picture.
    """
    height, width = picture.rgb.shape[-2:]
    intrinsics, source = _choose_intrinsics(picture, model, given)
    device = model.mean.device
    with autocast(device):
        image = picture.rgb[None].to(device)
        depth_m, relative_error = _estimate_in_tiles(image, model) if tiled else model.estimate(image)
    if intrinsics is not None:
        depth_m = depth_m * model.focal_scale(intrinsics[:1, 0], height, width).to(device)
    # A small error of the logarithm is the error's share of the depth.
    uncertainty_m = None if relative_error is None else _as_map(depth_m * relative_error)
    depth = _as_map(depth_m)
    # A channel at a time: all three as floats would double what a large picture takes.
    rgb = torch.stack([(channel * 255).round_().to(torch.uint8) for channel in picture.rgb], dim=-1).numpy()
    matrix = None if intrinsics is None else intrinsics.numpy()
    return Prediction(rgb, depth, np.isfinite(depth), matrix, source, uncertainty_m)


def _estimate_in_tiles(image: Tensor, model: DepthModel) -> Estimate:
    """Depth as `tiled_depth` has it; its relative error is that of the first look, the one at the whole."""
    errors: list[Tensor | None] = []

    def ask(part: Tensor) -> Tensor:
        depth_m, relative_error = model.estimate(part)
        if not errors:
            errors.append(relative_error)
        return depth_m

    depth_m = tiled_depth(image, ask, model.settings.height, model.settings.width)
    return Estimate(depth_m, None if errors[0] is None else resize_depth(errors[0], *image.shape[-2:]))


def _as_map(values: Tensor) -> NDArray[np.float32]:
    """float32 (H, W) from a batch of one."""
    found: NDArray[np.float32] = values[0, 0].float().cpu().numpy()
    return found


def _choose_intrinsics(picture: Picture, model: DepthModel, given: GivenCamera | None) -> tuple[Tensor | None, str]:
    height, width = picture.rgb.shape[-2:]
    if given is not None:
        return resize_intrinsics(given(*picture.full_size), picture.full_size, (height, width)), "given"
    if picture.focal_px is not None:
        return pinhole(picture.focal_px, height, width), "EXIF"
    if model.settings.focal_px is None:
        return None, "assumed"
    # The focal length with which `focal_scale` is 1.
    scale_at_one = model.focal_scale(torch.ones(1), height, width)
    return pinhole(float(1 / scale_at_one), height, width), "assumed"


def as_picture(picture: AnyPicture, max_pixels: int) -> Picture:
    """Read whatever `predict` takes.

    Args:
        picture: as `predict`.
        max_pixels: larger picture files are read smaller.

    Raises:
        UserError: if it cannot be read, or is no picture.
    """
    if isinstance(picture, Picture):
        return picture
    if isinstance(picture, str | Path):
        return read_image(Path(picture), max_pixels)
    if isinstance(picture, Image.Image):
        picture = np.asarray(picture.convert("RGB"))
    if isinstance(picture, np.ndarray):
        picture = torch.from_numpy(picture.copy()).permute(2, 0, 1) if picture.ndim == 3 else torch.empty(0)
    if picture.ndim != 3 or picture.shape[0] != 3:
        raise UserError("a picture must be (H, W, 3) as an array or (3, H, W) as a tensor; convert it to RGB")
    rgb = picture / 255 if picture.dtype == torch.uint8 else picture
    if not rgb.is_floating_point() or not bool(((rgb >= 0) & (rgb <= 1)).all()):
        raise UserError(f"a picture must be 8-bit, or float in [0, 1]; got {picture.dtype} outside of it")
    return Picture(rgb.float(), None, (rgb.shape[-2], rgb.shape[-1]))


def _thumbnail(title: str, prediction: Prediction) -> SheetRow:
    """A small copy, so that a sheet of many large pictures fits into memory."""
    height, width = prediction.depth_m.shape
    if height * width > SHEET_AREA_PX:
        height, width = size_with_area(height, width, SHEET_AREA_PX, smallest=1)
    rgb = Image.fromarray(prediction.rgb).resize((width, height), Image.Resampling.BILINEAR)
    depth = Image.fromarray(prediction.depth_m).resize((width, height), Image.Resampling.NEAREST)
    depth_m = np.asarray(depth)
    return SheetRow(title, np.asarray(rgb), depth_m, np.isfinite(depth_m))
