"""Single frames of a video by their number."""

from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from leadline.errors import LeadlineError
from leadline.io.video import Display, pyav


class FrameFinder:
    """A video whose frames are wanted in any order; it is opened for each of them, so that threads may share it."""

    def __init__(self, path: Path) -> None:
        """Name the video; nothing is opened yet."""
        self._path = path

    @property
    def num_frames(self) -> int:
        """How many frames the video holds."""
        return len(self._times)

    def frame(self, number: int) -> NDArray[np.uint8]:
        """One frame, upright.

        Args:
            number: its place in the order of showing, from 0.

        Returns:
            RGB (H, W, 3).

        Raises:
            LeadlineError: if the video is missing or broken, or has fewer frames.
        """
        times = self._times
        if not 0 <= number < len(times):
            raise LeadlineError(f"{self._path} has {len(times)} frames, wanted number {number}: copy the capture again")
        av = pyav()
        try:
            with av.open(f"file:{self._path}") as container:
                stream = container.streams.video[0]
                container.seek(times[number], stream=stream)
                for frame in container.decode(stream):
                    if frame.pts is not None and frame.pts >= times[number]:
                        return Display(stream, frame).rgb(frame)
        except av.FFmpegError as error:
            raise LeadlineError(f"{self._path} is broken at frame {number}: {error}") from error
        raise LeadlineError(f"{self._path} ends before frame {number}: copy the capture again")

    @cached_property
    def _times(self) -> list[int]:
        """When each frame is shown, in the stream's own unit; found without decoding any."""
        av = pyav()
        if not self._path.is_file():
            raise LeadlineError(f"{self._path} does not exist: copy the capture again")
        try:
            with av.open(f"file:{self._path}") as container:
                if not container.streams.video:
                    raise LeadlineError(f"{self._path} holds no moving picture; wanted a video")
                packets = container.demux(container.streams.video[0])
                return sorted(packet.pts for packet in packets if packet.pts is not None)
        except (av.FFmpegError, ValueError) as error:
            raise LeadlineError(f"{self._path} is no video that can be read: {error}") from error
