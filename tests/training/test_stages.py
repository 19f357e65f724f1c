"""Training in stages: what each starts from, where it lies, and how a cut run goes on."""

import signal
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import torch
from pytorch_lightning import Trainer
from safetensors.torch import load_file, save_file

from leadline.errors import Interrupted, LeadlineError
from leadline.evaluation.evaluation import evaluate_protocols
from leadline.io.toml import read_toml
from leadline.models.checkpoint import load_checkpoint, load_model
from leadline.models.checkpoint_files import read_config
from leadline.models.encoders import build_encoder
from leadline.models.heads import ERROR_LAYER, SCALE_LAYERS
from leadline.models.settings import EncoderSettings
from leadline.training.callbacks import MetricsRecorder
from leadline.training.run import Run, Status
from leadline.training.settings import RunSettings, parse_settings, resolve_stages
from leadline.training.stages import resume_stages, train_stages


@pytest.fixture(autouse=True)
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Curves that would have been drawn: figures have tests of their own and take most of a tiny run's time."""
    return note_drawings(monkeypatch)


def note_drawings(patch: pytest.MonkeyPatch) -> list[Path]:
    curves: list[Path] = []
    patch.setattr("leadline.training.callbacks.depth_sheet", lambda path, rows, title: None)
    patch.setattr("leadline.training.callbacks.learning_curves", lambda path, rows, monitor: curves.append(path))
    return curves


@pytest.fixture
def stages(tiny_settings: RunSettings) -> list[RunSettings]:
    """Two short ones, the second at twice the area."""
    first = tiny_settings.model_copy(update={"epochs": 2})
    larger = first.model.model_copy(update={"height": 51, "width": 68})
    return [first, first.model_copy(update={"epochs": 1, "model": larger})]


def trained_stages(run: Path) -> list[Path]:
    return [stage.folder for stage in Run(run).stages]


def trained_runs(stage: Path) -> list[Path]:
    return [run.folder for run in Run(stage).trained]


def read_rows(run: Path) -> list[dict[str, float]]:
    return Run(run).read_rows()


def weights(run: Path) -> dict[str, torch.Tensor]:
    return load_file(run / "checkpoints" / "best" / "model.safetensors")


def test_one_stage_is_a_plain_run(rooms: Path, stages: list[RunSettings], tmp_path: Path) -> None:
    assert train_stages(stages[:1], rooms, tmp_path / "run") == tmp_path / "run" / "checkpoints" / "best"
    assert trained_stages(tmp_path / "run") == [tmp_path / "run"]
    assert not (tmp_path / "run" / "stages.toml").exists()


def test_the_last_stage_is_the_run_and_goes_on_from_the_one_before(
    rooms: Path, stages: list[RunSettings], tmp_path: Path
) -> None:
    still = stages[1].optimizer.model_copy(update={"learning_rate": 1e-12})
    stages[1] = stages[1].model_copy(update={"optimizer": still, "ema_decay": 0.0})
    run = tmp_path / "run"
    assert train_stages(stages, rooms, run, "mine") == run / "checkpoints" / "best"
    assert trained_stages(run) == [run / "stage-1", run] == [it.folder for it in Run(run).plan_stages(2)]
    assert [len(read_rows(stage)) for stage in trained_stages(run)] == [2, 1]
    assert (load_model(run).settings.height, load_model(run / "stage-1").settings.height) == (51, 36)
    before, after = weights(run / "stage-1"), weights(run)
    learnt = [name for name in before if "running" not in name and "tracked" not in name]
    assert all(torch.allclose(before[name], after[name], atol=1e-6) for name in learnt)
    # What is recorded names the stage and no path.
    assert read_config(run / "checkpoints" / "best")["record"]["settings"]["init"] == "stage-1"


@pytest.fixture
def with_runs(stages: list[RunSettings]) -> list[RunSettings]:
    """The second is trained twice."""
    return [stages[0], stages[1].model_copy(update={"runs": 2, "seed": 5})]


def test_a_stage_of_several_runs_is_their_mean(
    rooms: Path, with_runs: list[RunSettings], tmp_path: Path, caplog: pytest.LogCaptureFixture, drawn: list[Path]
) -> None:
    run = tmp_path / "run"
    with caplog.at_level("INFO"):
        assert train_stages(with_runs, rooms, run, "mine") == run / "checkpoints" / "best"
    assert "stage 2 of 2, run 2 of 2: 1 epoch at 51×68" in caplog.messages
    assert f"validation δ1 {read_rows(run)[0]['delta1']:.4f}" in caplog.messages[-1]
    assert caplog.messages[-1].startswith("the weight average, ")
    assert trained_stages(run) == [run / "stage-1", run]
    one, other = trained_runs(run)
    assert [parse_settings(read_toml(it / "settings.toml"), "").seed for it in (one, other)] == [5, 6]
    assert [len(read_rows(it)) for it in (one, other, run)] == [1, 1, 1]
    first, second, mean = weights(one), weights(other), weights(run)
    assert any(not torch.equal(first[name], second[name]) for name in first)
    for name, value in mean.items():
        assert torch.allclose(value.float(), (first[name].float() + second[name].float()) / 2, atol=1e-6), name
    # The row is the mean's own: what the run's model scores on the validation pictures.
    (report,) = evaluate_protocols(run, data=rooms, split=str(run / "splits" / "val.txt"), protocols=["report"])
    assert report.per_image["delta1"] == pytest.approx(read_rows(run)[0]["delta1"], abs=2e-3)
    # One point is no curve.
    assert [path.parent for path in drawn] == [run / "stage-1", run / "stage-1", one, other]
    record = read_config(run / "checkpoints" / "best")["record"]
    assert (record["settings"]["init"], record["settings"]["runs"]) == ("stage-1", 2)
    card, first_card = ((it / "checkpoints" / "best" / "README.md").read_text() for it in (run, run / "stage-1"))
    assert "in 2 stages" in card and "\n  2. 1 epoch at 51×68; the mean of the weights of 2 runs\n" in card
    assert "stages" not in first_card


def test_runs_without_validation_are_averaged_too(rooms: Path, with_runs: list[RunSettings], tmp_path: Path) -> None:
    data = with_runs[0].data.model_copy(update={"split": "official", "validation": 0.0})
    train_stages([it.model_copy(update={"data": data, "max_steps": 1}) for it in with_runs], rooms, tmp_path)
    first, second, mean = weights(tmp_path / "run-1"), weights(tmp_path / "run-2"), weights(tmp_path)
    assert all(torch.allclose(mean[it].float(), (first[it] + second[it]).float() / 2, atol=1e-6) for it in mean)


def test_runs_that_start_at_random_are_refused(rooms: Path, with_runs: list[RunSettings], tmp_path: Path) -> None:
    with pytest.raises(LeadlineError, match="2 runs that each start at random have no mean; give --init"):
        train_stages(with_runs[1:], rooms, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_runs_of_a_model_that_is_there_need_no_stages(
    rooms: Path, with_runs: list[RunSettings], tiny_checkpoint: Path, tmp_path: Path
) -> None:
    alone = with_runs[1].model_copy(update={"init": str(tiny_checkpoint), "model": with_runs[0].model})
    best = train_stages([alone], rooms, tmp_path / "run")
    assert [it.name for it in trained_runs(tmp_path / "run")] == ["run-1", "run-2"]
    assert resume_stages(tmp_path / "run") == best
    with pytest.raises(LeadlineError, match="already holds a run"):
        train_stages([alone], rooms, tmp_path / "run")


@pytest.mark.parametrize("step", [9, 12], ids=["first run", "second run"])
def test_a_stopped_stage_of_several_runs_goes_on(
    rooms: Path, with_runs: list[RunSettings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    train_stages(with_runs, rooms, tmp_path / "whole", "tiny")
    stop_after(step, monkeypatch, with_runs, rooms, tmp_path / "stopped")
    resume_stages(tmp_path / "stopped")
    for name, value in weights(tmp_path / "whole").items():
        assert torch.equal(value, weights(tmp_path / "stopped")[name])


def test_ctrl_c_while_a_mean_is_validated_leaves_it_whole(
    rooms: Path, with_runs: list[RunSettings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop_at("on_validation_end", lambda trainer: not trainer.optimizers, monkeypatch, with_runs, rooms, tmp_path)
    before = weights(tmp_path)
    assert resume_stages(tmp_path) == tmp_path / "checkpoints" / "best"
    assert all(torch.equal(value, before[name]) for name, value in weights(tmp_path).items())


def stop_after(step: int, monkeypatch: pytest.MonkeyPatch, stages: list[RunSettings], data: Path, out: Path) -> None:
    """Train, and press Ctrl-C after so many steps of all."""
    steps = count(1)
    stop_at("on_train_batch_end", lambda trainer: next(steps) == step, monkeypatch, stages, data, out)


def stop_at(
    hook: str,
    when: Callable[[Trainer], bool],
    monkeypatch: pytest.MonkeyPatch,
    stages: list[RunSettings],
    data: Path,
    out: Path,
) -> str:
    """Train, press Ctrl-C after a hook of the recorder where `when` says so, and give what is said then."""
    before = getattr(MetricsRecorder, hook)

    def press(self: MetricsRecorder, trainer: Trainer, *args: object) -> None:
        before(self, trainer, *args)
        if when(trainer):
            signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(MetricsRecorder, hook, press)
        with pytest.raises(Interrupted, match=f"continue with --resume {out}$") as stopped:
            train_stages(stages, data, out, "tiny")
    return str(stopped.value)


@pytest.mark.parametrize("step", [3, 10], ids=["first stage", "second stage"])
def test_a_stopped_and_resumed_run_ends_with_the_same_bits(
    rooms: Path, stages: list[RunSettings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    train_stages(stages, rooms, tmp_path / "whole", "tiny")
    stop_after(step, monkeypatch, stages, rooms, tmp_path / "stopped")
    assert resume_stages(tmp_path / "stopped") == tmp_path / "stopped" / "checkpoints" / "best"
    for whole, stopped in zip(*(trained_stages(tmp_path / name) for name in ("whole", "stopped")), strict=True):
        assert all(torch.equal(value, weights(stopped)[name]) for name, value in weights(whole).items())


def test_ctrl_c_at_the_end_of_a_stage_stops_before_the_next(
    rooms: Path, stages: list[RunSettings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    last = stages[0].epochs - 1
    said = stop_at(
        "on_validation_epoch_end", lambda trainer: trainer.current_epoch == last, monkeypatch, stages, rooms, tmp_path
    )
    assert said == f"stopped after the last step; continue with --resume {tmp_path}"
    assert not (tmp_path / "settings.toml").exists()
    resume_stages(tmp_path)
    assert [len(read_rows(stage)) for stage in trained_stages(tmp_path)] == [2, 1]


def test_a_second_run_in_the_same_folder_is_refused(rooms: Path, stages: list[RunSettings], tmp_path: Path) -> None:
    (tmp_path / "run" / "stage-1").mkdir(parents=True)
    (tmp_path / "run" / "stage-1" / "settings.toml").write_text("")
    for wanted in (stages, stages[:1]):
        with pytest.raises(LeadlineError, match=f"^{tmp_path / 'run'} already holds a run"):
            train_stages(wanted, rooms, tmp_path / "run")


def test_a_mistake_that_shows_before_the_first_step_leaves_the_folder_free(
    rooms: Path, stages: list[RunSettings], tmp_path: Path
) -> None:
    with pytest.raises(LeadlineError):
        train_stages(stages, tmp_path / "nowhere", tmp_path / "run")
    train_stages([stage.model_copy(update={"max_steps": 1}) for stage in stages], rooms, tmp_path / "run")


def test_a_plain_run_forgets_a_plan_that_never_began(rooms: Path, stages: list[RunSettings], tmp_path: Path) -> None:
    with pytest.raises(LeadlineError):
        train_stages(stages, tmp_path / "nowhere", tmp_path / "run")
    best = train_stages([stages[0].model_copy(update={"max_steps": 1})], rooms, tmp_path / "run")
    assert resume_stages(tmp_path / "run") == best


def test_a_plan_that_lacks_something_is_refused(tmp_path: Path) -> None:
    (tmp_path / "stages.toml").write_text('recipe = "mine"\n')
    with pytest.raises(LeadlineError, match=r"stages\.toml lacks 'data'; train again"):
        resume_stages(tmp_path)


def test_a_finished_run_that_is_resumed_says_so_and_opens_nothing(
    rooms: Path, stages: list[RunSettings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    once = [stage.model_copy(update={"max_steps": 1}) for stage in stages]
    best = [train_stages(once[:number], rooms, tmp_path / str(number)) for number in (1, 2)]
    monkeypatch.setattr("leadline.training.training.open_dataset", lambda data: pytest.fail("opened"))
    caplog.clear()
    with caplog.at_level("INFO"):
        assert [resume_stages(tmp_path / str(number)) for number in (1, 2)] == best
    assert caplog.messages == [f"{tmp_path / str(number)} is finished; there is nothing to resume" for number in (1, 2)]


# A whole recipe, as `base` is one


WHOLE = """
epochs = 1
ema_decay = 0.5
precision = "float32"
[model]
network = "encoder-decoder"
height = 32
width = 48
[model.encoder]
name = "mobilenetv3_small_050"
weights = "{weights}"
[model.decoder]
width = 16
[model.head]
uncertainty = true
[data]
split = "official"
validation = 0.0
batch_size = 8
workers = 0
[optimizer]
learning_rate = {rate}
[[stages]]
epochs = 2
data = {{ validation = 0.2 }}
[[stages]]
restore_encoder = 0.75
runs = 2
model = {{ height = 40, width = 56 }}
[[stages]]
freeze_network = true
"""


@pytest.fixture
def pretrained(tmp_path: Path) -> Path:
    """The weights of an encoder, in a file."""
    return save_pretrained(tmp_path)


def save_pretrained(folder: Path) -> Path:
    torch.manual_seed(7)
    path = folder / "pretrained.safetensors"
    save_file(build_encoder(EncoderSettings(name="mobilenetv3_small_050")).state_dict(), path)
    return path


def whole_recipe(pretrained: Path, rate: float = 1e-3) -> str:
    path = pretrained.with_name("whole.toml")
    path.write_text(WHOLE.format(weights=pretrained, rate=rate))
    return str(path)


@pytest.fixture(scope="module")
def whole(rooms: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the whole recipe."""
    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        note_drawings(patch)
        stages = resolve_stages(whole_recipe(save_pretrained(folder)))
        assert train_stages(stages, rooms, folder / "run", "whole") == Run(folder / "run").best
    return folder / "run"


def encoder_of(folder: Path) -> dict[str, torch.Tensor]:
    """The weights of a run's encoder that are taught, by their own names."""
    mine = {name: value for name, value in weights(folder).items() if name.startswith("network.encoder.")}
    return {name.removeprefix("network.encoder."): value for name, value in mine.items() if value.is_floating_point()}


def test_a_recipe_is_whole(whole: Path) -> None:
    run = Run(whole)
    first, second, last = run.stages
    assert [len(stage.read_rows()) for stage in (first, second, last)] == [2, 0, 0]
    assert [load_model(stage.folder).settings.height for stage in (first, second, last)] == [32, 40, 32]
    assert [repeat.read_settings().seed for repeat in second.trained] == [0, 1]
    # The last stage taught the layer of the expected error and nothing else.
    before, after = weights(second.folder), weights(run.folder)
    changed = {name for name, value in after.items() if not torch.allclose(value.float(), before[name].float())}
    assert changed and all(name.startswith(ERROR_LAYER) for name in changed)
    cards = [(stage.best / "README.md").read_text() for stage in (first, second, last)]
    assert ["75% of the way back" in card for card in cards] == [False, True, True]  # the last tells all stages
    assert all("Encoder weights started from: pretrained.safetensors" in card for card in cards)
    assert str(whole.parent) not in "".join(cards) + (run.best / "config.json").read_text()


def test_a_stage_starts_with_its_encoder_part_of_the_way_back(rooms: Path, pretrained: Path, tmp_path: Path) -> None:
    still = [
        stage.model_copy(update={"optimizer": stage.optimizer.model_copy(update={"learning_rate": rate})})
        for stage, rate in zip(resolve_stages(whole_recipe(pretrained)), (1e-2, 1e-12), strict=False)
    ]
    train_stages(still, rooms, tmp_path / "run")
    origin, tuned, restored = (
        load_file(pretrained),
        encoder_of(tmp_path / "run" / "stage-1"),
        encoder_of(tmp_path / "run"),
    )
    moved = 0
    for name, value in restored.items():
        if "running" in name:  # follows the pictures whatever the rate
            continue
        torch.testing.assert_close(value, 0.25 * tuned[name] + 0.75 * origin[name], rtol=1e-4, atol=1e-6)
        moved += not torch.allclose(tuned[name], origin[name], atol=1e-4)
    assert moved > 20


@pytest.mark.parametrize("step", [8, 10], ids=["first repeat", "second repeat"])
def test_a_whole_recipe_that_was_stopped_ends_with_the_same_bits(
    whole: Path, rooms: Path, pretrained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    stages = resolve_stages(whole_recipe(pretrained))
    stop_after(step, monkeypatch, stages, rooms, tmp_path / "stopped")
    assert (tmp_path / "stopped" / "stage-2").is_dir() and Run(tmp_path / "stopped").status is Status.INTERRUPTED
    resume_stages(tmp_path / "stopped")
    for name, value in weights(whole).items():
        assert torch.equal(value, weights(tmp_path / "stopped")[name]), name


def test_weights_to_go_back_to_are_looked_for_before_the_first_stage(
    rooms: Path, pretrained: Path, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    stages = resolve_stages(whole_recipe(pretrained), {"init": str(tiny_checkpoint)})
    pretrained.unlink()
    with pytest.raises(LeadlineError, match=r"no weights at .*pretrained\.safetensors"):
        train_stages(stages, rooms, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_an_encoder_that_started_at_random_has_nothing_to_go_back_to(pretrained: Path, caplog: Any) -> None:
    recipe, overrides = whole_recipe(pretrained), {"model": {"encoder": {"weights": "none"}}}
    assert [stage.restore_encoder for stage in resolve_stages(recipe)] == [0, 0.75, 0]
    assert not caplog.messages
    assert [stage.restore_encoder for stage in resolve_stages(recipe, overrides)] == [0, 0, 0]
    assert caplog.messages == ["encoder weights are 'none': there are none for the recipe to restore"]


def test_a_stage_keeps_the_encoders_weights_where_it_goes_back_to_them(pretrained: Path) -> None:
    stages = resolve_stages(whole_recipe(pretrained))
    assert [stage.model.encoder.weights for stage in stages] == [str(pretrained), str(pretrained), "none"]


def test_any_model_can_be_fine_tuned(rooms: Path, tiny_checkpoint: Path, tmp_path: Path) -> None:
    data = {"split": "official", "workers": 0, "augment": {"zoom": 1.5}}
    stages = resolve_stages("fine-tune", {"init": str(tiny_checkpoint), "max_steps": 2, "data": data})
    best = train_stages(stages, rooms, tmp_path / "run", "fine-tune")
    record = read_config(best)["record"]["settings"]
    assert (record["init"], record["model"]["plain"]["width"]) == ("tiny", 4)


def test_near_things_are_taught_to_what_looks_on_alone(rooms: Path, tiny_checkpoint: Path, tmp_path: Path) -> None:
    data = {"workers": 0, "rendered": 2, "beside": [f"{rooms}*2"]}
    overrides = {"init": str(tiny_checkpoint), "max_steps": 2, "data": data, "model": {"head": {"scale_field": True}}}
    best = train_stages(resolve_stages("near-things", overrides), rooms, tmp_path / "run", "near-things")
    before, after = load_checkpoint(tiny_checkpoint).state_dict(), load_checkpoint(best).state_dict()
    for name, value in before.items():
        torch.testing.assert_close(after[name], value)  # averaging rounds
    assert any(name.startswith(SCALE_LAYERS) for name in after.keys() - before.keys())


STAGED = """
ema_decay = 0.5
epochs = 9
[model]
height = 64
[model.encoder]
weights = "some.safetensors"
[[stages]]
epochs = 3
[[stages]]
model = { height = 128 }
"""


def test_a_stage_is_the_recipe_with_what_it_sets_itself(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(STAGED)
    first, second = resolve_stages(str(tmp_path / "mine.toml"))
    assert (first.epochs, first.model.height, first.ema_decay) == (3, 64, 0.5)
    assert (second.epochs, second.model.height, second.ema_decay) == (9, 128, 0.5)


def test_only_the_first_stage_starts_from_given_weights(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(STAGED)
    stages = resolve_stages(str(tmp_path / "mine.toml"), {"init": "base"})
    assert [(stage.init, stage.model.encoder.weights) for stage in stages] == [
        ("base", "some.safetensors"),
        ("", "none"),
    ]


def test_a_recipe_that_extends_a_staged_one_is_heard_in_every_stage(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text('extends = "report-densenet"\nepochs = 3\n[model]\nheight = 120\n')
    found, base = resolve_stages(str(tmp_path / "mine.toml")), resolve_stages("report-densenet")
    assert [(stage.epochs, stage.model.height) for stage in found] == [(3, 120)] * 2
    assert [stage.model.width for stage in found] == [stage.model.width for stage in base]
    (tmp_path / "own.toml").write_text('extends = "report-densenet"\nepochs = 3\n[[stages]]\nepochs = 7\n')
    assert [stage.epochs for stage in resolve_stages(str(tmp_path / "own.toml"))] == [7]


def test_a_recipe_keeps_the_first_stages_of_another_as_they_are(tmp_path: Path) -> None:
    mine = tmp_path / "mine.toml"
    mine.write_text(
        'extends = "report-densenet"\nkeep_stages = 1\n[model]\nheight = 120\n[[stages]]\nepochs = 7\n[[stages]]\n'
    )
    kept, second, third = resolve_stages(str(mine))
    assert kept == resolve_stages("report-densenet")[0]
    assert [(stage.epochs, stage.model.height) for stage in (second, third)] == [(7, 120), (20, 120)]


@pytest.mark.parametrize("number", ["3", "-1", '"all"'])
def test_more_stages_than_there_are_cannot_be_kept(tmp_path: Path, number: str) -> None:
    mine = tmp_path / "mine.toml"
    mine.write_text(f'extends = "report-densenet"\nkeep_stages = {number}\n[[stages]]\nepochs = 7\n')
    with pytest.raises(LeadlineError, match="keep_stages: report-densenet has 2 stages, got"):
        resolve_stages(str(mine))


def test_overrides_reach_every_stage(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(STAGED)
    stages = resolve_stages(str(tmp_path / "mine.toml"), {"epochs": 1, "model": {"height": 32}})
    assert [(stage.epochs, stage.model.height) for stage in stages] == [(1, 32), (1, 32)]


@pytest.mark.parametrize("mistake", ["stages = []", "stages = 3", "stages = [1]", "[stages]\nepochs = 3"])
def test_stages_that_are_no_tables_are_refused(tmp_path: Path, mistake: str) -> None:
    (tmp_path / "mine.toml").write_text(mistake)
    with pytest.raises(LeadlineError, match=r"wanted \[\[stages\]\] above each"):
        resolve_stages(str(tmp_path / "mine.toml"))


def test_an_unknown_setting_of_a_stage_suggests_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text("[[stages]]\nepoch = 3\n")
    with pytest.raises(LeadlineError, match="did you mean 'epochs'"):
        resolve_stages(str(tmp_path / "mine.toml"))


def test_a_stage_comes_back_from_its_folder(rooms: Path, stages: list[RunSettings], tmp_path: Path) -> None:
    train_stages([stage.model_copy(update={"max_steps": 1}) for stage in stages], rooms, tmp_path / "run", "mine")
    path = tmp_path / "run" / "settings.toml"
    assert parse_settings(read_toml(path), str(path)).model.height == 51


def test_what_a_later_stage_cannot_join_is_refused_before_the_first(rooms: Path, tmp_path: Path) -> None:
    stages = resolve_stages("base", {"data": {"split": "scene"}, "model": {"encoder": {"weights": "none"}}})
    with pytest.raises(LeadlineError, match=r"want the official split, got 'scene'; .* --data\.rendered 0"):
        train_stages(stages, rooms, tmp_path / "run")
    assert not (tmp_path / "run").exists()
