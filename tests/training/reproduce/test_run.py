"""Reproduction end to end on rendered rooms: what it writes, skips, resumes and refuses."""

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

import leadline.training.reproduce.run as module
from leadline.cli.main import main
from leadline.data.catalog import open_dataset
from leadline.data.splits import select
from leadline.data.synthetic.dataset import synthesize
from leadline.errors import Interrupted, LeadlineError
from leadline.training.reproduce.experiments import EXPERIMENTS, Experiment
from leadline.training.reproduce.run import reproduce
from leadline.training.run import Run, Status
from leadline.training.settings import RunSettings, merge, resolve_stages


def without_workers(recipe: str, overrides: dict[str, Any]) -> list[RunSettings]:
    return resolve_stages(recipe, merge(overrides, {"data": {"workers": 0}}))


@pytest.fixture(scope="module")
def out(rooms: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The two small networks, an epoch each; processes that decode, and sheets, take most of a tiny run's time."""
    folder = tmp_path_factory.mktemp("reproduced")
    words = ["reproduce", "--data", str(rooms), "--out", str(folder), "--only", "cae", "unet", "--epochs", "1"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "resolve_stages", without_workers)
        patch.setattr("leadline.training.callbacks.depth_sheet", lambda path, rows, title: None)
        assert main(words) == 0
    return folder


@pytest.mark.parametrize("name", ["cae", "unet"])
def test_each_network_is_scored_under_both_protocols(out: Path, name: str) -> None:
    for protocol in ("report", "report-in-range"):
        scores = json.loads((out / name / protocol / "metrics.json").read_text())
        assert scores["model"] == name
        assert scores["protocol"] == protocol
        assert scores["split"] == "report/test"
        with (out / name / protocol / "per_image.csv").open(newline="") as file:
            assert len(list(csv.DictReader(file))) == scores["num_images"] == 4


def test_the_page_shows_the_scores_beside_the_reports(out: Path) -> None:
    page = (out / "report.md").read_text(encoding="utf-8")
    scores = json.loads((out / "cae" / "report" / "metrics.json").read_text())
    assert "| Convolutional autoencoder | the report | 0.501 | 0.787 | 0.923 | 0.299 | 1.106 | 0.123 |" in page
    for averaging in ("pooled", "per_image"):
        values = scores[averaging]
        assert f"leadline, {averaging} | {values['delta1']:.3f} | {values['delta2']:.3f}" in page
    assert "1 (not the recipe's)" in page
    assert "Xception" not in page


def test_every_picture_of_the_page_is_there(out: Path) -> None:
    page = (out / "report.md").read_text(encoding="utf-8")
    linked = [part.partition(")")[0] for part in page.split("](")[1:]]
    assert len(linked) == 4
    assert all((out / path).is_file() for path in linked)


def test_the_ceiling_is_the_score_of_the_clamped_truth(out: Path, rooms: Path) -> None:
    dataset = open_dataset(rooms)
    samples = [dataset[index] for index in select(dataset, "report/test")]
    truth = torch.cat([sample.depth_m[sample.valid] for sample in samples]).double()
    error = truth.clamp(0.5, 4.0) - truth
    pooled = json.loads((out / "ceiling" / "report" / "metrics.json").read_text())["pooled"]
    assert pooled["rms"] == pytest.approx(error.square().mean().sqrt().item())
    assert pooled["abs_rel"] == pytest.approx((error.abs() / truth).mean().item())


def test_the_cost_is_written(out: Path) -> None:
    cost = json.loads((out / "unet" / "cost.json").read_text())
    assert cost["parameters"] > 1e6
    assert cost["seconds_per_epoch"] > 0
    assert cost["pictures_per_second"] > 0


def test_a_second_call_does_nothing_again(out: Path, rooms: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("train_stages", "resume_stages", "evaluate_protocols", "score_images"):
        monkeypatch.delattr(module, name)
    assert reproduce(rooms, out, ["cae", "unet"], epochs=1).is_file()


def test_a_finished_run_is_known_where_its_data_were_moved(
    out: Path, rooms: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(out, tmp_path / "runs")
    for file in (tmp_path / "runs").rglob("run.json"):
        file.write_text(json.dumps({**json.loads(file.read_text()), "data": f"/nowhere/{rooms.name}"}))
    for name in ("train_stages", "resume_stages", "evaluate_protocols", "score_images"):
        monkeypatch.delattr(module, name)
    assert reproduce(rooms, tmp_path / "runs", ["cae", "unet"], epochs=1).is_file()


def test_a_run_that_was_cut_is_resumed(out: Path, rooms: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    resumed: list[Path] = []
    cut = property(lambda run: Status.INTERRUPTED if run.folder.name == "cae" else Status.DONE)
    monkeypatch.setattr(Run, "status", cut)
    monkeypatch.setattr(module, "resume_stages", lambda folder, show_progress: resumed.append(folder))
    monkeypatch.setattr(module, "write_page", lambda folder: folder / "report.md")
    reproduce(rooms, out, ["cae", "unet"], epochs=1)
    assert resumed == [out / "cae"]


def test_an_interruption_says_how_to_go_on(out: Path, rooms: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(folder: Path, show_progress: bool) -> None:
        raise Interrupted("stopped after step 7", "continue with --resume x")

    monkeypatch.setattr(Run, "status", property(lambda run: Status.INTERRUPTED))
    monkeypatch.setattr(module, "resume_stages", stop)
    with pytest.raises(Interrupted, match="stopped after step 7; the same command goes on from there"):
        reproduce(rooms, out, ["cae"], epochs=1)


def test_a_run_with_other_settings_is_refused(out: Path, rooms: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["reproduce", "--data", str(rooms), "--out", str(out), "--only", "cae", "--epochs", "2"]
    assert main(arguments) == 2
    message = capsys.readouterr().err
    assert "epochs 1, wanted 2" in message
    assert message.count("\n") == 1


def test_a_run_on_other_data_is_refused(out: Path, rooms: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").symlink_to(rooms)
    reproduce(tmp_path / "elsewhere", out, ["cae"], epochs=1)  # the same data by another way
    (tmp_path / "others").mkdir()
    (tmp_path / "others" / "index.csv").write_bytes((rooms / "index.csv").read_bytes())
    with pytest.raises(LeadlineError, match="data rooms, wanted others"):
        reproduce(tmp_path / "others", out, ["cae"], epochs=1)


def weights_with(name: str, encoder_weights: dict[str, Path]) -> str:
    stages: list[RunSettings] = module._stages(EXPERIMENTS[name], None, encoder_weights)
    assert all(stage.model.encoder.weights == "none" for stage in stages[1:])
    return stages[0].model.encoder.weights


def test_encoder_weights_go_to_the_encoder_of_that_name_alone() -> None:
    given = {"densenet121": Path("weights.safetensors")}
    assert weights_with("densenet", given) == "weights.safetensors"
    assert weights_with("ablation-l1", given) == "weights.safetensors"
    assert weights_with("xception", given) == "legacy_xception.tf_in1k"
    assert weights_with("ablation-scratch", given) == "none"


def test_missing_encoder_weights_are_found_before_anything_is_trained(
    rooms: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["reproduce", "--data", str(rooms), "--out", str(tmp_path / "out"), "--only", "cae", "densenet"]
    assert main([*arguments, "--encoder-weights.densenet121", str(tmp_path / "no.safetensors")]) == 2
    error = capsys.readouterr().err
    assert "no.safetensors" in error and error.endswith(": --encoder-weights.densenet121 FILE\n")
    assert not (tmp_path / "out").exists()


def test_a_data_set_that_leaves_nothing_for_validation_is_refused_before_anything_is_trained(tmp_path: Path) -> None:
    synthesize(tmp_path / "few", 8, seed=0, height=48, width=64)
    with pytest.raises(LeadlineError, match="'official/val' holds no picture"):
        reproduce(tmp_path / "few", tmp_path / "out", ["cae-official"])
    assert not (tmp_path / "out").exists()


def test_epochs_must_be_positive(rooms: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reproduce", "--data", str(rooms), "--out", str(tmp_path), "--epochs", "0"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_weights_of_an_encoder_that_no_experiment_uses_are_a_mistake(rooms: Path, tmp_path: Path) -> None:
    given = {"legacy-xception": tmp_path / "x.safetensors"}
    with pytest.raises(LeadlineError, match="did you mean '--encoder-weights.legacy_xception'"):
        reproduce(rooms, tmp_path / "out", ["xception"], encoder_weights=given)


def test_an_experiment_of_two_stages_is_trained_once(
    rooms: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine.toml").write_text(
        'extends = "report-cae"\n[data]\nworkers = 0\n[model]\nheight = 32\nwidth = 48\nplain = { width = 4 }\n'
        "[[stages]]\nepochs = 1\n"
        "[[stages]]\nepochs = 2\nruns = 2\n"
    )
    staged = Experiment(name="staged", title="two stages", recipe=str(tmp_path / "mine.toml"))
    monkeypatch.setattr(module, "choose_experiments", lambda only: [staged])
    monkeypatch.setattr("leadline.training.callbacks.depth_sheet", lambda path, rows, title: None)
    monkeypatch.setattr("leadline.training.callbacks.learning_curves", lambda path, rows, monitor: None)
    out = tmp_path / "out"
    reproduce(rooms, out)
    assert [len(run.read_rows()) for run in Run(out / "staged").stages] == [1, 1]
    assert [len(run.read_rows()) for run in Run(out / "staged").trained] == [2, 2]
    assert (out / "staged" / "report" / "metrics.json").is_file()
    for name in ("train_stages", "resume_stages"):
        monkeypatch.delattr(module, name)
    reproduce(rooms, out)
    with pytest.raises(LeadlineError, match=r"stage-1 holds a run with epochs 1, wanted 3"):
        reproduce(rooms, out, epochs=3)
