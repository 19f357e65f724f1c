from pathlib import Path

import pytest
from PIL import Image

from leadline.errors import LeadlineError
from leadline.reporting.report import write_report
from leadline.reporting.sheets import draw_sheets


def test_the_page_names_what_was_scored_and_shows_the_pictures(
    rooms: Path, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    path = write_report([str(tiny_checkpoint)], rooms, "official/test", "report", tmp_path / "page.html", num_rows=1)
    text = path.read_text(encoding="utf-8")
    for words in ("official/test", "rooms", "Every pixel of the picture is scored", "abs_rel", "Worst pictures"):
        assert words in text
    assert text.count('class="picture"') == 3  # best, median, worst
    assert "http://" not in text.replace("http://www.w3.org", "") and "<script" not in text


def test_two_models_stand_side_by_side(rooms: Path, tiny_checkpoint: Path, tmp_path: Path) -> None:
    answers = tmp_path / "answers"
    answers.mkdir()
    (answers / "predictions.toml").write_text("scale = 0.01\n")
    for picture in (rooms / "rgb").iterdir():
        Image.new("L", (96, 72), 200).save(answers / f"{picture.stem}.png")
    models = [str(tiny_checkpoint), f"files:{answers}"]
    text = write_report(models, rooms, "official/test", "metric", tmp_path / "page.html", 1).read_text("utf-8")
    assert "tiny and answers on rooms" in text


def test_a_mistake_writes_nothing(rooms: Path, tiny_checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(LeadlineError, match="crops 480×640 depth maps"):
        write_report([str(tiny_checkpoint)], rooms, "all", "nyu-eigen", tmp_path / "page.html")
    assert not (tmp_path / "page.html").exists()


def test_two_models_of_one_name_are_refused_before_either_is_scored(
    rooms: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("leadline.reporting.report.evaluate_models", lambda *_, **__: pytest.fail("scored"))
    folders = [tmp_path / name / "answers" for name in ("mine", "yours")]
    for folder in folders:
        folder.mkdir(parents=True)
        (folder / "predictions.toml").write_text("scale = 0.01\n")
        for picture in (rooms / "rgb").iterdir():
            Image.new("L", (96, 72), 200).save(folder / f"{picture.stem}.png")
    with pytest.raises(LeadlineError, match="distinct names, got answers, answers: rename a folder"):
        write_report([f"files:{it}" for it in folders], rooms, "all", "metric", tmp_path / "page.html")


def test_a_page_or_sheets_that_cannot_be_written_cost_no_evaluation(
    rooms: Path, tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("leadline.reporting.report.evaluate_models", lambda *_, **__: pytest.fail("scored"))
    monkeypatch.setattr("leadline.reporting.sheets.evaluate", lambda *_, **__: pytest.fail("scored"))
    with pytest.raises(LeadlineError, match="is a folder, wanted a file to write"):
        write_report([str(tiny_checkpoint)], rooms, "all", "report", tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(LeadlineError, match="is a file, wanted a folder to write"):
        draw_sheets(tiny_checkpoint, rooms, "all", "report", tmp_path / "file")
