"""Prediction: a picture becomes metres, files of pictures become files of depth."""

import os
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

from leadline.camera import focal_px_from_fov
from leadline.checkpoint import load_model
from leadline.colors import DepthSummary
from leadline.device import autocast, pick_device
from leadline.errors import UserError
from leadline.image import Picture, read_image, size_with_area
from leadline.models.model import DepthModel
from leadline.predicted import Prediction, check_formats, output_paths
from leadline.tiling import tiled_depth
from leadline.writers import SheetRow, write_contact_sheet

MAX_PIXELS = 50_000_000
"""Pictures with more pixels are predicted, and written, smaller; 8000×6000 is still whole."""

LARGE_PIXELS = 20_000_000
"""Beyond, the next picture is read only once this one's results are written: several at once fill the memory."""

CONTACT_SHEET = "contact_sheet.png"
MAX_SHEET_ROWS = 40
SHEET_AREA_PX = 320 * 240


def predict(
    picture: str | Path | Image.Image | NDArray[Any] | Tensor,
    model: DepthModel | str | Path = "default",
    *,
    focal_px: float | None = None,
    fov_deg: float | None = None,
    max_pixels: int = MAX_PIXELS,
    tiled: bool = False,
) -> Prediction:
    """Predict the depth of one picture.

    Depth scales with the focal length. It is taken from the arguments, else from the picture's EXIF block, else
    assumed to be that of the training pictures.

    Args:
        picture: a file; a PIL image; an array (H, W, 3), 8-bit or float in [0, 1]; or a tensor (3, H, W) in [0, 1].
        model: a model, or what `load_model` takes. Load it once for many pictures.
        focal_px: focal length in pixels of the picture.
        fov_deg: horizontal field of view in degrees, instead of `focal_px`.
        max_pixels: larger picture files are read smaller.
        tiled: whether tiles add details that one look at the whole misses, see `tiled_depth`; slower.

    Returns:
        The prediction, at the picture's own size.

    Raises:
        UserError: if the picture cannot be read, or focal length or field of view is impossible.
    """
    network = model if isinstance(model, DepthModel) else load_model(model).to(pick_device())
    return _predict(_as_picture(picture, max_pixels), network, focal_px, fov_deg, tiled)


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
        max_pixels: larger pictures are read smaller.
        skip_existing: pass over pictures whose results are all there; results appear whole or not at all.
        tiled: whether tiles add details, see `predict`.
        show: what else is to see each picture's prediction.

    Yields:
        A result for each picture that was predicted, in order.

    Raises:
        UserError: if a format is unknown, or focal length or field of view is impossible.
        OSError: if a result cannot be written.
    """
    check_formats(formats)
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
                prediction = _predict(picture, model, focal_px, fov_deg, tiled)
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
    twice = {stem for stem in stems if stems.count(stem) > 1} if len(set(stems)) < len(stems) else set()
    return [
        stem.with_name(f"{stem.name}_{path.suffix[1:]}") if stem in twice else stem
        for stem, path in zip(stems, whole, strict=True)
    ]


def _save(path: Path, prediction: Prediction, stem: Path, formats: Sequence[str]) -> FileResult:
    focal = "focal length unknown"
    if prediction.focal_px is not None:
        focal = f"focal {prediction.focal_px:.0f} px ({prediction.focal_source})"
    return FileResult(path, prediction.save(stem, formats), prediction.summary, focal, "")


@torch.inference_mode()
def _predict(
    picture: Picture, model: DepthModel, focal_px: float | None, fov_deg: float | None, tiled: bool
) -> Prediction:
    height, width = picture.rgb.shape[-2:]
    focal_px, source = _choose_focal(picture, model, focal_px, fov_deg)
    device = model.mean.device
    with autocast(device):
        image = picture.rgb[None].to(device)
        depth_m = tiled_depth(image, model, model.settings.height, model.settings.width) if tiled else model(image)
    if focal_px is not None:
        depth_m = depth_m * model.focal_scale(torch.tensor([focal_px]), height, width).to(device)
    depth = depth_m[0, 0].float().cpu().numpy()
    # A channel at a time: all three as floats would double what a large picture takes.
    rgb = torch.stack([(channel * 255).round_().to(torch.uint8) for channel in picture.rgb], dim=-1).numpy()
    return Prediction(rgb, depth, np.isfinite(depth), focal_px, source)


def _choose_focal(
    picture: Picture, model: DepthModel, focal_px: float | None, fov_deg: float | None
) -> tuple[float | None, str]:
    height, width = picture.rgb.shape[-2:]
    if focal_px is not None and fov_deg is not None:
        raise UserError(f"give the focal length ({focal_px:g} px) or the field of view ({fov_deg:g}°), not both")
    if fov_deg is not None:
        return focal_px_from_fov(fov_deg, width), "given"
    if focal_px is not None:
        if not 0 < focal_px < float("inf"):
            raise UserError(f"the focal length must be a positive number of pixels, got {focal_px:g}")
        return focal_px, "given"
    if picture.focal_px is not None:
        return picture.focal_px, "EXIF"
    if model.settings.focal_px is None:
        return None, "assumed"
    # The focal length with which `focal_scale` is 1.
    scale_at_one = model.focal_scale(torch.ones(1), height, width)
    return float(1 / scale_at_one), "assumed"


def _as_picture(picture: str | Path | Image.Image | NDArray[Any] | Tensor, max_pixels: int) -> Picture:
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
    return Picture(rgb.float(), None)


def _thumbnail(title: str, prediction: Prediction) -> SheetRow:
    """A small copy, so that a sheet of many large pictures fits into memory."""
    height, width = prediction.depth_m.shape
    if height * width > SHEET_AREA_PX:
        height, width = size_with_area(height, width, SHEET_AREA_PX, smallest=1)
    rgb = Image.fromarray(prediction.rgb).resize((width, height), Image.Resampling.BILINEAR)
    depth = Image.fromarray(prediction.depth_m).resize((width, height), Image.Resampling.NEAREST)
    depth_m = np.asarray(depth)
    return SheetRow(title, np.asarray(rgb), depth_m, np.isfinite(depth_m))
