"""Cameras and network streams: their newest frames become clips of depth until somebody stops it."""

import logging
import re
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from math import inf
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

from leadline.errors import LeadlineError
from leadline.geometry import DepthSummary, summarize_depth
from leadline.io import CAMERA, GivenCamera, NewestFrames, redact_url
from leadline.prediction.colors import AdaptingLimits
from leadline.prediction.loop import predict_each
from leadline.prediction.prediction import AnyModel, open_metric_backend
from leadline.prediction.result import Prediction
from leadline.prediction.video.frames import Frames, TimedFrame
from leadline.prediction.video.writer import FramesInOrder, clip_paths, writing_clips

logger = logging.getLogger(__name__)

RATE = Fraction(30)
"""What the files say; each frame has its own time all the same."""
TIME_BASE = Fraction(1, 1000)


@dataclass(frozen=True)
class Recording:
    """What became of a stream."""

    written: list[Path]
    num_frames: int
    num_dropped: int
    """Frames that came while another was predicted."""
    seconds: float
    summary: DepthSummary
    """Near, median and far in metres of the last frame."""
    focal: str
    """Focal length and where it is from, in words."""
    broken: str
    """Why the stream broke off; "" if it ended or was stopped."""


def stream_stem(source: str, out: Path) -> Path:
    """Where a stream is recorded: its name and the time, so that no recording takes another's place.

    Args:
        source: the stream.
        out: folder for the results.
    """
    parts = urlsplit(redact_url(source))
    name = source if source.startswith(CAMERA) else Path(parts.path).stem or parts.hostname or "stream"
    return out / f"{re.sub(r'[^A-Za-z0-9.-]+', '_', name).strip('_.')}_{time.strftime('%Y%m%d-%H%M%S')}"


def predict_stream(
    source: str,
    stem: Path,
    model: AnyModel,
    *,
    formats: Sequence[str] = ("color", "depth"),
    given: GivenCamera | None = None,
    seconds: float = float("inf"),
    steady: bool = True,
    on_prediction: Callable[[Prediction, float], None] | None = None,
) -> Recording:
    """Predict a stream's frames as they come, the newest first, until it ends, Ctrl-C or `seconds`.

    Frames that come while another is predicted are dropped. The range of colours follows the scene slowly.

    Args:
        source: "camera:0", "camera:" with a device's own name, or the address of a stream.
        stem: folder and beginning of the results' names; `leadline.io.video.ENDINGS` follow.
        model: as `leadline.predict`.
        formats: keys of `ENDINGS`; others are for pictures and are passed over.
        given: what is given of the camera; else it is assumed to be the training images'.
        seconds: longest time to record.
        steady: whether depth is averaged over time where nothing moves, see `TemporalFilter`.
        on_prediction: is called with each frame's prediction and its time in seconds.

    Returns:
        What was recorded; the files are whole.

    Raises:
        LeadlineError: if the stream cannot be opened or gives no picture, or no wanted format fits a video.
        OSError: if a result cannot be written; nothing of it stays.
    """
    name = redact_url(source)
    wanted = clip_paths(stem, formats, name)
    backend = open_metric_backend(model, inf)
    limits = partial(_limits, AdaptingLimits())
    with (
        _interruption() as stopped,
        NewestFrames(source) as newest,
        writing_clips(wanted, redact_url(source), RATE) as writers,
    ):
        frames = (
            _frame(rgb, came_s, newest.display.given(given) if newest.display else given)
            for rgb, came_s in newest.until(lambda now_s: stopped.is_set() or now_s >= seconds)
        )
        shown = FramesInOrder(limits, writers, steady, on_prediction)
        deque(predict_each(Frames(frames, backend, concurrency=0), [shown]), maxlen=0)
        prediction = shown.last
        if prediction is None and stopped.is_set():
            raise KeyboardInterrupt
        if prediction is None:
            raise LeadlineError(f"{name} gave no picture{newest.broken and f' ({newest.broken})'}: check that it is on")
    summary = summarize_depth(prediction.depth_m, prediction.valid)
    display = newest.display
    for words in () if display is None else (*display.notes, *filter(None, [display.wrong])):
        logger.warning("%s: %s", name, words)
    num_dropped, written = newest.num_seen - shown.num_frames, list(wanted.values())
    return Recording(written, shown.num_frames, num_dropped, shown.now_s, summary, prediction.focal, newest.broken)


def _frame(rgb: NDArray[np.uint8], came_s: float, given: GivenCamera | None) -> TimedFrame:
    return TimedFrame(lambda: rgb, round(came_s / TIME_BASE), TIME_BASE, given)


def _limits(limits: AdaptingLimits, prediction: Prediction, now_s: float) -> tuple[float, float]:
    return limits(prediction.depth_m, prediction.valid, now_s)


@contextmanager
def _interruption() -> Iterator[threading.Event]:
    """Within the block, the first Ctrl-C sets the event and the second interrupts as ever."""
    stopped = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stopped
        return
    old = signal.getsignal(signal.SIGINT)

    def stop(*_: object) -> None:
        stopped.set()
        signal.signal(signal.SIGINT, old)

    signal.signal(signal.SIGINT, stop)
    try:
        yield stopped
    finally:
        signal.signal(signal.SIGINT, old)
