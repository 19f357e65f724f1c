"""What holds for every writer of depth as an image or an array."""

import errno
from pathlib import Path
from typing import IO

import numpy as np
import pytest
from PIL import Image

from leadline.io.depth_files import write_depth_png, write_npz
from leadline.prediction.colors import write_color_png
from leadline.prediction.contact_sheet import SheetRow, write_contact_sheet

BLUE = (40, 90, 200)  # in no depth map and no text


def everywhere(depth_m: np.ndarray) -> np.ndarray:
    return np.ones(depth_m.shape, dtype=bool)


def sloped(height: int, width: int, near_m: float = 1.0, far_m: float = 5.0) -> np.ndarray:
    return np.linspace(near_m, far_m, height * width, dtype=np.float32).reshape(height, width)


def sheet_row(height: int, width: int, title: str = "a.jpg") -> SheetRow:
    depth_m = sloped(height, width)
    return SheetRow(title, np.full((height, width, 3), BLUE, np.uint8), depth_m, everywhere(depth_m))


WRITERS = {
    "depth.png": lambda path: write_depth_png(path, sloped(4, 5), everywhere(sloped(4, 5))),
    "color.png": lambda path: write_color_png(path, sloped(4, 5), everywhere(sloped(4, 5)), 1, 5),
    "depth.npz": lambda path: write_npz(path, sloped(4, 5), everywhere(sloped(4, 5)), None),
    "sheet.png": lambda path: write_contact_sheet(path, [sheet_row(4, 5)]),
}


@pytest.mark.parametrize(
    ("depth_shape", "valid"),
    [((1, 4, 5), np.ones((1, 4, 5), bool)), ((4, 5), np.ones((5, 4), bool)), ((4, 5), np.ones((4, 5), np.uint8))],
)
def test_other_shapes_and_masks_are_refused(tmp_path, depth_shape, valid):
    depth_m = np.ones(depth_shape, np.float32)
    row = SheetRow("", np.zeros((4, 5, 3), np.uint8), depth_m, valid)
    for write in (
        lambda path: write_depth_png(path, depth_m, valid),
        lambda path: write_color_png(path, depth_m, valid, 1, 2),
        lambda path: write_npz(path, depth_m, valid, None),
        lambda path: write_contact_sheet(path, [row]),
    ):
        with pytest.raises(ValueError, match=r"wanted depth \(H, W\) with a bool mask \(H, W\), got"):
            write(tmp_path / "a")
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("name", WRITERS)
def test_folders_are_made_and_an_old_file_is_replaced(tmp_path, name):
    path = tmp_path / "new" / "deeper" / name
    for _ in range(2):
        WRITERS[name](path)
    assert [file.name for file in path.parent.iterdir()] == [name]


@pytest.mark.parametrize("name", WRITERS)
def test_a_target_that_cannot_be_written_is_an_os_error(tmp_path, name):
    (tmp_path / "file").touch()
    with pytest.raises(OSError):
        WRITERS[name](tmp_path / "file" / name)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("name", WRITERS)
def test_a_full_disk_passes_up_and_leaves_the_old_file(tmp_path, monkeypatch, name):
    path = tmp_path / name
    WRITERS[name](path)
    old = path.read_bytes()

    write_bytes = Path.write_bytes

    def write_half(target: Path, data: bytes) -> None:
        write_bytes(target, data[:4])
        raise OSError(errno.ENOSPC, "No space left on device")

    def save_half(_: object, target: Path, **__: object) -> None:
        target.write_bytes(b"half")

    def savez_half(file: IO[bytes], **__: object) -> None:
        file.write(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", write_half)
    monkeypatch.setattr(Image.Image, "save", save_half)
    monkeypatch.setattr(np, "savez", savez_half)
    with pytest.raises(OSError, match="No space left"):
        WRITERS[name](path)
    assert path.read_bytes() == old
    assert [file.name for file in tmp_path.iterdir()] == [name]
