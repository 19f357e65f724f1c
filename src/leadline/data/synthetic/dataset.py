"""Rendered scenes with exact depth: for tests, for first steps without data, and as more training pictures.

Pixel centres are at integer coordinates: a point (X, Y, Z) in camera axes (x right, y down, z forward) is at
x_px = fx · X / Z + cx and y_px = fy · Y / Z + cy, cx = (width - 1) / 2, cy = (height - 1) / 2, fx = fy.
Depth is Z. A scene and its cameras depend on the seed alone: another size or field of view shows the same
room from the same place.
"""

import csv
import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import tomli_w
import torch
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from leadline.data.datasets.folder import read_dataset_toml
from leadline.data.intrinsics import pinhole
from leadline.data.sample import GroundTruth, Sample
from leadline.data.synthetic.layout import draw_pose, draw_room
from leadline.data.synthetic.near_range import NearDataset, generator, refuse_impossible
from leadline.data.synthetic.raycast import Pose, Room
from leadline.data.synthetic.shading import Rendering, render
from leadline.errors import LeadlineError, unknown_name
from leadline.geometry import focal_px_from_fov
from leadline.io import atomic_folder, require_only

PICTURES_PER_SCENE = 4
DEPTH_KIND = "rendered"
INDEX_COLUMNS = ("id", "rgb", "depth", "scene", "official_split")
CAMERA_COLUMNS = ("fx", "fy", "cx", "cy")
SCENES = ("rooms", "near")
"""Kinds of rendered scenes."""


@dataclass(frozen=True)
class SyntheticDataset:
    """Rendered rooms, four pictures of each; the last quarter of the rooms is the test set.

    Sample `i` depends on the seed, the size and the field of view, not on the count.

    Raises:
        LeadlineError: if a setting is out of range.
    """

    count: int = 32
    """Number of pictures."""
    seed: int = 0
    """Which rooms."""
    height: int = 120
    """Rows of a picture."""
    width: int = 160
    """Columns of a picture."""
    fov_deg: float = 63.0
    """Horizontal field of view."""

    def __post_init__(self) -> None:
        """Refuse settings that no picture can have."""
        refuse_impossible(self.count, self.seed, self.height, self.width)
        if not 10 <= self.fov_deg <= 130:
            raise LeadlineError(f"fov_deg must be from 10 to 130 degrees, got {self.fov_deg}; phones have about 65")

    @property
    def ids(self) -> list[str]:
        """The id of every picture, in order: "00001", "00002", ..."""
        return [f"{index + 1:05d}" for index in range(self.count)]

    @property
    def scenes(self) -> list[str]:
        """The room of every picture, in order: "room_0000", ..."""
        return [_scene_name(index) for index in range(self.count)]

    @property
    def official_splits(self) -> list[str]:
        """The split of every picture, in order: no room is in both; a single room is for training."""
        num_scenes = -(-self.count // PICTURES_PER_SCENE)
        first_test = num_scenes - (num_scenes + 3) // 4 if num_scenes > 1 else 1
        return ["test" if index // PICTURES_PER_SCENE >= first_test else "train" for index in range(self.count)]

    @property
    def intrinsics(self) -> Tensor:
        """The pinhole matrix of all pictures, in pixels, (3, 3)."""
        return pinhole(focal_px_from_fov(self.fov_deg, self.width), self.height, self.width)

    def __len__(self) -> int:
        """Number of pictures."""
        return self.count

    def __getitem__(self, index: int) -> Sample:
        """Render one picture; its depth is valid everywhere.

        Raises:
            IndexError: if there is no such picture.
        """
        index = range(self.count)[index]
        picture = self.rendering(index)
        depth_m = torch.from_numpy(picture.depth_m)[None]
        return Sample(
            torch.from_numpy(picture.rgb).permute(2, 0, 1).float() / 255,
            depth_m,
            torch.ones_like(depth_m, dtype=torch.bool),
            self.intrinsics,
            self.ids[index],
            _scene_name(index),
        )

    def ground_truth(self, index: int) -> GroundTruth:
        """Render the depth of one picture, with the picture: one is not had without the other.

        Raises:
            IndexError: if there is no such picture.
        """
        sample = self[index]
        return GroundTruth(sample.depth_m, sample.valid)

    def rendering(self, index: int) -> Rendering:
        """Render one picture as arrays, with the surface that each pixel shows."""
        scene, view = divmod(index, PICTURES_PER_SCENE)
        room, noise = _room(self.seed, scene), generator(self.seed, scene, view, 1)
        return render(room, _pose(self.seed, scene, view), self.height, self.width, self.fov_deg, noise)


RenderedDataset = SyntheticDataset | NearDataset


def _scene_name(index: int) -> str:
    return f"room_{index // PICTURES_PER_SCENE:04d}"


@lru_cache(maxsize=64)
def _room(seed: int, scene: int) -> Room:
    return draw_room(generator(seed, scene))


@lru_cache(maxsize=1024)
def _pose(seed: int, scene: int, view: int) -> Pose:
    return draw_pose(_room(seed, scene), generator(seed, scene, view, 0))


def synthesize(
    out: Path,
    count: int,
    seed: int,
    height: int = 480,
    width: int = 640,
    fov_deg: float = 63.0,
    scenes: str = "rooms",
) -> int:
    """Write a folder data set of rendered scenes: `index.csv`, `dataset.toml`, `rgb/` and `depth/`.

    Depth is stored as 16-bit PNG in millimetres. A set written earlier is replaced, once the new one is whole.

    Args:
        out: the folder to write.
        count: number of pictures.
        seed: which scenes.
        height: rows of a picture.
        width: columns of a picture.
        fov_deg: horizontal field of view of rooms.
        scenes: a key of `SCENES`: furnished rooms, four pictures of each from eye height; or near things, each scene
            seen once by a camera of its own field of view.

    Returns:
        The number of pictures written.

    Raises:
        LeadlineError: if a setting is out of range, or `out` holds anything but rendered scenes.
        OSError: if the folder cannot be written.
    """
    if scenes not in SCENES:
        raise unknown_name("kind of scenes", scenes, SCENES)
    near, out = scenes == "near", out.resolve()
    dataset = NearDataset(count, seed, height, width) if near else SyntheticDataset(count, seed, height, width, fov_deg)
    _refuse_foreign(out)
    with atomic_folder(out) as folder:
        for name in ("rgb", "depth"):
            (folder / name).mkdir()
        work = _in_order(lambda index: _write_pair(folder, dataset, index), count)
        for _ in tqdm(work, total=count, unit="picture", disable=not sys.stderr.isatty()):
            pass
        _write_index(folder, dataset)
        _write_toml(folder, out.name, dataset)
    return count


def _refuse_foreign(out: Path) -> None:
    """What is replaced is lost, so that it must be something that can be rendered again."""
    require_only(out, {"rgb", "depth", "index.csv", "dataset.toml"})
    if out.exists() and any(out.iterdir()) and read_dataset_toml(out).depth_kind != DEPTH_KIND:
        raise LeadlineError(f"{out} holds something else than rendered rooms; name a new or an empty folder")


def _in_order(work: Callable[[int], None], count: int) -> Iterator[None]:
    """Do `work` for 0 to `count` - 1 on all cores."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        yield from pool.map(work, range(count))


def _write_pair(folder: Path, dataset: RenderedDataset, index: int) -> None:
    picture, name = dataset.rendering(index), f"{dataset.ids[index]}.png"
    Image.fromarray(picture.rgb).save(folder / "rgb" / name)
    Image.fromarray((1000 * picture.depth_m + 0.5).astype(np.uint16)).save(folder / "depth" / name)


def _write_index(folder: Path, dataset: RenderedDataset) -> None:
    with (folder / "index.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow((*INDEX_COLUMNS, *(CAMERA_COLUMNS if isinstance(dataset, NearDataset) else ())))
        columns = zip(dataset.ids, dataset.scenes, dataset.official_splits, strict=True)
        for index, (name, *rest) in enumerate(columns):
            camera = _four_numbers(dataset.camera(index)) if isinstance(dataset, NearDataset) else ()
            writer.writerow((name, f"rgb/{name}.png", f"depth/{name}.png", *rest, *camera))


def _four_numbers(intrinsics: Tensor) -> tuple[float, float, float, float]:
    """fx, fy, cx and cy of a pinhole matrix."""
    (fx, _, cx), (_, fy, cy), _ = intrinsics.tolist()
    return fx, fy, cx, cy


def _write_toml(folder: Path, name: str, dataset: RenderedDataset) -> None:
    settings = {
        "name": name,
        "depth_scale": 0.001,
        "depth_offset": 0.0,
        "depth_invalid": 0,
        "depth_kind": DEPTH_KIND,
    }
    if isinstance(dataset, SyntheticDataset):
        settings["intrinsics"] = _four_numbers(dataset.intrinsics)
    (folder / "dataset.toml").write_text(tomli_w.dumps(settings), encoding="utf-8")
