"""Writing files and folders so that an interruption never leaves half of one."""

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SOFTWARE = "leadline"
"""What files say of who wrote them."""


def _temporary_beside(path: Path) -> Path:
    """A hidden name in the same folder, so that a rename is atomic, with the same suffix; short whatever that name."""
    return path.with_name(f".{uuid.uuid4().hex}{path.suffix}")


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path that takes the place of `path` when the block ends without an error.

    Args:
        path: the file to write; its folder is created.

    Yields:
        The path to write to; it is removed if the block raises.

    Raises:
        OSError: if the folder cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _temporary_beside(path)
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Like `atomic_file`, for a whole folder: an existing one is replaced only when the new one is whole.

    Args:
        path: the folder to write.

    Yields:
        An empty folder to fill; it is removed if the block raises.

    Raises:
        OSError: if the parent folder cannot be written, or `path` is a file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and not path.is_dir():
        raise NotADirectoryError(f"{path} is a file, wanted a folder to write")
    temporary = _temporary_beside(path)
    temporary.mkdir()
    try:
        yield temporary
        if path.exists():
            _swap(temporary, path)
        else:
            os.replace(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _swap(new: Path, path: Path) -> None:
    """Put `new` where `path` is; a folder cannot be renamed onto one that holds something."""
    old = _temporary_beside(path)
    os.replace(path, old)
    try:
        os.replace(new, path)
    except OSError:
        os.replace(old, path)
        raise
    shutil.rmtree(old)
