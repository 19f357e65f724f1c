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
from leadline.io import Intrinsics, as_camera, ensure_overwritable, open_clip, read_frames, upright
from leadline.models import DepthModel
from leadline.prediction.colors import depth_limits
from leadline.prediction.prediction import predict
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
    model: DepthModel,
    *,
    formats: Sequence[str] = ("color", "depth"),
    focal_px: float | None = None,
    fov_deg: float | None = None,
    intrinsics: Intrinsics | None = None,
    steady: bool = True,
    show: Callable[[Prediction, float], None] | None = None,
) -> Clip:
    """Predict every frame of a clip; the results have its frames, times and length.

    Frames are turned upright as the clip says. One range of colours serves the whole clip.

    Args:
        path: the clip.
        stem: folder and beginning of the results' names; `leadline.io.video.ENDINGS` follow.
        model: the model, on its device.
        formats: keys of `ENDINGS`; others are for pictures and are passed over.
        focal_px: focal length in pixels of the frames; else assumed to be the training pictures'.
        fov_deg: horizontal field of view in degrees, instead of `focal_px`.
        intrinsics: file or matrix of the camera, instead of both.
        steady: whether depth is averaged over time where nothing moves, see `TemporalFilter`.
        show: what else is to see each frame's prediction and its time in seconds.

    Returns:
        What was written.

    Raises:
        LeadlineError: if the clip cannot be read, has no picture, no wanted format fits a video, or a
            result would replace a file that is not leadline's.
        OSError: if a result cannot be written; nothing of it stays.
    """
    wanted = clip_paths(stem, formats, str(path))
    ensure_overwritable(wanted.values())
    camera = None if intrinsics is None else as_camera(intrinsics)
    ask = partial(predict, model=model, focal_px=focal_px, fov_deg=fov_deg, intrinsics=camera)
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
            if show:
                show(frame.prediction, seconds)
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
