"""Folders and buckets on other machines, through fsspec."""

import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from threading import Lock
from typing import Any

from leadline.errors import LeadlineError
from leadline.io.wholeness import is_whole

OBJECT_STORES = {"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "memory"}
"""File systems without folders, in which a file is there once it is whole."""


class RemoteFolder:
    """A folder or a bucket, and files by their paths below it."""

    def __init__(self, url: str) -> None:
        """Find the file system behind an address; nothing is fetched yet."""
        from fsspec.core import url_to_fs
        from fsspec.implementations.local import LocalFileSystem

        try:
            self._system, root = url_to_fs(url)
        except (ImportError, ValueError) as error:  # a package for it is missing, or no such protocol
            raise LeadlineError(f"{url} cannot be reached: {error}") from error
        self._local = isinstance(self._system, LocalFileSystem)
        self._root = root.rstrip("/")
        # What other machines find it by, wherever their processes stand.
        self.url: str = self._system.unstrip_protocol(root) if self._local and "::" not in url else url
        protocols = self._system.protocol
        self._whole_or_not = not OBJECT_STORES.isdisjoint([protocols] if isinstance(protocols, str) else protocols)
        # A file system that waits for each answer has one connection, which no two threads may use at a time.
        self._turn: AbstractContextManager[Any] = nullcontext() if self._local or self._system.async_impl else Lock()

    def whole(self, name: str) -> str:
        """The whole path of a file."""
        return f"{self._root}/{name}"

    def files(self, wanted: bool, only_filled: bool = False) -> list[str]:
        """Paths of all files, see `files_below`."""
        root = self._root or "/"
        with self._reached(root):
            if not self._system.exists(root):
                if wanted:
                    raise LeadlineError(f"{root} does not exist: check the path")
                return []
            # Of the others few leave out what may not be looked into, and fewer take the word.
            found = self._system.find(root, detail=True, **({"on_error": "raise"} if self._local else {}))
        if list(found) == [root]:
            raise LeadlineError(f"{root} is a file: name the folder or the bucket that it is in")
        paths = [path for path, about in found.items() if not only_filled or self._is_filled(path, about)]
        return [path.removeprefix(f"{self._root}/") for path in paths]

    def _is_filled(self, path: str, about: dict[str, Any]) -> bool:
        """Whether a file holds something; of this machine's, whether it is a whole result."""
        return is_whole(Path(path)) if self._local else about.get("size") != 0

    def holds(self, name: str) -> bool:
        """Whether there is such a file."""
        with self._reached(self.whole(name)):
            found: bool = self._system.exists(self.whole(name))
        return found

    def fetch(self, name: str, file: Path) -> None:
        """Copy a file to this machine."""
        file.parent.mkdir(parents=True, exist_ok=True)
        with self._reached(self.whole(name)):
            self._system.get_file(self.whole(name), str(file))

    def put(self, file: Path, name: str) -> None:
        """Copy a file of this machine there, so that it has its name only once it is whole."""
        path = self.whole(name)
        with self._reached(path):
            if self._whole_or_not:
                self._system.put_file(str(file), path)
            else:
                self._put_under_another_name_first(file, path)

    def _put_under_another_name_first(self, file: Path, path: str) -> None:
        folder = path.rpartition("/")[0]
        temporary = f"{folder}/.{uuid.uuid4().hex}{file.suffix}"
        self._system.makedirs(folder, exist_ok=True)
        try:
            self._system.put_file(str(file), temporary)
            self._system.mv(temporary, path)
        except BaseException:
            if self._system.exists(temporary):
                self._system.rm(temporary)
            raise

    @contextmanager
    def _reached(self, path: str) -> Iterator[None]:
        """Take turns where need be; what goes wrong, of as many kinds as file systems have makers, is an OSError."""
        try:
            with self._turn:
                yield
        except LeadlineError:
            raise
        except Exception as error:
            raise OSError(f"{path} ({describe_error(error)})") from error


def describe_error(error: Exception) -> str:
    """The kind of an error and what it says."""
    said = (isinstance(error, OSError) and error.strerror) or str(error)
    return " ".join(f"{type(error).__name__}: {said}".split())


def item_error(name: object, error: Exception) -> str:
    """Why one of many items has no result, in one line that names it: a user's mistake as it is told, any other's kind.

    Args:
        name: the item's path.
        error: what its work raised.
    """
    told = str(error) if isinstance(error, LeadlineError) else f"no result ({describe_error(error)})"
    return told if str(name) in told else f"{name}: {told}"


def files_below(url: str, wanted: bool, only_filled: bool = False) -> list[str]:
    """Paths of all files of a folder or bucket.

    Args:
        url: the place.
        wanted: whether it must be there; else there are none where it is not.
        only_filled: leave out results that hold nothing and, in a folder of this machine, those that are not whole.

    Raises:
        LeadlineError: if it cannot be looked into, or is wanted and not there.
    """
    try:
        return RemoteFolder(url).files(wanted, only_filled)
    except OSError as error:
        raise LeadlineError(f"{url} cannot be looked into: {error}") from error
