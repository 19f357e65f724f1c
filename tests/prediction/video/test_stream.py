import itertools
import signal
import socket
import threading
import time
from collections.abc import Iterator
from fractions import Fraction
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import av
import numpy as np
import pytest

from leadline.errors import LeadlineError
from leadline.io.camera_files import camera_from_options
from leadline.io.streams import NewestFrames, is_stream, redact_url
from leadline.models.model import DepthModel
from leadline.prediction.video.stream import TIME_BASE, predict_stream, stream_stem

RATE, NUM_FRAMES = 20, 40


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """Where 2 s of video are served; frame i is grey of 5·i."""
    with av.open(str(tmp_path / "live.mkv"), "w") as out:
        video = out.add_stream("ffv1", rate=RATE)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        for number in range(NUM_FRAMES):
            grey = np.full((48, 64, 3), 5 * number, np.uint8)
            out.mux(video.encode(av.VideoFrame.from_ndarray(grey, format="rgb24")))
        out.mux(video.encode())
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/live.mkv"
        server.shutdown()


@pytest.fixture
def squeezed_address(address: str, tmp_path: Path) -> str:
    """The same frames, of pixels half as wide again as they are high."""
    with av.open(str(tmp_path / "live.mkv")) as source, av.open(str(tmp_path / "squeezed.mkv"), "w") as out:
        video = out.add_stream("libx264", rate=RATE)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        video.codec_context.sample_aspect_ratio = Fraction(3, 2)
        for frame in source.decode(video=0):
            out.mux(video.encode(av.VideoFrame.from_ndarray(frame.to_ndarray(format="rgb24"), format="rgb24")))
        out.mux(video.encode())
    return address.replace("live", "squeezed")


def frames(path: Path) -> list[av.VideoFrame]:
    with av.open(str(path)) as container:
        return list(container.decode(video=0))


def test_the_newest_frames_are_predicted_as_they_come(
    address: str, tiny_model: DepthModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_once = tiny_model.estimate

    def slow(*arguments: object) -> object:
        time.sleep(0.25)
        return at_once(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(tiny_model, "estimate", slow)
    recording = predict_stream(address, tmp_path / "out" / "live", tiny_model)
    assert [path.name for path in recording.written] == ["live_side.mp4", "live_depth.mkv"]
    assert recording.num_frames + recording.num_dropped == NUM_FRAMES
    assert 2 <= recording.num_frames <= 9 and recording.broken == ""  # of 2 s, a quarter of a second each
    side, depth = (frames(path) for path in recording.written)
    assert len(side) == len(depth) == recording.num_frames
    for frame in side:
        number = frame.to_ndarray(format="rgb24")[:48, 8:56].mean() / 5
        # The frame that was redact_url then. What is behind it waited for the processor, never for older frames.
        assert number == pytest.approx(float(frame.time) * RATE, abs=6)
    assert side[-1].to_ndarray(format="rgb24")[:48, 8:56].mean() == pytest.approx(5 * (NUM_FRAMES - 1), abs=3)


def test_seconds_end_it(address: str, tiny_model: DepthModel, tmp_path: Path) -> None:
    recording = predict_stream(address, tmp_path / "live", tiny_model, formats=["depth"], seconds=0.7)
    assert recording.num_frames == len(frames(recording.written[0])) >= 1
    assert float(frames(recording.written[0])[-1].time) == pytest.approx(recording.seconds, abs=2e-3)
    assert recording.seconds < 0.7 < 1.95


def test_intrinsics_are_those_of_every_frame(address: str, tiny_model: DepthModel, tmp_path: Path) -> None:
    matrix, seen = np.array([[50, 0, 30.5], [0, 55, 20.25], [0, 0, 1]]), []
    recording = predict_stream(
        address, tmp_path / "live", tiny_model,
        formats=["depth"], given=camera_from_options(camera=matrix), seconds=0.5,
        on_prediction=lambda it, _: seen.append(it.intrinsics),
    )  # fmt: skip
    assert recording.focal == "focal 50 px (given)" and seen
    np.testing.assert_array_equal(seen, [matrix] * len(seen))


def test_frames_of_pixels_that_are_no_squares_are_made_so(
    squeezed_address: str, tiny_model: DepthModel, tmp_path: Path
) -> None:
    recording = predict_stream(squeezed_address, tmp_path / "dv", tiny_model, formats=["depth"])
    assert {(frame.width, frame.height) for frame in frames(recording.written[0])} == {(96, 48)}


def test_the_first_ctrl_c_ends_it_with_whole_files(address: str, tiny_model: DepthModel, tmp_path: Path) -> None:
    seen: list[float] = []

    def press(_: object, now_s: float) -> None:
        seen.append(now_s)
        if len(seen) == 2:
            signal.raise_signal(signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    recording = predict_stream(address, tmp_path / "out" / "live", tiny_model, on_prediction=press)
    assert recording.num_frames == len(seen) == 2
    assert [len(frames(path)) for path in recording.written] == [2, 2]
    assert signal.getsignal(signal.SIGINT) is before


@pytest.fixture
def ctrl_c_interrupts() -> Iterator[None]:
    """As at a terminal; a shell starts what runs in its background with Ctrl-C ignored."""
    old = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, old)


@pytest.mark.usefixtures("ctrl_c_interrupts")
def test_the_second_ctrl_c_leaves_nothing(address: str, tiny_model: DepthModel, tmp_path: Path) -> None:
    def press_twice(*_: object) -> None:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        predict_stream(address, tmp_path / "out" / "live", tiny_model, on_prediction=press_twice)
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("camera:97", r"^camera:97 cannot be opened \(.+\): "),
        ("http://me:secret@127.0.0.1:9/x.mp4", r"^http://127.0.0.1:9/x.mp4 cannot be opened \(Connection refused\)"),
    ],
)
def test_what_is_not_there_is_one_line(source: str, message: str, tiny_model: DepthModel, tmp_path: Path) -> None:
    with pytest.raises(LeadlineError, match=message):
        predict_stream(source, tmp_path / "out" / "x", tiny_model)
    assert not (tmp_path / "out").exists()


def test_a_stream_that_sends_nothing_is_given_up(
    tiny_model: DepthModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("leadline.io.streams.SILENCE_S", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        address = f"http://127.0.0.1:{mute.getsockname()[1]}/x.mp4"
        with pytest.raises(LeadlineError, match=r"cannot be opened \(nothing came for 0.3 s\): check the address"):
            predict_stream(address, tmp_path / "x", tiny_model)


def test_what_came_before_a_stream_broke_off_is_kept(
    address: str, tiny_model: DepthModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: NewestFrames) -> Iterator[object]:
        yield from itertools.islice(self._container.decode(video=0), 5)
        raise av.ExitError(0, "Immediate exit requested")

    monkeypatch.setattr(NewestFrames, "_decoded", broken)
    recording = predict_stream(address, tmp_path / "x", tiny_model, formats=["depth"])
    assert recording.broken == "nothing came for 10 s"
    assert len(frames(recording.written[0])) == recording.num_frames >= 1
    assert recording.num_frames + recording.num_dropped == 5


def test_formats_that_no_clip_has_are_refused(address: str, tiny_model: DepthModel, tmp_path: Path) -> None:
    with pytest.raises(LeadlineError, match="is a video: wanted one of the formats color, depth, got ply"):
        predict_stream(address, tmp_path / "x", tiny_model, formats=["ply"])


def test_sources_are_told_by_their_beginning_and_named_without_passwords(tmp_path: Path) -> None:
    assert is_stream("camera:0") and is_stream("rtsp://x/y") and is_stream("https://x/y.mp4")
    assert not is_stream("camera.jpg") and not is_stream("http.mp4")
    assert redact_url("rtsp://me:secret@host/a@b") == "rtsp://host/a@b"
    hidden = ["rtsp://me:se@cret@host/live", "rtsp://me:se/cret@host/live", "rtsp://host/live?user=me&pwd=secret#cret"]
    assert {redact_url(source) for source in hidden} == {"rtsp://host/live"}
    assert redact_url("rtsp://[fe80::1]:554/user=me_password=secret_stream=0.sdp") == "rtsp://[fe80::1]:554"
    names = {"camera:0": "camera_0", "rtsp://me:secret@host:554/": "host", "http://h/a%20b.m3u8?key=1": "a_20b"}
    for source, name in names.items():
        assert stream_stem(source, tmp_path).name[: -len("_20260101-120000")] == name


def test_times_rise_by_whole_milliseconds() -> None:
    assert Fraction(1, 1000) == TIME_BASE  # NewestFrames keeps frames at least two of them apart
