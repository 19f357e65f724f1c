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
from leadline.training.settings import RunSettings

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


class Stage(NamedTuple):
    """Which of a run's stages is trained, and what comes after it."""

    number: int = 1
    num_stages: int = 1
    later: Sequence[RunSettings] = ()
    """Settings of the trainings that follow: repeats one by one."""

    def __str__(self) -> str:
        """Such as "stage 2 of 9"; empty where there is one."""
        return f"stage {self.number} of {self.num_stages}" if self.num_stages > 1 else ""

    def steps_after(self, settings: RunSettings, steps_an_epoch: int) -> float:
        """What is trained later, in steps of this stage: a step with twice the pixels counts twice.

        Args:
            settings: this stage's.
            steps_an_epoch: this stage's; later ones are taken to have as many pictures.
        """
        return sum(_num_steps(it, settings, steps_an_epoch) * _pixels(it) / _pixels(settings) for it in self.later)

    def validations_after(self, settings: RunSettings) -> float:
        """What is validated later, in validations of this stage."""
        return sum(it.epochs * _area(it) / _area(settings) for it in self.later)


ALONE = Stage()


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

    def seconds_left(self, place: Place, num_validations: float, batches_each: int, steps_after: float = 0.0) -> float:
        """Seconds that the rest of the run takes.

        Args:
            place: after at least one step.
            num_validations: how many are still to come.
            batches_each: batches of one, each taken to cost as much as a step until the first validation is over.
            steps_after: how many steps follow the training's own, in later stages.
        """
        training_s = time.monotonic() - self._started - self._validation_s
        step_s = training_s / max(1, place.step - self._first_step)
        validation_s = self._validation_s / self._num_validations if self._num_validations else batches_each * step_s
        return (place.num_steps - place.step + steps_after) * step_s + num_validations * validation_s


class TrainingProgress(Callback):
    """Tells stage, epoch, step, the time that the whole run still takes, loss and the best validation so far."""

    def __init__(
        self,
        rows: Sequence[Mapping[str, float]],
        settings: RunSettings,
        show_bar: bool,
        stage: Stage = ALONE,
    ) -> None:
        """Choose what to tell.

        Args:
            rows: the epochs' rows, which others add to.
            settings: the training's, of which the monitored metric chooses the best.
            show_bar: draw a line at the foot of the terminal instead of logging lines.
            stage: which of the run's it is.
        """
        self._rows, self._settings, self._show_bar, self._stage = rows, settings, show_bar, stage
        self._monitor = settings.monitor
        self._bar: Progress | None = None
        self._loss = ""
        self._last_line = time.monotonic()

    def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:
        """Start the clock and draw the line."""
        self._clock = Clock(trainer.global_step)
        if self._show_bar and trainer.is_global_zero:
            self._bar = _training_bar(has_stages=bool(str(self._stage)))
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
            told = [str(self._stage), str(place), f"{self._left(trainer, place)} left", now, self._best()]
            logger.info("%s", ", ".join(filter(None, told)))

    def _texts(self, place: Place, left: str, now: str = "") -> dict[str, Any]:
        epoch_of = place.epoch_of
        if str(self._stage):  # both in 80 columns
            epoch_of = f"{self._stage}, {epoch_of}".replace(" of ", "/")
        return {"epoch_of": epoch_of, "left": left, "now": now, "best": self._best()}

    def _left(self, trainer: Trainer, place: Place) -> str:
        batches_each = _num_batches(trainer)
        num_validations = max(0, place.num_epochs - len(self._rows)) + self._stage.validations_after(self._settings)
        steps_after = self._stage.steps_after(self._settings, int(trainer.num_training_batches))
        seconds = self._clock.seconds_left(place, num_validations if batches_each else 0, batches_each, steps_after)
        return f"~{_roughly(seconds)}" if self._stage.later else str(timedelta(seconds=round(seconds)))

    def _best(self) -> str:
        values = [row[self._monitor] for row in self._rows]
        if not values:
            return ""
        return f"best {METRICS[self._monitor].label} {max(values, key=lambda it: ranking_value(self._monitor, it)):.4f}"


def _area(settings: RunSettings) -> int:
    return settings.model.height * settings.model.width


def _pixels(settings: RunSettings) -> int:
    """Of one step."""
    return _area(settings) * settings.data.batch_size


def _num_steps(later: RunSettings, settings: RunSettings, steps_an_epoch: int) -> int:
    """Steps of a later training, with as many pictures as one that has so many steps an epoch."""
    num_steps = later.epochs * max(1, steps_an_epoch * settings.data.batch_size // later.data.batch_size)
    return num_steps if later.max_steps < 0 else min(num_steps, later.max_steps)


def _num_batches(trainer: Trainer) -> int:
    """Batches of one validation."""
    return sum(int(number) for number in trainer.num_val_batches)


def _roughly(seconds: float) -> str:
    """A time that is estimated, such as "1.5 h"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.{int(seconds < 36_000)}f} h"


def _training_bar(has_stages: bool) -> "Progress":
    """One line on stderr, above which everything else that is printed goes."""
    import sys

    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    console = Console(stderr=True)
    console.width -= len("^C")  # which the terminal writes behind the line
    has_room = console.width >= 100 or not has_stages  # for the steps' numbers, beside the bar that shows them
    return Progress(
        TextColumn("{task.fields[epoch_of]}"),
        BarColumn(bar_width=None),
        *([MofNCompleteColumn()] if has_room else []),
        TextColumn("{task.fields[left]} left"),
        TextColumn("{task.fields[now]}"),
        TextColumn("{task.fields[best]}"),
        console=console,
        expand=True,
        redirect_stdout=sys.stdout.isatty(),
    )
