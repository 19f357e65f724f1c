from pathlib import Path

import pytest
from rich.table import Table

from leadline.cli.console import print_table
from leadline.cli.main import main


def test_brackets_in_names_are_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    table = Table("model")
    table.add_row("runs[/v1]")
    print_table(table)
    assert "runs[/v1]" in capsys.readouterr().out


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
