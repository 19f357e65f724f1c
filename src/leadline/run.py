"""What a training run leaves in its folder: numbers, curves, sheets, the best checkpoint, its state."""

import csv
import json
import logging
import signal
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import nan
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from pytorch_lightning import Trainer
from pytorch_lightning.callbacks import Callback

from leadline import __version__
from leadline.card import model_card
from leadline.checkpoint import find_checkpoint, read_config, save_checkpoint
from leadline.data.sample import DepthDataset
from leadline.data.splits import PARTS, Splits, ids_digest, select
from leadline.errors import UserError
from leadline.figures import ScoredPicture, depth_sheet, learning_curves
from leadline.files import atomic_file
from leadline.metrics import goodness, named
from leadline.models.settings import NO_WEIGHTS
from leadline.settings import RunSettings, write_settings

logger = logging.getLogger(__name__)

SETTINGS_FILE = "settings.toml"
METRICS_FILE = "metrics.csv"
LAST_STATE = Path("checkpoints") / "last.ckpt"
BEST = Path("checkpoints") / "best"
NUM_SHEET_ROWS = 4
SECONDS_BETWEEN_LINES = 60.0


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
        UserError: if `folder` holds a run.
    """
    if (folder / SETTINGS_FILE).exists():
        raise UserError(f"{out} already holds a run; continue it with --resume {out}, or choose another --out")


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
        UserError: if one is no longer there.
    """
    lists = {part: out / "splits" / f"{part}.txt" for part in PARTS}
    return {part: select(dataset, str(path)) if path.stat().st_size else [] for part, path in lists.items()}


class Interrupted(Exception):
    """Training was stopped by Ctrl-C; its state is saved."""


class RunRecorder(Callback):
    """Writes the run's folder as training goes on."""

    def __init__(self, out: Path, dataset: DepthDataset, val_indices: list[int]) -> None:
        """Choose where to write, and which validation pictures the sheets show."""
        self._out = out
        step = max(1, len(val_indices) // NUM_SHEET_ROWS)
        self._dataset, self._shown = dataset, val_indices[::step][:NUM_SHEET_ROWS]
        self._rows: list[dict[str, float]] = []
        self._epoch_losses: list[float] = []
        self._stop_asked = self._has_stepped = False
        self._started = self._last_line = time.monotonic()
        self._old_handler: Any = None

    # What must outlive an interruption.

    def state_dict(self) -> dict[str, Any]:
        """Rows, and losses of the epoch, so far."""
        return {"rows": self._rows, "epoch_losses": self._epoch_losses}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Rows, and losses of the epoch, so far."""
        self._rows, self._epoch_losses = list(state_dict["rows"]), list(state_dict["epoch_losses"])

    # Stopping.

    @contextmanager
    def catching_interrupts(self) -> Iterator[None]:
        """Within the block, Ctrl-C asks to stop after the current step; outside it does what it did before.

        To be put around the trainer, which restores handlers of its own when it ends.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        self._old_handler = signal.signal(signal.SIGINT, self._ask_to_stop)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, self._old_handler)

    def on_train_batch_start(self, trainer: Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        """Between two steps all state agrees: here a run stops if it was asked to.

        Raises:
            Interrupted: if Ctrl-C was pressed.
        """
        # One that was asked is enough to stop them all.
        if trainer.strategy.reduce_boolean_decision(self._stop_asked, all=False):
            trainer.save_checkpoint(self._out / LAST_STATE)
            raise Interrupted(f"stopped after step {trainer.global_step}; continue with --resume {self._out}")

    def stop_if_asked(self) -> None:
        """After the last step, what would follow, another stage or another network, is kept from beginning.

        Raises:
            Interrupted: if Ctrl-C was pressed too late for a step to begin after it.
        """
        if self._stop_asked:
            raise Interrupted(f"stopped after the last step; continue with --resume {self._out}")

    def _ask_to_stop(self, signum: int, frame: Any) -> None:
        self._stop_asked = True
        signal.signal(signal.SIGINT, self._old_handler)
        logger.warning("finishing this step and saving; press Ctrl-C again to stop at once")

    # Numbers.

    def on_train_epoch_start(self, trainer: Trainer, pl_module: Any) -> None:
        """Start the epoch's clock."""
        self._started = self._last_line = time.monotonic()

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Keep the loss, and say now and then how far it is."""
        self._has_stepped = True
        loss = float(outputs["loss"])
        self._epoch_losses.append(loss)
        if trainer.is_global_zero and time.monotonic() - self._last_line > SECONDS_BETWEEN_LINES:
            self._last_line = time.monotonic()
            total = int(trainer.estimated_stepping_batches)
            logger.info("epoch %d, step %d of %d, loss %.4f", trainer.current_epoch, trainer.global_step, total, loss)

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: Any) -> None:
        """Write the epoch's row, curves and sheet, and keep the model if it is the best so far."""
        values = named(pl_module.metrics.compute()["per_image"])
        pl_module.metrics.reset()
        pl_module.log_dict({f"val/{name}": value for name, value in values.items()}, sync_dist=False)
        if not trainer.is_global_zero:
            return
        row = {
            "epoch": trainer.current_epoch,
            "step": trainer.global_step,
            "seconds": round(time.monotonic() - self._started, 1),
            # Neither is there where nothing is taught, as where runs are averaged.
            "learning_rate": trainer.optimizers[0].param_groups[0]["lr"] if trainer.optimizers else 0.0,
            "train_loss": fmean(self._epoch_losses) if self._epoch_losses else nan,
            **values,
        }
        self._rows.append(row)
        self._write_rows(pl_module)
        if trainer.optimizers:
            learning_curves(self._out / "curves.png", self._rows, pl_module.settings.monitor)
        self._write_sheet(pl_module, trainer.current_epoch)

    def on_validation_end(self, trainer: Trainer, pl_module: Any) -> None:
        """Say how the epoch went, or how well what was averaged does."""
        if trainer.is_global_zero:
            what = f"epoch {trainer.current_epoch}" if trainer.optimizers else "the mean"
            shown = ", ".join(f"{name} {self._rows[-1][name]:.4f}" for name in ("delta1", "abs_rel", "rms"))
            seconds = time.monotonic() - self._started
            logger.info("%s: validation %s (per image), %.0f s", what, shown, seconds)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: Any) -> None:
        """The next epoch's losses are another mean."""
        self._epoch_losses = []

    def finish(self, trainer: Trainer, pl_module: Any) -> Path:
        """The folder of the best checkpoint; without validation, that is the last step's."""
        best = self._out / BEST
        if self._rows or not trainer.is_global_zero or (best.exists() and not self._has_stepped):
            return best
        if not self._has_stepped and (self._out / LAST_STATE).exists():
            # Resumed after its last step: the module has the weights that go on, the state those that were averaged.
            state = trainer.strategy.load_checkpoint(self._out / LAST_STATE, weights_only=True)
            pl_module.load_state_dict(state["state_dict"])
        self._save_best(pl_module)
        return best

    def _write_rows(self, pl_module: Any) -> None:
        monitor = pl_module.settings.monitor
        scores = [goodness(monitor, row[monitor]) for row in self._rows]
        if scores[-1] >= max(scores):
            self._save_best(pl_module)
        with atomic_file(self._out / METRICS_FILE) as temporary, temporary.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(self._rows[0]))
            writer.writeheader()
            writer.writerows(self._rows)

    def _save_best(self, pl_module: Any) -> None:
        run = json.loads((self._out / "run.json").read_text(encoding="utf-8"))
        # A run of an older version has not written it down.
        encoder_weights = run.get("encoder_weights") or encoder_origin(pl_module.settings)
        record = {
            "recipe": run["recipe"],
            "data": Path(run["data"]).name,
            "data_ids": ids_digest(self._dataset),
            "settings": _recorded(pl_module.settings, encoder_weights),
            "validation": self._rows[-1] if self._rows else {},
        }
        save_checkpoint(self._out / BEST, pl_module.model, record, model_card(record))

    @torch.no_grad()
    def _write_sheet(self, pl_module: Any, epoch: int) -> None:
        rows = []
        for index in self._shown:
            sample = self._dataset[index]
            image, focal_px = (it[None].to(pl_module.device) for it in (sample.image, sample.intrinsics[0, 0]))
            pred_m = pl_module.model.estimate(image, focal_px).depth_m[0].float().cpu()
            rows.append(ScoredPicture(sample.id, sample.image, sample.depth_m, sample.valid, pred_m))
        depth_sheet(self._out / "validation" / f"epoch_{epoch:03d}.png", rows)


def encoder_origin(settings: RunSettings) -> str:
    """Where the encoder's weights are from, a file or a hub name; of what goes on from a model, where that had them.

    Raises:
        UserError: if there is no such model.
    """
    weights = settings.model.encoder.weights
    if settings.init and weights == NO_WEIGHTS:
        record = read_config(find_checkpoint(settings.init)).get("record", {})
        weights = record.get("settings", {}).get("model", {}).get("encoder", {}).get("weights", NO_WEIGHTS)
    return Path(weights).name


def _recorded(settings: RunSettings, encoder_weights: str) -> dict[str, Any]:
    """Settings as a checkpoint remembers them: a file's name tells where weights are from, its path nothing."""
    recorded = settings.model_dump()
    recorded["model"]["encoder"]["weights"], recorded["init"] = encoder_weights, Path(settings.init).name
    recorded["data"]["beside"] = [Path(path).name for path in settings.data.beside]
    return recorded
