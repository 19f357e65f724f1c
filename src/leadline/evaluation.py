"""Evaluation: a model, pictures and a protocol become a report with both averagings and a row for each picture."""

import csv
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader
from tqdm import tqdm

from leadline.checkpoint import load_model
from leadline.data import open_dataset
from leadline.data.module import IndexedSamples, collate_indexed
from leadline.data.sample import Batch, DepthDataset
from leadline.data.splits import select
from leadline.device import autocast, pick_device
from leadline.files import atomic_file
from leadline.metrics import METRICS, DepthMetrics, metrics_from_sums, named
from leadline.models.model import DepthModel
from leadline.protocols import Protocol, clamp_prediction, get_protocol, scored_pixels


@dataclass(frozen=True, kw_only=True)
class Report:
    """The result of an evaluation."""

    model: str
    data: str
    split: str
    protocol: str
    ids: list[str]
    indices: list[int]
    sums: Tensor
    """`metrics.error_sums` of every picture, float64 (N, 10)."""

    @property
    def per_image(self) -> dict[str, float]:
        """Mean over the pictures that have a scored pixel."""
        return named(metrics_from_sums(self.sums[self.sums[:, 0] > 0]).mean(0))

    @property
    def pooled(self) -> dict[str, float]:
        """Over all scored pixels."""
        return named(metrics_from_sums(self.sums.sum(0)))

    def rows(self) -> list[dict[str, float]]:
        """The metrics of each picture, in the order of `ids`."""
        return [named(row) for row in metrics_from_sums(self.sums)]

    def to_json(self) -> dict[str, Any]:
        """What `metrics.json` holds."""
        return {
            "model": self.model,
            "data": self.data,
            "split": self.split,
            "protocol": self.protocol,
            "num_images": len(self.ids),
            "per_image": self.per_image,
            "pooled": self.pooled,
        }

    def save(self, out: Path) -> None:
        """Write `metrics.json` and `per_image.csv` into a folder."""
        with atomic_file(out / "metrics.json") as temporary:
            temporary.write_text(json.dumps(self.to_json(), indent=2) + "\n", encoding="utf-8")
        with atomic_file(out / "per_image.csv") as temporary, temporary.open("w", newline="") as file:
            writer = csv.DictWriter(file, ["id", *METRICS])
            writer.writeheader()
            writer.writerows({"id": name, **row} for name, row in zip(self.ids, self.rows(), strict=True))


def evaluate(
    model: str | Path = "default",
    *,
    data: str | Path,
    split: str = "official/test",
    protocol: str = "nyu-eigen",
    show_progress: bool = False,
) -> Report:
    """Score a model.

    Args:
        model: "default", the name of a bundled model, a checkpoint's folder, or a run's.
        data: path of the data set.
        split: "all", RULE/PART such as "official/test" or "report/test", or a text file of ids.
        protocol: name of a protocol; see `leadline.protocols.PROTOCOLS`.
        show_progress: draw a progress bar.

    Returns:
        The report.

    Raises:
        UserError: if model, data, split or protocol is unknown, a file is broken, or the protocol does not fit.
    """
    return evaluate_protocols(model, data=data, split=split, protocols=[protocol], show_progress=show_progress)[0]


def evaluate_protocols(
    model: str | Path, *, data: str | Path, split: str, protocols: Sequence[str], show_progress: bool = False
) -> list[Report]:
    """Score a model under several protocols, predicting each picture only once for all that treat it alike.

    Args:
        model: as `evaluate`.
        data: as `evaluate`.
        split: as `evaluate`.
        protocols: names of protocols.
        show_progress: draw a progress bar.

    Returns:
        A report for each protocol, in their order.

    Raises:
        UserError: as `evaluate`.
    """
    rules = [get_protocol(name) for name in protocols]
    dataset = open_dataset(Path(data))
    network = load_model(model).to(pick_device())
    progress = partial(tqdm, desc="evaluate", unit="picture", disable=not show_progress)

    def predict(batch: Batch, flip: bool) -> Tensor:
        return _predict(network, batch, flip)

    return score(predict, str(model), Path(data), dataset, split, rules, progress)


def score(
    predict: Callable[[Batch, bool], Tensor],
    name: str,
    data: Path,
    dataset: DepthDataset,
    split: str,
    protocols: Sequence[Protocol],
    progress: Callable[[Iterable[Any]], Iterable[Any]] = iter,
) -> list[Report]:
    """Score anything that answers depth.

    Args:
        predict: from a batch, and whether to average with the mirrored picture, to metres (B, 1, H, W).
        name: what it is called in the reports.
        data: path of the data set, for the reports.
        dataset: the data set.
        split: as `evaluate`.
        protocols: the rules.
        progress: wraps the loader.

    Returns:
        A report for each protocol, in their order.

    Raises:
        UserError: if the split is unknown, a file is broken, or a protocol does not fit.
    """
    metrics = [DepthMetrics() for _ in protocols]
    loader = DataLoader(IndexedSamples(dataset, select(dataset, split)), collate_fn=collate_indexed, num_workers=1)
    for index, batch in progress(loader):
        predictions = {flip: predict(batch, flip) for flip in {rules.flip for rules in protocols}}
        for rules, metric in zip(protocols, metrics, strict=True):
            pred_m = clamp_prediction(rules, predictions[rules.flip])
            metric.update(pred_m, batch.depth_m, scored_pixels(rules, batch.depth_m, batch.valid), index)
    ids = dataset.ids
    reports = []
    for rules, metric in zip(protocols, metrics, strict=True):
        order, sums = metric.sums()
        reports.append(
            Report(
                model=name,
                data=data.resolve().name,
                split=split,
                protocol=rules.name,
                ids=[ids[index] for index in order.tolist()],
                indices=order.tolist(),
                sums=sums,
            )
        )
    return reports


def predict_batch(model: DepthModel, batch: Batch, protocol: Protocol) -> Tensor:
    """Predict as the protocol wants it: at the truth's size, mirrored or not, clamped.

    Where the data set knows the pictures' focal length, the metres are those of that camera.

    Args:
        model: the model, on its device.
        batch: the pictures.
        protocol: how predictions are treated.

    Returns:
        Metres on the CPU, float32 (B, 1, H, W).
    """
    return clamp_prediction(protocol, _predict(model, batch, protocol.flip))


@torch.inference_mode()
def _predict(model: DepthModel, batch: Batch, flip: bool) -> Tensor:
    device = model.mean.device
    image = batch.image.to(device)
    with autocast(device):
        pred_m = model(image)
        if flip:
            pred_m = (pred_m + model(image.flip(-1)).flip(-1)) / 2
    scale = model.focal_scale(batch.intrinsics[:, 0, 0], *image.shape[-2:])
    scaled: Tensor = pred_m.cpu() * scale.view(-1, 1, 1, 1)
    return scaled
