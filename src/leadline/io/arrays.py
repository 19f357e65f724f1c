"""NumPy's files from anywhere: nothing is unpickled, and a small file is not let fill the memory."""

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leadline.errors import LeadlineError, brief

MAX_BYTES = 4_000_000_000
"""Largest array of an .npz file that is unpacked: 400 megapixels of depth and as much again."""


def read_npy(path: Path) -> NDArray[Any]:
    """Read one array.

    Raises:
        LeadlineError: if the file is missing, damaged or not whole, or holds no plain array.
    """
    try:
        # Mapped, so that a header that promises more than the file has is told before memory is asked for.
        return np.array(np.lib.format.open_memmap(path, mode="r"))
    except Exception as error:  # numpy passes on what its parser of headers raises: tokenize's and Python's own
        raise LeadlineError(f"{path} is missing or no .npy array ({brief(error)}): save it again") from error


def read_npz_arrays(path: Path, names: Sequence[str] | None = None) -> dict[str, NDArray[Any]]:
    """Read arrays by their names.

    Args:
        path: the file.
        names: those wanted, of which only the ones that are there are read; None for all.

    Raises:
        LeadlineError: if the file is missing, damaged or not whole, or holds other things than plain arrays.
    """
    try:
        with zipfile.ZipFile(path) as packed:
            num_bytes = sum(entry.file_size for entry in packed.infolist())
        if num_bytes > MAX_BYTES:
            raise ValueError(f"it unpacks to {num_bytes:,} bytes, wanted at most {MAX_BYTES:,}")
        with np.load(path, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files if names is None or name in names}
    except Exception as error:  # zipfile's, zlib's and those of the headers' parser
        raise LeadlineError(f"{path} is no whole .npz file ({brief(error)}): save it again") from error
