"""Changes to a sample that keep picture, depth, validity and intrinsics in step.

Metric scale follows the apparent focal length: whatever enlarges a picture divides its depth.
"""

import math
from collections.abc import Callable
from itertools import permutations

import torch
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as F

from leadline.camera import crop_intrinsics, mirror_intrinsics, resize_intrinsics
from leadline.data.sample import Sample
from leadline.data.settings import AugmentSettings
from leadline.image import resize, size_with_area

CHANNEL_ORDERS = tuple(permutations(range(3)))


def to_working_size(sample: Sample, area_px: int) -> Sample:
    """Bring a sample to about `area_px` pixels, its aspect kept; depth takes the nearest pixel's.

    Args:
        sample: any size.
        area_px: wanted number of pixels.
    """
    old = (sample.image.shape[-2], sample.image.shape[-1])
    new = size_with_area(*old, area_px)
    if new == old:
        return sample
    return sample._replace(
        image=resize(sample.image[None], *new)[0],
        depth_m=_nearest(sample.depth_m, new),
        valid=_nearest(sample.valid, new),
        intrinsics=resize_intrinsics(sample.intrinsics, old, new),
    )


def mirror(sample: Sample) -> Sample:
    """Left becomes right."""
    return sample._replace(
        image=F.horizontal_flip(sample.image),
        depth_m=F.horizontal_flip(sample.depth_m),
        valid=F.horizontal_flip(sample.valid),
        intrinsics=mirror_intrinsics(sample.intrinsics, sample.image.shape[-1]),
    )


def zoom(sample: Sample, factor: float, top: int, left: int) -> Sample:
    """Enlarge a window of 1/factor of each side to the sample's own size, and divide depth by `factor`.

    A camera of the same focal length would see that picture from things `factor` times nearer; the intrinsics
    therefore keep their focal length.

    Args:
        sample: the sample.
        factor: enlargement, at least 1.
        top: first row of the window.
        left: first column of the window.
    """
    size = (sample.image.shape[-2], sample.image.shape[-1])
    window = (round(size[0] / factor), round(size[1] / factor))
    factor = size[1] / window[1]  # as rounded

    def enlarge(tensor: Tensor, mode: InterpolationMode) -> Tensor:
        enlarged: Tensor = F.resized_crop(tensor, top, left, *window, list(size), interpolation=mode)
        return enlarged

    intrinsics = resize_intrinsics(crop_intrinsics(sample.intrinsics, top, left), window, size)
    intrinsics[:2, :2] /= factor
    return sample._replace(
        image=enlarge(sample.image, InterpolationMode.BILINEAR).clamp(0, 1),
        depth_m=enlarge(sample.depth_m, InterpolationMode.NEAREST_EXACT) / factor,
        valid=enlarge(sample.valid, InterpolationMode.NEAREST_EXACT),
        intrinsics=intrinsics,
    )


def zoom_out(sample: Sample, factor: float) -> Sample:
    """Reduce a sample by `factor` within its own size, and multiply depth by it; undoes `zoom` where both see.

    The margin shows the picture mirrored at its edges, so that nothing black tells of the change, and is invalid.

    Args:
        sample: the sample.
        factor: reduction, from 1 to 2.
    """
    height, width = sample.image.shape[-2:]
    top, left = round(height * (factor - 1) / 2), round(width * (factor - 1) / 2)
    padding, outer = [left, top], (height + 2 * top, width + 2 * left)
    factor = outer[1] / width  # as rounded
    image = F.pad(sample.image, padding, padding_mode="reflect")
    depth_m, valid = F.pad(sample.depth_m, padding), F.pad(sample.valid, padding)
    intrinsics = resize_intrinsics(crop_intrinsics(sample.intrinsics, -top, -left), outer, (height, width))
    intrinsics[:2, :2] *= factor
    return sample._replace(
        image=resize(image[None], height, width)[0],
        depth_m=_nearest(depth_m, (height, width)) * factor,
        valid=_nearest(valid, (height, width)),
        intrinsics=intrinsics,
    )


def rotate(sample: Sample, angle_deg: float) -> Sample:
    """Turn about the picture's centre, counter-clockwise; what comes from outside is black and invalid.

    This is a roll of the camera, which leaves depth as it is, and focal lengths where fx and fy are equal.
    """
    nearest = InterpolationMode.NEAREST
    intrinsics = sample.intrinsics.clone()
    intrinsics[:2, 2] = _turn_about_centre(sample.intrinsics[:2, 2], sample.image.shape[-2:], angle_deg)
    return sample._replace(
        intrinsics=intrinsics,
        image=F.rotate(sample.image, angle_deg, interpolation=InterpolationMode.BILINEAR),
        depth_m=F.rotate(sample.depth_m, angle_deg, interpolation=nearest),
        valid=F.rotate(sample.valid.to(torch.uint8), angle_deg, interpolation=nearest).bool(),
    )


def augment(sample: Sample, settings: AugmentSettings, generator: torch.Generator) -> Sample:
    """Change a sample at random, as the settings allow.

    Args:
        sample: the sample, at its working size.
        settings: probabilities and strengths.
        generator: where all chance comes from: the same state gives the same sample.
    """
    for step in _STEPS:
        sample = step(sample, settings, generator)
    return sample


def _random_mirror(sample: Sample, settings: AugmentSettings, generator: torch.Generator) -> Sample:
    return mirror(sample) if _uniform(generator) < settings.mirror else sample


def _random_channels(sample: Sample, settings: AugmentSettings, generator: torch.Generator) -> Sample:
    if _uniform(generator) >= settings.permute_channels:
        return sample
    order = CHANNEL_ORDERS[int(_uniform(generator) * len(CHANNEL_ORDERS))]
    return sample._replace(image=sample.image[list(order)])


def _random_colour(sample: Sample, settings: AugmentSettings, generator: torch.Generator) -> Sample:
    if not settings.colour:
        return sample
    image = sample.image
    for adjust in (F.adjust_brightness, F.adjust_contrast, F.adjust_saturation):
        image = adjust(image, _uniform(generator, 1 - settings.colour, 1 + settings.colour))
    return sample._replace(image=image)


def _random_zoom(sample: Sample, settings: AugmentSettings, generator: torch.Generator) -> Sample:
    directions = (settings.zoom > 1) + (settings.zoom_out > 1)
    if not directions or (settings.zoom_share < 1 and _uniform(generator) >= settings.zoom_share):
        return sample
    if settings.zoom == 1 or (directions == 2 and _uniform(generator) < 0.5):
        return zoom_out(sample, _uniform(generator, 1, settings.zoom_out))
    factor = _uniform(generator, 1, settings.zoom)
    height, width = sample.image.shape[-2:]
    top = int(_uniform(generator, 0, height - round(height / factor) + 1))
    left = int(_uniform(generator, 0, width - round(width / factor) + 1))
    return zoom(sample, factor, top, left)


def _random_rotate(sample: Sample, settings: AugmentSettings, generator: torch.Generator) -> Sample:
    if not settings.rotate_deg:
        return sample
    return rotate(sample, _uniform(generator, -settings.rotate_deg, settings.rotate_deg))


_STEPS: tuple[Callable[[Sample, AugmentSettings, torch.Generator], Sample], ...] = (
    _random_mirror,
    _random_channels,
    _random_colour,
    _random_zoom,
    _random_rotate,
)


def _turn_about_centre(point: Tensor, size: torch.Size, angle_deg: float) -> Tensor:
    """Where (x, y) goes when a picture of (height, width) is turned counter-clockwise about its centre."""
    centre = torch.tensor([(size[1] - 1) / 2, (size[0] - 1) / 2])
    cos, sin = math.cos(math.radians(angle_deg)), math.sin(math.radians(angle_deg))
    return centre + torch.tensor([[cos, sin], [-sin, cos]]) @ (point - centre)


def _uniform(generator: torch.Generator, low: float = 0.0, high: float = 1.0) -> float:
    return low + (high - low) * float(torch.rand((), generator=generator))


def _nearest(tensor: Tensor, size: tuple[int, int]) -> Tensor:
    resized: Tensor = F.resize(tensor, list(size), interpolation=InterpolationMode.NEAREST_EXACT)
    return resized
