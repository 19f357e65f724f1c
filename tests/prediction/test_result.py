from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from leadline.errors import LeadlineError
from leadline.io.depth_files import read_npz
from leadline.prediction.colors import colorize
from leadline.prediction.result import FORMATS, Prediction

HEIGHT, WIDTH = 30, 300
DEPTH_M = np.linspace(1, 5, HEIGHT * WIDTH, dtype=np.float32).reshape(HEIGHT, WIDTH)
UNCERTAINTY_M = np.linspace(0, 0.5, HEIGHT * WIDTH, dtype=np.float32).reshape(HEIGHT, WIDTH)


def prediction(uncertainty_m: NDArray[np.float32] | None = None) -> Prediction:
    rgb = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
    return Prediction(rgb, DEPTH_M, np.ones((HEIGHT, WIDTH), bool), None, uncertainty_m)


def test_uncertainty_becomes_a_picture_with_a_bar_in_metres(tmp_path: Path) -> None:
    (path,) = prediction(UNCERTAINTY_M).save(tmp_path / "a", ["uncertainty"])
    assert path.name == "a_uncertainty.png"
    shown = np.asarray(Image.open(path))
    # From 2nd to 98th percentile, 0.01 to 0.49 m: a step of a twentieth of that is 0.05, and 0 to 0.5 its multiples.
    np.testing.assert_array_equal(shown[:HEIGHT], colorize(UNCERTAINTY_M, np.ones((HEIGHT, WIDTH), bool), 0.0, 0.5))
    assert (shown[HEIGHT:] != 255).any()


def test_uncertainty_goes_into_the_npz(tmp_path: Path) -> None:
    (path,) = prediction(UNCERTAINTY_M).save(tmp_path / "a", ["npz"])
    np.testing.assert_array_equal(read_npz(path).uncertainty_m, UNCERTAINTY_M)


def test_a_model_that_gives_no_uncertainty_is_said_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(LeadlineError, match="gives no uncertainty to write: leave that format out"):
        prediction().save(tmp_path / "a", ["uncertainty"])
    assert not list(tmp_path.iterdir())


def test_every_format_has_an_ending_of_its_own() -> None:
    assert len({ending for ending, _ in FORMATS.values()}) == len(FORMATS)
