"""NYU Depth V2 (Silberman, Hoiem, Kohli, Fergus, ECCV 2012) from the two files that its makers ship."""

import csv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import scipy.io
import tomli_w
import torch
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from leadline.data.sample import GroundTruth, Sample
from leadline.errors import LeadlineError
from leadline.io import atomic_folder, require_only

INTRINSICS_PX = (518.8579, 519.4696, 325.5824, 253.7362)
"""fx, fy, cx, cy of the 640x480 pictures: the makers' calibration of their colour camera."""

_ARRAYS: dict[str, tuple[str, tuple[int, ...]]] = {
    "images": ("uint8", (3, 640, 480)),
    "depths": ("float32", (640, 480)),
    "rawDepths": ("float32", (640, 480)),
}
"""Type of each array, and the shape after the number of pictures: h5py shows MATLAB's axes in reverse."""

_SPLIT_KEYS = {"train": "trainNdxs", "test": "testNdxs"}
_FOLDERS = ("rgb", "depth", "raw_depth")
_REMEDY = "wanted the makers' {}, which 'leadline data download' fetches"
_MAT_REMEDY = _REMEDY.format("nyu_depth_v2_labeled.mat")
_SPLITS_REMEDY = _REMEDY.format("splits.mat")

# Level 3 writes three times as fast as Pillow's 6, for 14 % more bytes at most.
_PNG_LEVEL = 3


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


@contextmanager
def _reading(mat: str | Path, what: str) -> Iterator[None]:
    """Turn the many things that h5py raises on a damaged file into one line."""
    try:
        yield
    except LeadlineError:
        raise
    except (OSError, RuntimeError, LookupError, ValueError, TypeError, AttributeError) as error:
        raise LeadlineError(f"{mat} is broken: {what} cannot be read ({_one_line(error)}); {_MAT_REMEDY}") from error


@contextmanager
def _open_mat(mat: Path) -> Iterator[h5py.File]:
    """Open the HDF5 file, or say in one line why it is not one."""
    if not mat.is_file():
        raise LeadlineError(f"no file at {mat}; {_MAT_REMEDY}")
    if not h5py.is_hdf5(mat):
        raise LeadlineError(f"{mat} is no MATLAB 7.3 (HDF5) file; {_MAT_REMEDY}")
    with _reading(mat, "its beginning"):
        file = h5py.File(mat, "r")
    with file:
        yield file


def _check_layout(file: h5py.File, names: Sequence[str]) -> int:
    """Make sure that the arrays `names` are as the makers stored them; returns the number of pictures."""
    missing = [name for name in (*names, "scenes") if not isinstance(file.get(name), h5py.Dataset)]
    if missing:
        got = ", ".join(key for key in file if not key.startswith("#")) or "nothing"
        raise LeadlineError(f"{file.filename} lacks {', '.join(missing)} (it holds {got}); {_MAT_REMEDY}")
    num_pictures = int(file["scenes"].size)
    for name in names:
        (dtype, size), array = _ARRAYS[name], file[name]
        shape = (num_pictures, *size)
        if (array.dtype, array.shape) != (dtype, shape):
            wanted, got = f"{dtype} of shape {shape}", f"{array.dtype} of shape {array.shape}"
            raise LeadlineError(f"{file.filename}: {name} must be {wanted}, got {got}; {_MAT_REMEDY}")
    return num_pictures


def _read_scenes(file: h5py.File) -> list[str]:
    """The scene names, which MATLAB stores as references to arrays of UTF-16 code units."""
    return ["".join(map(chr, file[reference][()].ravel())) for reference in file["scenes"][()].ravel()]


def _read_picture(file: h5py.File, name: str, index: int) -> NDArray[Any]:
    """One picture of an array as rows and columns, (H, W) or (H, W, 3), from MATLAB's reversed axes."""
    with _reading(file.filename, f"picture {index + 1} of {name}"):
        return np.ascontiguousarray(file[name][index].T)


def _read_split_ids(splits: Path) -> dict[str, NDArray[Any]]:
    if not splits.is_file():
        raise LeadlineError(f"no file at {splits}; {_SPLITS_REMEDY}")
    try:
        contents = scipy.io.loadmat(splits, appendmat=False, variable_names=list(_SPLIT_KEYS.values()))
    except Exception as error:  # scipy lets through whatever its parser trips over
        raise LeadlineError(f"{splits} is no MATLAB 5 file ({_one_line(error)}); {_SPLITS_REMEDY}") from error
    missing = [key for key in _SPLIT_KEYS.values() if key not in contents]
    if missing:
        raise LeadlineError(f"{splits} lacks {', '.join(missing)}; {_SPLITS_REMEDY}")
    ids = {part: np.ravel(contents[key]) for part, key in _SPLIT_KEYS.items()}
    for part, numbers in ids.items():
        if numbers.dtype.kind not in "iuf":
            raise LeadlineError(f"{splits}: {part} must hold numbers, got {numbers.dtype}; {_SPLITS_REMEDY}")
    return ids


def read_nyu_splits(splits: Path, num_pictures: int) -> list[str]:
    """Read the makers' split of every picture.

    Args:
        splits: `splits.mat` (MATLAB 5; its picture numbers start at 1).
        num_pictures: how many pictures the data set has.

    Returns:
        "train" or "test" for every picture in order; "" for one that the file does not name.

    Raises:
        LeadlineError: if the file is missing or broken, or names a picture twice or one that does not exist.
    """
    part_of: dict[int, str] = {}
    for part, ids in _read_split_ids(splits).items():
        for number in ids.tolist():
            found = f"{splits}: {part} names picture {number}"
            if number not in range(1, num_pictures + 1):
                raise LeadlineError(f"{found}, wanted whole numbers from 1 to {num_pictures}; {_SPLITS_REMEDY}")
            if number in part_of:
                raise LeadlineError(f"{found}, which {part_of[number]} has named already; {_SPLITS_REMEDY}")
            part_of[int(number)] = part
    return [part_of.get(number, "") for number in range(1, num_pictures + 1)]


def open_nyu(path: Path) -> "NyuDataset":
    """Open NYU Depth V2 as released: the .mat file, or its folder; with the split file beside it, if there is one."""
    mat = path if path.is_file() else path / "nyu_depth_v2_labeled.mat"
    splits = mat.with_name("splits.mat")
    return NyuDataset(mat, splits if splits.exists() else None)


class NyuDataset:
    """The labelled pictures with their in-painted depth, read from the makers' files as they are.

    Args:
        mat: `nyu_depth_v2_labeled.mat` (MATLAB 7.3, which is HDF5).
        splits: `splits.mat`; without it `official_splits` are empty.

    Raises:
        LeadlineError: if a file is missing, broken or not what its name says.
    """

    def __init__(self, mat: Path, splits: Path | None = None) -> None:
        """Read names and splits; no picture is decoded yet."""
        self.mat = mat
        with _open_mat(mat) as file, _reading(mat, "its list of arrays"):
            num_pictures = _check_layout(file, ("images", "depths"))
            self._scenes = _read_scenes(file)
        self._splits = [""] * num_pictures if splits is None else read_nyu_splits(splits, num_pictures)

    @property
    def ids(self) -> list[str]:
        """The makers' numbers, "1" to "1449"."""
        return [str(index + 1) for index in range(len(self))]

    @property
    def scenes(self) -> list[str]:
        """The scene of every picture, such as "kitchen_0004"."""
        return list(self._scenes)

    @property
    def official_splits(self) -> list[str]:
        """The makers' split of every picture, "train" or "test"; "" where there is no split file."""
        return list(self._splits)

    def __len__(self) -> int:
        """Number of pictures."""
        return len(self._scenes)

    def __getitem__(self, index: int) -> Sample:
        """Decode one picture and its in-painted depth.

        Raises:
            IndexError: if there is no such picture.
            LeadlineError: if the file is broken at this picture.
        """
        index = range(len(self))[index]
        # An open HDF5 file survives neither fork nor pickle; opening costs a hundredth of the decoding.
        with _open_mat(self.mat) as file:
            rgb, truth = _read_picture(file, "images", index), _truth(file, index)
        fx, fy, cx, cy = INTRINSICS_PX
        return Sample(
            torch.from_numpy(rgb).permute(2, 0, 1).contiguous().float() / 255,
            *truth,
            torch.tensor([[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]]),
            str(index + 1),
            self._scenes[index],
        )

    def ground_truth(self, index: int) -> GroundTruth:
        """Decode the in-painted depth of one picture alone.

        Raises:
            IndexError: if there is no such picture.
            LeadlineError: if the file is broken at this picture.
        """
        with _open_mat(self.mat) as file:
            return _truth(file, range(len(self))[index])


def _truth(file: h5py.File, index: int) -> GroundTruth:
    depth_m = _read_picture(file, "depths", index)
    valid = np.isfinite(depth_m) & (depth_m > 0)
    known_m = np.where(valid, depth_m, 0).astype(np.float32)
    return GroundTruth(torch.from_numpy(known_m)[None], torch.from_numpy(valid)[None])


def _millimetres(depth_m: NDArray[Any]) -> NDArray[np.uint16]:
    """Depth in whole millimetres; 0 where there is none or 16 bits cannot hold it."""
    depth_mm = np.rint(depth_m.astype(np.float64) * 1000)
    return np.where((depth_mm >= 1) & (depth_mm <= 65535), depth_mm, 0).astype(np.uint16)


def _write_pictures(file: h5py.File, index: int, folder: Path) -> dict[str, str]:
    """Write the three pictures of one sample; returns their columns of the index."""
    paths = {name: f"{name}/{index + 1:04d}.png" for name in _FOLDERS}
    pictures = {
        "rgb": _read_picture(file, "images", index),
        "depth": _millimetres(_read_picture(file, "depths", index)),
        "raw_depth": _millimetres(_read_picture(file, "rawDepths", index)),
    }
    for name, path in paths.items():
        Image.fromarray(pictures[name]).save(folder / path, compress_level=_PNG_LEVEL)
    return paths


def _write_index(folder: Path, rows: Sequence[dict[str, str]]) -> None:
    columns = ["id", *_FOLDERS, "scene", "official_split"]
    with (folder / "index.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    settings = {
        "name": "nyu-depth-v2",
        "depth_scale": 0.001,
        "depth_offset": 0.0,
        "depth_invalid": 0,
        "depth_kind": "in-painted",
        "intrinsics": list(INTRINSICS_PX),
    }
    (folder / "dataset.toml").write_text(tomli_w.dumps(settings), encoding="utf-8")


def prepare_nyu(mat: Path, splits: Path, out: Path) -> int:
    """Turn the makers' files into a `folder` data set: lossless pictures, depth in 16-bit millimetres.

    `depth` is the in-painted depth, `raw_depth` the camera's own with its holes as 0.

    Args:
        mat: `nyu_depth_v2_labeled.mat`.
        splits: `splits.mat`.
        out: the folder to write; an earlier one of this function is replaced when the new one is whole.

    Returns:
        The number of pictures.

    Raises:
        LeadlineError: if a file is missing, broken or not what its name says, or `out` holds other things.
        OSError: if `out` cannot be written.
    """
    require_only(out, {*_FOLDERS, "index.csv", "dataset.toml"})
    dataset = NyuDataset(mat, splits)
    names = zip(dataset.ids, dataset.scenes, dataset.official_splits, strict=True)
    with _open_mat(mat) as file:
        with _reading(mat, "its list of arrays"):
            _check_layout(file, tuple(_ARRAYS))
        with atomic_folder(out) as folder:
            for name in _FOLDERS:
                (folder / name).mkdir()
            progress = tqdm(names, desc="pictures", total=len(dataset), disable=None)
            rows = [
                {"id": name, "scene": scene, "official_split": split, **_write_pictures(file, index, folder)}
                for index, (name, scene, split) in enumerate(progress)
            ]
            _write_index(folder, rows)
    return len(rows)
