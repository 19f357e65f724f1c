import csv
import shutil
import signal
import tomllib
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from PIL import Image
from pytorch_lightning import Trainer, seed_everything
from safetensors.torch import load_file

from leadline.data.joined import is_from_beside
from leadline.data.sample import UNKNOWN_INTRINSICS, Batch
from leadline.data.synthetic.dataset import synthesize
from leadline.errors import Interrupted, LeadlineError
from leadline.evaluation.metrics import named
from leadline.models.build import build_model
from leadline.models.checkpoint import load_model, save_checkpoint
from leadline.models.checkpoint_files import read_config
from leadline.models.heads import ERROR_LAYER, SCALE_LAYERS, START_ERROR, Features
from leadline.models.model import DepthModel
from leadline.models.settings import DecoderSettings, EncoderSettings, ModelSettings, PlainSettings
from leadline.training.callbacks import MetricsRecorder
from leadline.training.lightning_module import DepthTraining
from leadline.training.run import Run
from leadline.training.settings import LossSettings, RunSettings
from leadline.training.training import resume, train


@pytest.fixture
def no_drawing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures have tests of their own and take most of a tiny run's time."""
    monkeypatch.setattr("leadline.training.callbacks.depth_sheet", lambda path, rows, title: None)
    monkeypatch.setattr("leadline.training.callbacks.learning_curves", lambda path, rows, monitor: None)


def final_weights(run: Path) -> dict[str, torch.Tensor]:
    """The weights at the end of a run: raw, averaged, and the optimiser's moments."""
    state = torch.load(Run(run).state_file, weights_only=True)
    moments = {
        f"optimizer.{number}.{name}": value
        for number, entry in state["optimizer_states"][0]["state"].items()
        for name, value in entry.items()
    }
    return {**state["current_model_state"], **{f"ema.{k}": v for k, v in state["state_dict"].items()}, **moments}


def read_rows(run: Path) -> list[dict[str, float]]:
    return Run(run).read_rows()


def interrupt_at(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """Press Ctrl-C when so many steps are done."""
    after_step = MetricsRecorder.on_train_batch_end

    def press(self: MetricsRecorder, trainer: Trainer, *args: object) -> None:
        after_step(self, trainer, *args)
        if trainer.global_step == step:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(MetricsRecorder, "on_train_batch_end", press)


def test_a_run_leaves_everything_that_describes_it(rooms: Path, tiny_settings: RunSettings, tmp_path: Path) -> None:
    out = tmp_path / "run"
    best = train(tiny_settings, rooms, Run(out), "tiny")
    assert best == out / "checkpoints" / "best"
    for name in ("settings.toml", "run.json", "metrics.csv", "curves.png", "validation/epoch_003.png"):
        assert (out / name).is_file(), name
    assert list((out / "tensorboard").glob("events*"))
    assert [row["epoch"] for row in read_rows(out)] == [1, 2, 3]
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
    train(longer, rooms, Run(tmp_path / "run"))
    losses = [row["train_loss"] for row in read_rows(tmp_path / "run")]
    assert losses[-1] < 0.9 * losses[0]


@pytest.mark.usefixtures("no_drawing")
@pytest.mark.parametrize(
    "step", [2, 3, 4, 9], ids=["first epoch", "before its last step", "between epochs", "last epoch"]
)
def test_a_stopped_and_resumed_run_ends_with_the_same_bits(
    rooms: Path, tiny_settings: RunSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    train(tiny_settings, rooms, Run(tmp_path / "whole"), "tiny")
    handler = signal.getsignal(signal.SIGINT)
    with monkeypatch.context() as patch:
        interrupt_at(patch, step)
        with pytest.raises(
            Interrupted, match=f"stopped after step {step} of 12 in epoch . of 3; continue with --resume"
        ):
            train(tiny_settings, rooms, Run(tmp_path / "stopped"), "tiny")
    assert signal.getsignal(signal.SIGINT) is handler
    resume(Run(tmp_path / "stopped"))
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
    train(tiny_settings, rooms, Run(tmp_path / "run"))
    before = final_weights(tmp_path / "run")
    assert resume(Run(tmp_path / "run")) == tmp_path / "run" / "checkpoints" / "best"
    assert all(torch.equal(value, before[name]) for name, value in final_weights(tmp_path / "run").items())


@pytest.mark.parametrize("lost", [False, True], ids=["kept", "lost"])
@pytest.mark.usefixtures("no_drawing")
def test_a_finished_run_without_validation_keeps_its_averaged_weights(
    rooms: Path, tiny_settings: RunSettings, tmp_path: Path, lost: bool
) -> None:
    data = tiny_settings.data.model_copy(update={"validation": 0.0})
    best = train(tiny_settings.model_copy(update={"data": data, "epochs": 1}), rooms, Run(tmp_path / "run"))
    before = load_file(best / "model.safetensors")
    if lost:
        shutil.rmtree(best)
    assert resume(Run(tmp_path / "run")) == best
    after = load_file(best / "model.safetensors")
    assert all(torch.equal(value, after[name]) for name, value in before.items())


@pytest.mark.parametrize("last", [True, False], ids=["the last epoch's", "an earlier one's"])
@pytest.mark.usefixtures("no_drawing")
def test_a_best_checkpoint_that_is_gone_is_written_again_or_told(
    rooms: Path, tiny_settings: RunSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, last: bool
) -> None:
    run, sign = Run(tmp_path / "run"), 1 if last else -1
    epochs = iter(range(1000))
    monkeypatch.setattr("leadline.training.callbacks.ranking_value", lambda *_: sign * next(epochs))
    best = train(tiny_settings, rooms, run)
    before = load_file(best / "model.safetensors")
    shutil.rmtree(best)
    if not last:
        with pytest.raises(LeadlineError, match="best is gone, and the state of the run holds its last epoch"):
            resume(run)
        assert not best.exists()
        return
    assert resume(run) == best
    after = load_file(best / "model.safetensors")
    assert all(torch.equal(value, after[name]) for name, value in before.items())


@pytest.mark.usefixtures("no_drawing")
def test_a_run_that_goes_on_without_its_best_keeps_the_best_of_the_rest(
    rooms: Path,
    tiny_settings: RunSettings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with monkeypatch.context() as patch:
        interrupt_at(patch, 9)
        with pytest.raises(Interrupted):
            train(tiny_settings, rooms, Run(tmp_path / "run"))
    shutil.rmtree(tmp_path / "run" / "checkpoints" / "best")
    assert resume(Run(tmp_path / "run")).is_dir()
    assert "best is gone: the best epoch from here on is kept" in caplog.text


@pytest.mark.usefixtures("no_drawing")
def test_a_run_goes_on_without_what_it_began_from(
    rooms: Path, tiny_settings: RunSettings, tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        interrupt_at(patch, 2)
        with pytest.raises(Interrupted):
            train(tiny_settings.model_copy(update={"init": str(tiny_checkpoint)}), rooms, Run(tmp_path / "run"))
    shutil.rmtree(tiny_checkpoint)
    resume(Run(tmp_path / "run"))
    assert len(read_rows(tmp_path / "run")) == tiny_settings.epochs


@pytest.mark.usefixtures("no_drawing")
def test_a_run_goes_on_with_its_own_pictures_when_others_have_come(
    rooms: Path, tiny_settings: RunSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "rooms"
    shutil.copytree(rooms, folder)
    with monkeypatch.context() as patch:
        interrupt_at(patch, 2)
        with pytest.raises(Interrupted):
            train(tiny_settings, folder, Run(tmp_path / "stopped"))
    first, *rest = (folder / "index.csv").read_text().splitlines()
    new = "new,rgb/00001.png,depth/00001.png,room_new,train"
    (folder / "index.csv").write_text("\n".join([first, new, *rest]))
    resume(Run(tmp_path / "stopped"))
    train(tiny_settings, rooms, Run(tmp_path / "whole"))
    before, after = (read_rows(tmp_path / name) for name in ("whole", "stopped"))
    assert [row["step"] for row in before] == [row["step"] for row in after]


@pytest.mark.usefixtures("no_drawing")
def test_ctrl_c_at_the_last_step_keeps_what_would_follow_from_beginning(
    rooms: Path, tiny_settings: RunSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupt_at(monkeypatch, 2)
    with pytest.raises(Interrupted, match="stopped after the last step; continue with --resume"):
        train(tiny_settings.model_copy(update={"max_steps": 2}), rooms, Run(tmp_path / "run"))
    assert load_model(tmp_path / "run") is not None


@pytest.mark.usefixtures("no_drawing")
def test_a_few_steps_are_validated_too(rooms: Path, tiny_settings: RunSettings, tmp_path: Path) -> None:
    train(tiny_settings.model_copy(update={"max_steps": 2}), rooms, Run(tmp_path / "run"))
    assert [row["step"] for row in read_rows(tmp_path / "run")] == [2]


@pytest.mark.usefixtures("no_drawing")
def test_without_validation_pictures_the_last_weights_are_kept(
    rooms: Path, tiny_settings: RunSettings, tmp_path: Path
) -> None:
    data = tiny_settings.data.model_copy(update={"validation": 0.0})
    train(tiny_settings.model_copy(update={"data": data, "epochs": 1}), rooms, Run(tmp_path / "run"))
    kept = load_file(tmp_path / "run" / "checkpoints" / "best" / "model.safetensors")
    state = torch.load(Run(tmp_path / "run").state_file, weights_only=True)["state_dict"]
    assert all(torch.equal(value, state[f"model.{name}"]) for name, value in kept.items())


def test_a_second_run_in_the_same_folder_is_refused(rooms: Path, tiny_settings: RunSettings, tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text("")
    with pytest.raises(LeadlineError, match="already holds a run; continue it with --resume"):
        train(tiny_settings, rooms, Run(tmp_path))


def test_a_split_that_leaves_nothing_to_train_on_is_refused(
    tiny_settings: RunSettings, tmp_path: Path, rooms: Path
) -> None:
    data = tiny_settings.data.model_copy(update={"validation": 1.0})
    with pytest.raises(LeadlineError, match="split 'official' leaves none of the 32 pictures to train on"):
        train(tiny_settings.model_copy(update={"data": data}), rooms, Run(tmp_path / "run"))


@pytest.mark.usefixtures("no_drawing")
def test_a_run_can_start_from_another_models_weights(rooms: Path, tiny_settings: RunSettings, tmp_path: Path) -> None:
    train(tiny_settings, rooms, Run(tmp_path / "first"))
    slow = tiny_settings.optimizer.model_copy(update={"learning_rate": 1e-12})
    changes = {"init": str(tmp_path / "first"), "optimizer": slow, "epochs": 1}
    train(tiny_settings.model_copy(update=changes), rooms, Run(tmp_path / "second"))
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
    best = train(tiny_settings.model_copy(update=changes), rooms, Run(tmp_path / "second"))
    recorded = read_config(best)["record"]["settings"]
    assert recorded["init"] == "first"
    assert recorded["model"]["encoder"]["weights"] == "imagenet.safetensors"
    assert str(tmp_path) not in (best / "config.json").read_text() + (best / "README.md").read_text()


@pytest.mark.usefixtures("no_drawing")
def test_pictures_beside_are_trained_on_and_the_data_sets_own_camera_stays(
    rooms: Path, tiny_settings: RunSettings, tmp_path: Path
) -> None:
    synthesize(tmp_path / "near", 70, 1, 36, 48, scenes="near")
    data = tiny_settings.data.model_copy(update={"beside": (f"{tmp_path / 'near'}*2",)})
    train(tiny_settings.model_copy(update={"max_steps": 1}), rooms, Run(tmp_path / "alone"))
    best = train(tiny_settings.model_copy(update={"max_steps": 1, "data": data}), rooms, Run(tmp_path / "run"))
    names, alone = ((tmp_path / run / "splits" / "train.txt").read_text().split() for run in ("run", "alone"))
    assert names[: len(alone)] == alone and len(names) == len(alone) + 140
    assert load_model(best).settings.focal_px == load_model(tmp_path / "alone").settings.focal_px
    assert read_config(best)["record"]["settings"]["data"]["beside"] == ["near*2"]
    assert str(tmp_path) not in (best / "config.json").read_text()


def test_a_run_cannot_start_from_a_model_of_another_shape(
    rooms: Path, tiny_settings: RunSettings, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    wider = tiny_settings.model.model_copy(update={"plain": PlainSettings(width=8, levels=2)})
    changes = {"init": str(tiny_checkpoint), "model": wider}
    with pytest.raises(LeadlineError, match="is of another shape than the recipe"):
        train(tiny_settings.model_copy(update=changes), rooms, Run(tmp_path / "run"))


@pytest.mark.usefixtures("no_drawing")
def test_uncertainty_alone_is_taught_to_a_model_that_had_none(
    rooms: Path, tiny_settings: RunSettings, tmp_path: Path
) -> None:
    train(tiny_settings, rooms, Run(tmp_path / "first"))
    first = load_model(tmp_path / "first").state_dict()
    head = tiny_settings.model.head.model_copy(update={"uncertainty": True})
    changes = {
        "init": str(tmp_path / "first"),
        "freeze_network": True,
        "model": tiny_settings.model.model_copy(update={"head": head}),
    }
    settings = tiny_settings.model_copy(update=changes)
    train(settings, rooms, Run(tmp_path / "second"))
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
    settings = tiny_settings.model_copy(update={"freeze_network": True, "init": init, "model": model})
    with pytest.raises(LeadlineError, match="--freeze-network wants a model to start from"):
        train(settings, rooms, Run(tmp_path / "run"))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("init", "network", "weights"),
    [("", "encoder-decoder", "x.safetensors"), ("base", "encoder-decoder", "none"), ("base", "unet", "x.safetensors")],
)
def test_an_encoder_is_restored_only_from_a_model_to_pretrained_weights(
    init: str, network: str, weights: str, rooms: Path, tiny_settings: RunSettings, tmp_path: Path
) -> None:
    model = ModelSettings(network=network, encoder=EncoderSettings(weights=weights))  # type: ignore[arg-type]
    settings = tiny_settings.model_copy(update={"restore_encoder": 0.5, "init": init, "model": model})
    with pytest.raises(
        LeadlineError, match="--restore-encoder wants a model to start from and its encoder's pretrained"
    ):
        train(settings, rooms, Run(tmp_path / "run"))
    assert not (tmp_path / "run").exists()


@pytest.mark.usefixtures("no_drawing")
def test_what_starts_from_a_model_looks_for_no_other_weights(
    rooms: Path, tiny_settings: RunSettings, tmp_path: Path
) -> None:
    encoder = EncoderSettings(name="mobilenetv3_small_050")
    model = ModelSettings(encoder=encoder, decoder=DecoderSettings(width=16), height=32, width=48)
    first = tiny_settings.model_copy(update={"model": model, "max_steps": 1})
    train(first, rooms, Run(tmp_path / "first"))
    missing = encoder.model_copy(update={"weights": "not/there.safetensors"})
    changes = {"init": str(tmp_path / "first"), "model": model.model_copy(update={"encoder": missing})}
    best = train(first.model_copy(update=changes), rooms, Run(tmp_path / "second"))
    assert read_config(best)["record"]["settings"]["model"]["encoder"]["weights"] == "none"


def test_a_state_of_another_model_than_the_settings_say_is_one_line(
    rooms: Path, tiny_settings: RunSettings, tmp_path: Path
) -> None:
    run = Run(tmp_path / "run")
    train(tiny_settings.model_copy(update={"epochs": 1}), rooms, run)
    old = tiny_settings.model.plain.width
    text = run.settings_file.read_text()
    assert f"width = {old}\n" in text
    run.settings_file.write_text(text.replace(f"width = {old}\n", f"width = {old + 1}\n"))
    with pytest.raises(LeadlineError, match=r"of another model than its settings\.toml says \(size mismatch .*put the"):
        resume(run)


def test_resume_wants_a_run(tmp_path: Path) -> None:
    with pytest.raises(LeadlineError, match="no run at"):
        resume(Run(tmp_path))


def test_an_unknown_monitor_is_refused_before_anything_is_written(
    rooms: Path, tiny_settings: RunSettings, tmp_path: Path
) -> None:
    with pytest.raises(LeadlineError, match="did you mean 'delta1'"):
        train(tiny_settings.model_copy(update={"monitor": "delta_1"}), rooms, Run(tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def test_a_diverging_loss_stops_the_run_with_a_remedy(
    rooms: Path, tiny_settings: RunSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "leadline.training.lightning_module.weighted_loss", lambda *_: torch.tensor(torch.nan, requires_grad=True)
    )
    with pytest.raises(LeadlineError, match="the loss became nan at step 0; lower --optimizer.learning-rate"):
        train(tiny_settings, rooms, Run(tmp_path / "run"))


def test_a_batch_too_small_for_a_batch_norm_stops_the_run_with_a_remedy(
    rooms: Path, tiny_settings: RunSettings, tmp_path: Path
) -> None:
    unet = ModelSettings(network="unet", plain=PlainSettings(width=4, levels=5), height=32, width=32)
    settings = tiny_settings.model_copy(
        update={"model": unet, "data": tiny_settings.data.model_copy(update={"batch_size": 1})}
    )
    with pytest.raises(
        LeadlineError, match="1 picture of 32x32 leaves a batch norm a single value .* --data.batch-size"
    ):
        train(settings, rooms, Run(tmp_path / "run"))


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
        return training.training_step(Batch(image, target_m, valid, UNKNOWN_INTRINSICS[None], ["a"], [""]), 0)

    assert torch.equal(loss(depth_m), loss(depth_m.clamp(head.min_depth_m, head.max_depth_m)))
    assert not torch.equal(loss(depth_m), loss(depth_m.clamp(1.0, 3.0)))


def of_camera(focal_px: float, depth_m: torch.Tensor) -> Batch:
    """One picture, the same each time, that a camera took of some depth."""
    image = torch.rand(1, 3, 36, 48, generator=torch.Generator().manual_seed(0))
    intrinsics = torch.tensor([[[focal_px, 0, 24], [0, focal_px, 18], [0, 0, 1]]])
    return Batch(image, depth_m, torch.ones_like(depth_m, dtype=torch.bool), intrinsics, ["a"], [""])


@pytest.mark.parametrize("uncertainty", [False, True])
def test_what_another_camera_sees_is_taught_as_the_usual_one_would_have_it(
    uncertainty: bool, tiny_settings: RunSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = tiny_settings.model.head.model_copy(update={"uncertainty": uncertainty})
    model = build_model(tiny_settings.model.model_copy(update={"focal_px": 40.0, "head": head}))
    training = DepthTraining(model, tiny_settings)
    monkeypatch.setattr(training, "log", lambda *args, **kwargs: None)
    depth_m = torch.linspace(1.0, 4.0, 36 * 48).view(1, 1, 36, 48)
    usual = training.training_step(of_camera(40.0, depth_m), 0)
    # Twice the focal length shows a thing at twice the distance alike.
    assert training.training_step(of_camera(80.0, 2 * depth_m), 0) == usual
    assert training.training_step(of_camera(float("nan"), depth_m), 0) == usual
    assert training.training_step(of_camera(80.0, depth_m), 0) != usual


def test_validation_scores_metres_of_the_pictures_own_camera(
    tiny_settings: RunSettings, flat_model: DepthModel
) -> None:
    training = DepthTraining(flat_model, tiny_settings)  # it answers 2 m for 100 px
    training.validation_step((torch.tensor([0]), of_camera(150.0, torch.full((1, 1, 36, 48), 3.0))), 0)
    assert named(training.metrics.compute()["per_image"])["abs_rel"] == pytest.approx(0, abs=1e-6)


@pytest.mark.usefixtures("no_drawing")
def test_pictures_of_an_unknown_camera_do_not_hide_the_others(
    rooms: Path, tmp_path: Path, tiny_settings: RunSettings, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "some"
    shutil.copytree(rooms, folder)
    about = (folder / "dataset.toml").read_text()
    (folder / "dataset.toml").write_text(about[: about.index("intrinsics")])
    camera = dict(zip(("fx", "fy", "cx", "cy"), tomllib.loads(about)["intrinsics"], strict=True))
    with (folder / "index.csv").open(newline="") as file:
        rows = [row | camera for row in csv.DictReader(file)]
    with (folder / "index.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), restval="")
        writer.writeheader()
        for number, row in enumerate(rows):
            writer.writerow(row if number % 3 else {name: row[name] for name in row.keys() - camera.keys()})
    once = tiny_settings.model_copy(update={"max_steps": 1})
    train(once, rooms, Run(tmp_path / "all known"))
    train(once, folder, Run(tmp_path / "some known"))
    known, some = (load_model(tmp_path / name).settings.focal_px for name in ("all known", "some known"))
    assert known is not None and known == some
    assert "pictures looked at tell no focal length" in caplog.text


@pytest.mark.usefixtures("no_drawing")
def test_pictures_of_several_shapes_are_trained_on_together(
    rooms: Path, tmp_path: Path, tiny_settings: RunSettings
) -> None:
    folder = tmp_path / "upright"
    shutil.copytree(rooms, folder)
    for path in sorted((folder / "rgb").iterdir())[::2] + sorted((folder / "depth").iterdir())[::2]:
        with Image.open(path) as picture:
            turned = picture.transpose(Image.Transpose.ROTATE_90)
        turned.save(path)
    info = folder / "dataset.toml"  # whose camera can have taken one of the shapes only
    about = info.read_text()
    info.write_text(about[: about.index("intrinsics")])
    train(tiny_settings, folder, Run(tmp_path / "run"))
    assert len(read_rows(tmp_path / "run")) == tiny_settings.epochs


@pytest.mark.usefixtures("no_drawing")
def test_depth_of_less_resolution_than_its_pictures_is_trained_on_and_scored(
    rooms: Path, tiny_settings: RunSettings, tmp_path: Path
) -> None:
    folder = tmp_path / "rooms"
    shutil.copytree(rooms, folder)
    for path in (folder / "depth").iterdir():
        with Image.open(path) as depth:
            small = depth.resize((48, 36), Image.Resampling.NEAREST)
        small.save(path)
    train(tiny_settings.model_copy(update={"max_steps": 2}), folder, Run(tmp_path / "run"))
    (row,) = read_rows(tmp_path / "run")
    assert 0 < row["abs_rel"] < 10


@pytest.mark.usefixtures("no_drawing")
def test_a_resting_encoder_is_left_as_it_is(rooms: Path, tmp_path: Path, tiny_settings: RunSettings) -> None:
    small = ModelSettings(
        height=64, width=96, encoder=EncoderSettings(name="mobilenetv3_small_050"), decoder=DecoderSettings(width=16)
    )
    rest = tiny_settings.optimizer.model_copy(update={"encoder_rate": 0.0})
    changes = {"model": small, "optimizer": rest, "ema_decay": 0.0, "max_steps": 2}
    train(tiny_settings.model_copy(update=changes), rooms, Run(tmp_path / "run"))
    torch.manual_seed(0)
    seed_everything(tiny_settings.seed, verbose=False)
    before, after = build_model(small).state_dict(), load_model(tmp_path / "run").state_dict()
    changed = {name for name, value in before.items() if not torch.equal(value, after[name])}
    assert changed and not any(".encoder." in name for name in changed)


def test_what_rests_rests_in_a_resumed_epoch_too(tiny_settings: RunSettings, tiny_model: DepthModel) -> None:
    training = DepthTraining(tiny_model, tiny_settings.model_copy(update={"freeze_network": True}))
    training.train()
    training._trainer = SimpleNamespace(global_step=3)  # type: ignore[assignment]
    training.on_train_batch_start(None, 3)
    assert not training.model.training


@pytest.mark.usefixtures("no_drawing")
def test_a_resting_network_is_asked_once_for_an_image_that_stays(
    rooms: Path, tiny_settings: RunSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(tiny_settings, rooms, Run(tmp_path / "first"))
    head = tiny_settings.model.head.model_copy(update={"uncertainty": True})
    augment = tiny_settings.data.augment.model_copy(update={"once": True})
    changes = {
        "init": str(tmp_path / "first"),
        "freeze_network": True,
        "model": tiny_settings.model.model_copy(update={"head": head}),
        "data": tiny_settings.data.model_copy(update={"augment": augment}),
    }
    asked: list[int] = []
    ask = DepthModel.features_at_working_scale

    def count(self: DepthModel, image: torch.Tensor) -> Features:
        asked.append(len(image))
        return ask(self, image)

    monkeypatch.setattr(DepthModel, "features_at_working_scale", count)
    train(tiny_settings.model_copy(update=changes), rooms, Run(tmp_path / "run"))
    num = len((tmp_path / "run" / "splits" / "train.txt").read_text().split())
    # In three epochs; a batch in which one is new is asked whole, and a few images wait for the next epoch.
    assert num // 4 * 4 <= sum(asked) <= num + 8 < 2 * (num // 4 * 4)
    assert not (tmp_path / "run" / "features").exists()


def test_the_error_of_what_was_learnt_is_taught_as_larger(tiny_settings: RunSettings) -> None:
    head = tiny_settings.model.head.model_copy(update={"uncertainty": True})
    model = tiny_settings.model.model_copy(update={"head": head})
    module = DepthTraining(build_model(model).eval(), tiny_settings)
    module.log = lambda *args, **kwargs: None  # type: ignore[method-assign,assignment]
    larger = tiny_settings.model_copy(update={"loss": LossSettings(seen_error=1.8)})
    torch.manual_seed(0)
    image, depth_m = torch.rand(1, 3, 48, 64), torch.full((1, 1, 48, 64), 3.0)

    def loss(settings: RunSettings, name: str) -> float:
        module.settings = settings
        batch = Batch(image, depth_m, depth_m > 0, UNKNOWN_INTRINSICS[None], [name], [""])
        return module.training_step(batch, 0).item()

    assert loss(larger, "rendered/00001") == loss(tiny_settings, "rendered/00001") == loss(tiny_settings, "home")
    error = (module.model.at_working_scale(image) / depth_m).log().abs().mean().item()
    # Laplace: |e| / b, with b the error that a head expects before training.
    assert loss(larger, "home") - loss(tiny_settings, "home") == pytest.approx(0.8 * error / START_ERROR, rel=1e-4)


@pytest.mark.usefixtures("no_drawing")
def test_the_scale_field_is_taught_beside_rendered_scenes_while_the_network_rests(
    rooms: Path, tiny_settings: RunSettings, tmp_path: Path
) -> None:
    train(tiny_settings, rooms, Run(tmp_path / "first"))
    head = tiny_settings.model.head.model_copy(update={"scale_field": True})
    model = tiny_settings.model.model_copy(update={"head": head})
    data = tiny_settings.data.model_copy(update={"rendered": 3})
    changes = {"init": str(tmp_path / "first"), "freeze_network": True, "model": model, "data": data}
    train(tiny_settings.model_copy(update=changes), rooms, Run(tmp_path / "second"))
    first, second = (load_model(tmp_path / run).state_dict() for run in ("first", "second"))
    for name, value in first.items():
        torch.testing.assert_close(second[name], value)
    layers = second.keys() - first.keys()
    assert layers and all(name.startswith(SCALE_LAYERS) for name in layers)
    assert second["head.scale_field.leave.weight"].any()  # it began at 0
    names = (tmp_path / "second" / "splits" / "train.txt").read_text().split()
    assert [name for name in names if is_from_beside(name)] == ["rendered/00001", "rendered/00002", "rendered/00003"]


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
