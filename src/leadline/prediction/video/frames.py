"""The frames of a clip or a stream, as a source of the loop."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from leadline.backends import Backend
from leadline.geometry import Camera
from leadline.io import GivenCamera, Picture
from leadline.prediction.prediction import predict_image
from leadline.prediction.result import Prediction


class Seen(NamedTuple):
    """What is kept of a frame that was predicted ahead of its turn; its own picture can be had again."""

    depth_m: NDArray[np.float32]
    camera: Camera | None
    undistorted: Prediction | None  # all of it, where its picture is another than the frame's

    @classmethod
    def of(cls, prediction: Prediction) -> "Seen":
        """What is kept of a prediction."""
        camera = prediction.camera
        return cls(prediction.depth_m, camera, prediction if camera is not None and camera.undistort else None)

    def prediction(self, rgb: NDArray[np.uint8]) -> Prediction:
        """The prediction that it was, of the frame's RGB."""
        if self.undistorted is not None:
            return self.undistorted
        return Prediction(rgb, self.depth_m, np.isfinite(self.depth_m) & (self.depth_m > 0), self.camera)


class TimedFrame(NamedTuple):
    """A frame that is not predicted yet."""

    rgb: Callable[[], NDArray[np.uint8]]  # its picture, (H, W, 3)
    pts: int  # when it is shown, in units of `time_base`
    time_base: Any  # seconds, a fraction
    given: GivenCamera | None  # what is given of its camera
    seen: Seen | None = None  # if it was predicted ahead


@dataclass
class Frames:
    """Frames that belong together: one that fails ends them; see `leadline.prediction.loop.Source`."""

    frames: Iterable[TimedFrame]
    backend: Backend
    concurrency: int

    def __iter__(self) -> Iterator[TimedFrame]:
        """The frames, in order."""
        return iter(self.frames)

    def predict(self, frame: TimedFrame, stack: ExitStack) -> Prediction:
        """A frame's depth, and no error: clips have no place for it, and its map takes a while."""
        rgb = frame.rgb()
        if frame.seen is not None:
            return frame.seen.prediction(rgb)
        return predict_image(Picture(rgb, None, rgb.shape[:2]), self.backend, frame.given, wants_error=False)

    def failure(self, frame: TimedFrame, error: Exception) -> None:
        """None is passed over.

        Raises:
            Exception: the error.
        """
        raise error
