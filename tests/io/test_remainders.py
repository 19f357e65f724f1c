import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from leadline.io import remainders
from leadline.io.atomic import atomic_file, atomic_folder
from leadline.io.remainders import new_beside, restore_folder

KILLED = """
import os, signal, sys
from pathlib import Path
from leadline.io import remainders
from leadline.io.atomic import atomic_folder
if sys.argv[2] == "rename":
    remainders._exchanged = lambda *_: False
real, calls = os.replace, []
def replace(source, target):
    calls.append(source)
    if len(calls) == int(sys.argv[1]):
        os.kill(os.getpid(), signal.SIGKILL)
    real(source, target)
os.replace = replace
with atomic_folder(Path("model")) as folder:
    (folder / "new.txt").write_text("new")
    if sys.argv[1] == "0":
        os.kill(os.getpid(), signal.SIGKILL)
"""


def killed(folder: Path, at: int, how: str) -> None:
    (folder / "model").mkdir()
    (folder / "model" / "old.txt").write_text("old")
    run = subprocess.run([sys.executable, "-c", KILLED, str(at), how], cwd=folder, capture_output=True, text=True)
    assert run.returncode == -signal.SIGKILL, run.stderr


def content(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.fixture(autouse=True)
def _nothing_cleared_yet():
    remainders._clear_once.cache_clear()


def test_a_folder_killed_between_its_two_renames_gets_its_name_back(tmp_path):
    killed(tmp_path, 2, "rename")
    assert not (tmp_path / "model").exists()
    restore_folder(tmp_path / "model")
    assert content(tmp_path / "model") == ["old.txt"]


def test_the_next_write_restores_and_clears_what_a_kill_has_left(tmp_path):
    killed(tmp_path, 2, "rename")
    with pytest.raises(RuntimeError), atomic_folder(tmp_path / "model"):
        raise RuntimeError
    assert content(tmp_path) == ["model/old.txt"]
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_kill_while_the_new_folder_is_filled_leaves_the_old_one(tmp_path):
    killed(tmp_path, 0, "exchange")
    assert content(tmp_path / "model") == ["old.txt"]
    assert len(list(tmp_path.iterdir())) == 2
    with atomic_file(tmp_path / "other.txt") as temporary:
        temporary.write_text("")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model", "other.txt"]


@pytest.mark.skipif(sys.platform not in ("linux", "darwin"), reason="only these exchange two names in one step")
def test_two_names_change_places_in_one_step(tmp_path):
    one, other = tmp_path / "one", tmp_path / "other"
    for folder in (one, other):
        folder.mkdir()
        (folder / folder.name).write_text("")
    assert remainders._exchanged(one, other)
    assert content(tmp_path) == ["one/other", "other/one"]
    assert not remainders._exchanged(one, tmp_path / "missing")


def test_what_a_living_process_writes_is_left_to_it(tmp_path):
    mine = new_beside(tmp_path / "a.txt")
    mine.write_text("half")
    remainders._clear_once.cache_clear()
    new_beside(tmp_path / "b.txt")
    assert mine.exists()


def test_what_another_machine_writes_and_foreign_names_are_left(tmp_path):
    mine = new_beside(tmp_path / "a.txt").name.split("-")
    others = tmp_path / "-".join([*mine[:3], "0" * 12, "999999999", *mine[5:]])
    foreign = tmp_path / ".leadline-new-notes"
    for path in (others, foreign):
        path.write_text("")
    remainders._clear_once.cache_clear()
    new_beside(tmp_path / "b.txt")
    assert sorted(tmp_path.iterdir()) == sorted([others, foreign])


def test_a_folder_that_stands_is_not_touched_by_a_remainder(tmp_path, monkeypatch):
    killed(tmp_path, 2, "rename")
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "mine.txt").write_text("")
    restore_folder(tmp_path / "model")
    assert content(tmp_path / "model") == ["mine.txt"]
    assert not list(tmp_path.glob(".leadline-old-*"))


def test_files_are_on_the_disk_before_they_take_their_name(tmp_path, monkeypatch):
    order = []
    real_sync, real_replace = os.fsync, os.replace
    monkeypatch.setattr("os.fsync", lambda fd: (order.append("flush"), real_sync(fd)))
    monkeypatch.setattr("os.replace", lambda *two: (order.append("rename"), real_replace(*two)))
    with atomic_file(tmp_path / "a.txt") as temporary:
        temporary.write_text("a")
    with atomic_folder(tmp_path / "b") as folder:
        (folder / "c.txt").write_text("c")
    assert order == ["flush", "rename", "flush", "rename"]
