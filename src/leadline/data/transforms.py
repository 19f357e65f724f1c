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

from leadline.data.intrinsics import crop_intrinsics, mirror_intrinsics, resize_intrinsics
from leadline.data.sample import FROM_FOLDER, Sample
from leadline.data.settings import AugmentSettings
from leadline.geometry import enlarge, size_with_area

CHANNEL_ORDERS = tuple(permutations(range(3)))


def to_working_size(sample: Sample, area_px: int, multiple_px: int = 1) -> Sample:
    """Bring a sample to about `area_px` pixels, its aspect kept, depth to the image's pixels; see `_depth_at`.

    Args:
        sample: any size.
        area_px: wanted number of pixels.
        multiple_px: what its sides become multiples of.
    """
    sample = to_square_pixels(sample)
    return _resized(sample, size_with_area(*_size(sample), area_px, multiple_px))


def to_square_pixels(sample: Sample) -> Sample:
    """Bring a sample to square pixels, as every backend sees images. Unknown ones are square."""
    if sample.camera is None or sample.camera.has_square_pixels:
        return sample
    square = sample.camera.squared()
    return _resized(sample, (square.height, square.width), _enlarged)


def at_most(sample: Sample, area_px: float) -> Sample:
    """In square pixels; a sample with more than `area_px` is brought to that many, any other's depth to its image's."""
    sample = to_square_pixels(sample)
    height, width = _size(sample)
    return to_working_size(sample, int(area_px)) if height * width > area_px else _resized(sample, (height, width))


def mirror(sample: Sample) -> Sample:
    """Left becomes right."""
    return sample._replace(
        image=F.horizontal_flip(sample.image),
        depth_m=F.horizontal_flip(sample.depth_m),
        valid=F.horizontal_flip(sample.valid),
        intrinsics=mirror_intrinsics(sample.intrinsics, sample.image.shape[-1]),
    )


def zoom(sample: Sample, factor: float, top: int, left: int, size: tuple[int, int]) -> Sample:
    """Bring a window of 1/factor of each side to `size`, and divide depth by `factor`.

    A camera of the same focal length would see that picture from things `factor` times nearer; the intrinsics
    therefore have the focal length of the whole sample at `size`. Of a sample larger than `size` the window is as
    sharp as the whole, as a picture of near things is.

    Args:
        sample: the sample.
        factor: enlargement, at least 1.
        top: first row of the window.
        left: first column of the window.
        size: height and width of the result.
    """
    height, width = _size(sample)
    window = (round(height / factor), round(width / factor))
    rows, columns = slice(top, top + window[0]), slice(left, left + window[1])
    cut = sample._replace(
        image=sample.image[:, rows, columns],
        depth_m=sample.depth_m[:, rows, columns],
        valid=sample.valid[:, rows, columns],
        intrinsics=crop_intrinsics(sample.intrinsics, top, left),
    )
    return _nearer(_resized(cut, size), width / window[1])  # the factor as rounded


def zoom_out(sample: Sample, factor: float, size: tuple[int, int]) -> Sample:
    """Reduce a sample by `factor` within `size`, and multiply depth by it; undoes `zoom` where both see.

    The margin shows the picture mirrored at its edges, so that nothing black tells of the change, and is invalid.

    Args:
        sample: the sample.
        factor: reduction, from 1 to 2.
        size: height and width of the result.
    """
    height, width = _size(sample)
    top, left = round(height * (factor - 1) / 2), round(width * (factor - 1) / 2)
    padding = [left, top]
    padded = sample._replace(
        image=F.pad(sample.image, padding, padding_mode="reflect"),
        depth_m=F.pad(sample.depth_m, padding),
        valid=F.pad(sample.valid, padding),
        intrinsics=crop_intrinsics(sample.intrinsics, -top, -left),
    )
    reduced = _nearer(_resized(padded, size), width / (width + 2 * left))
    inside = _nearest(F.pad(torch.ones_like(sample.valid), padding), size)  # pixels across its edge are no picture's
    return reduced._replace(depth_m=torch.where(inside, reduced.depth_m, 0.0), valid=reduced.valid & inside)


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


def augment(
    sample: Sample, settings: AugmentSettings, generator: torch.Generator, area_px: int, multiple_px: int = 1
) -> Sample:
    """Change a sample at random, as the settings allow, and bring it to its working size.

    Args:
        sample: the sample; larger than its working size, it is enlarged without a loss of detail.
        settings: probabilities and strengths.
        generator: where all chance comes from: the same state gives the same sample.
        area_px: number of pixels of the result; see `to_working_size`.
        multiple_px: what its sides are multiples of.
    """
    sample = _resized(sample, _size(sample))
    sample = _random_zoom(sample, settings, generator, size_with_area(*_size(sample), area_px, multiple_px))
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


def _random_zoom(
    sample: Sample, settings: AugmentSettings, generator: torch.Generator, size: tuple[int, int]
) -> Sample:
    directions = (settings.zoom > 1) + (settings.zoom_out > 1)
    share = settings.zoom_share
    if settings.beside_zoom_share is not None and FROM_FOLDER.match(sample.id):
        share = settings.beside_zoom_share
    if not directions or (share < 1 and _uniform(generator) >= share):
        return _resized(sample, size)
    if settings.zoom == 1 or (directions == 2 and _uniform(generator) < 0.5):
        return zoom_out(sample, _uniform(generator, 1, settings.zoom_out), size)
    factor = _uniform(generator, 1, settings.zoom)
    height, width = _size(sample)
    top = int(_uniform(generator, 0, height - round(height / factor) + 1))
    left = int(_uniform(generator, 0, width - round(width / factor) + 1))
    return zoom(sample, factor, top, left, size)


def _random_rotate(sample: Sample, settings: AugmentSettings, generator: torch.Generator) -> Sample:
    if not settings.rotate_deg:
        return sample
    return rotate(sample, _uniform(generator, -settings.rotate_deg, settings.rotate_deg))


_STEPS: tuple[Callable[[Sample, AugmentSettings, torch.Generator], Sample], ...] = (
    _random_mirror,
    _random_channels,
    _random_colour,
    _random_rotate,
)


def _turn_about_centre(point: Tensor, size: torch.Size, angle_deg: float) -> Tensor:
    """Where (x, y) goes when a picture of (height, width) is turned counter-clockwise about its centre."""
    centre = torch.tensor([(size[1] - 1) / 2, (size[0] - 1) / 2])
    cos, sin = math.cos(math.radians(angle_deg)), math.sin(math.radians(angle_deg))
    return centre + torch.tensor([[cos, sin], [-sin, cos]]) @ (point - centre)


def _uniform(generator: torch.Generator, low: float = 0.0, high: float = 1.0) -> float:
    return low + (high - low) * float(torch.rand((), generator=generator))


def _size(sample: Sample) -> tuple[int, int]:
    return sample.image.shape[-2], sample.image.shape[-1]


def _resized(
    sample: Sample, size: tuple[int, int], resample: Callable[[Tensor, tuple[int, int]], Tensor] | None = None
) -> Sample:
    """A sample of another size, its image by `resample`, `_averaged` unless another is given."""
    old = _size(sample)
    if size == old == tuple(sample.depth_m.shape[-2:]):
        return sample
    depth_m, valid = _depth_at(sample, size)
    if size == old:
        return sample._replace(depth_m=depth_m, valid=valid)
    return sample._replace(
        image=(resample or _averaged)(sample.image, size).clamp(0, 1),
        depth_m=depth_m,
        valid=valid,
        intrinsics=resize_intrinsics(sample.intrinsics, old, size),
    )


def _depth_at(sample: Sample, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Depth and mask of a sample at another size, of stored values alone: none is made up between two.

    Made smaller, a pixel has the depth of that of its valid points which is nearest to its middle, so that sparse
    points are kept. A whole sample that is enlarged has each depth several times. Depth of less resolution than its
    image is not enlarged with it: each value stays one pixel, and those between are invalid.
    """
    old = tuple(sample.depth_m.shape[-2:])
    enlarges = size[0] > old[0] or size[1] > old[1]
    if enlarges and old != _size(sample):
        depth_m, valid = torch.zeros(1, *size), torch.zeros(1, *size, dtype=torch.bool)
    else:
        depth_m, valid = _nearest(sample.depth_m, size), _nearest(sample.valid, size)
        if enlarges:
            return depth_m, valid
    return _filled(depth_m, valid, sample)


def _filled(depth_m: Tensor, valid: Tensor, sample: Sample) -> tuple[Tensor, Tensor]:
    """A map (1, H, W) and its mask, where it is not valid filled by the sample's points that fall there."""
    points = sample.valid[0].nonzero()
    lengths = torch.tensor([valid.shape[-2:], sample.valid.shape[-2:]])
    place = (points + 0.5) * (lengths[0] / lengths[1])
    cells = place.long().minimum(lengths[0] - 1)
    index = cells[:, 0] * valid.shape[-1] + cells[:, 1]
    free = ~valid.flatten()[index]
    if not free.any():
        return depth_m, valid
    index, points_m = index[free], sample.depth_m[sample.valid][free]
    apart = (place - cells - 0.5)[free].square().sum(1)
    everywhere = torch.full((valid.numel(),), torch.inf)
    least = everywhere.scatter_reduce(0, index, apart, "amin")
    nearest = apart == least[index]  # of several, the one in front
    filled_m = everywhere.scatter_reduce(0, index[nearest], points_m[nearest], "amin").view_as(depth_m)
    return torch.where(valid, depth_m, filled_m.where(filled_m.isfinite(), 0.0)), valid | filled_m.isfinite()


def _nearer(sample: Sample, factor: float) -> Sample:
    """The same picture of things `factor` times nearer, from a camera of so much shorter a focal length."""
    intrinsics = sample.intrinsics.clone()
    intrinsics[:2, :2] /= factor
    return sample._replace(depth_m=sample.depth_m / factor, intrinsics=intrinsics)


def _averaged(image: Tensor, size: tuple[int, int]) -> Tensor:
    """As `leadline.geometry.resizing.resize`, of an image (3, H, W)."""
    resized: Tensor = F.resize(image, list(size), interpolation=InterpolationMode.BILINEAR, antialias=True)
    return resized


def _enlarged(image: Tensor, size: tuple[int, int]) -> Tensor:
    """As `leadline.geometry.resizing.enlarge`, of an image (3, H, W)."""
    return torch.from_numpy(enlarge(image.permute(1, 2, 0).numpy(), *size)).permute(2, 0, 1)


def _nearest(tensor: Tensor, size: tuple[int, int]) -> Tensor:
    resized: Tensor = F.resize(tensor, list(size), interpolation=InterpolationMode.NEAREST_EXACT)
    return resized
