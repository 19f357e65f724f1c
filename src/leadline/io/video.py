"""Video files, read frame by frame."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from leadline.errors import LeadlineError
from leadline.io.text_files import brief


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


class Shot(NamedTuple):
    """A frame as a clip holds it."""

    frame: Any  # PyAV's, decoded
    size: tuple[int, int]  # width and height at which `upright` is to show it: the first frame's, in square pixels

    @property
    def num_bytes(self) -> int:
        """About what it takes in memory: most videos have half as much colour as brightness."""
        return int(1.5 * self.frame.width * self.frame.height)

    def rgb(self) -> NDArray[np.uint8]:
        """RGB (H, W, 3), upright.

        Raises:
            LeadlineError: if its colours are of a kind that cannot be read.
        """
        try:
            return upright(self.frame, self.size)
        except (pyav().FFmpegError, ValueError, MemoryError) as error:
            raise LeadlineError(f"a frame cannot be read as RGB ({brief(error)}): convert the video first") from error


class ClipReader:
    """A video file that is open: its frames, one after the other, and the sound that lies between them.

    Attributes:
        path: the file.
        rate: frames per second, a fraction.
        sound: the audio stream; None if there is none.
        sound_packets: its packets so far, as they are in the file.
    """

    def __init__(self, path: Path, stack: ExitStack) -> None:
        """Open a file until the stack closes.

        Raises:
            LeadlineError: if it is missing, no video, or has no frames.
        """
        av = pyav()
        if not path.is_file():
            raise LeadlineError(f"{path} does not exist: check the path")
        try:
            self._container = stack.enter_context(av.open(f"file:{path}"))  # else "10:30.mkv" is of a protocol named 10
        except (av.FFmpegError, ValueError) as error:
            raise LeadlineError(f"{path} is no video that can be read: {error}") from error
        if not self._container.streams.video:
            raise LeadlineError(f"{path} holds no moving picture; wanted a video")
        self.path = path
        self._video = self._container.streams.video[0]
        self._video.thread_type = "AUTO"
        self.rate = self._video.average_rate
        self.sound = next(iter(self._container.streams.audio), None)
        self.sound_packets: list[Any] = []

    def shots(self) -> Iterator[Shot]:
        """The frames; may be asked for once.

        Raises:
            LeadlineError: if the clip is broken or holds no frame.
        """
        num_frames, size, last_pts = 0, None, None
        try:
            for frame in self._decoded():
                # Streams without a container tell no times, old containers of new codecs wrong ones.
                if frame.pts is None or (last_pts is not None and frame.pts <= last_pts):
                    raise LeadlineError(
                        f"{self.path} has frames without a rising time; put it into a container such as .mp4"
                    )
                size, last_pts = size or size_of_squares(self._video, frame), frame.pts
                num_frames += 1
                yield Shot(frame, size)
        except pyav().FFmpegError as error:
            raise LeadlineError(f"{self.path} is broken after {num_frames} frames: {error}") from error
        if not num_frames:
            raise LeadlineError(f"{self.path} holds no frame")

    def num_packets(self) -> int:
        """How many frames the file holds, without decoding one; the reader is at its end then."""
        return sum(1 for packet in self._container.demux(self._video) if packet.dts is not None)

    def _decoded(self) -> Iterator[Any]:
        wanted = [self._video] if self.sound is None else [self._video, self.sound]
        for packet in self._container.demux(wanted):
            if packet.stream is not self.sound:
                yield from packet.decode()
            elif packet.dts is not None:  # the last one is empty
                self.sound_packets.append(packet)


def size_of_squares(video: Any, frame: Any) -> tuple[int, int]:
    """A frame's width and height in square pixels: those of DV and of some films are not, which the stream says."""
    return round(frame.width * (video.sample_aspect_ratio or 1)), frame.height


def upright(frame: Any, size: tuple[int, int] | None = None) -> NDArray[np.uint8]:
    """RGB (H, W, 3), turned as the clip asks; width and height before that are its own, or as `size` says."""
    width, height = size or (frame.width, frame.height)
    shown = frame.reformat(width=width, height=height, format="rgb24").to_ndarray()
    rgb: NDArray[np.uint8] = np.rot90(shown, k=round(frame.rotation / 90))
    return np.ascontiguousarray(rgb)
