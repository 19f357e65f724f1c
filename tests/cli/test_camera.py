"""The commands measure and calibrate."""

import re
from pathlib import Path

import pytest
from one_line import fails

from leadline.cli.main import main


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
        rf"\(3 distances in 1 picture, focal 33 px \(assumed\)\); written to {re.escape(str(out))}\n",
        line,
    ), line
    assert metres(out, 20) == pytest.approx(1.5 * before_m[20], rel=0.01)
    # Distances that no scale brings together.
    points.write_text("".join(f"{x},15,{depth_m}\n" for x, depth_m in zip((5, 20, 35), (1, 2, 90), strict=True)))
    assert main([*words[:-1], str(tmp_path / "again")]) == 0
    line, told = capsys.readouterr()
    assert "use it as it is, or measure more points" in told and "--focal-px" in told
    assert " not kept: " in line and line.endswith("; nothing written\n") and not (tmp_path / "again").exists()
    assert "the model itself" in fails(capsys, *words[:-1], tiny_checkpoint)
    assert "holds something else than a checkpoint" in fails(capsys, *words[:-1], photos)
    assert main(["calibrate", "--data", str(rooms), "--model", str(tiny_checkpoint), "--out", str(out)]) == 0
    assert "(32 pictures of rooms)" in capsys.readouterr().out


def test_an_image_where_a_csv_file_is_wanted_is_named_as_such(
    photos: Path, tiny_checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image, model = photos / "rgb.jpg", ("--model", tiny_checkpoint)
    message = "alpha.png cannot be read as lines of x,y,metres or picture,x,y,metres: it is an image; name a CSV file"
    assert message in fails(capsys, "calibrate", image, photos / "alpha.png", *model, "--out", tmp_path / "c")
    assert message in fails(capsys, "predict", image, "--known", photos / "alpha.png", *model, "--out", tmp_path / "d")
    line = fails(capsys, "predict", image, "--intrinsics", photos / "alpha.png", *model, "--out", tmp_path / "d")
    assert "alpha.png is no camera file (it is no text)" in line


@pytest.mark.parametrize("command", ["measure", "calibrate"])
def test_help_says_where_a_point_s_place_is_found(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "--help"]) == 0
    words = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "image viewer" in words and "click" in words and "leadline app" in words


def test_a_folder_to_calibrate_on_is_told_to_be_data(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = fails(capsys, "calibrate", tmp_path, "--out", tmp_path / "c")
    assert f"labelled images are given as --data {tmp_path}" in line


@pytest.mark.parametrize("words", ["60 180 250 180 1.6", "60,180 250,180"])
def test_a_length_says_what_it_is_made_of(words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = fails(capsys, "calibrate", "a.jpg", "--length", *words.split(), "--out", tmp_path / "c")
    assert "wants X,Y X,Y METRES: two points, each with a comma" in line
