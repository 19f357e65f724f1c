"""The command train."""

import pytest

from leadline.cli.main import main


def test_every_settings_field_is_a_flag_with_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--help"]) == 0
    printed = capsys.readouterr().out
    for flag in ("--data.augment.zoom", "--model.encoder.weights", "--loss.gradient", "--optimizer.clip-norm"):
        assert flag in printed
