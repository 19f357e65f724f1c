"""The commands about data sets."""

from pathlib import Path

import pytest

from leadline.cli.main import main


def test_synthesize_and_check(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "rooms"
    assert main(["data", "synthesize", "--out", str(out), "--count", "4", "--height", "48", "--width", "64"]) == 0
    assert main(["data", "check", str(out)]) == 0
    assert "48" in capsys.readouterr().out
    (out / "depth" / "00001.png").unlink()
    assert main(["data", "check", str(out)]) == 2
