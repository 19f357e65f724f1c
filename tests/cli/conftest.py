"""Photographs of every kind for the commands that predict."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for name, mode in {"rgb.jpg": "RGB", "grey.png": "L", "alpha.png": "RGBA", "press.jpg": "CMYK"}.items():
        Image.new(mode, (40, 30)).save(folder / name)
    Image.fromarray(np.full((30, 40), 40000, np.uint16)).save(folder / "deep.png")
    return folder
