"""Small pictures and depth maps, for tests of data sets in their makers' layouts."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from leadline.errors import LeadlineError

HEIGHT, WIDTH = 4, 6


def save_rgb(path: Path, height: int = HEIGHT, width: int = WIDTH) -> None:
    """A picture that is red (255, 0, 0) in its upper left pixel and grey elsewhere; in a JPEG nearly so."""
    colours = np.full((height, width, 3), 128, np.uint8)
    colours[0, 0] = 255, 0, 0
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(colours).save(path)


def save_depth(path: Path, pixels: dict[tuple[int, int], int], fill: int = 0, size: tuple[int, int] = (4, 6)) -> None:
    """A 16-bit PNG of one value, but for some pixels (row, column)."""
    values = np.full(size, fill, np.uint16)
    for place, value in pixels.items():
        values[place] = value
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def refusal(action: Callable[[], object]) -> str:
    """The one line that the action is refused with."""
    with pytest.raises(LeadlineError) as caught:
        action()
    assert "\n" not in str(caught.value)
    return str(caught.value)
