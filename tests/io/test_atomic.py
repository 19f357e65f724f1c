from pathlib import Path

import pytest

from leadline.errors import LeadlineError
from leadline.io.atomic import atomic_file, atomic_folder, require_only, require_target


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_appears_only_when_it_is_whole(tmp_path):
    target = tmp_path / "new" / "deeper" / "a.txt"
    with atomic_file(target) as temporary:
        temporary.write_text("half")
        assert not target.exists()
        assert temporary.suffix == target.suffix
        assert temporary.parent == target.parent
    assert target.read_text() == "half"
    assert names(target.parent) == ["a.txt"]


def test_a_failure_keeps_the_old_file_and_leaves_nothing_else(tmp_path):
    target = tmp_path / "a.txt"
    target.write_text("old")
    with pytest.raises(RuntimeError), atomic_file(target) as temporary:
        temporary.write_text("new")
        raise RuntimeError
    assert target.read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_an_interruption_leaves_nothing(tmp_path):
    with pytest.raises(KeyboardInterrupt), atomic_file(tmp_path / "a.txt") as temporary:
        temporary.write_text("new")
        raise KeyboardInterrupt
    assert names(tmp_path) == []


def test_an_old_file_is_replaced(tmp_path):
    target = tmp_path / "a.txt"
    target.write_text("old")
    with atomic_file(target) as temporary:
        temporary.write_text("new")
    assert target.read_text() == "new"
    assert names(tmp_path) == ["a.txt"]


def test_two_writers_of_one_file_do_not_share_a_temporary(tmp_path):
    target = tmp_path / "a.txt"
    with atomic_file(target) as first, atomic_file(target) as second:
        assert first != second
        first.write_text("first")
        second.write_text("second")
    assert target.read_text() == "first"  # its block ended last


@pytest.mark.parametrize("atomic", [atomic_file, atomic_folder])
def test_a_target_below_a_file_is_an_os_error(tmp_path, atomic):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError), atomic(tmp_path / "file" / "below" / "a.txt"):
        pytest.fail("the block must not run")
    assert names(tmp_path) == ["file"]


def test_a_folder_appears_only_when_it_is_whole(tmp_path):
    target = tmp_path / "deeper" / "run"
    with atomic_folder(target) as temporary:
        (temporary / "a.txt").write_text("a")
        assert not target.exists()
    assert names(target) == ["a.txt"]
    assert names(target.parent) == ["run"]


def test_an_old_folder_is_replaced_as_a_whole(tmp_path):
    target = tmp_path / "run"
    target.mkdir()
    (target / "old.txt").write_text("")
    with atomic_folder(target) as temporary:
        (temporary / "new.txt").write_text("")
        assert names(target) == ["old.txt"]
    assert names(target) == ["new.txt"]
    assert names(tmp_path) == ["run"]


def test_a_failure_keeps_the_old_folder(tmp_path):
    target = tmp_path / "run"
    target.mkdir()
    (target / "old.txt").write_text("")
    with pytest.raises(RuntimeError), atomic_folder(target) as temporary:
        (temporary / "new.txt").write_text("")
        raise RuntimeError
    assert names(target) == ["old.txt"]
    assert names(tmp_path) == ["run"]


def test_a_name_of_full_length_can_be_written(tmp_path):
    path = tmp_path / ("0" * 251 + ".txt")
    with atomic_file(path) as temporary:
        temporary.write_text("whole")
    assert path.read_text() == "whole"


def test_the_folder_one_is_in_can_be_named_by_a_point(tmp_path, monkeypatch):
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    with pytest.raises(OSError), atomic_file(Path()) as temporary:
        temporary.write_text("a file cannot take a folder's place")
    assert names(tmp_path) == ["here"]
    with atomic_folder(Path()) as temporary:
        (temporary / "a.txt").write_text("")
    assert names(here) == ["a.txt"]
    assert names(tmp_path) == ["here"]


def test_a_target_that_cannot_be_written_is_told_before_the_work(tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    for fine, folder in ((file, False), (tmp_path, True), (tmp_path / "new" / "deeper", False), (tmp_path / "n", True)):
        require_target(fine, folder)
    with pytest.raises(LeadlineError, match="is a folder, wanted a file to write: name a file in it"):
        require_target(tmp_path)
    with pytest.raises(LeadlineError, match="is a file, wanted a folder to write: name another"):
        require_target(file, folder=True)
    for folder in (False, True):
        with pytest.raises(LeadlineError, match="file is a file, wanted a folder for"):
            require_target(file / "below" / "a.html", folder)


def test_a_folder_that_may_not_be_written_is_told_before_the_work(tmp_path, monkeypatch):
    monkeypatch.setattr("os.access", lambda *_: False)
    with pytest.raises(LeadlineError, match="may not be written, wanted a folder for"):
        require_target(tmp_path / "new" / "a.html")


def test_a_folder_with_anything_of_another_name_is_not_replaced(tmp_path):
    (tmp_path / "mine").write_text("")
    (tmp_path / ".DS_Store").write_text("")
    require_only(tmp_path, {"mine", "other"})
    require_only(tmp_path / "new", ())
    with pytest.raises(LeadlineError, match="holds 'mine', which would be lost; choose a new or an empty folder"):
        require_only(tmp_path, {"other"})
    with pytest.raises(LeadlineError, match="must be a folder, got a file"):
        require_only(tmp_path / "mine", {"mine"})
