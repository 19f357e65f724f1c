"""The commands of docs/tutorials/robotics.md, run one after the other as they stand there.

Those of the other tutorials train and score for minutes; tests/test_docs.py checks that they are understood.
"""

import re
import shlex
from pathlib import Path

import pytest

from leadline.cli.main import main

ROOT = Path(__file__).parents[1]
TUTORIAL = ROOT / "docs" / "tutorials" / "robotics.md"


def commands(tutorial: Path) -> list[str]:
    """What is to be typed into leadline, continued lines joined."""
    blocks = re.findall(r"^```\n(.*?)^```$", tutorial.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    return [line for line in lines if line.startswith("leadline ")]


def test_the_commands_of_a_tutorial_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "examples").symlink_to(ROOT / "examples", target_is_directory=True)
    typed = commands(TUTORIAL)
    assert len(typed) >= 5
    for line in typed:
        assert main(shlex.split(line)[1:]) == 0, line
