"""Rendered scenes of near things as a data set; conventions as in `leadline.data.synthetic`."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from leadline.data.intrinsics import pinhole
from leadline.data.sample import GroundTruth, Sample
from leadline.data.synthetic.near import NearScene, draw_near_scene
from leadline.data.synthetic.shading import Rendering
from leadline.data.synthetic.soft_light import render_soft
from leadline.errors import LeadlineError
from leadline.geometry import focal_px_from_fov


@dataclass(frozen=True)
class NearDataset:
    """Rendered scenes of near things, each seen once by a camera of its own; the last quarter is the test set.

    Sample `i` depends on the seed and the size, not on the count.

    Raises:
        LeadlineError: if a setting is out of range.
    """

    count: int = 32
    """Number of pictures."""
    seed: int = 0
    """Which scenes."""
    height: int = 120
    """Rows of a picture."""
    width: int = 160
    """Columns of a picture."""

    def __post_init__(self) -> None:
        """Refuse settings that no picture can have."""
        refuse_impossible(self.count, self.seed, self.height, self.width)

    @property
    def ids(self) -> list[str]:
        """The id of every picture, in order: "00001", "00002", ..."""
        return [f"{index + 1:05d}" for index in range(self.count)]

    @property
    def scenes(self) -> list[str]:
        """The scene of every picture, in order: "near_00001", ..."""
        return [f"near_{name}" for name in self.ids]

    @property
    def official_splits(self) -> list[str]:
        """The split of every picture, in order; a single one is for training."""
        first_test = max(1, self.count - (self.count + 3) // 4)
        return ["test" if index >= first_test else "train" for index in range(self.count)]

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
            self.camera(index),
            self.ids[index],
            self.scenes[index],
        )

    def ground_truth(self, index: int) -> GroundTruth:
        """Render the depth of one picture, with the picture: one is not had without the other.

        Raises:
            IndexError: if there is no such picture.
        """
        sample = self[index]
        return GroundTruth(sample.depth_m, sample.valid)

    def camera(self, index: int) -> Tensor:
        """The pinhole matrix of one picture, in pixels, (3, 3)."""
        fov_deg = _near_scene(self.seed, index).fov_deg
        return pinhole(focal_px_from_fov(fov_deg, self.width), self.height, self.width)

    def rendering(self, index: int) -> Rendering:
        """Render one picture as arrays, with the surface that each pixel shows."""
        room, pose, fov_deg = _near_scene(self.seed, index)
        return render_soft(room, pose, self.height, self.width, fov_deg, generator(self.seed, index, 1))


@lru_cache(maxsize=8)
def _near_scene(seed: int, index: int) -> NearScene:
    return draw_near_scene(generator(seed, index, 0))


def generator(*key: int) -> np.random.Generator:
    """Chance of its own for each key, the first number of which is the seed."""
    seed, *rest = key
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=rest))


def refuse_impossible(count: int, seed: int, height: int, width: int) -> None:
    """Refuse settings that no rendered picture can have.

    Raises:
        LeadlineError: if one is too small.
    """
    least = {"count": (count, 1), "seed": (seed, 0), "height": (height, 8), "width": (width, 8)}
    for name, (value, low) in least.items():
        if value < low:
            raise LeadlineError(f"{name} must be at least {low}, got {value}; give a larger one")
