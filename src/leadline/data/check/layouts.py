"""The same of data sets and captures in other layouts than a folder with an index."""

import os
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from leadline.data.catalog import DATASETS, open_dataset
from leadline.data.check.cameras import Cameras
from leadline.data.check.check import (
    MAX_SAMPLED,
    DataCheck,
    Size,
    View,
    check_folder,
    evenly,
    for_each,
    view_depths,
    view_of,
    view_problems,
)
from leadline.data.check.depths import (
    NEAREST_OF_SENSORS_M,
    PLAUSIBLE_MEDIAN_M,
    USUAL_DEPTHS_M,
    DepthStatistics,
    likely_units,
    or_else,
)
from leadline.data.check.far_values import FarValues, far_problems, find_far_values
from leadline.data.datasets.folder import FolderInfo
from leadline.data.sample import DepthDataset
from leadline.errors import LeadlineError
from leadline.io import item_error

TUM_M = 0.0002
"""Metres a step of TUM's depth, whose form others write in millimetres."""


class _Seen(NamedTuple):
    """A picture of a layout, decoded."""

    picture: Size
    depth: Size
    focal_px: float | None
    view: View
    far: FarValues


def check_dataset(path: Path) -> DataCheck:
    """Look through a data set of any layout.

    Args:
        path: as `open_dataset` takes it.

    Returns:
        What was found; `problems` says what must be mended. Of layouts other than a folder with an index, sizes and
        cameras are those of the pictures that were decoded.

    Raises:
        LeadlineError: if there is no data set, or its lists are broken.
    """
    if DATASETS["folder"].is_at(path):
        return check_folder(path)
    dataset = open_dataset(path)
    sampled = evenly(range(len(dataset)), MAX_SAMPLED)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = for_each(pool, sampled, lambda index: _look(dataset, index), "pictures")
    problems = list(dict.fromkeys(each for each in found if isinstance(each, str)))
    seen = {dataset.ids[index]: each for index, each in zip(sampled, found, strict=True) if isinstance(each, _Seen)}
    views = {name: each.view for name, each in seen.items()}
    problems += view_problems(views)
    depth = view_depths(views)
    near_m = _nearest_m(views)
    unit = _unit_problem(depth, near_m, _metres_per_unit(dataset)) if depth else None
    far, notes = ([unit], []) if unit else far_problems([each.far for each in seen.values()], _info(dataset), False)
    focals_px = tuple(each.focal_px for each in seen.values() if each.focal_px is not None)
    return DataCheck(
        num_pictures=len(dataset),
        num_sampled=len(seen),
        picture_sizes=Counter(each.picture for each in seen.values()),
        depth_sizes=Counter(each.depth for each in seen.values()),
        depth=depth,
        cameras=Cameras(focals_px, 0, len(seen) - len(focals_px), (), ()),
        num_scenes=len({*dataset.scenes} - {""}),
        splits=Counter(part for part in dataset.official_splits if part),
        problems=(*problems, *far),
        notes=tuple(notes),
    )


def _look(dataset: DepthDataset, index: int) -> _Seen | str:
    """Decode a picture; a sentence if that fails."""
    try:
        sample = dataset[index]
        picture, depth = ((tensor.shape[-1], tensor.shape[-2]) for tensor in (sample.image, sample.depth_m))
        depth_m, valid = sample.depth_m[0].numpy(), sample.valid[0].numpy()
        view = view_of(sample.image.permute(1, 2, 0).numpy(), depth_m, valid)
        far = find_far_values(_as_stored(depth_m, _metres_per_unit(dataset)), depth_m, valid, _info(dataset))
        return _Seen(picture, depth, sample.camera.focal_px if sample.camera else None, view, far)
    except LeadlineError as error:
        return str(error)
    except Exception as error:  # the others are still to be looked at
        return item_error(f"picture {dataset.ids[index]}", error)


def _metres_per_unit(dataset: DepthDataset) -> float | None:
    """Of the whole numbers that depth is stored in; None where it is stored in metres."""
    return getattr(dataset, "metres_per_unit", None)


def _info(dataset: DepthDataset) -> FolderInfo:
    """What a layout's depth is read with, as a folder would say it."""
    return FolderInfo(depth_scale=_metres_per_unit(dataset) or 1.0)


def _as_stored(depth_m: NDArray[np.float32], metres_per_unit: float | None) -> NDArray[Any]:
    """The numbers that a layout's files hold."""
    return depth_m if metres_per_unit is None else np.rint(depth_m / metres_per_unit).astype(np.int64)


def _nearest_m(views: dict[str, View]) -> float:
    """What 1 % of all depths are nearer than."""
    values_m = np.concatenate([np.empty(0), *(view.values_m for view in views.values())])
    return float(np.percentile(values_m, 1)) if values_m.size else 0.0


def _unit_problem(depth: DepthStatistics, near_m: float, metres_per_unit: float | None) -> str | None:
    """Say so if the depths of a known layout cannot be in the unit that its makers use.

    Args:
        depth: as read.
        near_m: what 1 % of the depths are nearer than.
        metres_per_unit: of the stored whole numbers; None where depth is stored in metres.
    """
    is_too_near = metres_per_unit == TUM_M and near_m < NEAREST_OF_SENSORS_M
    if PLAUSIBLE_MEDIAN_M[0] <= depth.median_m <= PLAUSIBLE_MEDIAN_M[1] and not is_too_near:
        return None
    found = f"depths from {near_m:.3g} m, {depth.median_m:.3g} m in the median, are hardly right"
    if metres_per_unit is None:
        return f"{found}: is the capture in another unit than metres?"
    likely = likely_units(depth.median_m / metres_per_unit, 1, USUAL_DEPTHS_M)
    others = [fit for fit in likely if abs(fit[0].scale / metres_per_unit - 1) > 1e-3]
    if not others:
        return f"{found} for this layout, which has {1 / metres_per_unit:g} steps a metre"
    (unit, _), *more = others
    return (
        f"{found} for this layout, which has {1 / metres_per_unit:g} steps a metre: values look like {unit.name}; "
        f"list the files in an index.csv and set depth_scale = {unit.scale:.6g} in dataset.toml{or_else(more)}"
    )
