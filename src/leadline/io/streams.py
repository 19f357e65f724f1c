"""Cameras and network streams: opened, and decoded beside everything else."""

import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from leadline.errors import LeadlineError
from leadline.io.video import Display, main_video, pyav

CAMERA = "camera:"
SCHEMES = ("rtsp://", "rtsps://", "http://", "https://")
SILENCE_S = 10.0
"""How long a stream may send nothing."""
MAX_PACE_S = 1.0
"""A stream's clock that jumps farther is set anew."""


class System(NamedTuple):
    """How an operating system's cameras are opened with FFmpeg."""

    format: str
    file: str  # what stands for a camera with a number
    options: dict[str, str]


SYSTEMS = {
    "linux": System("v4l2", "/dev/video{}", {}),
    # FFmpeg asks for 29.97 frames a second, which Apple's cameras refuse.
    "darwin": System("avfoundation", "{}", {"framerate": "30"}),
    "win32": System("dshow", "video={}", {}),
}
"""By `sys.platform`."""


HOST = re.compile(r"(\[[^]]*\]|[^:]*)(:\d+)?")
"""A name or an address, and a port."""


def is_stream(path: str) -> bool:
    """Whether a word names a camera or a network stream."""
    return path.startswith((CAMERA, *SCHEMES))


def redact_url(source: str) -> str:
    """A stream's name for people: without what of an address may hold a password.

    That is what stands before an @, a query, and a path that names values ("user=admin_password=…").
    """
    if source.startswith(CAMERA):
        return source
    scheme, _, address = re.split(r"[?#]", source, maxsplit=1)[0].partition("//")
    host, slash, path = address.partition("/")
    if "@" not in host and not HOST.fullmatch(host):  # a password with a slash in it
        host, slash, path = path.rpartition("@")[2].partition("/")
    host = host.rpartition("@")[2]
    return f"{scheme}//{host}" + ("" if "=" in path else slash + path)


class NewestFrames:
    """A stream that is decoded beside everything else, and of which only the newest frame is kept.

    Attributes:
        num_seen: frames that have come.
        broken: why the stream broke off; "" if it did not.
        display: how its frames are shown, from the first one on; None before.
    """

    def __init__(self, source: str) -> None:
        """Open a stream.

        Raises:
            LeadlineError: if it cannot be opened.
        """
        self.num_seen, self.broken = 0, ""
        self.display: Display | None = None
        self._container = _open(source)
        self._paced = not source.startswith(CAMERA)  # a server sends what it has, as fast as it can
        self._frame: tuple[Any, Display, float] | None = None
        self._news, self._ended, self._left = threading.Condition(), False, threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> "NewestFrames":
        """Begin to decode."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Close the stream."""
        self._left.set()
        self._thread.join(SILENCE_S)

    def until(self, over: Callable[[float], bool]) -> Iterator[tuple[NDArray[np.uint8], float]]:
        """Each time the newest frame, upright, and when it came, in seconds after the first one.

        Args:
            over: whether to end, given the seconds since the first frame.
        """
        shape, last_s = None, -1.0
        while True:
            with self._news:
                self._news.wait_for(lambda: self._frame or self._ended, timeout=0.1)
                (frame, display, now_s), self._frame = self._frame or (None, None, last_s), None
                ended = self._ended
            if over(now_s) or (frame is None and ended):
                return
            if frame is None or display is None:
                continue
            rgb, self.display = display.rgb(frame), display
            if shape not in (None, rgb.shape):
                self.broken = f"its picture changed its size to {rgb.shape[1]}×{rgb.shape[0]}"
                return
            shape, last_s = rgb.shape, max(now_s, last_s + 0.002)  # later than the last, also in milliseconds
            yield rgb, last_s

    def _read(self) -> None:
        try:
            pace, start_s = _Pace(), None
            for frame in self._decoded():
                if self._paced and frame.time is not None:
                    self._left.wait(pace(frame.time))
                now_s = time.monotonic()
                start_s = now_s if start_s is None else start_s
                display = Display(main_video(self._container), frame)
                with self._news:
                    self._frame, self.num_seen = (frame, display, now_s - start_s), self.num_seen + 1
                    self._news.notify()
                if self._left.is_set():
                    return
        except pyav().FFmpegError as error:
            self.broken = _reason(error)
        finally:
            self._container.close()
            with self._news:
                self._ended = True
                self._news.notify()

    def _decoded(self) -> Iterator[Any]:
        while True:
            try:
                yield from self._container.decode(main_video(self._container))
                return
            except pyav().BlockingIOError:  # Apple's cameras have nothing yet
                if self._left.wait(0.01):
                    return


class _Pace:
    """How long to wait for a frame's time, as its stream's clock says."""

    def __init__(self) -> None:
        self._offset_s: float | None = None

    def __call__(self, frame_s: float) -> float:
        ahead_s = 0.0 if self._offset_s is None else frame_s + self._offset_s - time.monotonic()
        if self._offset_s is None or abs(ahead_s) > MAX_PACE_S:
            self._offset_s, ahead_s = time.monotonic() - frame_s, 0.0
        return max(0.0, ahead_s)


def _open(source: str) -> Any:
    av = pyav()
    try:
        container = _open_camera(source.removeprefix(CAMERA)) if source.startswith(CAMERA) else _open_address(source)
    except (av.FFmpegError, ValueError) as error:
        remedy = _known_cameras() if source.startswith(CAMERA) else "check the address, and that it is on"
        raise LeadlineError(f"{redact_url(source)} cannot be opened ({_reason(error)}): {remedy}") from error
    video = main_video(container)
    if video is None:
        container.close()
        raise LeadlineError(f"{redact_url(source)} holds no moving picture; wanted a video stream")
    video.thread_type = "AUTO"
    return container


def _reason(error: Exception) -> str:
    """Why FFmpeg gave up, without the address, which may hold a password."""
    if isinstance(error, pyav().ExitError):
        return f"nothing came for {SILENCE_S:g} s"
    return getattr(error, "strerror", None) or str(error)


def _open_address(source: str) -> Any:
    # Over UDP, FFmpeg's choice, lost packets are smears in the picture.
    options = {"rtsp_transport": "tcp"} if source.startswith("rtsp") else {}
    return pyav().open(source, options=options, timeout=SILENCE_S)


def _open_camera(name: str) -> Any:
    system = _system()
    if sys.platform == "win32" and name.isdecimal():  # cameras have no numbers there
        cameras = [it for it in pyav().enumerate_input_devices(system.format) if "video" in it.media_types]
        name = cameras[int(name)].name if int(name) < len(cameras) else name
    file = system.file.format(name) if name.isdecimal() or system.format == "dshow" else name
    return pyav().open(file, format=system.format, options=system.options)


def _known_cameras() -> str:
    """What to do about a camera that is not there."""
    av = pyav()
    try:
        cameras = av.enumerate_input_devices(_system().format)
    except (av.FFmpegError, ValueError, AttributeError):
        cameras = []
    names = ", ".join(f"{CAMERA}{it.name} ({it.description})" for it in cameras)
    return f"choose from {names}" if names else "is it connected, and may this user look through it?"


def _system() -> System:
    if sys.platform not in SYSTEMS:
        raise LeadlineError(
            f"cameras are known on {', '.join(SYSTEMS)}, not on {sys.platform}: give a stream's address"
        )
    return SYSTEMS[sys.platform]
