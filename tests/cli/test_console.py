"""Text and tables as wide as the terminal; every command's tables at 80 columns and at 60."""

import re
import sys
from pathlib import Path

import pytest

from leadline.cli.console import print_error, print_page, print_table
from leadline.cli.main import main
from leadline.errors import LeadlineError

HEADER = ["metric", "base", "fast", "difference", "95 % interval", "verdict"]
ROWS = [
    ["abs_rel ↓", "0.0893", "0.1000", "+0.0107", "+0.0090 to +0.0124", "worse"],
    ["silog ↓", "8.1234", "9.4567", "+1.3333", "+1.2000 to +1.4000", "worse"],
]
LONG_NAME = "runs/a-long-name-of-an-experiment-that-nobody-would-shorten/checkpoints/best"


def words(text: str) -> set[str]:
    return set(text.split())


@pytest.mark.parametrize("width", [200, 80, 60, 45, 24])
def test_a_table_is_whole_at_any_width(
    width: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    print_table(HEADER, *ROWS)
    printed = capsys.readouterr().out
    assert max(map(len, printed.splitlines())) <= width
    assert words(" ".join(cell for row in [HEADER, *ROWS] for cell in row)) <= words(printed)


def test_a_table_that_does_not_fit_is_turned(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "55")
    print_table(HEADER, *ROWS)
    assert capsys.readouterr().out.splitlines()[2].split() == ["base", "0.0893", "8.1234"]


def test_a_table_that_fits_neither_way_has_cells_of_several_lines(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "12")
    print_table(["a", "b"], ["one", "12345 12345"], ["two", "12345 67890"], ["six", "12345 67890"])
    assert capsys.readouterr().out.splitlines()[2:4] == ["one  12345  ", "     12345  "]


def test_a_name_wider_than_the_terminal_is_broken_and_nothing_else(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    print_table(["model", "δ1"], [LONG_NAME, "0.9331"], ["base", "0.9"])
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 60
    assert LONG_NAME in "".join(lines).replace(" ", "") and "δ1     0.9331" in [line.rstrip() for line in lines]


def test_an_error_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    print_error(LeadlineError("no model\nat that-place"))
    assert capsys.readouterr().err == "leadline: no model at that-place\n"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals of this kind")
def test_in_a_terminal_an_error_is_broken_between_words() -> None:
    from terminal import Terminal

    terminal = Terminal(columns=32)
    assert terminal.run("measure", "a-missing-photo.jpg", "1,2") == 2
    assert terminal.lines == ["leadline: a-missing-photo.jpg", "does not exist: check the path"]


def test_brackets_in_names_are_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(["model"], ["runs[/v1]"])
    assert "runs[/v1]" in capsys.readouterr().out


def test_a_page_is_printed_without_the_marks_of_markdown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    page = tmp_path / "report.md"
    table = "| network | δ1 ↑ |\n| --- | --- |\n| *a* | 0.501 |\n|  | 0.3 |"
    page.write_text(f"# Title\n\nProtocol `report`, 3 * 4.\n\n{table}\n\n## Images\n\n![One, best.](figures/1.png)\n")
    print_page(page)
    printed = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert printed == [
        *("Title", "", "Protocol report, 3 * 4.", ""),
        *("network  δ1 ↑", "──────────────", "a        0.501", "         0.3", ""),
        *("Images", "", str(tmp_path / "figures" / "1.png"), ""),
    ]


@pytest.mark.usefixtures("traced_once")
@pytest.mark.parametrize("width", [80, 60])
@pytest.mark.parametrize("command", ["evaluate", "compare", "models", "bench", "reproduce", "export"])
def test_a_command_s_tables_fit_the_terminal(
    command: str,
    width: int,
    rooms: Path,
    tiny_checkpoint: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.chdir(tmp_path)
    tiny = tiny_checkpoint.rename(tmp_path / LONG_NAME.split("/")[1]).name
    scored = ["--data", str(rooms), "--protocol", "metric"]
    arguments = {
        "evaluate": [tiny, *scored],
        "compare": ["fast", tiny, *scored],
        "models": [],
        "bench": [tiny, "fast", "--size", "96x128", "--rounds", "1", "--device", "cpu"],
        "reproduce": ["--data", str(rooms), "--out", "out", "--only", "cae", "--epochs", "1"],
        "export": [tiny, "--out", "tiny.onnx"],
    }
    if command == "reproduce":  # what a finished run prints, without the run
        _write_scores(tmp_path)
        monkeypatch.setattr("leadline.training.reproduce.reproduce", lambda *_: Path("report.md"))
    assert main([command, *arguments[command]]) == 0
    printed = capsys.readouterr().out
    assert "…" not in printed and "..." not in printed
    assert max(map(len, printed.splitlines())) <= width
    assert width < 80 or len(printed.splitlines()) < 60  # tables, whatever the models are called, not lists
    assert not re.search(r"[-+ ]\d+\.$", printed, re.MULTILINE)  # no number is broken within


def _write_scores(folder: Path) -> None:
    """A page of the kind that reproduce writes, with its widest table."""
    header = ["network", "numbers", "δ1 ↑", "δ2 ↑", "δ3 ↑", "abs_rel ↓", "rms ↓", "log10 ↓", "better than the report"]
    row = ["Convolutional autoencoder", "leadline, per_image", *["0.501"] * 6, "5 of 6"]
    lines = [header, ["---"] * len(header), *[row] * 12]
    (folder / "report.md").write_text("\n".join(f"| {' | '.join(line)} |" for line in lines), encoding="utf-8")
