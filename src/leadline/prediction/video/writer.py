"""Clips of depth, written frame by frame."""

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from leadline.errors import LeadlineError
from leadline.io import COMMENT, ClipReader, as_millimetres, atomic_file, pyav
from leadline.prediction.colors import colorize, scale_bar
from leadline.prediction.loop import Sink
from leadline.prediction.result import Prediction
from leadline.prediction.video.frames import TimedFrame
from leadline.prediction.video.temporal_filter import TemporalFilter

ENDINGS = {"color": "_side.mp4", "depth": "_depth.mkv"}
"""What a clip can become: side by side with its sound (H.264); lossless 16-bit millimetres (FFV1 in Matroska)."""


MP4_SOUND = ("aac", "ac3", "alac", "eac3", "flac", "mp3", "opus")


MIN_MP3_HZ = 16_000
"""FFmpeg writes no MP3 of fewer samples a second into .mp4."""


logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Frame:
    """One frame of a clip of depth."""

    prediction: Prediction
    limits_m: tuple[float, float]
    """Depths of the first and the last colour in metres."""
    pts: int
    """When it is shown, in units of `time_base`."""
    time_base: Any
    """Seconds, a fraction."""


def clip_paths(stem: Path, formats: Sequence[str], source: str) -> dict[str, Path]:
    """The file of each format that a clip can become.

    Args:
        stem: folder and beginning of the names; `ENDINGS` follow.
        formats: keys of `ENDINGS`; others are for pictures and are passed over.
        source: what becomes a clip, for messages.

    Returns:
        Paths by format.

    Raises:
        LeadlineError: if none of the formats fits a video.
    """
    wanted = {name: stem.with_name(stem.name + ending) for name, ending in ENDINGS.items() if name in formats}
    if not wanted:
        raise LeadlineError(
            f"{source} is a video: wanted one of the formats {', '.join(ENDINGS)}, got {', '.join(formats)}"
        )
    return wanted


class ClipWriter(ABC):
    """One clip that is written."""

    codec, pixel_format = "", ""
    options: dict[str, str] = {}

    def __init__(self, out: Any, rate: Any, source: ClipReader | None = None) -> None:
        """Begin a clip; see `writing_clips`.

        Args:
            out: the open container.
            rate: frames per second, a fraction; each frame has its own time all the same.
            source: the clip whose sound is taken along; None for silence.
        """
        self._out, self._rate, self._source = out, rate, source
        self._video: Any = None
        self._audio = None if source is None else self._sound(source)

    def add(self, frame: Frame) -> None:
        """Write the next frame at its time."""
        pixels = self.pixels(frame)
        if self._video is None:
            height, width = pixels.shape[:2]
            self._video = self._begin(height, width, frame.time_base)
        picture = pyav().VideoFrame.from_ndarray(pixels, format="rgb24" if pixels.ndim == 3 else "gray16le")
        picture.pts, picture.time_base = frame.pts, frame.time_base
        self._out.mux(self._video.encode(picture))

    def finish(self) -> None:
        """Write what is left, and the sound."""
        self._out.mux(self._video.encode())
        if self._source is not None and self._audio is not None:
            for packet in self._source.sound_packets:
                packet.stream = self._audio
                self._out.mux(packet)

    @abstractmethod
    def pixels(self, frame: Frame) -> NDArray[Any]:
        """What stands in the frame: RGB (H, W, 3), or 16-bit grey (H, W)."""

    def _sound(self, source: ClipReader) -> Any:
        return None

    def _begin(self, height: int, width: int, time_base: Any) -> Any:
        video = self._out.add_stream(self.codec, rate=self._rate)
        video.height, video.width, video.pix_fmt, video.options = height, width, self.pixel_format, self.options
        video.codec_context.time_base = time_base
        return video


class SideBySide(ClipWriter):
    """Picture beside depth in colours, with a bar in metres below."""

    codec, pixel_format, options = "libx264", "yuv420p", {"crf": "20", "preset": "superfast"}
    _bar: tuple[tuple[float, float], NDArray[np.uint8]] | None = None

    def _sound(self, source: ClipReader) -> Any:
        if source.sound is None:
            return None
        name = source.sound.codec_context.codec.canonical_name
        if name not in MP4_SOUND or (name == "mp3" and source.sound.rate < MIN_MP3_HZ):
            logger.warning("%s: sound in %s does not go into .mp4", source.path, name)
            return None
        return self._out.add_stream_from_template(source.sound)

    def pixels(self, frame: Frame) -> NDArray[np.uint8]:
        """RGB."""
        depth_m = frame.prediction.depth_m
        if self._bar is None or self._bar[0] != frame.limits_m:
            self._bar = frame.limits_m, _bar(*frame.limits_m, *depth_m.shape)
        painted = colorize(depth_m, frame.prediction.valid, *frame.limits_m)
        return np.concatenate([np.concatenate([frame.prediction.rgb, painted], axis=1), self._bar[1]])


class Millimetres(ClipWriter):
    """Depth as 16-bit numbers, without loss."""

    codec, pixel_format = "ffv1", "gray16le"

    def pixels(self, frame: Frame) -> NDArray[np.uint16]:
        """Depth in millimetres."""
        return as_millimetres(frame.prediction.depth_m, frame.prediction.valid)


WRITERS: dict[str, type[ClipWriter]] = {"color": SideBySide, "depth": Millimetres}
"""What writes each of `ENDINGS`."""


@contextmanager
def writing_clips(
    targets: dict[str, Path], name: str, rate: Any, source: ClipReader | None = None
) -> Iterator[list[ClipWriter]]:
    """Open clips that appear, whole, when the block ends without an error.

    Args:
        targets: paths by format, see `clip_paths`.
        name: what they are the depth of, for messages.
        rate: frames per second, a fraction.
        source: the clip whose sound is taken along; None for silence.

    Yields:
        A writer for each.

    Raises:
        LeadlineError: if the encoder fails.
        OSError: if a file cannot be written; nothing of it stays.
    """
    av = pyav()
    try:
        with ExitStack() as stack:
            writers = []
            for format_name, target in targets.items():
                out = stack.enter_context(av.open(f"file:{stack.enter_context(atomic_file(target))}", "w"))
                out.metadata["comment"] = COMMENT
                writers.append(WRITERS[format_name](out, rate, source))
            yield writers
            for writer in writers:
                writer.finish()
    except av.FFmpegError as error:
        raise LeadlineError(f"the depth of {name} cannot be written as video: {error}") from error


class FramesInOrder(Sink[TimedFrame]):
    """Takes predictions through all that wants them in order: smoothing over time, colours, files, the caller's view.

    Attributes:
        num_frames: how many there were.
        now_s: the last one's time in seconds; 0 of none.
        last: itself, as it is written; None of none.
    """

    def __init__(
        self,
        limits: Callable[[Prediction, float], tuple[float, float]],
        writers: Sequence[ClipWriter],
        steady: bool,
        on_prediction: Callable[[Prediction, float], None] | None,
    ) -> None:
        """Start before the first frame.

        Args:
            limits: depths of the first and the last colour in metres, of a prediction at a time in seconds.
            writers: see `writing_clips`.
            steady: whether depth is averaged over time where nothing moves, see `TemporalFilter`.
            on_prediction: is called with each prediction and its time in seconds.
        """
        self._limits, self._writers, self._on_prediction = limits, writers, on_prediction
        self._smooth = TemporalFilter() if steady else None
        self.num_frames, self.now_s = 0, 0.0
        self.last: Prediction | None = None

    def prepare(self, frame: TimedFrame, prediction: Prediction) -> tuple[Prediction, int, Any]:
        """The prediction with its time, and what that counts in seconds."""
        return prediction, frame.pts, frame.time_base

    def take(self, timed: tuple[Prediction, int, Any]) -> None:
        """Take the next one."""
        prediction, pts, time_base = timed
        self.now_s = float(pts * time_base)
        if self._smooth is not None:
            prediction = replace(prediction, depth_m=self._smooth(prediction.rgb, prediction.depth_m))
        shown = Frame(prediction, self._limits(prediction, self.now_s), pts, time_base)
        for writer in self._writers:
            writer.add(shown)
        if self._on_prediction is not None:
            self._on_prediction(prediction, self.now_s)
        self.num_frames, self.last = self.num_frames + 1, prediction


def _bar(near_m: float, far_m: float, height: int, width: int) -> NDArray[np.uint8]:
    """The scale bar below frames of this size side by side; an even number of rows in all, as H.264 wants."""
    bar = scale_bar(near_m, far_m, 2 * width, max(14, height // 32))
    canvas = Image.new("RGB", (2 * width, bar.height + (height + bar.height) % 2), "white")
    canvas.paste(bar, (0, 0))
    return np.asarray(canvas)
