"""What known distances, or a known height of the camera, made of a prediction: in numbers and in words."""

from dataclasses import dataclass
from enum import StrEnum

from leadline.geometry import Floor

MAX_FACTOR = 3.0
"""No model of metres errs by more than this factor, or less than one over it: another unit is likelier."""


CHECK_METRES = "check that all is in metres (35 cm is 0.35)"
"""What to do about such a factor, where people told the metres."""


def unit_doubt(factor: float, remedy: str = CHECK_METRES) -> str:
    """What to add to a line on a factor that is no error of a model; empty for one that may be.

    Args:
        factor: what a prediction in metres was multiplied by.
        remedy: what to do if it is too large or too small.
    """
    if 1 / MAX_FACTOR <= factor <= MAX_FACTOR:
        return ""
    return f"; a factor of {factor:.3g} is more than a model errs by: {remedy}"


class Correction(StrEnum):
    """What known distances make of a prediction."""

    FIELD = "a smooth field"
    FACTOR = "one factor"
    LINE = "scale and shift"
    """Of a model without a unit."""
    NONE = "no change"
    """As nothing else helps."""


@dataclass(frozen=True, kw_only=True)
class Anchoring:
    """How a prediction was brought to known distances."""

    correction: Correction
    num_points: int
    """Points with a depth in the prediction; of very many, those that they were pooled to."""
    num_wrong: int = 0
    """Points that the others contradict, which have next to no weight."""
    error_before: float | None = None
    """Mean absolute relative error at the other points as predicted; None for values without a unit."""
    error_after: float | None = None
    """The same of what the points give when each is left out; None if nothing could be left out."""
    factor: float = 1.0
    """What the prediction was multiplied by, as a median, where the model's values are in metres."""
    remedy: str = CHECK_METRES
    """What to do if that is no error of a model."""

    def __str__(self) -> str:
        """One line: what was done, from how many points, and what it is worth."""
        wrong = f" ({self.num_wrong} of them wrong)" if self.num_wrong else ""
        points = f"{self.correction} from {self.num_points} known point{'s' * (self.num_points > 1)}{wrong}"
        doubt = unit_doubt(self.factor, self.remedy)
        if self.error_after is None:
            return f"{points}, not checked: nothing could be left out{doubt}"
        before = "" if self.error_before is None else f", without {self.error_before:.1%}"
        return f"{points}, error left out {self.error_after:.1%}{before}{doubt}"


@dataclass(frozen=True)
class FloorScale:
    """The factor that brings the floor to the height at which the camera is known to be."""

    scale: float
    """What the predicted depth was multiplied by."""
    floor: Floor
    """As it is after."""

    def __str__(self) -> str:
        """The factor, and the floor that it is from."""
        return f"times {self.scale:.3f} by the floor: {self.floor}{unit_doubt(self.scale)}"
