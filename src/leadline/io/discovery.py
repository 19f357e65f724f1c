"""Finding picture files: what files, folders and patterns stand for."""

import difflib
import glob
import logging
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePath

from leadline.errors import LeadlineError
from leadline.io.provenance import is_own_result

logger = logging.getLogger(__name__)

IMAGE_SUFFIXES = (
    *(".jpg", ".jpeg", ".jfif", ".jpe", ".mpo", ".png", ".webp", ".avif", ".heic", ".heif", ".hif"),
    *(".tif", ".tiff", ".bmp", ".gif", ".ppm", ".pgm", ".pnm"),
)
"""Endings (in lower case) of the pictures that are looked for in folders."""

VIDEO_SUFFIXES = (
    *(".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v", ".3gp", ".3g2", ".mts", ".m2ts", ".m2t", ".ts"),
    *(".mpg", ".mpeg", ".vob", ".wmv", ".asf", ".flv", ".ogv", ".mxf", ".y4m", ".dv", ".mjpg", ".mjpeg"),
    *(".h264", ".h265", ".264", ".265", ".hevc"),
)
"""Endings of videos; the last are of streams without a container, which are told to need one."""
CONTACT_SHEET = "contact_sheet.png"
"""Name of the sheet of many pictures."""

_MAP_FOLDER = re.compile(r"(lowres_|highres_)?depths?|confidence|conf", re.IGNORECASE)
_MAP_NAME = re.compile(r"(depth|conf|confidence)[_-]?\d+\.\w+", re.IGNORECASE)
"""Folders and files that hold, beside a capture's pictures, its depth and how sure that is."""
_SHARED_ENDINGS = ("_color.png", "_uncertainty.png", "_normals.png", "_floor.png", "_floor_height.png", "_side.mp4")
"""Of our results that may be a user's picture too (0001_color.png, kitchen_floor.png): its content tells."""
_OUTPUT_ENDINGS = ("_depth.png", *_SHARED_ENDINGS, "_depth.mkv", CONTACT_SHEET)


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
    """All files that are not hidden, also in folders that links lead to; each folder once."""
    top, seen = folder.resolve(), set[Path]()
    for parent, folders, names in os.walk(folder, onerror=_refuse_folder, followlinks=True):
        shown = [name for name in folders if not name.startswith(".")]
        folders[:] = [name for name in shown if _is_new(Path(parent, name), top, seen)]
        yield from (Path(parent, name) for name in names if not name.startswith("."))


def _is_new(folder: Path, top: Path, seen: set[Path]) -> bool:
    """Whether a folder is none of those seen, to which it is added, nor a link to where is looked anyway."""
    place = folder.resolve()
    if place in seen or (folder.is_symlink() and (place.is_relative_to(top) or top.is_relative_to(place))):
        return False
    seen.add(place)
    return True


def _is_result(file: Path) -> bool:
    """Whether a file has the name of a result of ours and, where others use such names, is one or empty."""
    if not file.name.endswith(_SHARED_ENDINGS):
        return file.name.endswith(_OUTPUT_ENDINGS)  # depth is no picture, whoever wrote it
    return is_own_result(file) or (file.is_file() and file.stat().st_size == 0)


def is_picture_below(path: PurePath) -> bool:
    """Whether a path below a folder names a picture: not hidden, none of our own results and no map of a capture.

    The name alone decides: the file may be far away.
    """
    hidden = any(part.startswith(".") for part in path.parts)
    is_ours = path.name.endswith(("_depth.png", "_color.png", "_uncertainty.png", CONTACT_SHEET))
    return path.suffix.lower() in IMAGE_SUFFIXES and not hidden and not is_ours and not _is_map(path)


def _is_map(path: PurePath) -> bool:
    """Whether the name of a file below a folder says that it holds depth or confidence."""
    return bool(_MAP_NAME.fullmatch(path.name)) or any(_MAP_FOLDER.fullmatch(part) for part in path.parts[:-1])


def is_video(path: str | Path) -> bool:
    """Whether a file's name says that it is a video."""
    return Path(path).suffix.lower() in VIDEO_SUFFIXES


def _expand(given: Path | str, suffixes: Sequence[str]) -> list[Path]:
    """The files that one argument stands for, in natural order; outputs and captures' maps left out unless named."""
    path = Path(given)
    if os.path.isdir(path):
        found = [file for file in _files_below(path) if file.suffix.lower() in suffixes]
        found = _without_maps(path, found)
        if not found and path.suffix.lower() in suffixes:
            return [path]  # one of many that a shell's pattern stands for, and to be told as such
    elif os.path.exists(path) or os.path.islink(path):
        return [path]
    elif not glob.has_magic(str(given)):
        raise LeadlineError(f"{path} does not exist: check the path")
    else:
        matches = [Path(match) for match in glob.glob(str(given), recursive=True)]
        below = [file for match in matches if match.is_dir() for file in _files_below(match)]
        found = [file for file in [*matches, *below] if file.suffix.lower() in suffixes and file.is_file()]
    kept = [file for file in found if not _is_result(file)]
    if not kept:
        raise _nothing_found(given, len(found), suffixes)
    return sorted(kept, key=natural_order)


def _without_maps(folder: Path, found: list[Path]) -> list[Path]:
    """The files that are no maps of a capture; says how many those are, where there are others."""
    maps = [file for file in found if _is_map(file.relative_to(folder)) and not file.name.endswith(_OUTPUT_ENDINGS)]
    if not maps:
        return found
    if len(maps) == len(found):
        raise LeadlineError(
            f"no pictures in {folder} but {len(maps)} maps of depth or confidence, by their names such as {maps[0]}: "
            f"name their own folder or a file to use them as pictures"
        )
    logger.warning("%s: passed over %d maps of depth or confidence, such as %s", folder, len(maps), maps[0])
    passed_over = set(maps)
    return [file for file in found if file not in passed_over]


def _nothing_found(given: Path | str, num_outputs: int, suffixes: Sequence[str]) -> LeadlineError:
    if num_outputs:
        return LeadlineError(
            f"no pictures in {given} but {num_outputs} named *{' or *'.join(_OUTPUT_ENDINGS)}, "
            f"which are taken for our own results: name such a file itself to use it"
        )
    return LeadlineError(f"no pictures in {given}: wanted {', '.join(suffixes)}")


def find_images(paths: Sequence[Path | str], suffixes: Sequence[str] = IMAGE_SUFFIXES) -> list[Path]:
    """Expand files, folders and patterns into picture files, or into others.

    A file that is named stands for itself, whatever its ending. A folder stands for the pictures in it and in the
    folders below, those that links lead to included; a pattern (`*`, `?`, `[ab]`, `**`) for the pictures and folders
    that match. Hidden ones are passed over, and so are our own results, and whatever is called NAME_depth.png. So are,
    in folders, a capture's maps: what lies in depth/ or confidence/, or is called depth_00001.png.

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
