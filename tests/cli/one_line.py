"""What the tests of every command need: a mistake is one line."""

import pytest

from leadline.cli.main import main


def fails(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """Run a command that must end with code 2 and one line on stderr; give that line."""
    capsys.readouterr()
    assert main([str(word) for word in arguments]) == 2
    error = capsys.readouterr().err
    lines = [line for line in error.splitlines() if line.startswith("leadline: ")]
    assert len(lines) == 1, error
    assert "Traceback" not in error
    return lines[0]
