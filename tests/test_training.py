import csv
import signal
from pathlib import Path

import pytest
import torch
from pytorch_lightning import Trainer
from safetensors.torch import load_file

from leadline.checkpoint import load_model, read_config, save_checkpoint
from leadline.data.sample import Batch
from leadline.errors import UserError
from leadline.models import PlainSettings, build_model
from leadline.models.heads import ERROR_LAYER
from leadline.models.model import DepthModel
from leadline.run import LAST_STATE, Interrupted, RunRecorder
from leadline.settings import RunSettings
from leadline.training import DepthTraining, resume, train


@pytest.fixture
def no_drawing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures have tests of their own and take most of a tiny run's time."""
    monkeypatch.setattr("leadline.run.depth_sheet", lambda path, rows: None)
    monkeypatch.setattr("leadline.run.learning_curves", lambda path, rows, monitor: None)


def final_weights(run: Path) -> dict[str, torch.Tensor]:
    """The weights at the end of a run: raw, averaged, and the optimiser's moments."""
    state = torch.load(run / LAST_STATE, weights_only=True)
    moments = {
        f"optimizer.{number}.{name}": value
        for number, entry in state["optimizer_states"][0]["state"].items()
        for name, value in entry.items()
    }
    return {**state["current_model_state"], **{f"ema.{k}": v for k, v in state["state_dict"].items()}, **moments}


def read_rows(run: Path) -> list[dict[str, float]]:
    with (run / "metrics.csv").open() as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]


def interrupt_at(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """Press Ctrl-C when so many steps are done."""
    after_step = RunRecorder.on_train_batch_end

    def press(self: RunRecorder, trainer: Trainer, *args: object) -> None:
        after_step(self, trainer, *args)
        if trainer.global_step == step:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(RunRecorder, "on_train_batch_end", press)


def test_a_run_leaves_everything_that_describes_it(rooms: Path, tiny_settings: RunSettings, tmp_path: Path) -> None:
    out = tmp_path / "run"
    best = train(tiny_settings, rooms, out, "tiny")
    assert best == out / "checkpoints" / "best"
    for name in ("settings.toml", "run.json", "metrics.csv", "curves.png", "validation/epoch_002.png"):
        assert (out / name).is_file(), name
    assert list((out / "tensorboard").glob("events*"))
    assert [row["epoch"] for row in read_rows(out)] == [0, 1, 2]
    splits = {part: set((out / "splits" / f"{part}.txt").read_text().split()) for part in ("train", "val", "test")}
    assert sum(map(len, splits.values())) == 32 == len(set.union(*splits.values()))
    model = load_model(out)
    assert model(torch.rand(1, 3, 50, 70)).shape == (1, 1, 50, 70)
    # The focal length of the 96-pixel-wide rooms at 63°, at the working width of 48.
    assert model.settings.focal_px == pytest.approx(39.16, abs=0.05)


@pytest.mark.usefixtures("no_drawing")
def test_training_learns(rooms: Path, tiny_settings: RunSettings, tmp_path: Path) -> None:
    longer = tiny_settings.model_copy(
        update={
            "epochs": 6,
            "ema_decay": 0.0,
            "optimizer": tiny_settings.optimizer.model_copy(update={"learning_rate": 5e-3}),
        }
    )
    train(longer, rooms, tmp_path / "run")
    losses = [row["train_loss"] for row in read_rows(tmp_path / "run")]
    assert losses[-1] < 0.9 * losses[0]


@pytest.mark.usefixtures("no_drawing")
@pytest.mark.parametrize(
    "step", [2, 3, 4, 9], ids=["first epoch", "before its last step", "between epochs", "last epoch"]
)
def test_a_stopped_and_resumed_run_ends_with_the_same_bits(
    rooms: Path, tiny_settings: RunSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    train(tiny_settings, rooms, tmp_path / "whole", "tiny")
    handler = signal.getsignal(signal.SIGINT)
    with monkeypatch.context() as patch:
        interrupt_at(patch, step)
        with pytest.raises(Interrupted, match=f"stopped after step {step}; continue with --resume"):
            train(tiny_settings, rooms, tmp_path / "stopped", "tiny")
    assert signal.getsignal(signal.SIGINT) is handler
    resume(tmp_path / "stopped")
    whole, stopped = final_weights(tmp_path / "whole"), final_weights(tmp_path / "stopped")
    assert whole.keys() == stopped.keys()
    different = [name for name, value in whole.items() if not torch.equal(value, stopped[name])]
    assert not different
    best = [load_file(tmp_path / run / "checkpoints" / "best" / "model.safetensors") for run in ("whole", "stopped")]
    assert all(torch.equal(value, best[1][name]) for name, value in best[0].items())
    for row, other in zip(*(read_rows(tmp_path / run) for run in ("whole", "stopped")), strict=True):
        del row["seconds"], other["seconds"]
        assert row == pytest.approx(other, rel=1e-8)


@pytest.mark.usefixtures("no_drawing")
def test_resuming_a_finished_run_changes_nothing(rooms: Path, tiny_settings: RunSettings, tmp_path: Path) -> None:
    train(tiny_settings, rooms, tmp_path / "run")
    before = final_weights(tmp_path / "run")
    assert resume(tmp_path / "run") == tmp_path / "run" / "checkpoints" / "best"
    assert all(torch.equal(value, before[name]) for name, value in final_weights(tmp_path / "run").items())


@pytest.mark.usefixtures("no_drawing")
def test_a_few_steps_are_validated_too(rooms: Path, tiny_settings: RunSettings, tmp_path: Path) -> None:
    train(tiny_settings.model_copy(update={"max_steps": 2}), rooms, tmp_path / "run")
    assert [row["step"] for row in read_rows(tmp_path / "run")] == [2]


@pytest.mark.usefixtures("no_drawing")
def test_without_validation_pictures_the_last_weights_are_kept(
    rooms: Path, tiny_settings: RunSettings, tmp_path: Path
) -> None:
    data = tiny_settings.data.model_copy(update={"validation": 0.0})
    train(tiny_settings.model_copy(update={"data": data, "epochs": 1}), rooms, tmp_path / "run")
    kept = load_file(tmp_path / "run" / "checkpoints" / "best" / "model.safetensors")
    state = torch.load(tmp_path / "run" / LAST_STATE, weights_only=True)["state_dict"]
    assert all(torch.equal(value, state[f"model.{name}"]) for name, value in kept.items())


def test_a_second_run_in_the_same_folder_is_refused(rooms: Path, tiny_settings: RunSettings, tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text("")
    with pytest.raises(UserError, match="already holds a run; continue it with --resume"):
        train(tiny_settings, rooms, tmp_path)


def test_a_split_that_leaves_nothing_to_train_on_is_refused(
    tiny_settings: RunSettings, tmp_path: Path, rooms: Path
) -> None:
    data = tiny_settings.data.model_copy(update={"validation": 1.0})
    with pytest.raises(UserError, match="split 'official' leaves none of the 32 pictures to train on"):
        train(tiny_settings.model_copy(update={"data": data}), rooms, tmp_path / "run")


@pytest.mark.usefixtures("no_drawing")
def test_a_run_can_start_from_another_models_weights(rooms: Path, tiny_settings: RunSettings, tmp_path: Path) -> None:
    train(tiny_settings, rooms, tmp_path / "first")
    slow = tiny_settings.optimizer.model_copy(update={"learning_rate": 1e-12})
    changes = {"init": str(tmp_path / "first"), "optimizer": slow, "epochs": 1}
    train(tiny_settings.model_copy(update=changes), rooms, tmp_path / "second")
    first, second = (load_model(tmp_path / run).state_dict() for run in ("first", "second"))
    weights = [name for name in first if name.endswith(".weight")]
    assert all(torch.allclose(first[name], second[name], atol=1e-6) for name in weights)


@pytest.mark.usefixtures("no_drawing")
def test_what_went_on_from_another_model_remembers_names_and_no_paths(
    rooms: Path, tiny_settings: RunSettings, tiny_model: DepthModel, tmp_path: Path
) -> None:
    encoder = tiny_model.settings.encoder.model_copy(update={"weights": "imagenet.safetensors"})
    model = tiny_settings.model.model_copy(update={"encoder": encoder})
    first = tiny_settings.model_copy(update={"model": model}).model_dump()
    save_checkpoint(tmp_path / "first", tiny_model, {"settings": first}, "")
    changes = {"init": str(tmp_path / "first"), "epochs": 1, "max_steps": 1}
    best = train(tiny_settings.model_copy(update=changes), rooms, tmp_path / "second")
    recorded = read_config(best)["record"]["settings"]
    assert recorded["init"] == "first"
    assert recorded["model"]["encoder"]["weights"] == "imagenet.safetensors"
    assert str(tmp_path) not in (best / "config.json").read_text() + (best / "README.md").read_text()


def test_a_run_cannot_start_from_a_model_of_another_shape(
    rooms: Path, tiny_settings: RunSettings, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    wider = tiny_settings.model.model_copy(update={"plain": PlainSettings(width=8, levels=2)})
    changes = {"init": str(tiny_checkpoint), "model": wider}
    with pytest.raises(UserError, match="is of another shape than the recipe"):
        train(tiny_settings.model_copy(update=changes), rooms, tmp_path / "run")


@pytest.mark.usefixtures("no_drawing")
def test_uncertainty_alone_is_taught_to_a_model_that_had_none(
    rooms: Path, tiny_settings: RunSettings, tmp_path: Path
) -> None:
    train(tiny_settings, rooms, tmp_path / "first")
    first = load_model(tmp_path / "first").state_dict()
    head = tiny_settings.model.head.model_copy(update={"uncertainty": True})
    changes = {
        "init": str(tmp_path / "first"),
        "uncertainty_only": True,
        "model": tiny_settings.model.model_copy(update={"head": head}),
    }
    settings = tiny_settings.model_copy(update=changes)
    train(settings, rooms, tmp_path / "second")
    second = load_model(tmp_path / "second").state_dict()
    # Batch norms' statistics too are as they were.
    for name, value in first.items():
        torch.testing.assert_close(second[name], value)  # averaging rounds
    layer = [second[name] for name in second.keys() - first.keys()]
    assert len(layer) == 2 and all(
        (value != build_model(settings.model).state_dict()[name]).any()
        for name, value in second.items()
        if name.startswith(ERROR_LAYER)
    )


@pytest.mark.parametrize(("init", "uncertainty"), [("", True), ("base", False)])
def test_uncertainty_alone_wants_a_model_and_a_layer(
    init: str, uncertainty: bool, rooms: Path, tiny_settings: RunSettings, tmp_path: Path
) -> None:
    head = tiny_settings.model.head.model_copy(update={"uncertainty": uncertainty})
    model = tiny_settings.model.model_copy(update={"head": head})
    settings = tiny_settings.model_copy(update={"uncertainty_only": True, "init": init, "model": model})
    with pytest.raises(UserError, match="uncertainty_only wants a model to start from"):
        train(settings, rooms, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_resume_wants_a_run(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no run at"):
        resume(tmp_path)


def test_an_unknown_monitor_is_refused_before_anything_is_written(
    rooms: Path, tiny_settings: RunSettings, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match="did you mean 'delta1'"):
        train(tiny_settings.model_copy(update={"monitor": "delta_1"}), rooms, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_diverging_loss_stops_the_run_with_a_remedy(
    rooms: Path, tiny_settings: RunSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("leadline.training.weighted_loss", lambda *_: torch.tensor(torch.nan, requires_grad=True))
    with pytest.raises(UserError, match="the loss became nan at step 0; lower --optimizer.learning-rate"):
        train(tiny_settings, rooms, tmp_path / "run")


def test_depth_that_the_head_cannot_answer_is_taught_as_the_end_of_its_range(
    tiny_settings: RunSettings, tiny_model: DepthModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    training = DepthTraining(tiny_model, tiny_settings)
    monkeypatch.setattr(training, "log", lambda *args, **kwargs: None)
    head = tiny_settings.model.head
    depth_m = torch.linspace(0.3, 15.0, 36 * 48).view(1, 1, 36, 48)
    valid = torch.ones_like(depth_m, dtype=torch.bool)
    image = torch.rand(1, 3, 36, 48, generator=torch.Generator().manual_seed(0))

    def loss(target_m: torch.Tensor) -> torch.Tensor:
        return training.training_step(Batch(image, target_m, valid, torch.eye(3)[None], ["a"], [""]), 0)

    assert torch.equal(loss(depth_m), loss(depth_m.clamp(head.min_depth_m, head.max_depth_m)))
    assert not torch.equal(loss(depth_m), loss(depth_m.clamp(1.0, 3.0)))


def test_a_wild_error_layer_takes_nothing_from_depths_gradient(tiny_settings: RunSettings) -> None:
    head = tiny_settings.model.head.model_copy(update={"uncertainty": True})
    settings = tiny_settings.model_copy(update={"model": tiny_settings.model.model_copy(update={"head": head})})
    module = DepthTraining(build_model(settings.model), settings)
    for name, value in module.named_parameters():
        value.grad = torch.full_like(value, 1e6 if name.startswith("model." + ERROR_LAYER) else 1e-4)
    depth = [value.grad for name, value in module.named_parameters() if not name.startswith("model." + ERROR_LAYER)]
    before = [value.clone() for value in depth if value is not None]
    module.configure_gradient_clipping(None)
    assert all(torch.equal(was, value) for was, value in zip(before, depth, strict=True) if value is not None)
    error = [value.grad for name, value in module.named_parameters() if name.startswith("model." + ERROR_LAYER)]
    assert len(error) == 2
    norm = torch.cat([value.flatten() for value in error if value is not None]).norm().item()
    assert norm == pytest.approx(settings.optimizer.clip_norm, rel=1e-4)
