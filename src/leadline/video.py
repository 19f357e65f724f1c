"""Video: a clip becomes a clip of picture beside depth, and one of depth in millimetres, frame for frame."""

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from leadline.camera_files import Intrinsics, as_camera
from leadline.colors import DepthSummary, colorize, depth_limits, scale_bar, summarize_depth
from leadline.errors import UserError
from leadline.files import atomic_file
from leadline.models.model import DepthModel
from leadline.predicted import Prediction
from leadline.prediction import predict
from leadline.temporal import TemporalFilter

VIDEO_SUFFIXES = (".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v")
NUM_LOOKED_AT = 12
"""Frames, evenly over the clip, whose depth sets the one range of colours."""
ENDINGS = {"color": "_side.mp4", "depth": "_depth.mkv"}
"""What a clip can become: side by side with its sound (H.264); lossless 16-bit millimetres (FFV1 in Matroska)."""
MP4_SOUND = ("aac", "ac3", "alac", "eac3", "flac", "mp3", "opus")
MOST_MM = 65535

logger = logging.getLogger(__name__)


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


@dataclass
class _Frame:
    rgb: NDArray[np.uint8]
    depth_m: NDArray[np.float32]
    pts: int
    time_base: Any
    focal: str


def is_video(path: str | Path) -> bool:
    """Whether a file's name says that it is a video."""
    return Path(path).suffix.lower() in VIDEO_SUFFIXES


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
) -> Clip:
    """Predict every frame of a clip; the results have its frames, times and length.

    Frames are turned upright as the clip says. One range of colours serves the whole clip.

    Args:
        path: the clip.
        stem: folder and beginning of the results' names; `ENDINGS` follow.
        model: the model, on its device.
        formats: keys of `ENDINGS`; others are for pictures and are passed over.
        focal_px: focal length in pixels of the frames; else assumed to be the training pictures'.
        fov_deg: horizontal field of view in degrees, instead of `focal_px`.
        intrinsics: file or matrix of the camera, instead of both.
        steady: whether depth is averaged over time where nothing moves, see `TemporalFilter`.

    Returns:
        What was written.

    Raises:
        UserError: if the clip cannot be read, has no picture, or no wanted format fits a video.
        OSError: if a result cannot be written; nothing of it stays.
    """
    wanted = {name: stem.with_name(stem.name + ending) for name, ending in ENDINGS.items() if name in formats}
    if not wanted:
        raise UserError(f"{path} is a video: wanted one of the formats {', '.join(ENDINGS)}, got {', '.join(formats)}")
    camera = None if intrinsics is None else as_camera(intrinsics)
    ask = partial(predict, model=model, focal_px=focal_px, fov_deg=fov_deg, intrinsics=camera)
    looked_at = np.stack([ask(rgb).depth_m for rgb in _sample(path)])
    everywhere = np.ones(looked_at.shape, bool)
    limits_m, summary = depth_limits(looked_at, everywhere), summarize_depth(looked_at, everywhere)
    writers = {"color": _SideBySide(limits_m), "depth": _Millimetres()}
    num_frames, seconds, focal = 0, 0.0, ""
    with _writing(path), ExitStack() as stack:
        sinks = [
            writers[name].open(stack.enter_context(atomic_file(target)), path, stack) for name, target in wanted.items()
        ]
        for frame in _predicted(path, ask, steady):
            for sink in sinks:
                sink.add(frame)
            num_frames += 1
            seconds, focal = float(frame.pts * frame.time_base), frame.focal
        for sink in sinks:
            sink.finish()
    return Clip(list(wanted.values()), num_frames, seconds, summary, focal)


def _predicted(path: Path, ask: Callable[[NDArray[np.uint8]], Prediction], steady: bool) -> Iterator[_Frame]:
    smooth = TemporalFilter()
    for frame in _frames(path):
        rgb = _upright(frame)
        prediction = ask(rgb)
        depth_m = smooth(rgb, prediction.depth_m) if steady else prediction.depth_m
        yield _Frame(rgb, depth_m, frame.pts, frame.time_base, prediction.focal)


def _library() -> Any:
    try:
        import av
    except ImportError as error:
        raise UserError('videos need PyAV: pip install "leadline[video]"') from error
    return av


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Turn the encoder's errors into one line."""
    try:
        yield
    except _library().FFmpegError as error:
        raise UserError(f"the depth of {path} cannot be written as video: {error}") from error


def _open(path: Path, stack: ExitStack) -> Any:
    av = _library()
    if not path.is_file():
        raise UserError(f"{path} does not exist: check the path")
    try:
        container = stack.enter_context(av.open(str(path)))
    except (av.FFmpegError, ValueError) as error:
        raise UserError(f"{path} is no video that can be read: {error}") from error
    if not container.streams.video:
        raise UserError(f"{path} holds no moving picture; wanted a video")
    container.streams.video[0].thread_type = "AUTO"
    return container


def _frames(path: Path) -> Iterator[Any]:
    """Decoded frames, one after the other.

    Raises:
        UserError: if the clip is broken.
    """
    av = _library()
    with ExitStack() as stack:
        container = _open(path, stack)
        num_frames = 0
        try:
            for frame in container.decode(container.streams.video[0]):
                if frame.pts is None:  # streams without a container tell no times
                    raise UserError(f"{path} has frames without a time; put it into a container such as .mp4 first")
                num_frames += 1
                yield frame
        except av.FFmpegError as error:
            raise UserError(f"{path} is broken after {num_frames} frames: {error}") from error
        if not num_frames:
            raise UserError(f"{path} holds no frame")


def _sample(path: Path) -> list[NDArray[np.uint8]]:
    """Frames evenly over the clip. Decoding all is far quicker than predicting, and right for every container."""
    num_frames = sum(1 for _ in _frames(path))
    wanted = set(np.linspace(0, num_frames - 1, min(NUM_LOOKED_AT, num_frames)).round().astype(int).tolist())
    return [_upright(frame) for number, frame in enumerate(_frames(path)) if number in wanted]


def _upright(frame: Any) -> NDArray[np.uint8]:
    """RGB (H, W, 3), turned as the clip asks."""
    rgb: NDArray[np.uint8] = np.rot90(frame.to_ndarray(format="rgb24"), k=round(frame.rotation / 90))
    return np.ascontiguousarray(rgb)


class _Sink(ABC):
    """One clip that is written."""

    codec, pixel_format = "", ""
    options: dict[str, str] = {}

    def open(self, target: Path, source: Path, stack: ExitStack) -> "_Sink":
        """Begin to write `target`; rate and times are those of `source`."""
        self._source = _open(source, stack)
        self._out = stack.enter_context(_library().open(str(target), "w"))
        self._video: Any = None
        self._audio = self._sound()
        return self

    def add(self, frame: _Frame) -> None:
        """Write the next frame at its time."""
        pixels = self.pixels(frame)
        if self._video is None:
            height, width = pixels.shape[:2]
            self._video = self._begin(height, width, frame.time_base)
        picture = _library().VideoFrame.from_ndarray(pixels, format="rgb24" if pixels.ndim == 3 else "gray16le")
        picture.pts, picture.time_base = frame.pts, frame.time_base
        self._out.mux(self._video.encode(picture))

    def finish(self) -> None:
        """Write what is left, and the sound."""
        self._out.mux(self._video.encode())
        if self._audio is not None:
            for packet in self._source.demux(self._source.streams.audio[0]):
                if packet.dts is not None:  # the last one is empty
                    packet.stream = self._audio
                    self._out.mux(packet)

    @abstractmethod
    def pixels(self, frame: _Frame) -> NDArray[Any]:
        """What stands in the frame: RGB (H, W, 3), or 16-bit grey (H, W)."""

    def _sound(self) -> Any:
        return None

    def _begin(self, height: int, width: int, time_base: Any) -> Any:
        video = self._out.add_stream(self.codec, rate=self._source.streams.video[0].average_rate)
        video.height, video.width, video.pix_fmt, video.options = height, width, self.pixel_format, self.options
        video.codec_context.time_base = time_base
        return video


class _SideBySide(_Sink):
    """Picture beside depth in colours, with a bar in metres below."""

    codec, pixel_format, options = "libx264", "yuv420p", {"crf": "20", "preset": "veryfast"}

    def __init__(self, limits_m: tuple[float, float]) -> None:
        self._limits_m = limits_m
        self._bar: NDArray[np.uint8] | None = None

    def _sound(self) -> Any:
        audio = self._source.streams.audio
        if not audio:
            return None
        if audio[0].codec_context.name not in MP4_SOUND:
            logger.warning("%s: sound in %s does not go into .mp4", self._source.name, audio[0].codec_context.name)
            return None
        return self._out.add_stream_from_template(audio[0])

    def pixels(self, frame: _Frame) -> NDArray[np.uint8]:
        height, width = frame.depth_m.shape
        if self._bar is None:
            bar = scale_bar(*self._limits_m, 2 * width, max(14, height // 32))
            canvas = Image.new("RGB", (2 * width, bar.height + (height + bar.height) % 2), "white")
            canvas.paste(bar, (0, 0))
            self._bar = np.asarray(canvas)
        painted = colorize(frame.depth_m, np.ones(frame.depth_m.shape, bool), *self._limits_m)
        return np.concatenate([np.concatenate([frame.rgb, painted], axis=1), self._bar])


class _Millimetres(_Sink):
    """Depth as 16-bit numbers, without loss."""

    codec, pixel_format = "ffv1", "gray16le"

    def pixels(self, frame: _Frame) -> NDArray[np.uint16]:
        return np.rint(frame.depth_m * 1000).clip(0, MOST_MM).astype(np.uint16)
