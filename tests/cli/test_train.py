"""The command train."""

import re
import sys
from collections import defaultdict
from pathlib import Path

import pytest
from one_line import fails

from leadline.cli.main import app, main

SLOW_AND_TINY = """
epochs = 3
[model]
network = "unet"
height = 72
width = 96
plain = { width = 4, levels = 2 }
[data]
split = "official"
validation = 0.2
batch_size = 1
workers = 0
"""
PROGRESS = re.compile(r"epoch (\d) of 3 \S*━\S*.* (\d+)/(\d+) (\S+) left( loss \d\.\d{4}| validation \d/\d|)(.*)")
STAGES = re.compile(r"(stage ./2, epoch ./.) \S*━\S*.* (~|)(?:\d+ s|\d:..:..|-:--:--) left")
BEST = re.compile(r" {1,2}best abs_rel 0\.\d{4}(\^C)?")


def test_every_settings_field_is_a_flag_with_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--help"]) == 0
    printed = capsys.readouterr().out
    for flag in ("--data.augment.zoom", "--model.encoder.weights", "--loss.gradient", "--optimizer.clip-norm"):
        assert flag in printed


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals of this kind")
def test_a_training_stopped_and_resumed_has_one_progress_line_with_right_totals(rooms: Path, tmp_path: Path) -> None:
    from terminal import Terminal

    (tmp_path / "tiny.toml").write_text(SLOW_AND_TINY)
    run = str(tmp_path / "run")
    terminal = Terminal(columns=100)
    words = ("train", str(tmp_path / "tiny.toml"), "--data", str(rooms), "--out", run)
    assert terminal.run(*words, interrupt_at=["epoch 2 of 3", "/", "loss"]) == 130
    assert not found(terminal.lines), "the line goes, and what stopped the run stands instead"
    (stopped,) = re.findall(r"stopped after step (\d+) of (\d+) in epoch (\d) of 3", " ".join(terminal.lines))
    step, num_steps, epoch = map(int, stopped)
    first = [match for screen in terminal.shown for match in found(screen)]
    terminal.shown.clear()
    assert terminal.run("train", "--resume", run) == 0

    for screen in terminal.shown:
        assert len(found(screen)) <= 1, screen
        assert "v_num" not in " ".join(screen) and "it/s" not in " ".join(screen)
    resumed = [match for screen in terminal.shown for match in found(screen)]
    assert {int(match[3]) for match in (*first, *resumed)} == {num_steps}
    assert [int(match[1]) for match in first][0] == 1 and int(first[-1][2]) <= step
    assert (int(resumed[0][1]), int(resumed[0][2])) == (epoch, step), "it goes on where it stopped"
    steps = [int(match[2]) for match in (*first, *resumed)]
    assert steps == sorted(steps)
    for match in (*first, *resumed):
        ends_epoch = int(match[2]) % (num_steps // 3) == 0  # before or after its validation
        assert ends_epoch or bool(BEST.fullmatch(match[6])) == (int(match[1]) > 1), match[0]
    assert [line[:12] for line in terminal.lines if "validation δ1" in line] == [f"epoch {n} of 3" for n in (1, 2, 3)]
    (last,) = found(terminal.lines)
    assert (last[1], last[2], last[4]) == ("3", last[3], "0:00:00")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals of this kind")
def test_the_progress_of_stages_names_the_stage_and_fits_80_columns(rooms: Path, tmp_path: Path) -> None:
    from terminal import Terminal

    stages = "[[stages]]\nepochs = 1\n[[stages]]\nepochs = 2\nmax_steps = 4\nmodel = { height = 48, width = 64 }\n"
    (tmp_path / "two.toml").write_text(SLOW_AND_TINY + stages)
    terminal = Terminal(columns=80)
    assert terminal.run("train", str(tmp_path / "two.toml"), "--data", str(rooms), "--out", str(tmp_path / "run")) == 0

    lines = {line for screen in terminal.shown for line in screen if "stage " in line and " left" in line}
    found: dict[str, set[str]] = defaultdict(set)
    for line in lines:
        match = STAGES.match(line)
        assert match and "…" not in line and len(line) <= 80, line
        found[match[1]].add(match[2])
    assert found == {"stage 1/2, epoch 1/1": {"", "~"}, "stage 2/2, epoch 1/1": {""}}  # no time before a step


@pytest.mark.parametrize(
    "words",
    [["near,a,b,desk*3"], ["near", "a,b", "desk*3"], ["near", "--data.beside", "a", "b,desk*3"]],
    ids=["commas", "words", "flag repeated"],
)
def test_folders_of_more_pictures_are_a_list_like_any_other(words: list[str]) -> None:
    _, bound, _ = app.parse_args(["train", "--data.beside", *words], exit_on_error=False, print_error=False)
    assert bound.arguments["settings"].model_dump(exclude_unset=True) == {
        "data": {"beside": ("near", "a", "b", "desk*3")}
    }


def test_a_folder_with_a_comma_is_one_however_often_it_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "desk,lamp").mkdir()
    words = ["desk,lamp*3", "near,desk"]
    _, bound, _ = app.parse_args(["train", "--data.beside", *words], exit_on_error=False, print_error=False)
    assert bound.arguments["settings"].data.beside == ("desk,lamp*3", "near", "desk")


def found(screen: list[str]) -> list[re.Match[str]]:
    """The progress lines of a screen."""
    return [match for line in screen if (match := PROGRESS.fullmatch(line))]


def test_a_finished_run_says_so_without_a_training(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    (run / "checkpoints" / "best").mkdir(parents=True)
    (run / "settings.toml").write_text("")
    (run / "run.json").write_text('{"finished": true}')
    monkeypatch.setitem(sys.modules, "leadline.training.stages", None)
    assert main(["train", "--resume", str(run)]) == 0
    printed = capsys.readouterr().out
    assert printed == f"{run} is finished: there is nothing to resume\nbest checkpoint: {run}/checkpoints/best\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--optimizer.clip-norm", "0"], "leadline: --optimizer.clip-norm: "),
        (["--model.height", "0"], "leadline: --model.height: "),
        (
            ["--model.head.min-depth-m", "5", "--model.head.max-depth-m", "3"],
            "--model.head.min-depth-m must be less than --model.head.max-depth-m",
        ),
        (["--model.hieght", "96"], "Did you mean --model.height?"),
        (["--freeze-network"], "leadline: --freeze-network wants"),
    ],
)
def test_mistakes_name_flags(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert message in fails(capsys, "train", "report-cae", "--data", "nowhere", "--out", "nothing", *words)


@pytest.mark.parametrize(
    ("package", "words"),
    [
        ("tensorboard", ["train", "report-cae", "--data", "d", "--out", "o"]),
        ("matplotlib", ["train", "report-cae", "--data", "d", "--out", "o"]),
        ("tomli_w", ["reproduce", "--data", "d", "--out", "o"]),
        ("matplotlib", ["report", "--data", "d"]),
        ("matplotlib", ["figure", "--data", "d", "--out", "o"]),
        ("matplotlib", ["compare", "a", "b", "--data", "d", "--out", "o"]),
    ],
)
def test_a_missing_package_is_told_before_the_work(
    package: str, words: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    assert fails(capsys, *words) == (
        f'leadline: this needs {package}, which is not installed: pip install "leadline[torch]"'
    )
