import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="jobs run in forks, which start at once")
ROOT = Path(__file__).parents[2]


def test_nothing_is_lost_by_a_kill_and_what_goes_on_ends_the_same() -> None:
    words = ["--seed", "0", "--count", "6", "--only", "predict", "replace a folder"]
    command = [sys.executable, "-m", "tests.robustness.kills", *words]  # a process without threads, which may fork
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=200)
    assert run.returncode == 0, run.stdout + run.stderr
    assert run.stdout.count("3 times, each killed twice") == 2
    assert run.stdout.endswith("0 times something was lost or ended otherwise\n")


def test_what_a_kill_loses_is_told(tmp_path: Path) -> None:
    """A job that writes in place is caught: half of its file stands after the kill."""
    code = f"""
import sys, time
sys.path.insert(0, {str(ROOT)!r})
from pathlib import Path
from tests.robustness.kills import kill_and_go_on
from robustness.jobs import Job

def run(folder):
    with (folder / "a.txt").open("w") as file:
        file.write("half")
        file.flush()
        time.sleep(0.6)
        file.write(" and half")
    return 0

def digest(folder):
    return {{path.name: path.read_text() for path in folder.glob("a.txt")}}

print(kill_and_go_on(Job(run, digest), Path("out"), {{"a.txt": "half and half"}}, 0.4))
"""
    run = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=100)
    assert run.stdout == "after a kill: lost [], not whole ['a.txt']\n", run.stderr
