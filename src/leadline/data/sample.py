"""What every data set yields, and how samples become a batch."""

import re
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import torch
from numpy.typing import NDArray
from torch import Tensor

from leadline.geometry import Camera, CameraSource

FROM_FOLDER, RENDERED = re.compile(r"beside\d+\.\d+/"), "rendered/"
"""How the ids of pictures begin that were joined to a data set for training: from a folder, or rendered."""


class Sample(NamedTuple):
    """One picture with its depth."""

    image: Tensor  # RGB float32 in [0, 1], (3, H, W)
    depth_m: Tensor  # float32 metres along the optical axis, (1, h, w); 0 where invalid
    valid: Tensor  # bool, (1, h, w); h, w are H, W unless depth is stored at another resolution
    intrinsics: Tensor  # pinhole matrix in pixels of this picture, (3, 3); NaN where unknown
    id: str
    scene: str

    @property
    def camera(self) -> Camera | None:
        """The camera of `image`, by the data set or by the image's EXIF block; None where unknown."""
        if not bool(self.intrinsics.isfinite().all()):
            return None
        height, width = self.image.shape[-2:]
        return Camera.from_matrix(self.intrinsics.numpy(), width, height, CameraSource.DATA_SET)


class GroundTruth(NamedTuple):
    """The depth of one image, without the image."""

    depth_m: Tensor  # float32 metres along the optical axis, (1, H, W); 0 where invalid
    valid: Tensor  # bool, (1, H, W)


class Batch(NamedTuple):
    """Samples of one size, stacked."""

    image: Tensor  # (B, 3, H, W)
    depth_m: Tensor  # (B, 1, H, W)
    valid: Tensor  # bool, (B, 1, H, W)
    intrinsics: Tensor  # (B, 3, 3)
    id: list[str]
    scene: list[str]


class DepthDataset(Protocol):
    """What training and evaluation need of a data set: a length, samples, and their ids without decoding."""

    @property
    def ids(self) -> list[str]:
        """The id of every sample, in order."""
        ...

    @property
    def scenes(self) -> list[str]:
        """The scene of every sample, in order; "" where unknown."""
        ...

    @property
    def official_splits(self) -> list[str]:
        """The makers' split of every sample ("train", "test"), in order; "" where they give none."""
        ...

    def __len__(self) -> int:
        """Number of samples."""
        ...

    def __getitem__(self, index: int) -> Sample:
        """Decode one sample."""
        ...

    def ground_truth(self, index: int) -> GroundTruth:
        """Decode the depth of one sample; its image is not opened."""
        ...


def image_tensor(rgb: NDArray[Any]) -> Tensor:
    """RGB float32 in [0, 1], (3, H, W), of an array (H, W, 3), uint8 or float32 in [0, 1]."""
    values = torch.from_numpy(rgb).permute(2, 0, 1)
    if values.dtype == torch.uint8:
        return torch.empty(values.shape).copy_(values).div_(255)
    return values.float().contiguous()


UNKNOWN_INTRINSICS = torch.full((3, 3), torch.nan)


def collate(samples: Sequence[Sample]) -> Batch:
    """Stack samples of one size.

    Args:
        samples: at least one sample, all of the same height and width.

    Returns:
        The batch, in the order given.

    Raises:
        RuntimeError: if the sizes differ (from `torch.stack`).
    """
    images, depths, valids, intrinsics, ids, scenes = zip(*samples, strict=True)
    return Batch(
        torch.stack(images),
        torch.stack(depths),
        torch.stack(valids),
        torch.stack(intrinsics),
        list(ids),
        list(scenes),
    )
