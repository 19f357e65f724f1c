"""What is written while a training runs: its state when interrupted, its metrics, its best checkpoint."""

import csv
import logging
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from math import nan
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from pytorch_lightning import Trainer
from pytorch_lightning.callbacks import Callback

from leadline.data import DepthDataset, ids_digest
from leadline.errors import Interrupted, LeadlineError
from leadline.evaluation import METRICS, named, ranking_value
from leadline.io import atomic_file
from leadline.models import resize_depth, save_checkpoint
from leadline.reporting import ScoredPicture, depth_sheet, learning_curves
from leadline.training.model_card import model_card, stage_record
from leadline.training.progress import Place
from leadline.training.run import Run, encoder_origin
from leadline.training.settings import RunSettings

logger = logging.getLogger(__name__)

NUM_SHEET_ROWS = 4
LOGGED = ("delta1", "abs_rel", "rms")


class InterruptHandler(Callback):
    """Ctrl-C stops a run between two steps, its state saved."""

    def __init__(self, run: Run) -> None:
        """Choose the run whose state is saved."""
        self._run = run
        self._stop_asked = False
        self._old_handler: Any = None

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
            trainer.save_checkpoint(self._run.state_file)
            raise Interrupted(f"stopped after {Place.of(trainer)}", self._run.how_to_resume())

    def stop_if_asked(self) -> None:
        """After the last step, what would follow, another stage or another network, is kept from beginning.

        Raises:
            Interrupted: if Ctrl-C was pressed too late for a step to begin after it.
        """
        if self._stop_asked:
            raise Interrupted("stopped after the last step", self._run.how_to_resume())

    def _ask_to_stop(self, signum: int, frame: Any) -> None:
        self._stop_asked = True
        signal.signal(signal.SIGINT, self._old_handler)
        logger.warning("finishing this step and saving; press Ctrl-C again to stop at once")


class MetricsRecorder(Callback):
    """Each validated epoch becomes a row of metrics.csv, a point of the curves and a sheet of pictures.

    Attributes:
        rows: the epochs' rows so far.
    """

    def __init__(self, run: Run, dataset: DepthDataset, val_indices: list[int]) -> None:
        """Choose where to write, and which validation pictures the sheets show."""
        step = max(1, len(val_indices) // NUM_SHEET_ROWS)
        self._run, self._dataset, self._shown = run, dataset, val_indices[::step][:NUM_SHEET_ROWS]
        self.rows: list[dict[str, float]] = []
        self._epoch_losses: list[float] = []
        self._started = time.monotonic()

    @property
    def state_key(self) -> str:
        """The name under which states of runs hold this; older ones are resumed by it too."""
        return "RunRecorder"

    def state_dict(self) -> dict[str, Any]:
        """Rows, and losses of the epoch, so far: what must outlive an interruption."""
        return {"rows": self.rows, "epoch_losses": self._epoch_losses}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue with the rows, and the losses of the epoch, of the interrupted run."""
        rows = list(state_dict["rows"])
        from_0 = bool(rows) and rows[0]["epoch"] == 0  # as older versions counted
        self.rows[:] = [{**row, "epoch": row["epoch"] + from_0} for row in rows]
        self._epoch_losses = list(state_dict["epoch_losses"])

    def on_train_epoch_start(self, trainer: Trainer, pl_module: Any) -> None:
        """Start the epoch's clock."""
        self._started = time.monotonic()

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Keep the loss."""
        self._epoch_losses.append(float(outputs["loss"]))

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: Any) -> None:
        """Write the epoch's row, curves and sheet."""
        values = named(pl_module.metrics.compute()["per_image"])
        pl_module.metrics.reset()
        pl_module.log_dict({f"val/{name}": value for name, value in values.items()}, sync_dist=False)
        if not trainer.is_global_zero:
            return
        row = {
            "epoch": trainer.current_epoch + 1,
            "step": trainer.global_step,
            "seconds": round(time.monotonic() - self._started, 1),
            # Neither is there where nothing is trained, as where weights are averaged.
            "learning_rate": trainer.optimizers[0].param_groups[0]["lr"] if trainer.optimizers else 0.0,
            "train_loss": fmean(self._epoch_losses) if self._epoch_losses else nan,
            **values,
        }
        self.rows.append(row)
        with atomic_file(self._run.metrics_file) as temporary, temporary.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(row))
            writer.writeheader()
            writer.writerows(self.rows)
        if trainer.optimizers:
            learning_curves(self._run.curves_file, self.rows, pl_module.settings.monitor)
        title = f"{self._run.folder.name}: validation of epoch {row['epoch']}"
        shown = _predicted(pl_module, self._dataset, self._shown)
        depth_sheet(self._run.sheet_file(int(row["epoch"])), shown, title)

    def on_validation_end(self, trainer: Trainer, pl_module: Any) -> None:
        """Log how well the epoch, or the average of weights, does."""
        if trainer.is_global_zero:
            what = Place.of(trainer).epoch_of if trainer.optimizers else "the weight average"
            shown = ", ".join(f"{METRICS[name].label} {self.rows[-1][name]:.4f}" for name in LOGGED)
            seconds = time.monotonic() - self._started
            logger.info("%s, %.0f s: validation %s m", what, seconds, shown)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: Any) -> None:
        """The next epoch's losses are another mean."""
        self._epoch_losses = []


@torch.no_grad()
def _predicted(pl_module: Any, dataset: DepthDataset, indices: list[int]) -> list[ScoredPicture]:
    """The rows of a sheet: samples and what the model predicts for them, at their own size and focal length."""
    rows = []
    for index in indices:
        sample = dataset[index]
        image, focal_px = (it[None].to(pl_module.device) for it in (sample.image, sample.intrinsics[0, 0]))
        pred_m = resize_depth(pl_module.model.estimate(image, focal_px).depth_m, *sample.depth_m.shape[-2:])
        pred_m = pred_m[0].float().cpu()
        rows.append(ScoredPicture(sample.id, sample.image, sample.depth_m, sample.valid, pred_m))
    return rows


class BestCheckpoint(Callback):
    """Keeps the model of the best epoch; without validation, of the last step."""

    def __init__(self, run: Run, dataset: DepthDataset, metrics: MetricsRecorder) -> None:
        """Choose where to keep it, and whose rows tell the best; that callback stands before this one."""
        self._run, self._dataset, self._metrics = run, dataset, metrics
        self._has_stepped = False
        self._num_lost = 0  # epochs whose best checkpoint is gone

    def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:
        """Where a resumed run's best checkpoint is gone, the best of what is still to come is kept, which is said."""
        if self._metrics.rows and not self._run.best.is_dir():
            self._num_lost = len(self._metrics.rows)
            message = "%s is gone: the best epoch from here on is kept, not that of the %d before"
            logger.warning(message, self._run.best, self._num_lost)

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Remember that there are newer weights than those that are kept."""
        self._has_stepped = True

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: Any) -> None:
        """Keep the model if no epoch before was better."""
        if not trainer.is_global_zero:
            return
        if self._last_is_best(pl_module):
            self._save(trainer, pl_module)

    def _last_is_best(self, pl_module: Any) -> bool:
        """Whether no validated epoch was better than the last, those aside whose checkpoint is gone."""
        monitor = pl_module.settings.monitor
        scores = [ranking_value(monitor, row[monitor]) for row in self._metrics.rows[self._num_lost :]]
        return scores[-1] >= max(scores)

    def finish(self, trainer: Trainer, pl_module: Any) -> Path:
        """The folder of the best checkpoint; without validation, or if it is gone and the state has it, written here.

        Raises:
            LeadlineError: if it is gone and the state has other weights.
        """
        best = self._run.best
        if not trainer.is_global_zero or (best.exists() and (self._metrics.rows or not self._has_stepped)):
            return best
        if self._metrics.rows and (self._has_stepped or not self._last_is_best(pl_module)):
            raise LeadlineError(
                f"{best} is gone, and the state of the run holds its last epoch, not its best: train again, or put "
                f"the checkpoint back"
            )
        if not self._has_stepped and self._run.state_file.exists():
            # Resumed after its last step: the module has the weights that go on, the state those that were averaged.
            state = trainer.strategy.load_checkpoint(self._run.state_file, weights_only=True)
            pl_module.load_state_dict(state["state_dict"])
        self._save(trainer, pl_module)
        return best

    def _save(self, trainer: Trainer, pl_module: Any) -> None:
        run, settings = self._run.read_record(), pl_module.settings
        # A run of an older version has not written it down.
        encoder_weights = run.get("encoder_weights") or encoder_origin(settings)
        record = {
            "recipe": run["recipe"],
            "data": Path(run["data"]).name,
            "data_ids": ids_digest(self._dataset),
            "settings": _without_paths(settings, encoder_weights),
            "validation": self._metrics.rows[-1] if self._metrics.rows else {},
        }
        if trainer.optimizers:  # otherwise several trained models were averaged
            record["trained"] = Place.of(trainer)._asdict()
        plan = self._run.read_plan()
        if plan and len(plan.stages) > 1:
            record["stages"] = [stage_record(stage) for stage in plan.stages]
        save_checkpoint(self._run.best, pl_module.model, record, model_card(record))


def _without_paths(settings: RunSettings, encoder_weights: str) -> dict[str, Any]:
    """Settings as a checkpoint remembers them: a file's name tells where weights are from, its path nothing."""
    recorded = settings.model_dump()
    recorded["model"]["encoder"]["weights"], recorded["init"] = encoder_weights, Path(settings.init).name
    recorded["data"]["beside"] = [Path(path).name for path in settings.data.beside]
    return recorded
