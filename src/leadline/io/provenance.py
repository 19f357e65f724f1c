"""Telling leadline's own results from files of the user's that have the very names of results."""

import zipfile
from collections.abc import Iterable
from pathlib import Path

from leadline.errors import LeadlineError
from leadline.io.atomic import SOFTWARE
from leadline.io.exr import COMMENTS as EXR_COMMENTS
from leadline.io.pfm import LITTLE_ENDIAN as PFM_SCALE

COMMENT = f"depth by {SOFTWARE}"
"""What a clip says of itself."""
_END_BYTES = 4096
_FIRST_OF_NPZ = b"valid.npy"
"""The first member of an archive of leadline's: all that its beginning tells where the list at the end is lost."""
_MARKS = {
    ".png": (f"software\0{SOFTWARE}",),
    ".yaml": (f"# {SOFTWARE}: ",),
    ".npz": ("depth_m.npy", "valid.npy", "intrinsics.npy", "unit.npy"),
    ".exr": (EXR_COMMENTS,),
    ".pfm": ("Pf\n", f"\n{PFM_SCALE}\n"),
    ".geometric.bin": ("&00000001&",),  # COLMAP's own numbers have no zeros before them
    ".ply": (f"\ncomment {SOFTWARE}\n",),
    ".glb": (f'"generator":"{SOFTWARE}"',),
    ".mp4": (COMMENT,),
    ".mkv": (COMMENT,),
    ".xml": (f"</{SOFTWARE}>", "</rt_info>\n</net>"),
    ".onnx": (f"\x12{chr(len(SOFTWARE))}{SOFTWARE}",),  # the second field, the producer's name
}
"""What stands at the beginning or the end of leadline's files, by their ending; all of it."""


def ensure_overwritable(paths: Iterable[Path]) -> None:
    """Keep what is not leadline's: a sensor's depth may lie beside its picture under the very name of a result.

    Args:
        paths: files that are about to be written, of the formats that `predict` writes.

    Raises:
        LeadlineError: at the first that is there and is none of leadline's results.
    """
    for path in paths:
        if path.exists() and not is_own_result(path):
            raise LeadlineError(f"{path} is there and not leadline's own: choose another --out, or move it away")


def is_own_result(path: Path) -> bool:
    """Whether a file says at its beginning or its end that leadline wrote it."""
    try:
        ends = _ends(path)
    except OSError:  # a folder, or a file that may not be read
        return False
    if path.suffix.lower() == ".npz" and _FIRST_OF_NPZ in ends and not zipfile.is_zipfile(path):
        return True  # an archive that was cut short: there is nothing to lose
    is_map = path.name.lower().endswith(".geometric.bin")
    if path.suffix.lower() == ".bin" and not is_map:  # weights without a word; what says whose they are is beside them
        return is_own_result(path.with_suffix(".xml"))
    marks = _MARKS.get("".join(path.suffixes[-2:]).lower()) or _MARKS.get(path.suffix.lower(), ())
    return bool(marks) and all(mark.encode() in ends for mark in marks)


def _ends(path: Path) -> bytes:
    """The beginning of a file and its end, where a format keeps what it tells of itself."""
    with path.open("rb") as file:
        beginning = file.read(_END_BYTES)
        file.seek(max(len(beginning), path.stat().st_size - _END_BYTES))
        return beginning + file.read()
