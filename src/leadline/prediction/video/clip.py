"""Video: a clip becomes a clip of image beside depth, and one of depth in millimetres, frame for frame."""

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from itertools import chain
from math import inf
from pathlib import Path

import numpy as np

from leadline.backends import Backend
from leadline.geometry import DepthSummary, summarize_depth
from leadline.io import MAX_FRAME_PIXELS, ClipReader, GivenCamera, Shot, ensure_overwritable
from leadline.prediction.colors import depth_limits
from leadline.prediction.loop import Sink, predict_each
from leadline.prediction.prediction import AnyModel, open_metric_backend
from leadline.prediction.result import Prediction
from leadline.prediction.video.frames import Frames, Seen, TimedFrame
from leadline.prediction.video.writer import FramesInOrder, clip_paths, writing_clips

logger = logging.getLogger(__name__)

NUM_LOOKED_AT = 12
"""Frames, evenly over the clip, whose depth sets the one range of colours."""
MAX_KEPT_BYTES = 160_000_000
"""Decoded frames that are kept while the range of colours is found, 347 of 640×480 pixels: a clip of no more is opened
and decoded once; a longer one is decoded a second time for it."""


@dataclass(frozen=True)
class Clip:
    """What became of a clip."""

    written: list[Path]
    num_frames: int
    seconds: float
    summary: DepthSummary
    """Near, median and far in metres over the frames that set the colours."""
    focal: str
    """Focal length and where it is from, in words."""
    wrong: str
    """What is wrong with the clip, such as frames that end early, in words; "" if nothing."""


def predict_video(
    path: Path,
    stem: Path,
    model: AnyModel,
    *,
    formats: Sequence[str] = ("color", "depth"),
    given: GivenCamera | None = None,
    steady: bool = True,
    max_pixels: int = MAX_FRAME_PIXELS,
    on_prediction: Callable[[Prediction, float], None] | None = None,
) -> Clip:
    """Predict every frame of a clip; the results have its frames, times and length.

    Frames are turned upright as the clip says. One range of colours serves the whole clip. Of a clip that is cut short
    or broken, what came is written.

    Args:
        path: the clip.
        stem: folder and beginning of the results' names; `leadline.io.video.ENDINGS` follow.
        model: as `leadline.predict`.
        formats: keys of `ENDINGS`; others are for pictures and are passed over.
        given: what is given of the camera; else it is assumed to be the training images'.
        max_pixels: larger frames are reduced to this many pixels.
        steady: whether depth is averaged over time where nothing moves, see `TemporalFilter`.
        on_prediction: is called with each frame's prediction and its time in seconds.

    Returns:
        What was written.

    Raises:
        LeadlineError: if the clip cannot be read, has no picture, no wanted format fits a video, or a
            result would replace a file that is not leadline's.
        OSError: if a result cannot be written; nothing of it stays.
    """
    wanted = clip_paths(stem, formats, str(path))
    ensure_overwritable(wanted.values())
    backend = open_metric_backend(model, inf)
    with ExitStack() as stack:
        reader = ClipReader(path, stack, max_pixels)
        shots = reader.shots()
        kept, is_whole = _kept(shots)
        for note in reader.notes:
            logger.warning("%s: %s", path, note)
        given = kept[0].display.given(given)
        reopen = partial(ClipReader, path, max_pixels=max_pixels)
        ahead = _look_ahead(kept if is_whole else None, reopen, given, backend)
        depths_m = np.stack([seen.depth_m for seen in ahead.values()])
        everywhere = np.ones(depths_m.shape, bool)
        limits_m, summary = depth_limits(depths_m, everywhere), summarize_depth(depths_m, everywhere)
        del depths_m, everywhere
        writers = stack.enter_context(writing_clips(wanted, str(path), reader.rate, reader))
        shown = FramesInOrder(lambda *_: limits_m, writers, steady, on_prediction)
        frames = _frames(chain(_emptied(kept), shots), given, ahead)
        deque(predict_each(Frames(frames, backend, backend.concurrency), [shown]), maxlen=0)
    focal = "" if shown.last is None else shown.last.focal
    return Clip(list(wanted.values()), shown.num_frames, shown.now_s, summary, focal, reader.wrong)


def _kept(shots: Iterator[Shot]) -> tuple[list[Shot], bool]:
    """The first frames, as many as memory is for, and whether these are all."""
    kept, num_bytes = [], 0
    for shot in shots:
        kept.append(shot)
        num_bytes += shot.num_bytes
        if num_bytes > MAX_KEPT_BYTES:
            return kept, False
    return kept, True


def _emptied(kept: list[Shot]) -> Iterator[Shot]:
    """Each of them, which then is kept no longer."""
    kept.reverse()
    while kept:
        yield kept.pop()


def _frames(shots: Iterable[Shot], given: GivenCamera | None, ahead: dict[int, Seen]) -> Iterator[TimedFrame]:
    """Each of them, with what was predicted of it ahead, which then is kept no longer."""
    for number, shot in enumerate(shots):
        yield TimedFrame(shot.rgb, shot.frame.pts, shot.frame.time_base, given, ahead.pop(number, None))


class _Looks(Sink[TimedFrame]):
    """What a look ahead is for."""

    def prepare(self, frame: TimedFrame, prediction: Prediction) -> Seen:
        return Seen.of(prediction)


def _look_ahead(
    kept: Sequence[Shot] | None,
    reopen: Callable[[ExitStack], ClipReader],
    given: GivenCamera | None,
    backend: Backend,
) -> dict[int, Seen]:
    """Predict frames evenly over the clip, by their numbers: from those that are kept, or from a look of its own."""
    with ExitStack() as stack:
        if kept is not None:
            shots: Iterable[Shot] = kept
            num_frames = len(kept)
        else:
            shots = reopen(stack).shots()
            num_frames = max(1, reopen(stack).num_packets())
        places = np.linspace(0, num_frames - 1, min(NUM_LOOKED_AT, num_frames)).round().astype(int).tolist()
        chosen = (shot for number, shot in enumerate(shots) if number in places)
        looks = predict_each(Frames(_frames(chosen, given, {}), backend, backend.concurrency), [_Looks()])
        # A broken clip ends before its last packet.
        return dict(zip(places, (seen for (seen,), _ in looks), strict=False))
