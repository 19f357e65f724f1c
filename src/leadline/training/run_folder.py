"""What a training run leaves in its folder: numbers, curves, sheets, the best checkpoint, its state."""

import csv
import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from leadline._version import __version__
from leadline.data import PARTS, DepthDataset, Splits, select
from leadline.errors import LeadlineError
from leadline.io import atomic_file
from leadline.models import NO_WEIGHTS, find_checkpoint, read_config
from leadline.training.settings import RunSettings, write_settings

logger = logging.getLogger(__name__)

SETTINGS_FILE = "settings.toml"
METRICS_FILE = "metrics.csv"
LAST_STATE = Path("checkpoints") / "last.ckpt"
BEST = Path("checkpoints") / "best"


def read_rows(out: Path) -> list[dict[str, float]]:
    """The rows of a run's metrics.csv, one for each validated epoch; none where there is no such file yet."""
    if not (out / METRICS_FILE).is_file():
        return []
    with (out / METRICS_FILE).open(newline="", encoding="utf-8") as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]


def refuse_another_run(folder: Path, out: Path) -> None:
    """Keep a run from being written over.

    Args:
        folder: where it would be written.
        out: the run that it is a part of, which the message names.

    Raises:
        LeadlineError: if `folder` holds a run.
    """
    if (folder / SETTINGS_FILE).exists():
        raise LeadlineError(f"{out} already holds a run; continue it with --resume {out}, or choose another --out")


def write_run(out: Path, settings: RunSettings, data: Path, recipe: str, ids_of: Mapping[str, Sequence[str]]) -> None:
    """Write down what decides a run, before its first step.

    Args:
        out: folder of the run.
        settings: its settings.
        data: path of the data set.
        recipe: the recipe's name.
        ids_of: ids of the pictures of each part.
    """
    for part, ids in ids_of.items():
        with atomic_file(out / "splits" / f"{part}.txt") as temporary:
            temporary.write_text("".join(f"{name}\n" for name in ids), encoding="utf-8")
    record = {
        "leadline": __version__,
        "torch": torch.__version__,
        "recipe": recipe,
        "data": str(data.resolve()),
        "encoder_weights": encoder_origin(settings),
    }
    with atomic_file(out / "run.json") as temporary:
        temporary.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    # Last: where it is, all is there.
    write_settings(out / SETTINGS_FILE, settings)


def read_splits(out: Path, dataset: DepthDataset) -> Splits:
    """The pictures of each part as a run has written them down, whatever has come to the data set since.

    Raises:
        LeadlineError: if one is no longer there.
    """
    lists = {part: out / "splits" / f"{part}.txt" for part in PARTS}
    return {part: select(dataset, str(path)) if path.stat().st_size else [] for part, path in lists.items()}


class Interrupted(Exception):
    """Training was stopped by Ctrl-C; its state is saved."""


def encoder_origin(settings: RunSettings) -> str:
    """Where the encoder's weights are from, a file or a hub name; of what goes on from a model, where that had them.

    Raises:
        LeadlineError: if there is no such model.
    """
    weights = settings.model.encoder.weights
    if settings.init and weights == NO_WEIGHTS:
        record = read_config(find_checkpoint(settings.init)).get("record", {})
        weights = record.get("settings", {}).get("model", {}).get("encoder", {}).get("weights", NO_WEIGHTS)
    return Path(weights).name


def recorded_settings(settings: RunSettings, encoder_weights: str) -> dict[str, Any]:
    """Settings as a checkpoint remembers them: a file's name tells where weights are from, its path nothing."""
    recorded = settings.model_dump()
    recorded["model"]["encoder"]["weights"], recorded["init"] = encoder_weights, Path(settings.init).name
    return recorded
