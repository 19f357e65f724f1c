"""How far a training has come: one line at the foot of a terminal, elsewhere a log line now and then."""

import logging
import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from math import ceil
from typing import TYPE_CHECKING, Any, NamedTuple

from pytorch_lightning import Trainer
from pytorch_lightning.callbacks import Callback

from leadline.evaluation import METRICS, ranking_value

if TYPE_CHECKING:
    from rich.progress import Progress

logger = logging.getLogger(__name__)

SECONDS_BETWEEN_LINES = 60.0


class Place(NamedTuple):
    """Where a training stands; epochs and steps count from 1."""

    epoch: int
    num_epochs: int
    step: int
    num_steps: int

    @classmethod
    def of(cls, trainer: Trainer) -> "Place":
        """The last step's place."""
        num_steps = int(trainer.estimated_stepping_batches)
        num_epochs = ceil(num_steps / max(1, int(trainer.num_training_batches)))
        return cls(min(trainer.current_epoch + 1, num_epochs), num_epochs, trainer.global_step, num_steps)

    @property
    def epoch_of(self) -> str:
        """Such as "epoch 2 of 3"."""
        return f"epoch {self.epoch} of {self.num_epochs}"

    def __str__(self) -> str:
        """Such as "step 7 of 18 in epoch 2 of 3"."""
        return f"step {self.step} of {self.num_steps} in {self.epoch_of}"


class Clock:
    """Tells how long a training will still take from the mean step and the mean validation since it was started."""

    def __init__(self, first_step: int) -> None:
        """Start before the step that follows `first_step`."""
        self._started, self._first_step = time.monotonic(), first_step
        self._validation_started, self._validation_s, self._num_validations = 0.0, 0.0, 0

    def start_validation(self) -> None:
        """A validation begins."""
        self._validation_started = time.monotonic()

    def end_validation(self) -> None:
        """A validation, and what is written after it, is over."""
        self._validation_s += time.monotonic() - self._validation_started
        self._num_validations += 1

    def seconds_left(self, place: Place, num_validations: int, batches_each: int) -> float:
        """Seconds that the rest of the run takes.

        Args:
            place: after at least one step.
            num_validations: how many are still to come.
            batches_each: batches of one, each taken to cost as much as a step until the first validation is over.
        """
        training_s = time.monotonic() - self._started - self._validation_s
        step_s = training_s / max(1, place.step - self._first_step)
        validation_s = self._validation_s / self._num_validations if self._num_validations else batches_each * step_s
        return (place.num_steps - place.step) * step_s + num_validations * validation_s


class TrainingProgress(Callback):
    """Tells epoch, step, time left, loss and the best validation so far."""

    def __init__(self, rows: Sequence[Mapping[str, float]], monitor: str, show_bar: bool) -> None:
        """Choose what to tell.

        Args:
            rows: the epochs' rows, which others add to.
            monitor: the metric that chooses the best.
            show_bar: draw a line at the foot of the terminal instead of logging lines.
        """
        self._rows, self._monitor, self._show_bar = rows, monitor, show_bar
        self._bar: Progress | None = None
        self._loss = ""
        self._last_line = time.monotonic()

    def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:
        """Start the clock and draw the line."""
        self._clock = Clock(trainer.global_step)
        if self._show_bar and trainer.is_global_zero:
            self._bar = _training_bar()
            self._bar.start()
            place = Place.of(trainer)
            self._bar.add_task("", total=place.num_steps, completed=place.step, **self._texts(place, "-:--:--"))

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Tell of a step."""
        self._loss = f"loss {float(outputs['loss']):.4f}"
        self._tell(trainer, self._loss)

    def on_validation_start(self, trainer: Trainer, pl_module: Any) -> None:
        """Time the validation."""
        if trainer.optimizers:
            self._clock.start_validation()

    def on_validation_batch_end(
        self, trainer: Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Tell of a batch that is scored."""
        if trainer.optimizers:
            self._tell(trainer, f"validation {batch_idx + 1}/{_num_batches(trainer)}")

    def on_validation_end(self, trainer: Trainer, pl_module: Any) -> None:
        """Tell of the best so far."""
        if trainer.optimizers:
            self._clock.end_validation()
            self._tell(trainer, self._loss)

    def on_train_end(self, trainer: Trainer, pl_module: Any) -> None:
        """Leave the line as it is."""
        self._stop()

    def on_exception(self, trainer: Trainer, pl_module: Any, exception: BaseException) -> None:
        """Wipe the line: what stopped the training is told instead."""
        if self._bar:
            self._bar.live.transient = True
        self._stop()

    def _stop(self) -> None:
        if self._bar:
            self._bar.stop()
            self._bar = None

    def _tell(self, trainer: Trainer, now: str) -> None:
        if not trainer.is_global_zero:
            return
        place = Place.of(trainer)
        if self._bar:
            texts = self._texts(place, self._left(trainer, place), now)
            self._bar.update(self._bar.task_ids[0], completed=place.step, **texts)
        elif not self._show_bar and time.monotonic() - self._last_line > SECONDS_BETWEEN_LINES:
            self._last_line = time.monotonic()
            told = [str(place), f"{self._left(trainer, place)} left", now, self._best()]
            logger.info("%s", ", ".join(filter(None, told)))

    def _texts(self, place: Place, left: str, now: str = "") -> dict[str, Any]:
        return {"epoch_of": place.epoch_of, "left": left, "now": now, "best": self._best()}

    def _left(self, trainer: Trainer, place: Place) -> str:
        num_validations = place.num_epochs - len(self._rows) if _num_batches(trainer) else 0
        seconds = self._clock.seconds_left(place, max(0, num_validations), _num_batches(trainer))
        return str(timedelta(seconds=round(seconds)))

    def _best(self) -> str:
        values = [row[self._monitor] for row in self._rows]
        if not values:
            return ""
        return f"best {METRICS[self._monitor].label} {max(values, key=lambda it: ranking_value(self._monitor, it)):.4f}"


def _num_batches(trainer: Trainer) -> int:
    """Batches of one validation."""
    return sum(int(number) for number in trainer.num_val_batches)


def _training_bar() -> "Progress":
    """One line on stderr, above which everything else that is printed goes."""
    import sys

    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    console = Console(stderr=True)
    console.width -= len("^C")  # which the terminal writes behind the line
    return Progress(
        TextColumn("{task.fields[epoch_of]}"),
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        TextColumn("{task.fields[left]} left"),
        TextColumn("{task.fields[now]}"),
        TextColumn("{task.fields[best]}"),
        console=console,
        expand=True,
        redirect_stdout=sys.stdout.isatty(),
    )
