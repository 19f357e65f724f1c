"""Where it fails: the metrics of one part of the pixels beside those of another.

A division cuts the pixels into groups: by true distance, by place in the picture, by nearness to an edge, by how
sure the predictor was. Each group has the same sums as a whole picture (`metrics.SUMS`), so that its metrics are
`metrics.metrics_from_sums` of them, and the groups of a division that leaves no pixel out add up to the picture's.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from math import prod
from typing import NamedTuple, Self

import numpy as np
import torch
from torch import Tensor

from leadline.evaluation.metrics import SUMS, error_terms, metrics_from_sums

DISTANCE_ENDS_M = (1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 10.0)
EDGE_RATIO = 1.1
"""Neighbouring depths of a larger ratio are a discontinuity. It must exceed what a surface or a rounded truth shows:
a floor 10 m away, seen by a camera of 520 px at 1.2 m above it, grows by 1.6 % from one row to the next; and of a
truth in 8 bits (steps of 3.9 cm) one step is 4 % at 1 m and 5.6 % at 0.7 m, where NYU begins. A ratio of 1.05 would
mark such single steps; 1.1 needs two of them within 0.78 m, and three within 1.18 m."""
EDGE_REACH_PX = 3
"""Pixels up to so many rows and columns from a discontinuity are at an edge."""
NUM_SURE = 5


class Division(NamedTuple):
    """A way to cut the pixels of a picture into groups."""

    name: str
    title: str  # for the axis of a plot, with the unit
    labels: tuple[str, ...]
    assign: Callable[[Tensor, Tensor, Tensor | None], Tensor | None]
    """From truth in metres, valid (bool) and uncertainty (or None), each (B, 1, H, W), to the group of each pixel,
    int64 (B, 1, H, W), -1 where it belongs to none; None if the division cannot be made."""


def distance_bands(target_m: Tensor, valid: Tensor, uncertainty: Tensor | None) -> Tensor:
    """Groups of true distance; the upper end belongs to its band."""
    return torch.bucketize(target_m.contiguous(), torch.tensor(DISTANCE_ENDS_M, device=target_m.device))


def picture_thirds(target_m: Tensor, valid: Tensor, uncertainty: Tensor | None) -> Tensor:
    """Ninths of the whole picture, row by row, whatever part of it is scored."""
    rows, columns = (torch.arange(length, device=target_m.device) * 3 // length for length in target_m.shape[-2:])
    return (3 * rows[:, None] + columns).expand(target_m.shape)


def near_edges(target_m: Tensor, valid: Tensor, uncertainty: Tensor | None) -> Tensor:
    """0 where a discontinuity of the truth is near, 1 elsewhere.

    A discontinuity lies between two valid pixels, left and right or above and below, whose depths have a ratio above
    `EDGE_RATIO`; both are at it, and so is every pixel within `EDGE_REACH_PX` rows and columns of either. One that
    is hidden in a hole of the truth is not seen.
    """
    near = torch.zeros_like(valid)
    for dim in (-1, -2):
        length = target_m.shape[dim] - 1
        first, second = target_m.narrow(dim, 0, length), target_m.narrow(dim, 1, length)
        jump = (first > EDGE_RATIO * second) | (second > EDGE_RATIO * first)
        jump &= valid.narrow(dim, 0, length) & valid.narrow(dim, 1, length)
        near.narrow(dim, 0, length).logical_or_(jump)
        near.narrow(dim, 1, length).logical_or_(jump)
    return (~_widened(near, EDGE_REACH_PX)).long()


def _widened(mask: Tensor, reach_px: int) -> Tensor:
    """True up to so many rows and columns around what was True."""
    for dim in (-1, -2):
        grown = mask.clone()
        for offset in range(1, min(reach_px, mask.shape[dim] - 1) + 1):
            length = mask.shape[dim] - offset
            grown.narrow(dim, offset, length).logical_or_(mask.narrow(dim, 0, length))
            grown.narrow(dim, 0, length).logical_or_(mask.narrow(dim, offset, length))
        mask = grown
    return mask


def sureness_fifths(target_m: Tensor, valid: Tensor, uncertainty: Tensor | None) -> Tensor | None:
    """Fifths of each picture's valid pixels from sure to unsure; equal uncertainties share a group."""
    if uncertainty is None:
        return None
    known = valid & uncertainty.isfinite()
    labels = torch.full(uncertainty.shape, -1, dtype=torch.int64, device=uncertainty.device)
    for values, counted, label in zip(uncertainty, known, labels, strict=True):
        ends = _fifths(values[counted])
        label[counted] = 0
        for end in ends:
            label.add_((values > end) & counted)
    return labels


def _fifths(values: Tensor) -> list[float]:
    """The largest value of each fifth of the values but the last."""
    if len(values) == 0:
        return []
    ascending = np.sort(values.cpu().numpy())  # several times faster than torch's
    return [float(ascending[max(0, len(values) * part // NUM_SURE - 1)]) for part in range(1, NUM_SURE)]


def _bands(ends_m: Sequence[float]) -> tuple[str, ...]:
    starts = (0.0, *ends_m[:-1])
    return (*(f"{start:g}–{end:g}" for start, end in zip(starts, ends_m, strict=True)), f">{ends_m[-1]:g}")


DIVISIONS: dict[str, Division] = {
    division.name: division
    for division in (
        Division("distance", "true distance in metres", _bands(DISTANCE_ENDS_M), distance_bands),
        Division(
            "region",
            "place in the picture",
            tuple(f"{row} {column}" for row in ("top", "middle", "bottom") for column in ("left", "centre", "right")),
            picture_thirds,
        ),
        Division(
            "edges",
            f"distance from a depth discontinuity in pixels (ratio > {EDGE_RATIO:g})",
            (f"edges (≤{EDGE_REACH_PX} px)", f"surfaces (>{EDGE_REACH_PX} px)"),
            near_edges,
        ),
        Division(
            "uncertainty",
            "fifths of a picture's pixels by predicted uncertainty",
            ("surest", "2nd", "3rd", "4th", "least sure"),
            sureness_fifths,
        ),
    )
}


def group_sums(pred_m: Tensor, target_m: Tensor, valid: Tensor, labels: Tensor, num_groups: int) -> Tensor:
    """`metrics.error_sums` of each group of pixels.

    Args:
        pred_m: predicted depth in metres, (B, 1, H, W).
        target_m: true depth in metres, (B, 1, H, W), positive where valid.
        valid: which pixels count, bool (B, 1, H, W).
        labels: the group of each pixel, int64 (B, 1, H, W), from 0 to `num_groups` - 1; -1 for none.
        num_groups: K.

    Returns:
        float64 (B, K, 10), columns as `SUMS`.

    Raises:
        ValueError: if the shapes differ.
    """
    ratio, *terms = error_terms(pred_m, target_m, valid)
    num_pictures = len(pred_m)
    picture = torch.arange(num_pictures, device=labels.device).view(-1, 1, 1, 1)
    # One group more, the first, takes the pixels that do not count.
    group = (labels + 1).where(valid, 0) + (1 + num_groups) * picture
    # Each pixel is within none, the last, the last two or all of the deltas: one count serves four columns.
    num_within = sum((ratio < 1.25**power).long() for power in (1, 2, 3))
    num_cells = num_pictures * (1 + num_groups)
    tally = torch.bincount((4 * group + num_within).flatten(), minlength=4 * num_cells)
    count, delta3, delta2, delta1 = tally.view(-1, 4).flip(1).cumsum(1).flip(1).unbind(1)
    added = [torch.bincount(group.flatten(), term.flatten(), num_cells) for term in terms]
    columns = torch.stack([part.double() for part in (count, delta1, delta2, delta3, *added)], dim=-1)
    return columns.view(num_pictures, 1 + num_groups, len(SUMS))[:, 1:]


def division_sums(
    pred_m: Tensor, target_m: Tensor, valid: Tensor, uncertainty: Tensor | None = None
) -> dict[str, Tensor]:
    """`group_sums` for every division that can be made.

    Args:
        pred_m: as `group_sums`.
        target_m: as `group_sums`.
        valid: as `group_sums`.
        uncertainty: larger where the predictor was less sure, (B, 1, H, W); None if it does not say.

    Returns:
        By the division's name, float64 (B, K, 10).

    Raises:
        ValueError: if the shapes differ.
    """
    made = {it.name: it.assign(target_m, valid, uncertainty) for it in DIVISIONS.values()}
    labels = {name: label for name, label in made.items() if label is not None}
    # The pixels are sorted once, into the cells that all divisions together cut; a division's groups are the sums
    # over its cells. The first cell along each division is for pixels that belong to none of its groups.
    slots = [1 + len(DIVISIONS[name].labels) for name in labels]
    cell = torch.zeros_like(target_m, dtype=torch.int64)
    for num_slots, label in zip(slots, labels.values(), strict=True):
        cell.mul_(num_slots).add_(label).add_(1)
    cells = group_sums(pred_m, target_m, valid, cell, prod(slots)).reshape(-1, *slots, len(SUMS))
    axes = range(1, 1 + len(slots))
    return {
        name: cells.sum([other for other in axes if other != axis])[:, 1:]
        for axis, name in zip(axes, labels, strict=True)
    }


class Groups(NamedTuple):
    """The groups of a division, over any number of pictures."""

    name: str
    title: str
    labels: tuple[str, ...]
    sums: Tensor  # float64 (K, 10), columns as `SUMS`

    @property
    def metrics(self) -> Tensor:
        """Pooled over the pixels of each group, (K, 9), columns as `METRICS`; NaN for an empty group."""
        return metrics_from_sums(self.sums)

    @property
    def shares(self) -> list[float]:
        """The part of all grouped pixels that each group has; NaN if there are none."""
        count = self.sums[:, 0]
        shares: list[float] = (count / count.sum()).tolist()
        return shares


class Breakdown:
    """The divisions of any number of pictures; one that comes twice counts once, and their order does not matter."""

    def __init__(self) -> None:
        """Start with no pictures."""
        self._pictures: dict[int, dict[str, Tensor]] = {}

    def add(self, index: int, sums: Mapping[str, Tensor]) -> None:
        """Add a picture whose sums are known.

        Args:
            index: its place in the data set.
            sums: by the division's name, (K, 10): one picture of `division_sums`.
        """
        self._pictures[index] = dict(sums)

    def update(
        self, pred_m: Tensor, target_m: Tensor, valid: Tensor, index: Tensor, uncertainty: Tensor | None = None
    ) -> None:
        """Add pictures.

        Args:
            pred_m: as `group_sums`.
            target_m: as `group_sums`.
            valid: as `group_sums`.
            index: the pictures' places in the data set, int (B,).
            uncertainty: as `division_sums`.
        """
        sums = division_sums(pred_m, target_m, valid, uncertainty)
        for row, place in enumerate(index.tolist()):
            # A copy, so that no picture keeps the whole batch.
            self.add(place, {name: values[row].clone() for name, values in sums.items()})

    def merge(self, others: Iterable[Self]) -> Self:
        """Take in the pictures of other breakdowns, such as those of other processes."""
        for other in others:
            self._pictures.update(other._pictures)
        return self

    def results(self) -> dict[str, Groups]:
        """The groups of every division that some picture has, pooled over the pictures."""
        found: dict[str, list[Tensor]] = defaultdict(list)
        for _, sums in sorted(self._pictures.items()):
            for name, values in sums.items():
                found[name].append(values)
        return {
            it.name: Groups(it.name, it.title, it.labels, torch.stack(found[it.name]).sum(0))
            for it in DIVISIONS.values()
            if it.name in found
        }


def scene_type(scene: str) -> str:
    """What kind of place a scene is: its name without the number and letter that tell it from others of its kind.

    >>> scene_type("living_room_0012"), scene_type("bedroom_0056a"), scene_type("")
    ('living room', 'bedroom', 'unknown')
    """
    name = scene[:-1] if scene[-1:].isalpha() and scene[-2:-1].isdigit() else scene
    return name.rstrip("0123456789_- ").replace("_", " ").strip() or "unknown"


def by_scene(sums: Tensor, scenes: Sequence[str]) -> Groups:
    """Group whole pictures by the kind of place.

    Args:
        sums: `metrics.error_sums` of each picture, (N, 10).
        scenes: the scene of each, N names such as "living_room_0012".

    Returns:
        A group for each kind, by name; the label says how many pictures it has.

    Raises:
        ValueError: if there are not as many scenes as pictures.
    """
    members: dict[str, list[Tensor]] = defaultdict(list)
    for row, scene in zip(sums, scenes, strict=True):
        members[scene_type(scene)].append(row)
    labels = tuple(f"{kind} ({len(members[kind])})" for kind in sorted(members))
    pooled = [torch.stack(members[kind]).sum(0) for kind in sorted(members)]
    return Groups("scene", "kind of place (pictures)", labels, torch.stack(pooled) if pooled else sums[:0])
