"""Writing files and folders so that an interruption never leaves half of one."""

import os
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from leadline.errors import LeadlineError
from leadline.geometry import require_possible
from leadline.io.remainders import new_beside, replace_folder, restore_folder

SOFTWARE = "leadline"
"""What files say of who wrote them."""


def require_target(path: Path, folder: bool = False) -> None:
    """Refuse a target that cannot be written; said before the work whose result is to go there, none of it is lost.

    Args:
        path: the file or folder that is to be written; it and the folders above need not exist yet.
        folder: whether a folder is to be written, not a file.

    Raises:
        LeadlineError: if the other kind of thing is there, no system has such a name, or what is above it is no folder
            that may be written.
    """
    require_possible(path)
    if folder and path.is_file():
        raise LeadlineError(f"{path} is a file, wanted a folder to write: name another --out")
    if not folder and path.is_dir():
        raise LeadlineError(f"{path} is a folder, wanted a file to write: name a file in it as --out")
    whole = Path(os.path.abspath(path))
    above = next(it for it in ([whole] if folder else []) + list(whole.parents) if it.exists())
    if not above.is_dir():
        raise LeadlineError(f"{above} is a file, wanted a folder for {path}: name another --out")
    if not os.access(above, os.W_OK | os.X_OK):
        raise LeadlineError(f"{above} may not be written, wanted a folder for {path}: name another --out")


FILE_BROWSERS_OWN = {".DS_Store", "Thumbs.db", "desktop.ini"}
"""What macOS's and Windows's file browsers leave in a folder that somebody has looked into."""


def require_only(folder: Path, names: Collection[str]) -> None:
    """Refuse to replace a folder as a whole that holds anything of other names, which would be lost.

    Args:
        folder: what is to be replaced; it need not exist.
        names: what may be in it.

    Raises:
        LeadlineError: if it holds something else, or is a file.
    """
    if folder.is_file():
        raise LeadlineError(f"{folder} must be a folder, got a file; choose another place")
    present = {path.name for path in folder.iterdir()} if folder.exists() else set()
    foreign = sorted(present - set(names) - FILE_BROWSERS_OWN)
    if foreign:
        raise LeadlineError(f"{folder} holds {foreign[0]!r}, which would be lost; choose a new or an empty folder")


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path that takes the place of `path` when the block ends without an error.

    It is on the disk, not only in the system's memory, before it takes its name.

    Args:
        path: the file to write; its folder is created.

    Yields:
        The path to write to; it is removed if the block raises.

    Raises:
        OSError: if the folder cannot be written.
    """
    path = Path(os.path.abspath(path))  # "." has no name that another could stand beside
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = new_beside(path)
    try:
        yield temporary
        _flush(temporary)
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
    path = Path(os.path.abspath(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and not path.is_dir():
        raise NotADirectoryError(f"{path} is a file, wanted a folder to write")
    restore_folder(path)
    temporary = new_beside(path)
    temporary.mkdir()
    try:
        yield temporary
        for file in temporary.rglob("*"):
            if file.is_file():
                _flush(file)
        replace_folder(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _flush(path: Path) -> None:
    """Wait until a file is on the disk: a name that survives a power cut is not to lead to an empty file."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())
