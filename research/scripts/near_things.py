"""How well a model knows the metres of windows of a data set's pictures: the same things seen larger.

    python research/scripts/near_things.py base --data nyu-labelled --split official/train

Each window is shown as a longer lens would show it, whose focal length is known ("lens"), and as the usual lens would
show things so many times nearer ("nearer"; their depth is divided). Prints, as means over every N-th picture, abs_rel,
δ1, abs_rel once each picture's median is set right, and the median over pictures of how far they are taken to be.
Pictures that a model was trained on tell little of others.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from leadline.data.catalog import open_dataset
from leadline.data.sample import Sample
from leadline.data.splits import select
from leadline.data.transforms import zoom
from leadline.evaluation.alignment import median_scale
from leadline.evaluation.metrics import error_sums, metrics_from_sums, named
from leadline.models.checkpoint import load_model
from leadline.models.device import autocast
from leadline.models.model import DepthModel

TIMES = (1.6, 2.4, 4.0)
EVERY = 2


def views(sample: Sample) -> Iterator[tuple[str, Sample]]:
    """The whole picture, and its middle as a longer lens and as nearer things would show it."""
    yield "whole", sample
    height, width = sample.image.shape[-2:]
    for times in TIMES:
        top, left = round((height - height / times) / 2), round((width - width / times) / 2)
        nearer = zoom(sample, times, top, left, (height, width))
        enlarged = width / round(width / times)
        intrinsics = nearer.intrinsics * torch.tensor([[enlarged], [enlarged], [1.0]])
        yield f"lens {times:g}", nearer._replace(depth_m=nearer.depth_m * enlarged, intrinsics=intrinsics)
        yield f"nearer {times:g}", nearer


@torch.inference_mode()
def score(model: DepthModel, sample: Sample) -> Tensor:
    """abs_rel, δ1, abs_rel with the median set right, and the ratio of the medians."""
    truth_m, valid = sample.depth_m[None], sample.valid[None]
    with autocast(torch.device("cpu")):
        pred_m = model.estimate(sample.image[None], sample.intrinsics[None, 0, 0]).depth_m
    scale = median_scale(pred_m, truth_m, valid)
    plain, aligned = (
        named(metrics_from_sums(error_sums(pred, truth_m, valid))[0]) for pred in (pred_m, pred_m * scale)
    )
    return torch.tensor([plain["abs_rel"], plain["delta1"], aligned["abs_rel"], 1 / scale.item()])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--split", default="official/val")
    parser.add_argument("--every", type=int, default=EVERY)
    arguments = parser.parse_args()
    model, dataset = load_model(arguments.model).eval(), open_dataset(arguments.data)
    rows: dict[str, list[Tensor]] = {}
    for index in select(dataset, arguments.split)[:: arguments.every]:
        for view, sample in views(dataset[index]):
            rows.setdefault(view, []).append(score(model, sample))
    for view in rows:
        table = torch.stack(rows[view])
        (abs_rel, delta1, aligned, _), ratio = table.mean(0).tolist(), table[:, 3].median().item()
        print(f"{view:10} abs_rel {abs_rel:.4f}, δ1 {delta1:.4f}, aligned {aligned:.4f}, ratio {ratio:.2f}")


if __name__ == "__main__":
    main()
