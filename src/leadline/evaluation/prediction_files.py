"""Predictions made elsewhere, read from a folder: a file for each picture, named as the picture is."""

import logging
import os
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from leadline.data import DepthDataset, same_view
from leadline.errors import LeadlineError
from leadline.evaluation.scorer import ImageEstimate, ScoredImage
from leadline.geometry import Output, resize_depth
from leadline.io import DEPTH_READERS, as_record, read_stored_depth, read_toml

logger = logging.getLogger(__name__)

FILES = "files:"
"""A model's name begins so where it is a folder of predictions."""
INFO = "predictions.toml"
MILLIMETRES = 0.001
ANOTHER_UNIT = 8.0
"""Metres that are so many times the true ones, or so many times less, are taken to be in another unit."""


def is_folder_of_maps(model: str | Path) -> bool:
    """Whether a model is the name of a folder of predictions."""
    return str(model).startswith(FILES)


class FilesInfo(BaseModel):
    """What `predictions.toml` says of a folder of predictions; the defaults hold where it is silent or absent."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    name: str = ""
    """What the model is called in reports; the folder's name if empty."""
    output: Output = Output.METRES
    """metres; or depth or disparity, up to scale and shift."""
    scale: Annotated[float, Field(gt=0)] | None = None
    """What to multiply stored numbers by; else 0.001 for integer pictures (millimetres) and 1 for all others."""


class FilesScorer:
    """The maps of a folder. Nothing is averaged with a mirror image: the files are taken as final.

    Attributes:
        name: what `predictions.toml` calls the model, else the folder's name.
        runtime: none.
        output: what the values mean.
        concurrency: as many as the machine has cores.
    """

    runtime = ""

    def __init__(self, folder: Path, dataset: DepthDataset) -> None:
        """Find out how the folder's files are named.

        Args:
            folder: holds, for each picture, ID or the picture's own name with one of the `ENDINGS`;
                `leadline predict`'s output is such a folder. May hold a `predictions.toml`, see `FilesInfo`.
            dataset: the pictures.

        Raises:
            LeadlineError: if there is no such folder or its `predictions.toml` is wrong.
        """
        if not folder.is_dir():
            raise LeadlineError(f"no folder of predictions at {folder}: wanted a file for each picture, such as ID.npz")
        self.folder = folder
        self.info = _read_info(folder)
        self.output = self.info.output
        self.name = self.info.name or folder.resolve().name
        self.concurrency = os.cpu_count() or 1
        ids = dataset.ids
        namings = [dict(zip(ids, names, strict=True)) for names in (ids, getattr(dataset, "stems", ids))]
        # One for all: the id of a picture may be the name of another's file.
        self._stem_of = max(namings, key=lambda naming: sum(self._find(stem) is not None for stem in naming.values()))
        self._times = Counter(self._stem_of.values())
        self._ids = ids
        self._unit_told = self._shape_told = False

    def open_image(self, dataset: DepthDataset, index: int) -> ScoredImage:
        """Decode a stored map and its ground truth; the image itself is not opened. See `Scorer`.

        Raises:
            LeadlineError: if there is no file of that image, or it is broken.
        """
        truth = dataset.ground_truth(index)
        estimate = self._read(self._ids[index], *truth.depth_m.shape[-2:])
        if self.output is Output.METRES and not self._unit_told:
            self._tell_unit(self._ids[index], estimate.values[0] / truth.depth_m, truth.valid)
        return ScoredImage(truth, lambda flip: estimate)

    def _tell_unit(self, name: str, ratio: Tensor, valid: Tensor) -> None:
        times = ratio[valid & ratio.isfinite()].median().item()  # NaN where there is none
        if times > ANOTHER_UNIT or times < 1 / ANOTHER_UNIT:
            self._unit_told = True
            logger.warning(
                "%s: values of %s are %.3g times the true metres (median): in another unit, or no metres? Say scale or "
                "output in %s",
                *(self.folder, name, times, INFO),
            )

    def _read(self, name: str, height: int, width: int) -> ImageEstimate:
        stem = self._stem_of[name]
        path = self._find(stem)
        if path is None:
            raise LeadlineError(
                f"{self.folder} holds no prediction of {name!r}: wanted {stem} with one of {', '.join(ENDINGS)}"
            )
        if self._times[stem] > 1:
            raise LeadlineError(
                f"{self.folder}: {self._times[stem]} pictures are named {stem}: name predictions by id, as {name!r}"
            )
        stored = read_stored_depth(path)
        self._look_at_shape(path, stored.known.shape, (height, width))
        depth, uncertainty = _at_size(self._without_holes(stored.known), height, width), stored.uncertainty_m
        spread = None if uncertainty is None else _at_size(uncertainty.astype(np.float32), height, width)
        return ImageEstimate(depth, spread)

    def _look_at_shape(self, path: Path, size: tuple[int, ...], wanted: tuple[int, int]) -> None:
        """Refuse what is no map of that picture; say of the first one that is squeezed.

        Args:
            path: the file.
            size: its height and width.
            wanted: those of the ground truth.
        """
        got, shape = f"{path} has {size[1]}×{size[0]} pixels", f"{wanted[1]}×{wanted[0]}"
        if size != wanted and size == wanted[::-1]:
            raise LeadlineError(f"{got}, wanted {shape}: turn it as the depth is")
        if 1 in size and 1 not in wanted:
            raise LeadlineError(f"{got}, wanted a map of about {shape}: write one value for each pixel")
        if not self._shape_told and not same_view(size, wanted):
            self._shape_told = True
            logger.warning(
                "%s, and its truth %s: taken for the whole image, squeezed, and stretched back; if it was cut or "
                "padded, undo that",
                *(got, shape),
            )

    def _without_holes(self, stored: NDArray[Any]) -> NDArray[np.float32]:
        """Values in the unit that is scored, NaN where there is none, so that a resize mixes nothing with a hole."""
        scale = self.info.scale or (MILLIMETRES if stored.dtype.kind in "ui" else 1.0)
        with np.errstate(over="ignore"):
            values = stored.astype(np.float32) * np.float32(scale)
        is_value = np.isfinite(values) & (values > 0 if self.output is Output.METRES else True)
        return np.where(is_value, values, np.float32(np.nan))

    def _find(self, stem: str) -> Path | None:
        paths = (self.folder / f"{stem}{ending}" for ending in ENDINGS)
        return next((path for path in paths if path.is_file()), None)


_OURS = (".npz", ".npy", ".exr", ".pfm", "_depth.png")
ENDINGS = (*_OURS, *(ending for ending in DEPTH_READERS if ending not in _OURS))
"""What a file's name ends with after the image's, best first."""


def _read_info(folder: Path) -> FilesInfo:
    path = folder / INFO
    return as_record(FilesInfo, read_toml(path), str(path)) if path.is_file() else FilesInfo()


def _at_size(values: NDArray[np.float32], height: int, width: int) -> Tensor:
    """(1, 1, height, width): brought there bilinearly, as every prediction of another size than its ground truth."""
    return torch.from_numpy(resize_depth(values, height, width))[None, None]
