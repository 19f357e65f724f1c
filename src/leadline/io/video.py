"""Clips: video files read frame by frame, and clips of depth written frame by frame."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leadline.errors import LeadlineError


def pyav() -> Any:
    """The library that reads and writes video.

    Raises:
        LeadlineError: if it is not installed.
    """
    try:
        import av
    except ImportError as error:
        raise LeadlineError('videos need PyAV: pip install "leadline[video]"') from error
    return av


def open_clip(path: Path, stack: ExitStack) -> Any:
    """Open a video file until the stack closes.

    Raises:
        LeadlineError: if it is missing, no video, or has no picture.
    """
    av = pyav()
    if not path.is_file():
        raise LeadlineError(f"{path} does not exist: check the path")
    try:
        container = stack.enter_context(av.open(f"file:{path}"))  # else "10:30.mkv" is of a protocol named 10
    except (av.FFmpegError, ValueError) as error:
        raise LeadlineError(f"{path} is no video that can be read: {error}") from error
    if not container.streams.video:
        raise LeadlineError(f"{path} holds no moving picture; wanted a video")
    container.streams.video[0].thread_type = "AUTO"
    return container


def read_frames(path: Path) -> Iterator[tuple[Any, tuple[int, int]]]:
    """Decoded frames, one after the other, and the width and height at which `upright` is to show them.

    That is the size of the first, its pixels made square.

    Raises:
        LeadlineError: if the clip is broken.
    """
    av = pyav()
    with ExitStack() as stack:
        container = open_clip(path, stack)
        video, num_frames, size, last_pts = container.streams.video[0], 0, None, None
        try:
            for frame in container.decode(video):
                # Streams without a container tell no times, old containers of new codecs wrong ones.
                if frame.pts is None or (last_pts is not None and frame.pts <= last_pts):
                    raise LeadlineError(
                        f"{path} has frames without a rising time; put it into a container such as .mp4"
                    )
                size, last_pts = size or size_of_squares(video, frame), frame.pts
                num_frames += 1
                yield frame, size
        except av.FFmpegError as error:
            raise LeadlineError(f"{path} is broken after {num_frames} frames: {error}") from error
        if not num_frames:
            raise LeadlineError(f"{path} holds no frame")


def size_of_squares(video: Any, frame: Any) -> tuple[int, int]:
    """A frame's width and height in square pixels: those of DV and of some films are not, which the stream says."""
    return round(frame.width * (video.sample_aspect_ratio or 1)), frame.height


def upright(frame: Any, size: tuple[int, int] | None = None) -> NDArray[np.uint8]:
    """RGB (H, W, 3), turned as the clip asks; width and height before that are its own, or as `size` says."""
    width, height = size or (frame.width, frame.height)
    shown = frame.reformat(width=width, height=height, format="rgb24").to_ndarray()
    rgb: NDArray[np.uint8] = np.rot90(shown, k=round(frame.rotation / 90))
    return np.ascontiguousarray(rgb)
