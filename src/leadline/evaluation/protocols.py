"""Named evaluation protocols: what counts as truth, which pixels are scored, how a prediction is treated.

A published number means nothing without them; every number that leadline prints carries its protocol's name, and
every file of numbers its hash.
"""

import hashlib
import json
from pathlib import Path
from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict, model_validator
from torch import Tensor

from leadline.errors import LeadlineError, unknown_name
from leadline.evaluation.alignment import ALIGNMENTS
from leadline.geometry import Output
from leadline.io import as_record, read_toml


class Protocol(BaseModel):
    """How predictions are scored."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    used_by: str = ""
    """Who publishes numbers under it."""
    averaging: Literal["per_image", "pooled"] = "per_image"
    """The averaging its users print. Both are always computed."""
    size: tuple[int, int] | None = None
    """Height and width of the depth maps that `crop` is written for."""
    crop: tuple[int, int, int, int] | None = None
    """Top, bottom, left, right of the scored window of such a map, Python slice ends."""
    crop_share: tuple[float, float, float, float] | None = None
    """The same window as shares of height and width, rounded down: for data sets whose maps differ in size."""
    valid_range_m: tuple[float, float] = (0.0, float("inf"))
    """Truth is scored strictly between these ends, in metres."""
    includes_ends: bool = False
    """Whether the ends of `valid_range_m` are scored too."""
    alignment: Literal["none", "median", "scale-shift"] = "none"
    """What is forgiven, picture by picture: nothing; a factor (the medians are made equal); or a scale and a shift
    (least squares, in depth or in disparity, whichever the model answers)."""
    clamp_m: tuple[float, float] | None = None
    """Predictions are clamped to these metres, after the alignment."""
    flip: bool = False
    """Whether the prediction is the mean of the answers to the picture and to its mirror image."""

    @model_validator(mode="after")
    def _consistent(self) -> "Protocol":
        if self.crop is not None and self.size is None:
            raise ValueError("a crop needs the size (height, width) of the maps that it is written for")
        for name, ends in (("crop", self.size), ("crop_share", (1.0, 1.0))):
            if (window := getattr(self, name)) is not None and ends is not None:
                top, bottom, left, right = window
                if not (0 <= top < bottom <= ends[0] and 0 <= left < right <= ends[1]):
                    raise ValueError(f"{name} is top, bottom, left, right within the map, got {list(window)}")
        if self.crop is not None and self.crop_share is not None:
            raise ValueError("give crop or crop_share, not both")
        for name in ("valid_range_m", "clamp_m"):
            ends = getattr(self, name)
            if ends is not None and not ends[0] < ends[1]:
                raise ValueError(f"{name} must ascend, got {list(ends)}")
        return self

    @property
    def digest(self) -> str:
        """A hash of every rule (not of the name or of who uses it): equal rules, equal digest."""
        rules = self.model_dump(mode="json", exclude={"name", "used_by", "averaging"})
        return hashlib.sha256(json.dumps(rules, sort_keys=True).encode()).hexdigest()[:16]


NYU_SIZE = (480, 640)
# Rows and columns as Python slices of the toolbox's 1-based `45:471, 41:601`: off by one, and what papers used.
NYU_CROP = (45, 471, 41, 601)
EIGEN_RANGE_M = (1e-3, 10.0)
# Garg et al. 2016: the part of KITTI's pictures that the laser sees.
GARG_CROP = (0.40810811, 0.99189189, 0.03594771, 0.96405229)
KITTI_RANGE_M = (1e-3, 80.0)

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
            size=NYU_SIZE,
            crop=NYU_CROP,
            valid_range_m=EIGEN_RANGE_M,
            clamp_m=EIGEN_RANGE_M,
        ),
        Protocol(
            name="nyu-eigen-flip",
            used_by="AdaBins, ZoeDepth, DINOv2, DINOv3",
            averaging="per_image",
            size=NYU_SIZE,
            crop=NYU_CROP,
            valid_range_m=EIGEN_RANGE_M,
            clamp_m=EIGEN_RANGE_M,
            flip=True,
        ),
        Protocol(
            name="nyu-densedepth",
            used_by="DenseDepth (in-painted depth)",
            averaging="pooled",
            size=NYU_SIZE,
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
        Protocol(
            name="metric",
            used_by="any set of metric depth, such as one's own captures",
            valid_range_m=(0.0, 10.0),
            includes_ends=True,
        ),
        Protocol(
            name="relative",
            used_by="MiDaS, Marigold, Depth Anything",
            size=NYU_SIZE,
            crop=NYU_CROP,
            valid_range_m=EIGEN_RANGE_M,
            alignment="scale-shift",
            clamp_m=EIGEN_RANGE_M,
        ),
        Protocol(
            name="kitti-eigen",
            used_by="BTS, AdaBins, DPT on KITTI (Garg's crop, up to 80 m)",
            crop_share=GARG_CROP,
            valid_range_m=KITTI_RANGE_M,
            clamp_m=KITTI_RANGE_M,
        ),
        Protocol(name="median", used_by="monodepth2, ultralytics", alignment="median"),
    )
}


def get_protocol(name: str) -> Protocol:
    """Find a protocol by its name, or read one from a TOML file.

    The file's keys are the fields of `Protocol`; what it leaves out has their defaults.

    Raises:
        LeadlineError: if there is none of that name (it names the nearest), or the file describes none.
    """
    if name.endswith(".toml"):
        return _read_protocol(Path(name))
    if name not in PROTOCOLS:
        raise unknown_name("protocol", name, PROTOCOLS)
    return PROTOCOLS[name]


def _read_protocol(path: Path) -> Protocol:
    if not path.is_file():
        raise LeadlineError(f"no protocol at {path}; the named ones: {', '.join(PROTOCOLS)}")
    return as_record(Protocol, {"name": path.stem, **read_toml(path)}, str(path))


def scored_pixels(protocol: Protocol, target_m: Tensor, valid: Tensor) -> Tensor:
    """Which pixels the protocol scores.

    Args:
        protocol: the protocol.
        target_m: true depth in metres, (B, 1, H, W).
        valid: where the data set knows the depth, bool (B, 1, H, W).

    Returns:
        bool (B, 1, H, W).

    Raises:
        LeadlineError: if the protocol crops maps of a size that the truth has not.
    """
    near_m, far_m = protocol.valid_range_m
    if protocol.includes_ends:
        scored = valid & (target_m >= near_m) & (target_m <= far_m)
    else:
        scored = valid & (target_m > near_m) & (target_m < far_m)
    window = torch.zeros_like(scored)
    top, bottom, left, right = _window(protocol, *target_m.shape[-2:])
    window[..., top:bottom, left:right] = True
    return scored & window


def _window(protocol: Protocol, height: int, width: int) -> tuple[int, int, int, int]:
    """Top, bottom, left, right of the scored window."""
    if protocol.crop_share is not None:
        top, bottom, left, right = protocol.crop_share
        return int(top * height), int(bottom * height), int(left * width), int(right * width)
    if protocol.crop is None or protocol.size is None:
        return 0, height, 0, width
    if (height, width) != protocol.size:
        wanted = "×".join(map(str, protocol.size))
        other = "report" if protocol.alignment == "none" else "median"  # a model without a unit wants an alignment
        raise LeadlineError(
            f"protocol {protocol.name!r} crops {wanted} depth maps, got {height}×{width}; "
            f"use one without a crop, such as {other!r}"
        )
    return protocol.crop


def scored_prediction(protocol: Protocol, values: Tensor, output: Output, target_m: Tensor, scored: Tensor) -> Tensor:
    """What the protocol compares with the truth: an answer in metres, aligned and clamped as its users do.

    Args:
        protocol: the protocol.
        values: what was answered, (B, 1, H, W).
        output: what the values mean.
        target_m: true depth in metres, (B, 1, H, W).
        scored: `scored_pixels`, bool (B, 1, H, W).

    Returns:
        Metres, (B, 1, H, W).

    Raises:
        LeadlineError: if the values are not metres and the protocol aligns nothing.
    """
    check_output(protocol, output)
    pred_m = ALIGNMENTS[protocol.alignment](values, output, target_m, scored)
    return pred_m if protocol.clamp_m is None else pred_m.clamp(*protocol.clamp_m)


def predicted_pixels(protocol: Protocol, values: Tensor, output: Output) -> Tensor:
    """Where there is a prediction, and not a hole.

    A hole is what is no number or infinite; and what is not positive, unless the values have a zero of their own,
    which the protocol forgives: depth or disparity up to a scale and a shift.

    Args:
        protocol: the protocol.
        values: what was answered, (B, 1, H, W).
        output: what the values mean.

    Returns:
        bool (B, 1, H, W).
    """
    has_own_zero = output is not Output.METRES and protocol.alignment == "scale-shift"
    return values.isfinite() if has_own_zero else values.isfinite() & (values > 0)


def check_output(protocol: Protocol, output: Output) -> None:
    """Refuse to score values without a unit as if they were metres.

    Raises:
        LeadlineError: if the values are not metres and the protocol aligns nothing.
    """
    if output is not Output.METRES and protocol.alignment == "none":
        raise LeadlineError(
            f"protocol {protocol.name!r} wants metres, got {output.value} up to scale and shift; "
            "use one that aligns, such as 'relative' or 'median'"
        )
