import json
import shutil
from pathlib import Path

import pytest
from one_line import fails

from leadline.cli.main import main


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["evaluate", "no-model", "--data", "nowhere", "--out", "file"], "file is a file, wanted a folder to write"),
        (["compare", "no-a", "no-b", "--data", "nowhere", "--out", "file"], "file is a file, wanted a folder to write"),
        (["bench", "no-model", "--out", "."], ". is a folder, wanted a file to write"),
    ],
)
def test_a_target_that_cannot_be_written_is_told_before_the_work(
    words: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file").write_text("")
    assert main(words) == 2
    assert message in capsys.readouterr().err


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


def test_a_broken_picture_of_a_data_set_is_one_line(
    rooms: Path, tiny_checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = shutil.copytree(rooms, tmp_path / "rooms")
    (broken / "rgb" / "00031.png").write_text("no picture")
    line = fails(capsys, "evaluate", tiny_checkpoint, "--data", broken, "--protocol", "report", "--split", "all")
    assert "00031.png is no picture" in line and "worker" not in line


@pytest.mark.parametrize("more", [[], ["--processes", "2"]])
def test_the_others_are_scored_where_images_are_broken(
    more: list[str], rooms: Path, tiny_checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = shutil.copytree(rooms, tmp_path / "rooms")
    (broken / "rgb" / "00031.png").write_text("no picture")
    (broken / "depth" / "00030.png").unlink()
    words = ["evaluate", str(tiny_checkpoint), "--protocol", "metric", "--split", "all"]
    assert main([*words, "--data", str(rooms), "--out", str(tmp_path / "whole")]) == 0
    capsys.readouterr()
    assert main([*words, *more, "--data", str(broken), "--out", str(tmp_path / "rest")]) == 2
    told = capsys.readouterr()
    lines = [line for line in told.err.splitlines() if line.startswith("leadline: ")]
    assert len(lines) == 2 and "00030.png" in lines[0] and "00031.png is no picture" in lines[1], told.err
    rows, rest = ((tmp_path / name / "per_image.csv").read_text().splitlines() for name in ("whole", "rest"))
    assert f"{len(rest) - 1} of {len(rows) - 1} images, the others broken" in told.out
    assert rest == [row for row in rows if not row.startswith(("00030,", "00031,"))]
    about = json.loads((tmp_path / "rest" / "metrics.json").read_text())
    assert (about["num_images"], about["num_unread"]) == (len(rows) - 3, 2)


def test_nothing_is_scored_where_every_image_is_broken(
    rooms: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "answers").mkdir()
    words = ("--data", rooms, "--split", "all", "--protocol", "metric", "--out", tmp_path / "out")
    line = fails(capsys, "evaluate", f"files:{tmp_path / 'answers'}", *words)
    assert "holds no prediction of" in line and "other 31 pictures" in line
    assert not (tmp_path / "out").exists()


def test_a_data_sets_own_settings_are_named_as_such(
    rooms: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = shutil.copytree(rooms, tmp_path / "rooms")
    (broken / "dataset.toml").write_text("depth_skale = 1.0")
    assert "dataset.toml: depth_skale" in fails(capsys, "evaluate", "--data", broken, "--protocol", "report")


def test_evaluations_of_one_model_are_told_apart_by_their_folders(
    rooms: Path, tiny_checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scored = ["--data", str(rooms), "--protocol", "metric"]
    for name in ("before", "after"):
        assert main(["evaluate", str(tiny_checkpoint), *scored, "--out", str(tmp_path / name)]) == 0
    capsys.readouterr()
    assert main(["compare", str(tmp_path / "before"), str(tmp_path / "after"), *scored]) == 0
    words = " ".join(capsys.readouterr().out.split())
    assert words.startswith(f"{tmp_path / 'after'} (second) against {tmp_path / 'before'} (first): 8 pictures")


def test_a_broken_image_is_left_out_of_every_model_that_is_compared(
    rooms: Path, tiny_checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = shutil.copytree(rooms, tmp_path / "rooms")
    other = shutil.copytree(tiny_checkpoint, tmp_path / "other")
    scored = ["--split", "all", "--protocol", "metric", "--data"]
    whole, rest = tmp_path / "whole", tmp_path / "rest"
    assert main(["evaluate", str(tiny_checkpoint), *scored, str(rooms), "--out", str(whole)]) == 0
    (broken / "rgb" / "00031.png").write_text("no picture")
    assert main(["evaluate", str(tiny_checkpoint), *scored, str(broken), "--out", str(rest)]) == 2
    capsys.readouterr()
    for pair in [(whole, other), (whole, rest), (rest, whole), (tiny_checkpoint, other)]:
        assert main(["compare", *map(str, pair), *scored, str(broken), "--out", str(tmp_path / "compared")]) == 2
        told = capsys.readouterr()
        (line,) = (line for line in told.err.splitlines() if line.startswith("leadline: "))
        assert "00031.png is no picture" in line
        assert "31 pictures of rooms all" in told.out and "1 left out of both, broken: 00031." in told.out
    words = [str(tiny_checkpoint), *scored, str(broken), "--out"]
    assert main(["report", *words, str(tmp_path / "page.html")]) == 2
    assert "31; 1 broken ones left out" in (tmp_path / "page.html").read_text(encoding="utf-8")
    assert main(["figure", *words, str(tmp_path / "sheets")]) == 2
    assert capsys.readouterr().err.count("00031.png is no picture") == 2


def test_a_report_has_the_same_images_of_every_model(
    rooms: Path, tiny_checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = tmp_path / "answers"
    assert main(["predict", *map(str, sorted((rooms / "rgb").glob("*.png"))), "--model", str(tiny_checkpoint),
                 "--format", "npz", "--out", str(answers)]) == 0  # fmt: skip
    next(answers.glob("00031*")).unlink()
    words = ["--data", str(rooms), "--split", "all", "--protocol", "metric", "--out", str(tmp_path / "page.html")]
    assert main(["report", str(tiny_checkpoint), f"files:{answers}", *words]) == 2
    assert "holds no prediction of" in capsys.readouterr().err
    assert "31; 1 broken ones left out" in (tmp_path / "page.html").read_text(encoding="utf-8")
