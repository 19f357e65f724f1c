"""Small files in the layout of NYU Depth V2's makers, for tests."""

from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np
import scipy.io

HEIGHT, WIDTH = 480, 640
SCENES = ("kitchen_0004", "kitchen_0004", "office_0021", "bedroom_0007", "study_room_0005b", "cafe_0001a")
TRAIN, TEST = (3, 5, 6), (1, 2, 4)


def pictures(num: int = len(SCENES)) -> dict[str, np.ndarray]:
    """Arrays as a person would hold them (picture, row, column), each pixel telling where it stands.

    Red is half the row, green a third of the column, blue the picture; depth is 1 m, 1 mm more each
    column and 10 mm more each row, plus one metre a picture; the raw depth has a hole at rows 100 to
    119, columns 500 to 539.
    """
    row, column = np.indices((HEIGHT, WIDTH))
    rgb = np.stack([np.stack([row // 2, column // 3, np.full_like(row, n)], axis=-1) for n in range(num)])
    depth_m = np.stack([1 + n + row * 0.01 + column * 0.001 for n in range(num)]).astype(np.float32)
    raw_m = depth_m.copy()
    raw_m[:, 100:120, 500:540] = 0
    return {"images": rgb.astype(np.uint8), "depths": depth_m, "rawDepths": raw_m}


def write_mat(path: Path, arrays: dict[str, np.ndarray], scenes: Sequence[str] = SCENES) -> Path:
    """Write a MATLAB 7.3 file: a text header of 512 bytes, axes reversed, strings behind references."""
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, array in arrays.items():
            reversed_axes = (0, *range(array.ndim - 1, 0, -1))
            file.create_dataset(
                name,
                data=array.transpose(reversed_axes),
                chunks=(1, *array.shape[:0:-1]),
                compression="gzip",
                compression_opts=1,
            )
        references = np.empty((1, len(scenes)), dtype=h5py.ref_dtype)
        for index, scene in enumerate(scenes):
            codes = np.array([[ord(letter)] for letter in scene], dtype=np.uint16)
            references[0, index] = file.create_dataset(f"#refs#/{index}", data=codes).ref
        file.create_dataset("scenes", data=references)
    with path.open("r+b") as raw:
        raw.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(508) + b"\x00\x02IM")
    return path


def write_splits(path: Path, train: Sequence[float] = TRAIN, test: Sequence[float] = TEST) -> Path:
    """Write a MATLAB 5 split file; picture numbers start at 1."""
    ids = {"trainNdxs": np.array(train)[:, None], "testNdxs": np.array(test)[:, None]}
    scipy.io.savemat(path, ids, format="5")
    return path
