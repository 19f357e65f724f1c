"""Finding picture files: what files, folders and patterns stand for."""

import difflib
import glob
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePath

from leadline.errors import LeadlineError

IMAGE_SUFFIXES = (
    *(".jpg", ".jpeg", ".png", ".webp", ".avif", ".heic", ".heif"),
    *(".tif", ".tiff", ".bmp", ".gif", ".ppm", ".pgm"),
)
"""Endings (in lower case) of the pictures that are looked for in folders."""

VIDEO_SUFFIXES = (
    *(".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v", ".3gp", ".3g2", ".mts", ".m2ts", ".m2t", ".ts"),
    *(".mpg", ".mpeg", ".vob", ".wmv", ".asf", ".flv", ".ogv"),
)
"""Endings of videos."""
CONTACT_SHEET = "contact_sheet.png"
"""Name of the sheet of many pictures."""

INDEX, DEPTH_FOLDER = "index.csv", "depth"
"""Of a folder data set: its list, and where its depth maps are."""

_OUTPUT_ENDINGS = ("_depth.png", "_color.png", "_uncertainty.png", CONTACT_SHEET, "_depth.mkv", "_side.mp4")


def natural_order(path: PurePath) -> list[list[str | int]]:
    """Sort key by which picture 2 comes before picture 10."""
    return [
        [int(part) if part.isdecimal() else part.lower() for part in re.split(r"(\d+)", name)] for name in path.parts
    ]


def or_nearest(path: Path) -> str:
    """The end of a message on a path that is not there: what lies beside it under nearly its name, if anything does."""
    try:
        names = [sibling.name for sibling in path.parent.iterdir()]
    except OSError:
        return ""
    near = difflib.get_close_matches(path.name, names, n=1)
    return f"; did you mean '{path.with_name(near[0])}'?" if near else ""


def _refuse_folder(error: OSError) -> None:
    raise LeadlineError(f"{error.filename} may not be looked into ({error.strerror}): change its permissions")


def _files_below(folder: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder, onerror=_refuse_folder):
        passed_over = {DEPTH_FOLDER} if INDEX in names else set()  # depth maps of a data set are no photos
        folders[:] = [name for name in folders if not name.startswith(".") and name not in passed_over]
        yield from (Path(parent, name) for name in names if not name.startswith("."))


def is_picture_below(path: PurePath) -> bool:
    """Whether a path below a folder names a picture: not hidden, and not one of our own results."""
    hidden = any(part.startswith(".") for part in path.parts)
    return path.suffix.lower() in IMAGE_SUFFIXES and not hidden and not path.name.endswith(_OUTPUT_ENDINGS)


def is_video(path: str | Path) -> bool:
    """Whether a file's name says that it is a video."""
    return Path(path).suffix.lower() in VIDEO_SUFFIXES


def _expand(given: Path | str, suffixes: Sequence[str]) -> list[Path]:
    """The files that one argument stands for, in natural order; its own outputs left out unless named."""
    path = Path(given)
    if os.path.isdir(path):
        found = [file for file in _files_below(path) if file.suffix.lower() in suffixes]
    elif os.path.exists(path):
        return [path]
    elif not glob.has_magic(str(given)):
        raise LeadlineError(f"{path} does not exist: check the path")
    else:
        matches = [Path(match) for match in glob.glob(str(given), recursive=True)]
        below = [file for match in matches if match.is_dir() for file in _files_below(match)]
        found = [file for file in [*matches, *below] if file.suffix.lower() in suffixes and file.is_file()]
    kept = [file for file in found if not file.name.endswith(_OUTPUT_ENDINGS)]
    if not kept:
        raise _nothing_found(given, len(found), suffixes)
    return sorted(kept, key=natural_order)


def _nothing_found(given: Path | str, num_outputs: int, suffixes: Sequence[str]) -> LeadlineError:
    if num_outputs:
        return LeadlineError(
            f"no pictures in {given} but {num_outputs} named *{' or *'.join(_OUTPUT_ENDINGS)}, "
            f"which are taken for our own results: name such a file itself to use it"
        )
    return LeadlineError(f"no pictures in {given}: wanted {', '.join(suffixes)}")


def find_images(paths: Sequence[Path | str], suffixes: Sequence[str] = IMAGE_SUFFIXES) -> list[Path]:
    """Expand files, folders and patterns into picture files, or into others.

    A file that is named stands for itself, whatever its ending. A folder stands for the pictures in it and in
    the folders below (of a data set not those in depth/), a pattern (`*`, `?`, `[ab]`, `**`) for the pictures and
    folders that match; hidden ones are passed over, and so are names such as NAME_depth.png, which are our own
    results.

    Args:
        paths: files, folders and patterns.
        suffixes: endings, in lower case, of what is looked for in folders and by patterns.

    Returns:
        Each picture once: in the order of `paths`, and in natural order (2 before 10) within each.

    Raises:
        LeadlineError: if one of `paths` does not exist, or if a folder or pattern holds no picture.
    """
    found = [file for given in paths for file in _expand(given, suffixes)]
    if not found:
        raise LeadlineError("no pictures given: name files, folders or patterns such as 'photos/*.jpg'")
    once: dict[str, Path] = {}
    for file in found:
        once.setdefault(os.path.abspath(file), file)  # "a.jpg" and "b/../a.jpg" are one
    return list(once.values())
