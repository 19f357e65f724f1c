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
from leadline.io import DEPTH_READERS, FAR_CODES, StoredDepth, as_record, read_stored_depth, read_toml

logger = logging.getLogger(__name__)

FILES = "files:"
"""A model's name begins so where it is a folder of predictions."""
INFO = "predictions.toml"
MILLIMETRES = 0.001
ANOTHER_UNIT = 8.0
"""Metres that are so many times the true ones, or so many times less, are taken to be in another unit."""
PER_METRE = {256: "KITTI's", 5000: "TUM's", 512: "Taskonomy's"}
"""Steps a metre of whole numbers, and whose they are: as millimetres they would be less than `ANOTHER_UNIT` off."""
SAME_UNIT = 0.05
"""How far, as a share, the median may be from the true one in a unit for that to be named."""
MIN_CODE_SHARE = 0.01
"""Share of a map's pixels from which on such a value is worth a word."""
OPPOSITE = -0.5
"""Correlation with the truth below which values are told to be the other way around."""
MIN_GAP_SHARE = 0.1
"""How far from all others a value stands alone that may mean so in any unit, as a share of what these reach over."""


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
        self._stem_of = max(namings, key=lambda naming: sum(bool(self._find(stem)) for stem in naming.values()))
        self._times = Counter(self._stem_of.values())
        self._ids = ids
        self._told: set[str] = set()  # what one word is enough of

    def open_image(self, dataset: DepthDataset, index: int) -> ScoredImage:
        """Decode a stored map and its ground truth; the image itself is not opened. See `Scorer`.

        Raises:
            LeadlineError: if there is no file of that image, or it is broken.
        """
        truth, name = dataset.ground_truth(index), self._ids[index]
        path = self._path(name)
        stored = read_stored_depth(path)
        estimate = self._estimate(path, stored, *truth.depth_m.shape[-2:])
        if self.output is Output.METRES:
            self._tell_codes(name, stored.known)
            is_whole = stored.known.dtype.kind in "ui" and self.info.scale is None
            self._tell_unit(name, estimate.values[0] / truth.depth_m, truth.valid, is_whole)
        else:
            self._tell_alone(name, stored.known)
            self._tell_direction(name, estimate.values[0], truth.depth_m, truth.valid)
        return ScoredImage(truth, lambda flip: estimate)

    def _tell(self, kind: str, said: str) -> None:
        """Say a thing of the first map that it is true of."""
        if kind not in self._told:
            self._told.add(kind)
            logger.warning(said)

    def _tell_unit(self, name: str, ratio: Tensor, valid: Tensor, is_whole: bool) -> None:
        times = ratio[valid & ratio.isfinite()].median().item()  # NaN where there is none
        steps = [each for each in PER_METRE if is_whole and abs(times * MILLIMETRES**-1 / each - 1) < SAME_UNIT]
        said = f"{self.folder}: values of {name} are {times:.3g} times the true metres (median)"
        if steps:
            (per_metre,) = steps
            unit = f"{per_metre} per metre, as {PER_METRE[per_metre]}"
            self._tell("unit", f"{said}: are they {unit}? Say scale = {1 / per_metre:.6g} in {INFO}")
        elif times > ANOTHER_UNIT or times < 1 / ANOTHER_UNIT:
            self._tell("unit", f"{said}: in another unit, or no metres? Say scale or output in {INFO}")

    def _tell_codes(self, name: str, stored: NDArray[Any]) -> None:
        if "code" in self._told:
            return
        values = stored.astype(np.float64)
        for code, whose in FAR_CODES.items():
            share = float((values == code).mean())
            if share >= MIN_CODE_SHARE:
                said = f"{self.folder}: {share:.1%} of the values of {name} are {code:.10g}, {whose}"
                self._tell("code", f"{said}, and scored as depth: if it means that there is none, write 0 or NaN")

    def _tell_alone(self, name: str, stored: NDArray[Any]) -> None:
        """Up to scale and shift every number is possible; one that many pixels have, far from all others, is a code."""
        if "code" in self._told:
            return
        values = stored[np.isfinite(stored)].astype(np.float64)
        for farthest in (np.min, np.max) if values.size else ():
            end = float(farthest(values))
            rest = values[values != end]
            share = (values.size - rest.size) / stored.size
            if rest.size and share >= MIN_CODE_SHARE and abs(end - farthest(rest)) >= MIN_GAP_SHARE * np.ptp(rest):
                said = f"{self.folder}: {share:.1%} of the values of {name} are {end:.10g}, far from all others"
                self._tell("code", f"{said}, and scored as {self.output}: if it means that there is none, write NaN")

    def _tell_direction(self, name: str, values: Tensor, depth_m: Tensor, valid: Tensor) -> None:
        """Of what falls where it should rise: an alignment would turn it around, and score it all the same."""
        if "code" in self._told:  # by holes they may seem to
            return
        seen = valid & values.isfinite()
        wanted = depth_m[seen] if self.output is Output.DEPTH else 1 / depth_m[seen]
        if len(wanted) > 1 and torch.corrcoef(torch.stack([values[seen], wanted]).double())[0, 1] < OPPOSITE:
            other = Output.DISPARITY if self.output is Output.DEPTH else Output.DEPTH
            said = f"{self.folder}: values of {name} fall where the true {self.output} rises"
            self._tell("direction", f'{said}: are they {other}? Say output = "{other}" in {INFO}')

    def _path(self, name: str) -> Path:
        """The file of a picture.

        Raises:
            LeadlineError: if there is none, or it is that of several.
        """
        stem = self._stem_of[name]
        found = self._find(stem)
        if not found:
            raise LeadlineError(
                f"{self.folder} holds no prediction of {name!r}: wanted {stem} with one of {', '.join(ENDINGS)}"
            )
        if self._times[stem] > 1:
            raise LeadlineError(
                f"{self.folder}: {self._times[stem]} pictures are named {stem}: name predictions by id, as {name!r}"
            )
        others = [path.name for path in found[1:] if not path.name.endswith(_OF_PREDICT)]
        if others:
            self._tell("twice", f"{found[0]} is scored, {', '.join(others)} beside it not: keep one of each picture")
        return found[0]

    def _estimate(self, path: Path, stored: StoredDepth, height: int, width: int) -> ImageEstimate:
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
        if not same_view(size, wanted):
            said = f"{got}, and its truth {shape}: taken for the whole image, squeezed, and stretched back"
            self._tell("shape", f"{said}; if it was cut or padded, undo that")

    def _without_holes(self, stored: NDArray[Any]) -> NDArray[np.float32]:
        """Values in the unit that is scored, NaN where there is none, so that a resize mixes nothing with a hole."""
        scale = self.info.scale or (MILLIMETRES if stored.dtype.kind in "ui" else 1.0)
        with np.errstate(over="ignore"):
            values = stored.astype(np.float32) * np.float32(scale)
        is_value = np.isfinite(values) & (values > 0 if self.output is Output.METRES else True)
        return np.where(is_value, values, np.float32(np.nan))

    def _find(self, stem: str) -> list[Path]:
        """The files of that name, best first."""
        paths = (self.folder / f"{stem}{ending}" for ending in ENDINGS)
        return [path for path in paths if path.is_file()]


_OF_PREDICT = (".npz", ".exr", ".pfm", "_depth.png", ".geometric.bin")
"""Endings of what `leadline predict` writes of one image, all of one content."""
_OURS = (".npz", ".npy", ".exr", ".pfm", "_depth.png")
ENDINGS = (*_OURS, *(ending for ending in DEPTH_READERS if ending not in _OURS))
"""What a file's name ends with after the image's, best first."""


def _read_info(folder: Path) -> FilesInfo:
    path = folder / INFO
    return as_record(FilesInfo, read_toml(path), str(path)) if path.is_file() else FilesInfo()


def _at_size(values: NDArray[np.float32], height: int, width: int) -> Tensor:
    """(1, 1, height, width): brought there bilinearly, as every prediction of another size than its ground truth."""
    brought = np.require(resize_depth(values, height, width), requirements="W")
    return torch.from_numpy(brought)[None, None]
