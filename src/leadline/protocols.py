"""Named evaluation protocols: what counts as truth, which pixels are scored, how a prediction is treated.

A published number means nothing without them; every number that leadline prints carries its protocol's name.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from leadline.errors import UserError, unknown_name


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """How predictions are scored."""

    name: str
    used_by: str
    """Who publishes numbers under it."""
    averaging: str
    """The averaging its users print: "per_image" or "pooled". Both are always computed."""
    crop: tuple[int, int, int, int] | None = None
    """Top, bottom, left, right of the scored window in a 480×640 picture, Python slice ends."""
    valid_range_m: tuple[float, float] = (0.0, float("inf"))
    """Truth is scored strictly between these ends, in metres."""
    includes_ends: bool = False
    """Whether the ends of `valid_range_m` are scored too."""
    clamp_m: tuple[float, float] | None = None
    """Predictions are clamped to these metres."""
    flip: bool = False
    """Whether the prediction is the mean of the depths of the picture and of its mirror image."""


NYU_HEIGHT, NYU_WIDTH = 480, 640
# Rows and columns as Python slices of the toolbox's 1-based `45:471, 41:601`: off by one, and what papers used.
NYU_CROP = (45, 471, 41, 601)
EIGEN_RANGE_M = (1e-3, 10.0)

PROTOCOLS: dict[str, Protocol] = {
    protocol.name: protocol
    for protocol in (
        Protocol(name="report", used_by="the student report", averaging="pooled"),
        Protocol(
            name="report-in-range",
            used_by="the report, on the pixels that its range can express",
            averaging="pooled",
            valid_range_m=(0.5, 4.0),
            includes_ends=True,
        ),
        Protocol(
            name="nyu-eigen",
            used_by="BTS, DPT, UniDepth, Metric3D (on raw depth)",
            averaging="per_image",
            crop=NYU_CROP,
            valid_range_m=EIGEN_RANGE_M,
            clamp_m=EIGEN_RANGE_M,
        ),
        Protocol(
            name="nyu-eigen-flip",
            used_by="AdaBins, ZoeDepth, DINOv2, DINOv3",
            averaging="per_image",
            crop=NYU_CROP,
            valid_range_m=EIGEN_RANGE_M,
            clamp_m=EIGEN_RANGE_M,
            flip=True,
        ),
        Protocol(
            name="nyu-densedepth",
            used_by="DenseDepth (in-painted depth)",
            averaging="pooled",
            crop=(20, 460, 24, 616),
            clamp_m=(0.1, 10.0),
            flip=True,
        ),
        Protocol(
            name="nyu-multitask",
            used_by="InvPT, TaskPrompter, ATRC",
            averaging="pooled",
            clamp_m=(1e-9, float("inf")),
        ),
    )
}


def get_protocol(name: str) -> Protocol:
    """Find a protocol by its name.

    Raises:
        UserError: if there is none of that name; it names the nearest.
    """
    if name not in PROTOCOLS:
        raise unknown_name("protocol", name, PROTOCOLS)
    return PROTOCOLS[name]


def scored_pixels(protocol: Protocol, target_m: Tensor, valid: Tensor) -> Tensor:
    """Which pixels the protocol scores.

    Args:
        protocol: the protocol.
        target_m: true depth in metres, (B, 1, H, W).
        valid: where the data set knows the depth, bool (B, 1, H, W).

    Returns:
        bool (B, 1, H, W).

    Raises:
        UserError: if the protocol crops a 480×640 picture and the truth has another size.
    """
    near_m, far_m = protocol.valid_range_m
    if protocol.includes_ends:
        scored = valid & (target_m >= near_m) & (target_m <= far_m)
    else:
        scored = valid & (target_m > near_m) & (target_m < far_m)
    if protocol.crop is None:
        return scored
    height, width = target_m.shape[-2:]
    if (height, width) != (NYU_HEIGHT, NYU_WIDTH):
        raise UserError(
            f"protocol {protocol.name!r} crops {NYU_HEIGHT}×{NYU_WIDTH} depth maps, got {height}×{width}; "
            "use one without a crop, such as 'report'"
        )
    top, bottom, left, right = protocol.crop
    window = torch.zeros_like(scored)
    window[..., top:bottom, left:right] = True
    return scored & window


def clamp_prediction(protocol: Protocol, pred_m: Tensor) -> Tensor:
    """Clamp predicted metres as the protocol's users do; unchanged where they do not."""
    return pred_m if protocol.clamp_m is None else pred_m.clamp(*protocol.clamp_m)
