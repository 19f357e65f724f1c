"""Video: a clip becomes a clip of picture beside depth, and one of depth in millimetres, frame for frame."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leadline.geometry import DepthSummary, summarize_depth
from leadline.io import GivenCamera, ensure_overwritable, open_clip, read_frames, upright
from leadline.prediction.colors import depth_limits
from leadline.prediction.prediction import AnyModel, open_metric_backend, predict
from leadline.prediction.result import Prediction
from leadline.prediction.video.temporal_filter import TemporalFilter
from leadline.prediction.video.writer import Frame, clip_paths, writing_clips

NUM_LOOKED_AT = 12
"""Frames, evenly over the clip, whose depth sets the one range of colours."""


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


def predict_video(
    path: Path,
    stem: Path,
    model: AnyModel,
    *,
    formats: Sequence[str] = ("color", "depth"),
    given: GivenCamera | None = None,
    steady: bool = True,
    on_prediction: Callable[[Prediction, float], None] | None = None,
) -> Clip:
    """Predict every frame of a clip; the results have its frames, times and length.

    Frames are turned upright as the clip says. One range of colours serves the whole clip.

    Args:
        path: the clip.
        stem: folder and beginning of the results' names; `leadline.io.video.ENDINGS` follow.
        model: as `leadline.predict`.
        formats: keys of `ENDINGS`; others are for pictures and are passed over.
        given: what is given of the camera; else it is assumed to be the training images'.
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
    ask = partial(predict, model=open_metric_backend(model), camera=given)
    looked_at = np.stack([ask(rgb).depth_m for rgb in _sample(path)])
    everywhere = np.ones(looked_at.shape, bool)
    limits_m, summary = depth_limits(looked_at, everywhere), summarize_depth(looked_at, everywhere)
    num_frames, seconds, focal = 0, 0.0, ""
    with writing_clips(wanted, str(path), _rate(path), path) as writers:
        for frame in _predicted(path, ask, limits_m, steady):
            for writer in writers:
                writer.add(frame)
            num_frames += 1
            seconds, focal = float(frame.pts * frame.time_base), frame.prediction.focal
            if on_prediction:
                on_prediction(frame.prediction, seconds)
    return Clip(list(wanted.values()), num_frames, seconds, summary, focal)


def _predicted(
    path: Path, ask: Callable[[NDArray[np.uint8]], Prediction], limits_m: tuple[float, float], steady: bool
) -> Iterator[Frame]:
    smooth = TemporalFilter()
    for frame, size in read_frames(path):
        prediction = ask(upright(frame, size))
        if steady:
            prediction = replace(prediction, depth_m=smooth(prediction.rgb, prediction.depth_m))
        yield Frame(prediction, limits_m, frame.pts, frame.time_base)


def _rate(path: Path) -> Any:
    with ExitStack() as stack:
        return open_clip(path, stack).streams.video[0].average_rate


def _sample(path: Path) -> list[NDArray[np.uint8]]:
    """Frames evenly over the clip. Decoding all is far quicker than predicting, and right for every container."""
    num_frames = sum(1 for _ in read_frames(path))
    wanted = set(np.linspace(0, num_frames - 1, min(NUM_LOOKED_AT, num_frames)).round().astype(int).tolist())
    return [upright(*shot) for number, shot in enumerate(read_frames(path)) if number in wanted]
