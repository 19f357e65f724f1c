"""Any data set as a `folder` set: fewer pictures of a capture, upright, with their cameras and poses."""

import csv
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from math import inf
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tomli_w
import torch
from PIL import Image
from scipy.spatial.transform import Rotation
from torch import Tensor
from tqdm import tqdm

from leadline.data.catalog import open_dataset
from leadline.data.datasets.base import FrameDataset, Pose
from leadline.data.datasets.captures import CapturesDataset
from leadline.data.datasets.folder import FolderDataset
from leadline.data.datasets.poses import turned_pose, turns_upright
from leadline.data.sample import DepthDataset, Sample
from leadline.errors import LeadlineError
from leadline.geometry import MAX_MM, Camera
from leadline.io import atomic_folder, item_error, require_only, write_depth_png

_INDEX, _INFO, _POSES = "index.csv", "dataset.toml", "poses.csv"
_POSE_COLUMNS = ("id", "time_s", "tx", "ty", "tz", "qx", "qy", "qz", "qw")
_JPEG_QUALITY = 95


_WithPoses = FrameDataset | CapturesDataset
_WithFiles = _WithPoses | FolderDataset


class Thinning(NamedTuple):
    """Which pictures of a capture are kept: the first of a scene, then those that all conditions hold for."""

    every_s: float = 0.0
    """Least seconds since the last one that was kept."""
    motion_m: float = 0.0
    """Metres that the camera must have moved since; turning by `TURN_DEG` counts as much."""


KEEP_ALL = Thinning()
TURN_DEG = 15.0


def convert(
    source: Path,
    out: Path,
    thinning: Thinning = KEEP_ALL,
    on_broken: Callable[[LeadlineError], object] | None = None,
) -> int:
    """Write a data set of any layout as a folder set.

    Pictures are copied where they lie in files of their own and are upright, and else written as JPEG. Depth becomes
    16-bit PNG in millimetres at its own size; of pictures with depth beyond 65 m, float32 metres as .npy. Each picture
    has its camera in the index. `poses.csv` holds what is known of times and poses: position in metres and rotation as
    quaternion of a camera with x right, y down, z forward, to the capture's world.

    Args:
        source: a data set, as `open_dataset` takes it.
        out: the folder to write; an earlier one of this function is replaced when the new one is whole.
        thinning: which pictures are kept.
        on_broken: is called with what is wrong with each picture that cannot be read, and the others go on; if not
            given, the first ends it.

    Returns:
        The number of pictures that are written.

    Raises:
        LeadlineError: if there is no data set, none of its pictures can be read, `out` holds other things, or times or
            poses that the thinning needs are unknown.
        OSError: if `out` cannot be written.
    """
    if not all(0 <= least < inf for least in thinning):
        got = " and ".join(f"{least:g}" for least in thinning)
        raise LeadlineError(f"--every and --motion are seconds and metres from 0 on, got {got}")
    if out.resolve() == source.resolve():
        raise LeadlineError(f"{out} is the capture itself, which would be lost: write to another folder")
    require_only(out, {_INDEX, _INFO, _POSES, "rgb", "depth"})
    dataset = open_dataset(source)
    kept = _thinned(dataset, thinning)
    with atomic_folder(out) as folder:
        progress = tqdm(kept, desc="pictures", disable=None)
        rows, poses = zip(*_written(dataset, progress, folder, on_broken), strict=True)
        _write_table(folder / _INDEX, rows)
        if known := [pose for pose in poses if pose]:
            _write_table(folder / _POSES, known)
        (folder / _INFO).write_text(tomli_w.dumps({"name": source.resolve().stem}), encoding="utf-8")
    return len(rows)


def _written(
    dataset: DepthDataset, kept: Iterable[int], folder: Path, on_broken: Callable[[LeadlineError], object] | None
) -> Iterator[tuple[dict[str, object], dict[str, object]]]:
    """Write pictures; the rows of each."""
    num_written, first = 0, ""
    for index in kept:
        try:
            rows = _write_picture(dataset, index, folder)
        except Exception as error:  # of foreign libraries, or of the memory: the others go on
            if on_broken is None:
                raise
            told = error if isinstance(error, LeadlineError) else LeadlineError(item_error(dataset.ids[index], error))
            on_broken(told)
            first = first or str(told)
            continue
        num_written += 1
        yield rows
    if not num_written:
        raise LeadlineError(f"none of the pictures can be read, so that nothing is written; the first: {first}")


def _thinned(dataset: DepthDataset, thinning: Thinning) -> list[int]:
    """Indices of the pictures that are kept, in their order."""
    last: dict[str, int] = {}
    kept = []
    for index, scene in enumerate(dataset.scenes):
        if thinning.motion_m and _pose(dataset, index) is None:
            continue
        if scene not in last or _is_later(dataset, last[scene], index, thinning):
            last[scene] = index
            kept.append(index)
    if not kept:
        raise LeadlineError("no picture has a known pose: thin by --every, or not at all")
    return kept


def _is_later(dataset: DepthDataset, last: int, index: int, thinning: Thinning) -> bool:
    if thinning.every_s:
        before_s, now_s = (_time_s(dataset, place) for place in (last, index))
        if before_s is None or now_s is None:
            raise LeadlineError(f"the time of {dataset.ids[index]!r} is unknown: thin by --motion, or not at all")
        if now_s - before_s < thinning.every_s * 0.999:  # times are rounded
            return False
    before, now = (_pose(dataset, place) for place in (last, index)) if thinning.motion_m else (None, None)
    if before is None or now is None:
        return True
    moved_m = float(np.linalg.norm(now[:3, 3] - before[:3, 3]))
    turned_deg = np.degrees(Rotation.from_matrix(before[:3, :3].T @ now[:3, :3]).magnitude())
    return moved_m >= thinning.motion_m or bool(turned_deg >= TURN_DEG)


def _time_s(dataset: DepthDataset, index: int) -> float | None:
    return dataset.time_s(index) if isinstance(dataset, _WithPoses) else None


def _pose(dataset: DepthDataset, index: int) -> Pose | None:
    return dataset.pose(index) if isinstance(dataset, _WithPoses) else None


def _write_picture(dataset: DepthDataset, index: int, folder: Path) -> tuple[dict[str, object], dict[str, object]]:
    """Write one picture and its depth; its row of the index and, where anything is known, of the poses."""
    sample, pose = dataset[index], _pose(dataset, index)
    up = dataset.up_of(index) if isinstance(dataset, _WithPoses) else None
    turns = 0 if pose is None or up is None else turns_upright(pose, up)
    name = "/".join(part for part in sample.id.split("/") if part not in ("", ".", ".."))
    rgb = _write_rgb(dataset, index, sample.image, turns, folder, name)
    depth = _write_depth(sample, turns, folder, name)
    row: dict[str, object] = {"id": sample.id, "rgb": rgb, "depth": depth, "scene": sample.scene}
    row["official_split"] = dataset.official_splits[index]
    camera = sample.camera
    if camera is not None:
        for _ in range(turns):
            camera = _turned(camera)
        row |= {"fx": camera.fx, "fy": camera.fy, "cx": camera.cx, "cy": camera.cy}
    return row, _pose_row(sample.id, _time_s(dataset, index), None if pose is None else turned_pose(pose, turns))


def _write_rgb(dataset: DepthDataset, index: int, image: Tensor, turns: int, folder: Path, name: str) -> str:
    stored = dataset.picture_file(index) if isinstance(dataset, _WithFiles) else None
    copied = stored is not None and not turns
    target = folder / "rgb" / f"{name}{stored.suffix if copied and stored is not None else '.jpg'}"
    target.parent.mkdir(parents=True, exist_ok=True)
    if copied and stored is not None:
        shutil.copyfile(stored, target)
    else:
        values = torch.rot90(image, turns, (1, 2)).mul(255).round().to(torch.uint8).permute(1, 2, 0).numpy()
        Image.fromarray(np.ascontiguousarray(values)).save(target, quality=_JPEG_QUALITY, subsampling=0)
    return target.relative_to(folder).as_posix()


def _write_depth(sample: Sample, turns: int, folder: Path, name: str) -> str:
    depth_m, valid = (np.ascontiguousarray(np.rot90(values[0].numpy(), turns)) for values in sample[1:3])
    far = bool((depth_m[valid] * 1000 > MAX_MM).any())
    target = folder / "depth" / f"{name}{'.npy' if far else '.png'}"
    target.parent.mkdir(parents=True, exist_ok=True)
    if far:
        np.save(target, np.where(valid, depth_m, np.float32(0)))
    else:
        write_depth_png(target, depth_m, valid)
    return target.relative_to(folder).as_posix()


def _turned(camera: Camera) -> Camera:
    """The camera of an image after a quarter turn counter-clockwise: (x, y) goes to (y, width - 1 - x)."""
    return replace(
        camera,
        fx=camera.fy,
        fy=camera.fx,
        cx=camera.cy,
        cy=camera.width - 1 - camera.cx,
        width=camera.height,
        height=camera.width,
    )


def _pose_row(name: str, time_s: float | None, pose: Pose | None) -> dict[str, object]:
    if time_s is None and pose is None:
        return {}
    values = [""] * 7 if pose is None else [*pose[:3, 3], *Rotation.from_matrix(pose[:3, :3]).as_quat()]
    time = "" if time_s is None else f"{time_s:.6f}"
    return dict(zip(_POSE_COLUMNS, [name, time, *(str(value) for value in values)], strict=True))


def _write_table(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    columns = dict.fromkeys(name for row in rows for name in row)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, restval="")
        writer.writeheader()
        writer.writerows(rows)
