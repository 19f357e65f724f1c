"""What a network is shown of an image whose pixels are not square, and what becomes of its answer."""

import numpy as np
import pytest
from numpy.typing import NDArray

from leadline.backends.base import Estimate
from leadline.backends.square_pixels import estimate_square
from leadline.geometry.camera import Camera

IMAGE = np.linspace(0, 255, 24 * 64 * 3).reshape(24, 64, 3).astype(np.uint8)


class Recorder:
    """Answers each row's number from the top as a share of the height, and keeps what it was asked."""

    def __init__(self, knows_error: bool = True) -> None:
        self.knows_error = knows_error

    def __call__(self, image: NDArray[np.uint8], camera: Camera | None) -> Estimate:
        self.image, self.camera = image, camera
        rows = (np.arange(image.shape[0], dtype=np.float32) + 0.5) / image.shape[0]
        values = np.broadcast_to(rows[:, None], image.shape[:2])[None].copy()
        return Estimate(values, 0.1 * values if self.knows_error else None)


@pytest.mark.parametrize("knows_error", [True, False])
def test_a_squeezed_image_is_asked_about_in_square_pixels(knows_error: bool) -> None:
    ask = Recorder(knows_error)
    camera = Camera(fx=50.0, fy=25.0, cx=31.5, cy=11.5, width=64, height=24)
    found = estimate_square(IMAGE, camera, ask)
    assert ask.image.shape == (48, 64, 3) and ask.camera is not None
    assert (ask.camera.fx, ask.camera.fy, ask.camera.cy, ask.camera.height) == (50, 50, 23.5, 48)
    # The same place of the image, whatever number of rows it has.
    np.testing.assert_allclose(found.values[0, :, 5], (np.arange(24) + 0.5) / 24, atol=1e-6)
    assert (found.relative_error is not None) == knows_error
    if found.relative_error is not None:
        np.testing.assert_allclose(found.relative_error, 0.1 * found.values, rtol=1e-6)


@pytest.mark.parametrize("fy", [None, 50.0, 50.4])
def test_square_pixels_are_left_alone(fy: float | None) -> None:
    ask = Recorder()
    camera = None if fy is None else Camera(fx=50.0, fy=fy, cx=31.5, cy=11.5, width=64, height=24)
    estimate_square(IMAGE, camera, ask)
    assert ask.image is IMAGE and ask.camera is camera


def test_nothing_of_a_narrowed_image_is_thrown_away() -> None:
    ask = Recorder()
    camera = Camera(fx=25.0, fy=50.0, cx=31.5, cy=11.5, width=64, height=24)
    found = estimate_square(IMAGE, camera, ask)
    assert ask.image.shape == (24, 128, 3) and ask.camera is not None
    assert (ask.camera.fx, ask.camera.fy, ask.camera.cx, ask.camera.width) == (50, 50, 63.5, 128)
    assert found.values.shape == (1, 24, 64)
