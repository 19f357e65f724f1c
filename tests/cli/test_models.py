"""The command models."""

import pytest

from leadline.cli.main import main


def test_models_lists_recipes_and_bundled_models(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models"]) == 0
    printed = capsys.readouterr().out
    assert "base (default)" in printed and "report-cae" in printed
