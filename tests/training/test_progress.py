from types import SimpleNamespace
from typing import Any

import pytest

from leadline.training import progress
from leadline.training.progress import Clock, Place, Stage, TrainingProgress
from leadline.training.settings import RunSettings


def trainer(epoch: int, step: int, num_batches: int = 6, num_steps: int = 18) -> Any:
    return SimpleNamespace(
        current_epoch=epoch,
        global_step=step,
        num_training_batches=num_batches,
        num_val_batches=[2],
        estimated_stepping_batches=num_steps,
        is_global_zero=True,
        optimizers=[None],
    )


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time in seconds, to be set."""
    time = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: time[0])
    return time


def test_epochs_and_steps_count_from_1() -> None:
    assert str(Place.of(trainer(epoch=1, step=7))) == "step 7 of 18 in epoch 2 of 3"


def test_a_run_that_its_steps_end_has_as_many_epochs_as_it_begins() -> None:
    assert Place.of(trainer(epoch=0, step=6, num_steps=8)).num_epochs == 2


def test_after_the_last_step_it_is_still_the_last_epoch() -> None:
    assert Place.of(trainer(epoch=3, step=18)).epoch == 3


def test_time_left_is_that_of_the_steps_and_the_validations_to_come(now: list[float]) -> None:
    clock = Clock(first_step=4)  # a run that goes on within its first epoch
    now[0] += 4.0
    place = Place(1, 3, 6, 18)  # two steps in 4 s: 12 more take 24 s, each of 5 validation batches 2 s
    assert clock.seconds_left(place, num_validations=3, batches_each=5) == 24 + 3 * 10
    clock.start_validation()
    now[0] += 3.0
    clock.end_validation()
    assert clock.seconds_left(place, num_validations=2, batches_each=5) == 24 + 2 * 3


def test_without_a_terminal_a_line_a_minute_tells_it(now: list[float], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    rows: list[dict[str, float]] = [{"delta1": 0.5}, {"delta1": 0.75}, {"delta1": 0.25}]
    callback = TrainingProgress(rows, RunSettings(monitor="delta1"), show_bar=False)
    callback.on_train_start(trainer(epoch=0, step=0, num_steps=24), None)
    for step, seconds in ((1, 1.0), (2, 58.0), (3, 1.5)):
        now[0] += seconds
        callback.on_train_batch_end(trainer(0, step, num_steps=24), None, {"loss": 0.125}, None, step - 1)
    # 60.5 s for three steps: 21 more, and a validation of two batches
    assert caplog.messages == ["step 3 of 24 in epoch 1 of 4, 0:07:44 left, loss 0.1250, best δ1 0.7500"]


def settings(height: int, width: int, epochs: int, batch_size: int = 4, max_steps: int = -1) -> RunSettings:
    model, data = {"height": height, "width": width}, {"batch_size": batch_size}
    return RunSettings.model_validate(
        {"epochs": epochs, "max_steps": max_steps, "monitor": "delta1", "model": model, "data": data}
    )


OWN = settings(60, 80, epochs=4)


@pytest.mark.parametrize(
    ("later", "steps"),
    [
        (settings(60, 80, epochs=3), 18),  # 6 steps an epoch, each like one of these
        (settings(120, 80, epochs=3), 36),  # of twice the pixels
        (settings(60, 80, epochs=3, batch_size=8), 18),  # half as many, twice as long
        (settings(60, 80, epochs=3, max_steps=2), 2),
    ],
    ids=["alike", "larger", "larger batches", "cut short"],
)
def test_later_stages_count_by_their_pixels(later: RunSettings, steps: float) -> None:
    assert Stage(1, 3, [later]).steps_after(OWN, steps_an_epoch=6) == steps
    assert Stage(1, 3, [later, later]).steps_after(OWN, steps_an_epoch=6) == 2 * steps


def test_time_left_is_that_of_all_stages_to_come(now: list[float], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    stage = Stage(2, 9, [settings(120, 80, epochs=3), settings(60, 80, epochs=1)])
    callback = TrainingProgress([], OWN, show_bar=False, stage=stage)
    callback.on_train_start(trainer(epoch=0, step=0, num_steps=24), None)
    now[0] += 61.0
    callback.on_train_batch_end(trainer(0, 1, num_steps=24), None, {"loss": 0.125}, None, 0)
    # 61 s for a step: 23 more, then 36 + 6; of two steps each, 4 validations here, then 2 · 3 + 1
    assert 61 * (23 + 42 + 2 * (4 + 7)) == 5307
    assert caplog.messages == ["stage 2 of 9, step 1 of 24 in epoch 1 of 4, ~88 min left, loss 0.1250"]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(89.4, "89 s"), (90, "2 min"), (5399, "90 min"), (5400, "1.5 h"), (35_999, "10.0 h"), (43_000, "12 h")],
)
def test_a_guessed_time_has_no_more_digits_than_it_knows(seconds: float, words: str) -> None:
    assert progress._roughly(seconds) == words
