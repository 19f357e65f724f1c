"""Video files, read frame by frame."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from fractions import Fraction
from math import hypot, sqrt
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from leadline.errors import LeadlineError, brief
from leadline.io.camera_files import GivenCamera
from leadline.io.hdr import TRANSFERS, to_srgb
from leadline.io.images import camera_bits
from leadline.io.spherical_video import lens_of_video
from leadline.io.video_ends import ends_within_packet

MAX_FRAME_PIXELS = 16_777_216
"""Larger frames are reduced to this many pixels: beside its depth, a wider picture is too wide for H.264."""
MAX_DECODED_PIXELS = 134_217_728
"""Clips of larger frames are refused: several are in memory at a time while they are decoded."""
MAX_PIXEL_ASPECT = 4
"""The widest pixels that a known format has are three times as wide as high; other numbers are mistakes."""
SAME_ASPECT = 0.02
"""How far the aspects of two frames may differ, as a share: the sides of smaller ones are rounded to whole pixels."""
LENGTH_IN_HEADER = ("mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "avi", "flv", "mxf")
"""Containers whose beginning says how long they are; for others FFmpeg looks at the end, or guesses."""


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


class Display:
    """How a stream's frames are shown: upright, in square pixels, none too large, and in sRGB.

    Attributes:
        notes: what is not shown as it is stored, in words.
        wrong: what the stream says that cannot be, in words; "" if nothing.
        full_size: height and width of what is shown if it is not reduced.
    """

    def __init__(self, video: Any, first: Any, max_pixels: int = MAX_FRAME_PIXELS) -> None:
        """Find out from a stream and its first frame.

        Args:
            video: PyAV's stream.
            first: PyAV's frame; all others are brought to its size.
            max_pixels: larger frames are reduced to this many pixels.
        """
        self.notes: list[str] = []
        self.wrong = _two_views(first.side_data.get(_STEREO))
        width, height = self._in_squares(video.sample_aspect_ratio, first)
        shape = _turned(np.broadcast_to(np.uint8(0), (height, width, 3)), first.side_data.get(_MATRIX)).shape
        self.full_size = shape[0], shape[1]
        if width * height > max_pixels:
            share = sqrt(max_pixels / (width * height))
            full, (width, height) = f"{width}×{height}", (max(1, int(width * share)), max(1, int(height * share)))
            self.notes.append(f"its frames of {full} pixels are reduced to {width}×{height}")
        self._size, self._aspect = (width, height), first.width / first.height
        self._top = 0  # white of grey in 16 bits that are a camera's of fewer; 0 of anything else
        if first.format.name.startswith("gray16"):
            grey = first.to_ndarray(format="gray16le")
            bits = camera_bits(grey.min(), grey.max())
            self._top = 2**bits - 1 if bits else 0
            told = f"its numbers end at {grey.max()} of 65535: taken for those of a camera of {bits} bits"
            self.notes += [told] if bits else []
        if first.color_trc in TRANSFERS:
            self.notes.append(f"its HDR ({TRANSFERS[first.color_trc]}) is tone-mapped to SDR")

    def rgb(self, frame: Any) -> NDArray[np.uint8]:
        """RGB (H, W, 3) of a frame."""
        width, height = self._size
        matrix = frame.side_data.get(_MATRIX)
        if self._top:
            frame = self._brightened(frame)
        if frame.color_trc in TRANSFERS:
            told = frame.colorspace != _UNSPECIFIED
            coded = frame.reformat(width, height, "rgb48le", src_colorspace=None if told else _BT_2020).to_ndarray()
            shown = to_srgb(coded, frame.color_trc, frame.color_primaries)
        else:
            shown = frame.reformat(width=width, height=height, format="rgb24").to_ndarray()
        return np.ascontiguousarray(_turned(shown, matrix))

    def _brightened(self, frame: Any) -> Any:
        """A grey frame of 16 bits whose white is 65535."""
        grey = frame.to_ndarray(format="gray16le")
        top = 2 ** (camera_bits(0, grey.max()) or 16) - 1 if grey.max() > self._top else self._top
        scaled = np.rint(grey * (65535 / top)).astype(np.uint16)
        return pyav().VideoFrame.from_ndarray(scaled, format="gray16le")

    def outshines(self, frame: Any) -> bool:
        """Whether a frame of grey goes beyond what the first frame's numbers are taken for, so that they are not."""
        return bool(self._top and frame.to_ndarray(format="gray16le").max() > self._top)

    def stretches(self, frame: Any) -> bool:
        """Whether a frame is of another shape than the first, so that it changes on its way to the first's size."""
        return bool(abs(frame.width / frame.height / self._aspect - 1) > SAME_ASPECT)

    def given(self, camera: GivenCamera | None) -> GivenCamera | None:
        """A given camera, which is of frames that are not reduced, for those that are shown."""
        if camera is None:
            return None
        return lambda height, width: camera(*self.full_size).resized(width, height)

    def _in_squares(self, aspect: Fraction | None, frame: Any) -> tuple[int, int]:
        """Width and height in square pixels: those of DV and of some films are not, which the stream says."""
        if not aspect or aspect == 1:
            return frame.width, frame.height
        if not 1 / MAX_PIXEL_ASPECT <= aspect <= MAX_PIXEL_ASPECT:
            shape = f"{aspect.numerator}:{aspect.denominator}"
            strange = f"says that its pixels are {shape}, which no camera's are; they are taken for squares"
            self.wrong = "; ".join(filter(None, [self.wrong, strange]))
            return frame.width, frame.height
        return max(1, round(frame.width * aspect)), frame.height


_MATRIX, _STEREO = "DISPLAYMATRIX", "STEREO3D"
_PACKED = {1: "side by side", 2: "one above the other", 4: "as a checkerboard", 5: "side by side", 6: "line by line"}
_PACKED |= {7: "column by column"}
"""How two views share a frame, by the numbers of FFmpeg's AVStereo3DType; by others there is one view in each."""
_UNSPECIFIED, _BT_2020 = 2, 9  # of a frame's matrix, by H.273


def _two_views(stereo: Any) -> str:
    """What to say if a frame holds two views of a stereo camera; else ""."""
    packed = "" if stereo is None else _PACKED.get(int(np.frombuffer(bytes(stereo), np.int32)[0]), "")
    return f"holds two views in each frame, {packed}, so that its depths are wrong: cut one out first" if packed else ""


def _turned(rgb: NDArray[np.uint8], matrix: Any) -> NDArray[np.uint8]:
    """A frame as its display matrix wants it: turned by quarters, and mirrored if the determinant is negative."""
    if matrix is None:
        return rgb
    across_x, across_y, _, down_x, down_y = np.frombuffer(bytes(matrix), np.int32)[:5].astype(float)
    determinant = across_x * down_y - across_y * down_x
    if determinant == 0:
        return rgb
    if determinant < 0:
        rgb, across_x, across_y = rgb[:, ::-1], -across_x, -across_y
    # As FFmpeg does: each axis in its own length.
    turn = np.arctan2(across_y / hypot(across_y, down_y), across_x / hypot(across_x, down_x))
    turned: NDArray[np.uint8] = np.rot90(rgb, k=round(-turn / (np.pi / 2)))
    return turned


class Shot(NamedTuple):
    """A frame as a clip holds it."""

    frame: Any  # PyAV's, decoded
    display: Display

    @property
    def num_bytes(self) -> int:
        """About what it takes in memory: most videos have half as much colour as brightness."""
        return int(1.5 * self.frame.width * self.frame.height)

    def rgb(self) -> NDArray[np.uint8]:
        """RGB (H, W, 3), as it is to be shown.

        Raises:
            LeadlineError: if its colours are of a kind that cannot be read.
        """
        try:
            return self.display.rgb(self.frame)
        except (pyav().FFmpegError, ValueError, MemoryError) as error:
            raise LeadlineError(f"a frame cannot be read as RGB ({brief(error)}): convert the video first") from error


def main_video(container: Any) -> Any:
    """The stream of moving pictures: no cover, no thumbnail; None if there is none."""
    still = pyav().stream.Disposition
    covers = still.attached_pic | still.timed_thumbnails | still.still_image
    moving = [it for it in container.streams.video if not it.disposition & covers]
    best = container.streams.best("video")
    return best if best in moving else next(iter(moving), None)


class ClipReader:
    """A video file that is open: its frames, one after the other, and the sound that lies between them.

    Attributes:
        path: the file.
        rate: frames per second, a fraction.
        sound: the audio stream; None if there is none.
        sound_packets: its packets so far, as they are in the file.
        notes: what is not shown as it is stored, in words, from the first frame on.
        wrong: what is wrong with the file, such as frames that end early, in words; "" if nothing.
    """

    def __init__(self, path: Path, stack: ExitStack, max_pixels: int = MAX_FRAME_PIXELS) -> None:
        """Open a file until the stack closes.

        Raises:
            LeadlineError: if it is missing, no video, has no frames, or too large ones.
        """
        av = pyav()
        if path.is_dir():
            raise LeadlineError(f"{path} is a folder, wanted a video: name a file in it")
        if not path.is_file():
            raise LeadlineError(f"{path} does not exist: check the path")
        try:
            self._container = stack.enter_context(av.open(f"file:{path}"))  # else "10:30.mkv" is of a protocol named 10
        except (av.FFmpegError, ValueError) as error:
            raise LeadlineError(f"{path} is no video that can be read: {error}") from error
        self._video = main_video(self._container)
        if self._video is None:
            raise LeadlineError(f"{path} holds no moving picture; wanted a whole video, or was it cut short?")
        if self._video.codec_context is None:  # of a codec that FFmpeg does not know
            raise LeadlineError(f"{path} is in a code that cannot be read: convert it to H.264")
        width, height = self._video.codec_context.width, self._video.codec_context.height
        if width * height > MAX_DECODED_PIXELS:
            raise LeadlineError(f"{path} has frames of {width}×{height} pixels; wanted at most {MAX_DECODED_PIXELS:,}")
        self.path, self._max_pixels = path, max_pixels
        self._video.thread_type = "AUTO"
        self.rate = self._video.average_rate or self._video.guessed_rate
        self.sound = next(iter(self._container.streams.audio), None)
        self.sound_packets: list[Any] = []
        self.notes: list[str] = []
        self.wrong = ""
        self._error = ""  # the first
        self._end_s: dict[int, float] = {}  # by stream
        self._broken: list[bool] = []  # of each frame from the first whole one on
        self._num_gaps = 0  # packets since then of which something is missing

    def shots(self) -> Iterator[Shot]:
        """The frames; may be asked for once. Frames of one time are a tick apart.

        Raises:
            LeadlineError: if no frame can be decoded, or their times do not rise.
        """
        display, last, told = None, None, None
        num_stretched = num_brighter = 0
        for frame in self._decoded():
            # Streams without a container tell no times, old containers of new codecs wrong ones.
            if frame.pts is None or (told is not None and frame.pts < told):
                raise LeadlineError(
                    f"{self.path} has frames without a rising time; put it into a container such as .mp4"
                )
            told = frame.pts
            frame.pts = last = told if last is None else max(told, last + 1)
            if display is None:
                display = Display(self._video, frame, self._max_pixels)
                lens = lens_of_video(self.path, self._container.format.name)
                strange = [] if lens is None else [f"it is no pinhole's ({lens}): depths are off, most at the edges"]
                self.notes, self.wrong = [*display.notes, *strange], display.wrong
            num_stretched += display.stretches(frame)
            num_brighter += display.outshines(frame)
            yield Shot(frame, display)
        damage = self._cut_short() or self._ends_within() or self._damage()
        if display is None:
            raise LeadlineError(f"{self.path} {damage or 'holds no frame'}")
        shape = f"has {num_stretched} frames of another shape than its first, which are stretched: cut it there"
        bits = f"has {num_brighter} frames of more bits than its first seems to have: convert it to 8 bits"
        told_of = [self.wrong, shape if num_stretched else "", bits if num_brighter else ""]
        told_of += [f"{damage}; what came is written" if damage else ""]
        self.wrong = "; ".join(filter(None, told_of))

    def num_packets(self) -> int:
        """How many frames can be read, without decoding one; the reader is at its end then."""
        count = 0
        try:
            for packet in self._container.demux(self._video):
                count += packet.dts is not None
        except pyav().FFmpegError:
            pass
        return count

    def _decoded(self) -> Iterator[Any]:
        """The frames of the packets that are whole."""
        for packet in self._packets():
            if packet.pts is not None:
                end_s = float((packet.pts + (packet.duration or 0)) * packet.time_base)
                self._end_s[packet.stream.index] = max(self._end_s.get(packet.stream.index, 0.0), end_s)
            if packet.stream is self._video:
                self._num_gaps += bool(self._broken and packet.is_corrupt)
                try:
                    yield from self._noted(packet.decode())
                except pyav().FFmpegError as error:
                    self._error = self._error or str(error)
            elif packet.stream is self.sound and packet.dts is not None:  # the last one is empty
                self.sound_packets.append(packet)

    def _noted(self, frames: Sequence[Any]) -> Sequence[Any]:
        """Frames, of which it is kept in mind which are broken; what comes before the first whole one need not be."""
        for frame in frames:
            if self._broken or not frame.is_corrupt:
                self._broken.append(bool(frame.is_corrupt))
        return frames

    def _packets(self) -> Iterator[Any]:
        """All of them; at the end an empty one of each stream, by which its decoder gives what it still has."""
        try:
            yield from self._container.demux()
        except pyav().FFmpegError as error:
            self._error = self._error or str(error)
            last = pyav().Packet()
            last.stream = self._video
            yield last

    def _damage(self) -> str:
        """What to say if packets or frames are broken; else ""."""
        if self._error:
            return f"is broken: {self._error}"
        num_broken = max(self._num_gaps, sum(self._broken))
        return f"is broken: something is missing of {num_broken} frames" if num_broken else ""

    def _ends_within(self) -> str:
        """What to say if the file ends within a packet or a frame; else ""."""
        if ends_within_packet(self.path, self._container.format.name):
            return "is cut short: it ends within a packet"
        only_last = self._broken[-1:] == [True] and sum(self._broken) == 1
        return "is cut short: it ends within a frame" if only_last else ""

    def _cut_short(self) -> str:
        """What to say if the file ends before the length that its header says; else ""."""
        if self._container.format.name not in LENGTH_IN_HEADER or not self._end_s:
            return ""
        video = self._video
        frame_s = float(1 / self.rate) if self.rate else 0.0
        if video.duration is not None:
            came_s, said_s = self._end_s.get(video.index, 0.0), float(video.duration * video.time_base)
        else:
            came_s, said_s = max(self._end_s.values()), (self._container.duration or 0) / pyav().time_base
        if self._container.format.name == "avi":  # FFmpeg makes the length fit what is there
            said_s = max(said_s, video.frames * frame_s)
        if came_s >= said_s - 3 * frame_s - min(1.0, 0.02 * said_s):
            return ""
        return f"is cut short: its header says {said_s:.1f} s, {came_s:.1f} s came"
