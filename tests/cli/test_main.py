"""Each command: its exit code, its files, and one line for every mistake."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from one_line import fails

from leadline.cli.main import COMMANDS, app, main

TINY = """
epochs = 1
max_steps = 2
precision = "float32"
[model]
network = "unet"
height = 36
width = 48
[model.plain]
width = 4
levels = 2
[data]
workers = 0
batch_size = 4
"""


@pytest.fixture
def recipe(tmp_path: Path) -> str:
    path = tmp_path / "tiny.toml"
    path.write_text(TINY)
    return str(path)


def test_train_evaluate_predict_figure(
    rooms: Path, recipe: str, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    assert main(["train", recipe, "--data", str(rooms), "--out", str(run), "--optimizer.learning-rate", "0.002"]) == 0
    assert "learning_rate = 0.002" in (run / "settings.toml").read_text()
    report = ["evaluate", str(run), "--data", str(rooms), "--protocol", "report", "--out", str(tmp_path / "scores")]
    assert main(report) == 0
    printed = capsys.readouterr().out
    assert "protocol report, 8 images (torch " in printed and "pooled" in printed
    assert (tmp_path / "scores" / "metrics.json").is_file()
    assert main(["predict", str(photos), "--model", str(run), "--out", str(tmp_path / "depth")]) == 0
    printed = capsys.readouterr().out
    assert "5 of 5 images written" in printed and "median" in printed
    assert len(list((tmp_path / "depth").iterdir())) == 15
    sheets = ["figure", str(run), "--data", str(rooms), "--protocol", "report", "--out", str(tmp_path / "figures")]
    assert main([*sheets, "--rows", "2"]) == 0
    assert {path.name for path in (tmp_path / "figures").glob("*.png")} == {
        "best.png", "median.png", "worst.png", "sample.png",
    }  # fmt: skip
    assert main(["train", "--resume", str(run)]) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["predikt"], 'Did you mean "predict"'),
        (["check", "rooms"], "unknown command 'check': did you mean 'leadline data check'?"),
        (["convert", "a.r3d", "--out", "x"], "did you mean 'leadline data convert'?"),
        (["compare", "default", "--data", "nowhere"], "needs at least 2 models, got default; name another"),
        (["predict"], "no pictures given"),
        (["predict", "nowhere.jpg"], "nowhere.jpg does not exist"),
        (["predict", "x.jpg", "--format", "colour"], "did you mean 'color'"),
        (["predict", "x.jpg", "--format", "cloud"], "unknown format 'cloud': a cloud is ply, or points (as glTF)"),
        (["predict", "x.jpg", "--format", "obj"], "unknown format 'obj': a surface is glb"),
        (["predict", "x.jpg", "--intrinsics", "nowhere.txt"], "no camera file at nowhere.txt"),
        (["predict", "x.jpg", "--fov", "200"], "lies between 0 and 180 degrees, got 200"),
        (
            ["predict", "x.jpg", "--camera-height", "0,35"],
            "wanted a number such as 0.4, got '0,35': a decimal comma",
        ),
        (["predict", "x.jpg", "--fov", "63deg"], "--fov: wanted a number such as 0.4, got '63deg': leave the unit out"),
        (["predict", "x.jpg", "--fov", "wide"], "--fov: wanted a number such as 0.4, got 'wide'"),
        (["calibrate", "x.jpg", "--length", "1,2", "3,4", "1.6m", "--out", "y"], "got '1.6m': leave the unit out"),
        (["data", "convert", "x", "--every", "0,4", "--out", "y"], "--every: wanted a number such as 0.4, got '0,4'"),
        (["measure", "x.jpg"], "wanted X,Y of one point for its depth or of two for their distance, got 0"),
        (["measure", "x.jpg", "3,4", "5;6"], "a point is two numbers, X,Y, such as 320,240; got '5;6'"),
        (["measure", "x.jpg", "3,4"], "x.jpg does not exist"),
        (
            ["calibrate", "--out", "y"],
            "wanted IMAGE and a CSV file of x,y,metres, a CSV file of picture,x,y,metres, or",
        ),
        (["calibrate", "a.jpg", "--data", "x", "--out", "y"], "or --data; got a.jpg"),
        (["calibrate", "a.jpg", "a.csv", "--out", "y"], "a.csv cannot be read as lines of x,y,metres"),
        (["calibrate", "--data", "x", "--fov", "60", "--out", "y"], "a data set tells its own cameras"),
        (["train"], "name a recipe"),
        (["train", "densnet"], "training needs --data"),
        (["train", "densnet", "--data", "x", "--out", "y"], "unknown recipe 'densnet'"),
        (["train", "cae", "--data", "nowhere", "--out", "y"], "no data set at nowhere"),
        (["train", "cae", "--data", "x", "--out", "y", "--epoch", "3"], "Did you mean --epochs"),
        (["train", "cae", "--data", "x", "--out", "y", "--epochs", "0"], "--epochs: Input should be greater"),
        (
            ["train", "cae", "--data", "x", "--out", "y", "--data.batch-size", "many"],
            "--data.batch-size: Input should be a valid integer",
        ),
        (["train", "cae", "--resume", "x"], "leave the recipe"),
        (["train", "--resume", "nowhere"], "no run at nowhere"),
        (["evaluate", "--data", "nowhere"], "no data set at nowhere"),
        (["evaluate", "--data", "x", "--protocol", "eigen"], "unknown protocol 'eigen'"),
        (["evaluate"], "leadline evaluate needs --data: 'leadline evaluate --help' describes it"),
        (["evaluate", "fast", "rooms"], "leadline evaluate needs --data: did you mean '--data rooms'?"),
        (
            ["evaluate", "--model", "x", "--data", "y"],
            "Unknown option: --model. 'leadline evaluate --help' lists the opt",
        ),
        (["data", "check"], "leadline data check needs ROOT: 'leadline data check --help' describes it"),
        (["evaluate", "--data"], "--data requires an argument"),
        (["data", "check", "nowhere"], "nowhere"),
        (["data", "download", "kitti", "--out", "x"], "only nyu"),
        (["data", "prepare", "nyu", "--mat", "a.mat", "--splits", "b.mat", "--out", "x"], "a.mat"),
    ],
)
def test_mistakes_are_one_line_and_exit_code_2(
    arguments: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert message in fails(capsys, *arguments)
    assert not list(tmp_path.iterdir())  # nothing half-written


@pytest.mark.parametrize(
    ("command", "names"),
    [
        ("--help", ("predict", "measure", "calibrate", "train", "evaluate", "figure", "bench", "reproduce", "data")),
        ("models", ("base (default)", "fast", "report-cae")),
    ],
)
def test_what_is_only_listed_comes_without_torch(command: str, names: tuple[str, ...]) -> None:
    code = f"import sys; from leadline.cli.main import main; main([{command!r}]); sys.exit('torch' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    for name in names:
        assert name in result.stdout


# Help

EXAMPLES = [line.split()[1:] for commands in COMMANDS.values() for _, line in commands]
OF_DATA = [
    app["data"][name].help_epilogue.removeprefix("Example: leadline ").split()
    for name in ("prepare", "download", "synthesize", "convert", "check")
]


def test_the_commands_stand_in_groups(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    printed = capsys.readouterr().out
    places = [printed.index(f"─ {title} ─") for title in COMMANDS]
    assert places == sorted(places) and printed.index(" train ") > printed.index("─ Train ─")


@pytest.mark.parametrize("words", [*EXAMPLES, *OF_DATA], ids=lambda words: " ".join(words[:2]))
def test_a_command_s_help_ends_with_an_example_that_it_understands(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    command = words[: 1 + (words[0] == "data" and words in OF_DATA)]
    assert main([*command, "--help"]) == 0
    assert " ".join(capsys.readouterr().out.split()).endswith(f"Example: leadline {' '.join(words)}")
    app.parse_args(words, print_error=False, exit_on_error=False)  # fails where a flag is unknown or missing


def test_train_s_help_has_sections(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--help"]) == 0
    printed = capsys.readouterr().out
    order = ["─ Run ─", "--epochs", "─ Model ─", "--model.head.kind", "─ Data ─", "--data.augment.zoom"]
    order += ["─ Loss ─", "--loss.ssim", "─ Optimizer ─", "--optimizer.clip-norm"]
    places = [printed.index(text) for text in order]
    assert places == sorted(places)


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (["reproduce", "--data", "d", "--out", "o", "--only"], "only"),
        (["predict", "photos", "--format"], "format"),
        (["cluster", "photos", "--out", "o", "--format"], "format"),
        (["bench", "--device"], "device"),
        (["app", "--host-name"], "host_name"),
    ],
)
@pytest.mark.parametrize("given", [["a,b"], ["a, b"], ["a", "FLAG", "b"], ["a", "b"]])
def test_lists_are_given_one_way(words: list[str], name: str, given: list[str]) -> None:
    given = [words[-1] if word == "FLAG" else word for word in given]
    bound = app.parse_args([*words, *given], print_error=False, exit_on_error=False)[1]
    assert bound.arguments[name] == ["a", "b"]


def test_numbers_are_a_list_too_and_a_file_with_a_comma_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a,b.jpg").write_text("")
    words = ["bench", "--batch", "1,4", "--data", "a,b.jpg", "c.jpg,d.jpg"]
    bound = app.parse_args(words, print_error=False, exit_on_error=False)[1]
    assert (bound.arguments["batch"], bound.arguments["data"]) == ([1, 4], ["a,b.jpg", "c.jpg", "d.jpg"])
    assert "x" in fails(capsys, "bench", "--batch", "1,x")
    assert "0" in fails(capsys, "bench", "--batch", "1,0")


def test_completion_is_installed_by_one_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert main(["--install-completion", "--shell", "bash"]) == 0
    script = "".join(path.read_text() for path in tmp_path.rglob("leadline"))
    assert "--skip-existing" in script and "reproduce" in script
    assert "leadline" in (tmp_path / ".bashrc").read_text()


@pytest.mark.skipif(sys.platform == "win32", reason="a broken pipe is no BrokenPipeError there")
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_leaves_is_no_error(unbuffered: str, photos: Path, tiny_checkpoint: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "leadline", "measure", photos / "rgb.jpg", "3,4", "--model", tiny_checkpoint]
    told = subprocess.run(
        command, stdout=writing, stderr=subprocess.PIPE, text=True, env=os.environ | {"PYTHONUNBUFFERED": unbuffered}
    )
    os.close(writing)
    assert (told.returncode, told.stderr) == (1, "")
