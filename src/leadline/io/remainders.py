"""What a killed process leaves beside a file or folder it was writing: found again by its name, restored or cleared."""

import ctypes
import functools
import hashlib
import os
import shutil
import socket
import sys
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil

PREFIX = ".leadline-"
NEW, OLD = "new", "old"
"""Kinds: what is being written, which is worth nothing once its writer is dead; and a folder that was put aside."""

_EXCHANGES = {"linux": ("renameat2", (-100, -100), 2), "darwin": ("renamex_np", (), 2)}
"""By system: the function that makes two names change places in one step, the folders before its paths, its flag."""


def new_beside(path: Path, kind: str = NEW) -> Path:
    """A hidden name in the same folder, so that a rename is one step, with the same suffix; short whatever that name.

    It tells which target it is for and which process writes it. What dead processes have left in that folder is cleared
    when this one first writes there.
    """
    _clear_once(path.parent)
    return path.with_name(f"{PREFIX}{kind}-{_digest(path.name)}-{_owner()}-{uuid.uuid4().hex[:8]}{path.suffix}")


def restore_folder(path: Path) -> None:
    """Give a folder its name back that a killed process had put aside to replace it.

    Nothing happens where the folder stands, or none was put aside. On systems that exchange two names in one step there
    never is such a moment.

    Args:
        path: the folder.
    """
    path = Path(os.path.abspath(path))
    for aside in _remainders(path.parent, OLD):
        if aside.name.split("-")[2] != _digest(path.name) or _is_owned(aside):
            continue
        with suppress(OSError):  # another process does the same
            if path.exists():
                _remove(aside)
            else:
                os.replace(aside, path)


def replace_folder(new: Path, path: Path) -> None:
    """Put a whole folder where another is, or nothing.

    Args:
        new: the folder, a name of `new_beside`.
        path: its place.

    Raises:
        OSError: if it cannot be put there; what was there stays.
    """
    if not path.exists():
        os.replace(new, path)
        return
    if _exchanged(new, path):
        shutil.rmtree(new)
        return
    old = new_beside(path, OLD)
    os.replace(path, old)
    try:
        os.replace(new, path)
    except OSError:
        os.replace(old, path)
        raise
    _remove(old)


def _exchanged(one: Path, other: Path) -> bool:
    """Let two names change places in one step; False where the system or the disk cannot."""
    if sys.platform not in _EXCHANGES:
        return False
    name, folders, flag = _EXCHANGES[sys.platform]
    function = getattr(ctypes.CDLL(None), name, None)
    if function is None:
        return False
    first, second = ([*folders[:1], os.fsencode(path)] for path in (one, other))
    return bool(function(*first, *second, flag) == 0)


def _remove(old: Path) -> None:
    """Remove a folder that was put aside: half removed, it is not to be taken for a whole one."""
    gone = new_beside(old)
    os.replace(old, gone)
    shutil.rmtree(gone, ignore_errors=True)


@functools.cache
def _clear_once(folder: Path) -> None:
    for path in _remainders(folder, NEW):
        if not _is_owned(path):
            with suppress(OSError):
                shutil.rmtree(path) if path.is_dir() else path.unlink()


def _remainders(folder: Path, kind: str) -> Iterator[Path]:
    with suppress(OSError), os.scandir(folder) as entries:
        yield from [Path(entry) for entry in entries if entry.name.startswith(f"{PREFIX}{kind}-")]


def _digest(name: str) -> str:
    return hashlib.sha256(os.fsencode(name)).hexdigest()[:12]


def _owner() -> str:
    pid = os.getpid()
    return f"{_digest(socket.gethostname())}-{pid}-{_started(pid)}"


@functools.cache
def _started(pid: int) -> int:
    """When a process began, in whole seconds: process numbers are used again."""
    return int(psutil.Process(pid).create_time())


def _is_owned(path: Path) -> bool:
    """Whether the process that wrote a remainder may still be at it; those of other machines are left to them."""
    try:
        host, pid, started = path.name.split("-")[3:6]
        if host != _digest(socket.gethostname()):
            return True
        return abs(int(psutil.Process(int(pid)).create_time()) - int(started)) <= 1
    except psutil.NoSuchProcess:
        return False
    except (ValueError, psutil.Error):  # no name of ours, or a process that may not be looked at
        return True
