"""Fetching the makers' files: resumed where it stopped, kept only when the checksums are right."""

import os
from collections.abc import Sequence
from http.client import HTTPException
from pathlib import Path
from typing import NamedTuple
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pooch
from tqdm import tqdm

from leadline.errors import LeadlineError

_TIMEOUT_S = 30.0
_BLOCK_BYTES = 1 << 20


class RemoteFile(NamedTuple):
    """A file that never changes, and where it stands."""

    name: str
    address: str
    num_bytes: int
    md5: str
    sha256: str


NYU_FILES = (
    RemoteFile(
        "nyu_depth_v2_labeled.mat",
        "http://horatio.cs.nyu.edu/mit/silberman/nyu_depth_v2/nyu_depth_v2_labeled.mat",
        2_972_037_809,
        md5="520609c519fba3ba5ac58c8fefcc3530",
        sha256="2d724b0c0ab358aa1ce5df855e5bd14a2279ab7202efe22f32a30d612dcb86aa",
    ),
    RemoteFile(
        "splits.mat",
        "http://horatio.cs.nyu.edu/mit/silberman/indoor_seg_sup/splits.mat",
        2_626,
        md5="08e3c3aea27130ac7c01ffd739a4535f",
        sha256="6e081404491a8bfba2f066beaa9713ef6046f9007aa5f799f2a350506a580cee",
    ),
)
"""The two files of NYU Depth V2, from its makers (for research use; they state no licence)."""


def _mismatch(path: Path, file: RemoteFile) -> str | None:
    """What is wrong with a file, size first because it costs nothing; None if it is the right one."""
    num_bytes = path.stat().st_size
    if num_bytes != file.num_bytes:
        return f"has {num_bytes:,} bytes, wanted {file.num_bytes:,}"
    for algorithm, wanted in (("md5", file.md5), ("sha256", file.sha256)):
        got = pooch.file_hash(str(path), alg=algorithm)
        if got != wanted:
            return f"has the {algorithm} {got}, wanted {wanted}"
    return None


def _num_bytes_kept(part: Path, file: RemoteFile) -> int:
    """How much of a partial file can stay: all of it, unless it is longer than the whole."""
    num_bytes = part.stat().st_size if part.exists() else 0
    return num_bytes if num_bytes <= file.num_bytes else 0


def _append_rest(file: RemoteFile, part: Path) -> None:
    """Ask for the bytes that `part` lacks and add them, or write all if the server knows no ranges."""
    kept = _num_bytes_kept(part, file)
    if kept == file.num_bytes:
        return
    headers = {"User-Agent": "leadline"} | ({"Range": f"bytes={kept}-"} if kept else {})
    with urlopen(Request(file.address, headers=headers), timeout=_TIMEOUT_S) as response:
        start = kept if response.status == 206 else 0
        if response.length is not None and start + response.length != file.num_bytes:
            offered = start + response.length
            raise ConnectionError(f"it offers {offered:,} bytes, wanted {file.num_bytes:,} (a login page?)")
        with (
            part.open("ab" if start else "wb") as output,
            tqdm(
                desc=file.name, total=file.num_bytes, initial=start, unit="B", unit_scale=True, disable=None
            ) as progress,
        ):
            while block := response.read(_BLOCK_BYTES):
                output.write(block)
                progress.update(len(block))
    if part.stat().st_size < file.num_bytes:
        raise ConnectionError(f"it broke off at {part.stat().st_size:,} of {file.num_bytes:,} bytes")


def fetch(file: RemoteFile, out: Path) -> Path:
    """Download one file into a folder, unless the right one is there already.

    What has arrived is kept in `NAME.part` and the next call asks only for the rest. `NAME` itself is
    written (over a wrong one, if there is one) when both checksums are right, and never before.

    Args:
        file: where it stands, its size and checksums.
        out: the folder; it is created.

    Returns:
        The path of the file in `out`.

    Raises:
        LeadlineError: if the address cannot be reached, the connection breaks, the folder or disk takes no
            more, or a checksum is wrong (the partial file is then removed).
    """
    target, part = out / file.name, out / f"{file.name}.part"
    if target.is_file() and _mismatch(target, file) is None:
        return target
    try:
        out.mkdir(parents=True, exist_ok=True)
        _append_rest(file, part)
    except (OSError, HTTPException) as error:
        # URLError hides what went wrong in `reason`; HTTPError's own text has the status beside it.
        reason = error if isinstance(error, HTTPError) else getattr(error, "reason", error)
        reason_line = " ".join(str(reason).split()) or type(reason).__name__
        raise LeadlineError(
            f"could not fetch {file.address}: {reason_line}; try again (it goes on where it stopped), "
            f"or download it by hand and put it at {target}"
        ) from error
    wrong = _mismatch(part, file)
    if wrong is not None:
        part.unlink()
        raise LeadlineError(
            f"what {file.address} sent {wrong}; it has been removed: try again, "
            f"or download {file.name} by hand from another place and put it at {target}"
        )
    os.replace(part, target)
    return target


def download_nyu(out: Path, files: Sequence[RemoteFile] = NYU_FILES) -> list[Path]:
    """Download the two files of NYU Depth V2 (3 GB) from their makers.

    Args:
        out: the folder to put them in.
        files: what to fetch from where; another table serves a mirror.

    Returns:
        The paths, in the order of `files`.

    Raises:
        LeadlineError: as `fetch`.
    """
    return [fetch(file, out) for file in files]
