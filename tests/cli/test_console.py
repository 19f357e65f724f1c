import pytest
from rich.table import Table

from leadline.cli.console import print_table


def test_brackets_in_names_are_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    table = Table("model")
    table.add_row("runs[/v1]")
    print_table(table)
    assert "runs[/v1]" in capsys.readouterr().out
