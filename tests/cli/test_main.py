"""Each command: its exit code, its files, and one line for every mistake."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from leadline.cli.main import main

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


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for name, mode in {"rgb.jpg": "RGB", "grey.png": "L", "alpha.png": "RGBA", "press.jpg": "CMYK"}.items():
        Image.new(mode, (40, 30)).save(folder / name)
    Image.fromarray(np.full((30, 40), 40000, np.uint16)).save(folder / "deep.png")
    return folder


def fails(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """Run a command that must end with code 2 and one line on stderr; give that line."""
    capsys.readouterr()
    assert main([str(word) for word in arguments]) == 2
    error = capsys.readouterr().err
    lines = [line for line in error.splitlines() if line.startswith("leadline: ")]
    assert len(lines) == 1, error
    assert "Traceback" not in error
    return lines[0]


def test_train_evaluate_predict_figure(
    rooms: Path, recipe: str, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    assert main(["train", recipe, "--data", str(rooms), "--out", str(run), "--optimizer.learning-rate", "0.002"]) == 0
    assert "learning_rate = 0.002" in (run / "settings.toml").read_text()
    report = ["evaluate", str(run), "--data", str(rooms), "--protocol", "report", "--out", str(tmp_path / "scores")]
    assert main(report) == 0
    printed = capsys.readouterr().out
    assert "protocol report, 8 pictures" in printed and "pooled" in printed
    assert (tmp_path / "scores" / "metrics.json").is_file()
    assert main(["predict", str(photos), "--model", str(run), "--out", str(tmp_path / "depth")]) == 0
    printed = capsys.readouterr().out
    assert "5 of 5 pictures written" in printed and "median" in printed
    assert len(list((tmp_path / "depth").iterdir())) == 15
    sheets = ["figure", str(run), "--data", str(rooms), "--protocol", "report", "--out", str(tmp_path / "figures")]
    assert main([*sheets, "--rows", "2"]) == 0
    assert {path.name for path in (tmp_path / "figures").glob("*.png")} == {
        "best.png", "median.png", "worst.png", "sample.png",
    }  # fmt: skip
    assert main(["train", "--resume", str(run)]) == 0


def test_compare_and_report(
    rooms: Path, tiny_checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scored = ["--data", str(rooms), "--split", "official/test"]
    assert main(["evaluate", str(tiny_checkpoint), *scored, "--protocol", "median", "--out", str(tmp_path / "a")]) == 0
    words = [*scored, "--protocol", "median", "--out", str(tmp_path / "compared")]
    assert main(["compare", str(tmp_path / "a"), str(tiny_checkpoint), *words]) == 0
    printed = capsys.readouterr().out
    assert "8 pictures of rooms official/test, protocol median" in printed and "unclear" in printed
    assert {path.name for path in (tmp_path / "compared").iterdir()} == {"compare.md", "compare.csv", "compare.png"}
    page = tmp_path / "page.html"
    words = [*scored, "--protocol", "metric", "--out", str(page), "--processes", "2"]
    assert main(["report", str(tiny_checkpoint), *words]) == 0
    assert page.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")


def test_measure(photos: Path, tiny_checkpoint: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["measure", str(photos / "rgb.jpg"), "0,0", "39,29", "--model", str(tiny_checkpoint), "--fov", "90"]
    assert main(words) == 0
    assert re.fullmatch(
        r"\d+\.\d\d m  from point to point; median of 5×5 pixels; focal 20 px \(given\)\n", capsys.readouterr().out
    )
    line = fails(capsys, "measure", photos / "rgb.jpg", "40,0", "--model", tiny_checkpoint)
    assert "the point 40,0 lies outside of this picture of 40×30 pixels: x goes from 0 to 39, y from 0 to 29" in line


def test_calibrate(
    photos: Path, rooms: Path, tiny_checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo, points, out = photos / "rgb.jpg", tmp_path / "points.csv", tmp_path / "calibrated"

    def metres(model: Path, x: int) -> float:
        capsys.readouterr()
        assert main(["measure", str(photo), f"{x},15", "--model", str(model)]) == 0
        return float(capsys.readouterr().out.split()[0])

    before_m = {x: metres(tiny_checkpoint, x) for x in (5, 20, 35)}
    points.write_text("".join(f"{x},15,{1.5 * depth_m}\n" for x, depth_m in before_m.items()))
    words = ["calibrate", str(photo), str(points), "--model", str(tiny_checkpoint), "--out", str(out)]
    assert main(words) == 0
    line = capsys.readouterr().out
    assert re.fullmatch(
        r"scale 1\.(49|50)\d kept: median error on what was left out 0\.\d%, without it 33\.\d% "
        rf"\(3 distances in 1 picture\); written to {re.escape(str(out))}\n",
        line,
    ), line
    assert metres(out, 20) == pytest.approx(1.5 * before_m[20], rel=0.01)
    # Distances that no scale brings together.
    points.write_text("".join(f"{x},15,{depth_m}\n" for x, depth_m in zip((5, 20, 35), (1, 2, 90), strict=True)))
    assert main([*words[:-1], str(tmp_path / "again")]) == 0
    line = capsys.readouterr().out
    assert " not kept: " in line and line.endswith("; nothing written\n") and not (tmp_path / "again").exists()
    assert "the model itself" in fails(capsys, *words[:-1], tiny_checkpoint)
    assert "holds something else than a checkpoint" in fails(capsys, *words[:-1], photos)
    assert main(["calibrate", "--data", str(rooms), "--model", str(tiny_checkpoint), "--out", str(out)]) == 0
    assert "(32 pictures of rooms)" in capsys.readouterr().out


def test_predict_takes_videos_beside_pictures(
    photos: Path, tiny_checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    av = pytest.importorskip("av", reason="needs PyAV")
    clip = tmp_path / "clip.mkv"
    with av.open(str(clip), "w") as file:
        stream = file.add_stream("ffv1", rate=10)
        stream.width, stream.height, stream.pix_fmt = 40, 30, "yuv420p"
        for grey in (50, 90):
            file.mux(stream.encode(av.VideoFrame.from_ndarray(np.full((30, 40, 3), grey, np.uint8), format="rgb24")))
        file.mux(stream.encode())
    out = tmp_path / "depth"
    assert main(["predict", str(clip), str(photos), "--model", str(tiny_checkpoint), "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "2 frames" in printed and "5 of 5 pictures written" in printed
    assert {"clip_side.mp4", "clip_depth.mkv", "rgb.npz"} <= {path.name for path in out.iterdir()}
    again = ["predict", str(clip), "--model", str(tiny_checkpoint), "--out", str(out), "--skip-existing"]
    (out / "clip_side.mp4").unlink()  # as if it had been killed between the two
    assert main(again) == 0 and "2 frames" in capsys.readouterr().out
    before = (out / "clip_depth.mkv").stat().st_mtime_ns
    assert main(again) == 0 and capsys.readouterr().out == "clip.mkv was there\n"
    assert (out / "clip_depth.mkv").stat().st_mtime_ns == before
    clip.write_text("text")
    assert "is no video that can be read" in fails(capsys, "predict", clip, "--model", tiny_checkpoint)


def test_predict_rerun_takes_a_file_or_none_wherever_it_stands(
    photos: Path, tiny_checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("rerun", reason="needs rerun-sdk")
    saved = tmp_path / "all.rrd"
    words = ["--model", str(tiny_checkpoint), "--out", str(tmp_path / "depth"), "--format", "depth"]
    assert main(["predict", *words, "--rerun", str(saved), str(photos)]) == 0
    assert "5 of 5 pictures" in capsys.readouterr().out and saved.stat().st_size > 10_000
    assert "one file" in fails(capsys, "predict", photos, *words, "--rerun", "a.rrd", "b.rrd")


def test_predict_goes_on_past_a_stream_that_is_not_there(
    photos: Path, tiny_checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("av", reason="needs PyAV")
    words = ["--model", str(tiny_checkpoint), "--out", str(tmp_path / "depth"), "--format", "depth"]
    assert main(["predict", "camera:97", str(photos), *words]) == 2
    printed = capsys.readouterr()
    assert "camera:97 cannot be opened" in printed.err and "5 of 5 pictures written" in printed.out
    assert "leave it out" in fails(capsys, "predict", photos, *words, "--seconds", "3")


def test_synthesize_and_check(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "rooms"
    assert main(["data", "synthesize", "--out", str(out), "--count", "4", "--height", "48", "--width", "64"]) == 0
    assert main(["data", "check", str(out)]) == 0
    assert "48" in capsys.readouterr().out
    (out / "depth" / "00001.png").unlink()
    assert main(["data", "check", str(out)]) == 2


def test_predict_goes_on_past_a_broken_picture(
    photos: Path, tiny_checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (photos / "text.png").write_text("this is text")
    line = fails(capsys, "predict", photos, "--model", tiny_checkpoint, "--out", tmp_path / "depth", "--format", "npz")
    assert "text.png is no picture" in line
    assert len(list((tmp_path / "depth").iterdir())) == 5


def test_models_lists_recipes_and_bundled_models(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models"]) == 0
    printed = capsys.readouterr().out
    assert "base (default)" in printed and "report-cae" in printed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["predikt"], 'Did you mean "predict"'),
        (["compare", "default", "--data", "nowhere"], "needs at least 2 models, got default; name another"),
        (["predict"], "no pictures given"),
        (["predict", "nowhere.jpg"], "nowhere.jpg does not exist"),
        (["predict", "x.jpg", "--format", "colour"], "did you mean 'color'"),
        (["predict", "x.jpg", "--intrinsics", "nowhere.txt"], "no camera file at nowhere.txt"),
        (["predict", "x.jpg", "--fov", "200"], "lies between 0 and 180 degrees, got 200"),
        (["measure", "x.jpg"], "wanted X,Y of one point for its depth or of two for their distance, got 0"),
        (["measure", "x.jpg", "3,4", "5;6"], "a point is two numbers, X,Y, such as 320,240; got '5;6'"),
        (["measure", "x.jpg", "3,4"], "x.jpg does not exist"),
        (["calibrate", "--out", "y"], "wanted PICTURE and a CSV file of x,y,metres, one of picture,x,y,metres, or"),
        (["calibrate", "a.jpg", "--data", "x", "--out", "y"], "or --data; got a.jpg"),
        (["calibrate", "a.jpg", "a.csv", "--out", "y"], "a.csv cannot be read as lines of x,y,metres"),
        (["calibrate", "--data", "x", "--fov", "60", "--out", "y"], "a data set tells its own cameras"),
        (["train"], "name a recipe"),
        (["train", "densnet"], "training needs --data"),
        (["train", "densnet", "--data", "x", "--out", "y"], "unknown recipe 'densnet'"),
        (["train", "cae", "--data", "nowhere", "--out", "y"], "no data set at nowhere"),
        (["train", "cae", "--data", "x", "--out", "y", "--epoch", "3"], "Did you mean --epochs"),
        (["train", "cae", "--data", "x", "--out", "y", "--epochs", "0"], "settings: epochs: Input should be greater"),
        (
            ["train", "cae", "--data", "x", "--out", "y", "--data.batch-size", "many"],
            "data.batch_size: Input should be a valid integer",
        ),
        (["train", "cae", "--resume", "x"], "leave the recipe"),
        (["train", "--resume", "nowhere"], "no run at nowhere"),
        (["evaluate", "--data", "nowhere"], "no data set at nowhere"),
        (["evaluate", "--data", "x", "--protocol", "eigen"], "unknown protocol 'eigen'"),
        (["evaluate"], "--data"),
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


def test_a_broken_picture_of_a_data_set_is_one_line(
    rooms: Path, tiny_checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = shutil.copytree(rooms, tmp_path / "rooms")
    (broken / "rgb" / "00031.png").write_text("no picture")
    line = fails(capsys, "evaluate", tiny_checkpoint, "--data", broken, "--protocol", "report", "--split", "all")
    assert "00031.png is no picture" in line and "worker" not in line


def test_a_data_sets_own_settings_are_named_as_such(
    rooms: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = shutil.copytree(rooms, tmp_path / "rooms")
    (broken / "dataset.toml").write_text("depth_skale = 1.0")
    assert "dataset.toml: depth_skale" in fails(capsys, "evaluate", "--data", broken, "--protocol", "report")


def test_a_full_disk_is_one_line(
    photos: Path,
    tiny_checkpoint: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("leadline.io.atomic.os.replace", full)
    out = tmp_path / "depth"
    assert "No space left" in fails(capsys, "predict", photos, "--model", tiny_checkpoint, "--out", out)
    assert not list(out.iterdir())


def test_a_checkpoint_cut_short_is_one_line(
    photos: Path, tiny_checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = tiny_checkpoint / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    assert "cut short" in fails(capsys, "predict", photos, "--model", tiny_checkpoint, "--out", tmp_path / "depth")


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


def test_every_settings_field_is_a_flag_with_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--help"]) == 0
    printed = capsys.readouterr().out
    for flag in ("--data.augment.zoom", "--model.encoder.weights", "--loss.gradient", "--optimizer.clip-norm"):
        assert flag in printed
