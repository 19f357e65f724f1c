import csv
import json
import signal
from concurrent.futures import ThreadPoolExecutor
from math import nan
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from leadline.data.synthetic.dataset import SyntheticDataset
from leadline.errors import Interrupted
from leadline.evaluation.metrics import METRICS
from leadline.models.heads import Estimate
from leadline.reporting.figures import ScoredPicture
from leadline.training import callbacks
from leadline.training.callbacks import BestCheckpoint, InterruptHandler, MetricsRecorder
from leadline.training.run import Run
from leadline.training.settings import RunSettings

NUM = 9
DATASET = SyntheticDataset(NUM, 0, 24, 32)


class Model(torch.nn.Module):
    """Answers with a metre everywhere, whatever the camera, which it must be told of."""

    def estimate(self, image: torch.Tensor, focal_px: torch.Tensor) -> Estimate:
        assert focal_px.shape == image.shape[:1] and focal_px > 1
        return Estimate(torch.ones_like(image[:, :1]), None)


class Metrics:
    """Gives the values that it is told to; every other metric is 0.5."""

    def __init__(self, **values: float) -> None:
        self.values, self.num_resets = values, 0

    def compute(self) -> dict[str, torch.Tensor]:
        row = torch.tensor([self.values.get(name, 0.5) for name in METRICS], dtype=torch.float64)
        return {"per_image": row, "pooled": row * 0}

    def reset(self) -> None:
        self.num_resets += 1


def module(monitor: str = "abs_rel", **values: float) -> Any:
    settings = RunSettings(monitor=monitor)
    return SimpleNamespace(
        model=Model(),
        settings=settings,
        metrics=Metrics(**values),
        device=torch.device("cpu"),
        log_dict=lambda values, **kwargs: None,
    )


def trainer(epoch: int = 0, is_global_zero: bool = True) -> Any:
    return SimpleNamespace(
        current_epoch=epoch,
        global_step=10 * (epoch + 1),
        estimated_stepping_batches=60,
        num_training_batches=10,
        is_global_zero=is_global_zero,
        optimizers=[SimpleNamespace(param_groups=[{"lr": 0.25}])],
        saved=[],
        strategy=SimpleNamespace(reduce_boolean_decision=lambda decision, all: decision),
    )


@pytest.fixture
def saved(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The records of the checkpoints that would be saved; figures are not drawn."""
    records: list[dict[str, Any]] = []

    def save(folder: Path, model: object, record: dict[str, Any], card: str) -> None:
        assert folder == Run(folder.parents[1]).best and record["settings"]["monitor"] in METRICS
        records.append(record)

    monkeypatch.setattr(callbacks, "save_checkpoint", save)
    monkeypatch.setattr(callbacks, "learning_curves", lambda path, rows, monitor: None)
    monkeypatch.setattr(callbacks, "depth_sheet", lambda path, rows, title: None)
    return records


class Callbacks:
    """The two that follow each validation, called one after the other as a trainer does."""

    def __init__(self, out: Path, val_indices: list[int] | None = None) -> None:
        (out / "run.json").write_text(json.dumps({"recipe": "mine", "data": "/some/where/rooms"}))
        indices = list(range(NUM)) if val_indices is None else val_indices
        self.metrics = MetricsRecorder(Run(out), DATASET, indices)
        self.best = BestCheckpoint(Run(out), DATASET, self.metrics)

    def step(self, *losses: float) -> None:
        for loss in losses:
            for callback in (self.metrics, self.best):
                callback.on_train_batch_end(trainer(), module(), {"loss": torch.tensor(loss)}, None, 0)

    def end_epoch(self, trainer: Any, module: Any) -> None:
        for callback in (self.metrics, self.best):
            callback.on_validation_epoch_end(trainer, module)
        self.metrics.on_train_epoch_end(trainer, module)

    def validate(self, values: list[float], monitor: str = "abs_rel", first: int = 0) -> None:
        for epoch, value in enumerate(values, start=first):
            self.end_epoch(trainer(epoch), module(monitor, **{monitor: value}))


def kept_epochs(saved: list[dict[str, Any]]) -> list[int]:
    return [record["validation"]["epoch"] for record in saved]


# Numbers


def test_every_validation_adds_a_row(tmp_path: Path, saved: list[dict[str, Any]]) -> None:
    called, scored = Callbacks(tmp_path), module(abs_rel=0.25, delta1=0.75)
    for epoch, losses in enumerate([(3.0, 1.0), (0.5,)]):
        called.step(*losses)
        called.end_epoch(trainer(epoch), scored)
    with (tmp_path / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["epoch", "step", "seconds", "learning_rate", "train_loss", *METRICS]
    assert [row["epoch"] for row in rows] == ["1", "2"] and [row["step"] for row in rows] == ["10", "20"]
    assert [float(row["train_loss"]) for row in rows] == [2.0, 0.5]  # the mean of each epoch
    numbers = [float(rows[0][name]) for name in ("abs_rel", "delta1", "rms", "learning_rate")]
    assert numbers == [0.25, 0.75, 0.5, 0.25]
    assert scored.metrics.num_resets == 2


def test_only_the_first_process_writes(tmp_path: Path, saved: list[dict[str, Any]]) -> None:
    scored = module()
    Callbacks(tmp_path).end_epoch(trainer(is_global_zero=False), scored)
    assert scored.metrics.num_resets == 1 and not saved
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]


# The best


@pytest.mark.parametrize(
    ("monitor", "values", "kept"),
    [
        ("abs_rel", [0.5, 0.3, 0.4, 0.3, 0.2], [1, 2, 4, 5]),
        ("delta1", [0.5, 0.3, 0.4, 0.5, 0.6], [1, 4, 5]),
        ("abs_rel", [0.5, nan, 0.4], [1, 3]),
    ],
)
def test_an_epoch_is_kept_if_none_before_was_better(
    tmp_path: Path, saved: list[dict[str, Any]], monitor: str, values: list[float], kept: list[int]
) -> None:
    Callbacks(tmp_path).validate(values, monitor)
    assert kept_epochs(saved) == kept


def test_a_first_epoch_without_a_number_does_not_bar_the_later_ones(
    tmp_path: Path, saved: list[dict[str, Any]]
) -> None:
    Callbacks(tmp_path).validate([nan, 0.4, 0.3])
    assert kept_epochs(saved)[-2:] == [2, 3]


def test_a_resumed_run_goes_on_with_its_rows(tmp_path: Path, saved: list[dict[str, Any]]) -> None:
    before, after = Callbacks(tmp_path), Callbacks(tmp_path)
    before.validate([0.5, 0.3])
    before.step(1.0, 2.0)
    after.metrics.load_state_dict(before.metrics.state_dict())
    after.step(6.0)
    after.validate([0.4, 0.2], first=2)
    assert kept_epochs(saved) == [1, 2, 4]
    with (tmp_path / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["abs_rel"] for row in rows] == ["0.5", "0.3", "0.4", "0.2"]
    assert float(rows[2]["train_loss"]) == 3.0  # over the whole epoch, before and after


def test_the_record_names_recipe_and_data_but_no_folder_of_this_machine(
    tmp_path: Path, saved: list[dict[str, Any]]
) -> None:
    Callbacks(tmp_path).validate([0.5])
    assert (saved[0]["recipe"], saved[0]["data"]) == ("mine", "rooms")
    assert "/some/where" not in json.dumps(saved[0])


def test_without_validation_the_last_step_is_kept(tmp_path: Path, saved: list[dict[str, Any]]) -> None:
    called = Callbacks(tmp_path)
    called.step(1.0)
    assert called.best.finish(trainer(), module()) == Run(tmp_path).best
    assert [record["validation"] for record in saved] == [{}]


def test_only_the_first_process_keeps_the_last_step(tmp_path: Path, saved: list[dict[str, Any]]) -> None:
    called = Callbacks(tmp_path)
    called.step(1.0)
    assert called.best.finish(trainer(is_global_zero=False), module()) == Run(tmp_path).best
    assert not saved


def test_rows_of_an_older_version_which_counted_from_0_are_counted_from_1(tmp_path: Path) -> None:
    recorder = Callbacks(tmp_path).metrics
    recorder.load_state_dict({"rows": [{"epoch": 0, "rms": 0.5}, {"epoch": 1, "rms": 0.4}], "epoch_losses": []})
    assert recorder.rows == [{"epoch": 1, "rms": 0.5}, {"epoch": 2, "rms": 0.4}]


def test_with_validation_the_best_stays(tmp_path: Path, saved: list[dict[str, Any]]) -> None:
    called = Callbacks(tmp_path)
    called.validate([0.3, 0.5])
    Run(tmp_path).best.mkdir(parents=True)
    assert called.best.finish(trainer(), module()) == Run(tmp_path).best
    assert kept_epochs(saved) == [1]


# Sheets


@pytest.mark.parametrize(
    ("indices", "shown"),
    [
        ([1, 5, 7], ["00002", "00006", "00008"]),
        ([0, 1, 2, 3, 4, 5, 6, 7, 8], ["00001", "00003", "00005", "00007"]),
        ([], []),
    ],
)
def test_a_sheet_shows_a_few_pictures_spread_over_the_validation(
    tmp_path: Path,
    saved: list[dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
    indices: list[int],
    shown: list[str],
) -> None:
    sheets: list[tuple[Path, list[ScoredPicture]]] = []
    monkeypatch.setattr(callbacks, "depth_sheet", lambda path, rows, title: sheets.append((path, rows)))
    Callbacks(tmp_path, indices).validate([0.5], first=3)
    ((path, rows),) = sheets
    assert path == tmp_path / "validation" / "epoch_004.png"
    assert [row.title for row in rows] == shown
    assert all(row.pred_m.shape == (1, 24, 32) and torch.equal(row.pred_m, torch.ones(1, 24, 32)) for row in rows)


# Stopping


def test_a_run_that_was_asked_to_stop_saves_its_state_between_two_steps(tmp_path: Path) -> None:
    handler, training = InterruptHandler(Run(tmp_path)), trainer(4)
    training.save_checkpoint = training.saved.append
    outer = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores Ctrl-C
    before = signal.getsignal(signal.SIGINT)
    with handler.catching_interrupts():
        handler.on_train_batch_start(training, module(), None, 0)
        assert not training.saved
        signal.raise_signal(signal.SIGINT)  # the first is only remembered
        with pytest.raises(
            Interrupted, match=f"stopped after step 50 of 60 in epoch 5 of 6; continue with --resume {tmp_path}"
        ):
            handler.on_train_batch_start(training, module(), None, 1)
        assert training.saved == [Run(tmp_path).state_file]
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)  # the second stops at once
    assert signal.getsignal(signal.SIGINT) is before
    signal.signal(signal.SIGINT, outer)


def test_ctrl_c_is_given_back_whatever_happens(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(ValueError, match="broken"), InterruptHandler(Run(tmp_path)).catching_interrupts():
        assert signal.getsignal(signal.SIGINT) is not before
        raise ValueError("broken")
    assert signal.getsignal(signal.SIGINT) is before


def test_outside_the_main_thread_ctrl_c_is_left_alone(tmp_path: Path) -> None:
    def handler_within() -> object:
        with InterruptHandler(Run(tmp_path)).catching_interrupts():
            return signal.getsignal(signal.SIGINT)

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(handler_within).result() is signal.getsignal(signal.SIGINT)
