"""What a few known distances make of a model's depth: abs_rel with them as a share of that without.

    python benchmarks/known_points.py --data nyu-v2-labelled --split official/test --cache /tmp/predictions

Random pixels of the scored region serve as known points, of which a share is wrong by a factor of 2, up or down. Each
number is the mean over images of abs_rel in the region, one draw an image. "worse" is the share of images on which the
result has a larger abs_rel than the prediction alone, among those on which a correction was accepted.
"""

import argparse
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from leadline.backends import open_backend
from leadline.data import open_dataset, select
from leadline.io import read_npz, write_npz
from leadline.prediction import Correction, KnownPoints, Prediction, anchor_to_points

SETTINGS = {"5": (5, 0.0), "20": (20, 0.0), "200": (200, 0.0), "200, a fifth wrong": (200, 0.2)}
"""Number of points and share of wrong ones."""
CROP = (slice(45, 471), slice(41, 601))
"""Rows and columns that are scored of images of 640×480; other images are scored whole."""


class Row(NamedTuple):
    """One image in one setting."""

    before: float
    after: float
    accepted: bool
    error_left_out: float
    expected_error: float
    seconds: float


def predictions(arguments: argparse.Namespace) -> Iterator[tuple[Prediction, NDArray[np.float32]]]:
    """Predictions with their true depths, 0 where there is none; predicted once where there is a cache."""
    dataset, backend = open_dataset(arguments.data), open_backend(arguments.model)
    for index in select(dataset, arguments.split):
        sample = dataset[index]
        rgb = sample.image.permute(1, 2, 0).numpy()
        stored = arguments.cache and arguments.cache / f"{dataset.ids[index]}.npz"
        if stored and stored.exists():
            depth_m, valid, _, uncertainty_m = read_npz(stored)
        else:
            estimate = backend.estimate([rgb], [sample.camera])
            depth_m = estimate.values[0]
            uncertainty_m = None if estimate.relative_error is None else depth_m * estimate.relative_error[0]
            valid = np.isfinite(depth_m)
            if stored:
                stored.parent.mkdir(parents=True, exist_ok=True)
                write_npz(stored, depth_m, valid, None, uncertainty_m)
        prediction = Prediction(np.zeros((*depth_m.shape, 3), np.uint8), depth_m, valid, sample.camera, uncertainty_m)
        yield prediction, np.where(sample.valid[0].numpy(), sample.depth_m[0].numpy(), 0)


def score(
    prediction: Prediction, truth_m: NDArray[np.float32], num: int, wrong: float, farthest_m: float,
    generator: np.random.Generator,
) -> Row | None:  # fmt: skip
    """One draw of points; None if the image has too few of known depth."""
    scored = np.zeros(truth_m.shape, bool)
    scored[CROP if truth_m.shape == (480, 640) else ...] = True
    scored &= (truth_m > 0) & (truth_m < farthest_m) & prediction.valid
    places = np.flatnonzero(scored)
    if len(places) < 2 * num:
        return None
    chosen = generator.choice(places, num, replace=False)
    rows, columns = np.divmod(chosen, truth_m.shape[1])
    metres = truth_m[rows, columns].astype(float)
    off = generator.permutation(num)[: round(wrong * num)]
    metres[off] *= generator.choice([0.5, 2.0], len(off))
    known = KnownPoints(np.stack([columns, rows], 1).astype(float), metres, np.zeros(num, bool))
    started = time.perf_counter()
    anchored = anchor_to_points(prediction, known, truth_m.shape)
    seconds = time.perf_counter() - started
    expected = np.nan if anchored.uncertainty_m is None else (anchored.uncertainty_m[scored] / truth_m[scored]).mean()
    before, after = (np.abs(it.depth_m[scored] / truth_m[scored] - 1).mean() for it in (prediction, anchored))
    done = anchored.anchoring
    accepted = done.correction is not Correction.NONE
    return Row(before, after, accepted, done.error_after or np.nan, expected, seconds)


def main() -> None:
    """Score and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="base")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--split", default="all")
    parser.add_argument("--farthest-m", type=float, default=10.0, help="depths beyond are not scored")
    parser.add_argument("--cache", type=Path, help="folder for the predictions")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    found: dict[str, list[Row]] = {name: [] for name in SETTINGS}
    for number, (prediction, truth_m) in enumerate(predictions(arguments)):
        for name, (num, wrong) in SETTINGS.items():
            generator = np.random.default_rng((arguments.seed, number, num, round(100 * wrong)))
            row = score(prediction, truth_m, num, wrong, arguments.farthest_m, generator)
            found[name] += [row] if row else []
    print(table(found))


def table(found: dict[str, list[Row]]) -> str:
    """Markdown."""
    lines = ["| points | alone | with | share | accepted | worse | left out | expected | ms |", "|---" * 9 + "|"]
    for name, rows in found.items():
        before, after, accepted, left_out, expected, seconds = np.array(rows, float).T
        worse = (after > before)[accepted > 0].mean()
        lines.append(
            f"| {name} | {before.mean():.4f} | {after.mean():.4f} | {after.mean() / before.mean():.3f} "
            f"| {accepted.mean():.1%} | {worse:.1%} | {np.nanmean(left_out):.4f} | {np.nanmean(expected):.4f} "
            f"| {1000 * np.median(seconds):.0f} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
