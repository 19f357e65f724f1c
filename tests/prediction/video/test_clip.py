from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from leadline.backends.base import Estimate
from leadline.errors import LeadlineError
from leadline.geometry.camera import Camera
from leadline.geometry.depth import Output
from leadline.geometry.lens import Lens, LensModel
from leadline.io.camera_files import camera_from_options
from leadline.io.discovery import is_video
from leadline.io.video import ClipReader
from leadline.models.model import DepthModel
from leadline.prediction.prediction import predict
from leadline.prediction.result import Prediction
from leadline.prediction.video.clip import predict_video

# Times of the frames in 1/1000 s: not evenly apart, as phones write them.
TIMES_MS = [0, 33, 71, 100, 140, 166, 200, 241]


def write_clip(
    path: Path, sound: bool = True, codec: str = "aac", hz: int = 8000, aspect: Fraction | None = None
) -> None:
    """Frames of 72×96 that drift from dark to light, and a tone."""
    with av.open(str(path), "w") as out:
        video = out.add_stream("libx264", rate=30)
        video.width, video.height, video.pix_fmt = 96, 72, "yuv420p"
        video.codec_context.time_base = Fraction(1, 1000)
        if aspect is not None:
            video.codec_context.sample_aspect_ratio = aspect
        audio = out.add_stream(codec, rate=hz, layout="mono") if sound else None
        for number, time_ms in enumerate(TIMES_MS):
            grey = np.linspace(0, 200, 96)[None, :, None] + 5 * number
            frame = av.VideoFrame.from_ndarray(np.broadcast_to(grey, (72, 96, 3)).astype(np.uint8), format="rgb24")
            frame.pts, frame.time_base = time_ms, Fraction(1, 1000)
            out.mux(video.encode(frame))
        out.mux(video.encode())
        if audio is not None:
            tone = np.sin(np.arange(2048) / 5).astype(np.float32)[None]
            for start in (0, 1024):
                part = av.AudioFrame.from_ndarray(tone[:, start : start + 1024], format="fltp", layout="mono")
                part.rate, part.pts, part.time_base = hz, start, Fraction(1, hz)
                out.mux(audio.encode(part))
            out.mux(audio.encode())


def read(path: Path) -> list[av.VideoFrame]:
    with av.open(str(path)) as container:
        return list(container.decode(video=0))


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    path = tmp_path / "clip.mp4"
    write_clip(path)
    return path


def test_frames_times_and_sound_are_kept(clip: Path, tiny_model: DepthModel, tmp_path: Path) -> None:
    result = predict_video(clip, tmp_path / "out" / "clip", tiny_model)
    assert [path.name for path in result.written] == ["clip_side.mp4", "clip_depth.mkv"]
    assert result.num_frames == len(TIMES_MS)
    for path in result.written:
        assert [float(frame.time) for frame in read(path)] == pytest.approx([ms / 1000 for ms in TIMES_MS], abs=1e-3)
    with av.open(str(clip)) as before, av.open(str(result.written[0])) as after:
        assert after.streams.video[0].width == 2 * 96 and after.streams.video[0].height >= 72
        sounds = [[bytes(packet) for packet in it.demux(audio=0) if packet.size] for it in (before, after)]
        assert sounds[0] == sounds[1] != []


def test_depth_is_stored_in_millimetres_without_loss(clip: Path, tiny_model: DepthModel, tmp_path: Path) -> None:
    (path,) = predict_video(clip, tmp_path / "out" / "clip", tiny_model, formats=["depth"], steady=False).written
    for before, after in zip(read(clip), read(path), strict=True):
        depth_m = predict(before.to_ndarray(format="rgb24"), tiny_model).depth_m
        np.testing.assert_array_equal(after.to_ndarray(), np.rint(depth_m * 1000).astype(np.uint16))


def test_intrinsics_are_those_of_every_frame(clip: Path, tiny_model: DepthModel, tmp_path: Path) -> None:
    camera = tmp_path / "camera.json"
    # Twice the frames' size.
    camera.write_text('{"fx": 240, "fy": 242, "cx": 59.5, "cy": 69.5, "width": 192, "height": 144}')
    seen: list[Prediction] = []
    out = tmp_path / "out" / "clip"
    result = predict_video(
        clip,
        out,
        tiny_model,
        given=camera_from_options(camera=camera),
        on_prediction=lambda it, _: seen.append(it),
    )
    assert result.focal == "focal 120 px (given)" and len(seen) == len(TIMES_MS)
    for prediction in seen:
        np.testing.assert_array_equal(prediction.intrinsics, [[120, 0, 29.5], [0, 121, 34.5], [0, 0, 1]])
    np.testing.assert_allclose(seen[0].depth_m, predict(seen[0].rgb, tiny_model, focal_px=120).depth_m, rtol=1e-5)


def test_a_clip_without_sound_has_none_after(tiny_model: DepthModel, tmp_path: Path) -> None:
    write_clip(tmp_path / "mute.mp4", sound=False)
    (path,) = predict_video(tmp_path / "mute.mp4", tmp_path / "out" / "clip", tiny_model, formats=["color"]).written
    with av.open(str(path)) as container:
        assert not container.streams.audio


def test_mistakes_are_one_line_and_leave_nothing(clip: Path, tiny_model: DepthModel, tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("this is text")
    out = tmp_path / "out" / "clip"
    with pytest.raises(LeadlineError, match="text.mp4 is no video that can be read"):
        predict_video(tmp_path / "text.mp4", out, tiny_model)
    with pytest.raises(LeadlineError, match="none.mp4 does not exist"):
        predict_video(tmp_path / "none.mp4", out, tiny_model)
    with pytest.raises(LeadlineError, match="is a video: wanted one of the formats color, depth, got npz"):
        predict_video(clip, out, tiny_model, formats=["npz"])
    assert not out.parent.exists() or not list(out.parent.iterdir())


def test_a_recording_of_a_sensor_is_kept(clip: Path, tiny_model: DepthModel, tmp_path: Path) -> None:
    measured = tmp_path / "clip_depth.mkv"
    measured.write_bytes(b"measured")
    with pytest.raises(LeadlineError, match=r"clip_depth\.mkv is there and not leadline's own"):
        predict_video(clip, tmp_path / "clip", tiny_model, formats=["depth"])
    assert measured.read_bytes() == b"measured"
    measured.unlink()
    for _ in range(2):  # its own are replaced
        assert predict_video(clip, tmp_path / "clip", tiny_model, formats=["depth"]).written == [measured]


def test_an_interruption_leaves_no_half_clip(
    clip: Path, tiny_model: DepthModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("leadline.prediction.video.writer.TemporalFilter.__call__", stop)
    with pytest.raises(KeyboardInterrupt):
        predict_video(clip, tmp_path / "out" / "clip", tiny_model)
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize(("name", "expected"), [("a.MP4", True), ("a.mkv", True), ("a.jpg", False), ("mp4", False)])
def test_a_video_is_told_by_its_ending(name: str, expected: bool) -> None:
    assert is_video(name) is expected


@pytest.mark.parametrize("name", ["a.mxf", "a.y4m", "a.mjpeg", "a.mjpg", "a.dv", "a.h264", "a.hevc"])
def test_videos_of_tools_and_boards_are_no_pictures(name: str) -> None:
    assert is_video(name)


def test_sound_that_mp4_cannot_hold_is_left_out(clip: Path, tiny_model: DepthModel, tmp_path: Path) -> None:
    path = tmp_path / "pcm.mkv"
    with av.open(str(clip)) as before, av.open(str(path), "w") as out:
        video = out.add_stream_from_template(before.streams.video[0])
        audio = out.add_stream("pcm_s16le", rate=8000, layout="mono")
        for packet in before.demux(video=0):
            if packet.dts is not None:
                packet.stream = video
                out.mux(packet)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        frame.rate, frame.pts = 8000, 0
        out.mux(audio.encode(frame))
        out.mux(audio.encode())
    (written,) = predict_video(path, tmp_path / "out" / "pcm", tiny_model, formats=["color"]).written
    with av.open(str(written)) as container:
        assert not container.streams.audio and len(list(container.decode(video=0))) == len(TIMES_MS)


@pytest.mark.parametrize(("hz", "kept"), [(32_000, ["mp3"]), (8000, [])])
def test_mp3_goes_along_where_mp4_can_hold_it(tiny_model: DepthModel, tmp_path: Path, hz: int, kept: list[str]) -> None:
    path = tmp_path / "mp3.mkv"
    write_clip(path, codec="libmp3lame", hz=hz)
    (written,) = predict_video(path, tmp_path / "out" / "it", tiny_model, formats=["color"]).written
    with av.open(str(written)) as container:
        assert [stream.codec_context.codec.canonical_name for stream in container.streams.audio] == kept


def test_a_name_with_a_colon_is_no_protocol(
    clip: Path, tiny_model: DepthModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    clip.rename("10:20:30.mp4")
    assert predict_video(Path("10:20:30.mp4"), Path("out:it"), tiny_model).num_frames == len(TIMES_MS)


def test_frames_that_change_their_size_are_brought_to_the_firsts(tiny_model: DepthModel, tmp_path: Path) -> None:
    path = tmp_path / "call.mkv"
    with av.open(str(path), "w") as out:
        video = out.add_stream("mjpeg", rate=10)
        video.width, video.height, video.pix_fmt = 96, 72, "yuvj420p"
        for number, (width, height) in enumerate([(96, 72), (96, 72), (128, 96)]):
            encoder = av.CodecContext.create("mjpeg", "w")
            encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuvj420p"
            encoder.time_base = Fraction(1, 10)
            frame = av.VideoFrame.from_ndarray(np.full((height, width, 3), 40 * number, np.uint8), format="rgb24")
            frame.pts = number
            for packet in [*encoder.encode(frame.reformat(format="yuvj420p")), *encoder.encode(None)]:
                packet.stream, packet.pts, packet.dts, packet.time_base = video, number, number, Fraction(1, 10)
                out.mux(packet)
    assert [(frame.width, frame.height) for frame in read(path)] == [(96, 72), (96, 72), (128, 96)]
    clip = predict_video(path, tmp_path / "out" / "call", tiny_model, formats=["depth"])
    assert [(frame.width, frame.height) for frame in read(clip.written[0])] == [(96, 72)] * 3


def test_frames_of_pixels_that_are_no_squares_are_made_so(tiny_model: DepthModel, tmp_path: Path) -> None:
    path = tmp_path / "dv.mp4"
    write_clip(path, aspect=Fraction(4, 3))
    clip = predict_video(path, tmp_path / "out" / "dv", tiny_model, formats=["depth"])
    assert {(frame.width, frame.height) for frame in read(clip.written[0])} == {(128, 72)}


def test_a_given_camera_follows_frames_that_are_reduced(clip: Path, tiny_model: DepthModel, tmp_path: Path) -> None:
    """--focal-px is in pixels of the clip: of 96×72 that are read as 48×36, half as many."""
    seen: list[Prediction] = []
    predict_video(
        clip, tmp_path / "out" / "it", tiny_model, given=camera_from_options(120.0), max_pixels=48 * 36,
        on_prediction=lambda it, _: seen.append(it),
    )  # fmt: skip
    assert {it.rgb.shape for it in seen} == {(36, 48, 3)} and {it.focal_px for it in seen} == {60.0}


def test_what_came_of_a_cut_clip_is_written_and_said(tiny_model: DepthModel, tmp_path: Path) -> None:
    path = tmp_path / "cut.mkv"
    write_clip(path)
    whole = path.read_bytes()
    with av.open(str(path)) as container:
        places = [packet.pos for packet in container.demux(video=0) if packet.size]
    path.write_bytes(whole[: places[4]])
    clip = predict_video(path, tmp_path / "out" / "cut", tiny_model)
    assert clip.wrong.startswith("is cut short: its header says 0.")
    assert [len(read(it)) for it in clip.written] == [clip.num_frames] * 2 and 1 <= clip.num_frames <= 5


class Counting:
    """Answers each frame's mean brightness as depth, and counts the frames."""

    name, output, working_size, concurrency = "counting", Output.METRES, None, 3

    def __init__(self) -> None:
        self.num_frames = 0

    def assumed_camera(self, height: int, width: int) -> None:
        return None

    def estimate(self, images: Sequence[np.ndarray], cameras: Sequence[object]) -> Estimate:
        self.num_frames += len(images)
        return Estimate(np.stack([np.full(it.shape[:2], 1 + 4 * it.mean(), np.float32) for it in images]))


class NeverAsked(list[np.ndarray]):
    """Error maps that nobody may look at."""

    def __iter__(self) -> Iterator[np.ndarray]:
        raise AssertionError("a clip has no place for errors")


def test_the_expected_error_is_not_worked_out(clip: Path, tmp_path: Path) -> None:
    class WithErrors(Counting):
        def estimate(self, images: Sequence[np.ndarray], cameras: Sequence[object]) -> Estimate:
            return Estimate(super().estimate(images, cameras).values, NeverAsked())

    seen: list[object] = []
    predict_video(clip, tmp_path / "a", WithErrors(), on_prediction=lambda it, _: seen.append(it.uncertainty_m))
    assert seen == [None] * len(TIMES_MS)


def counted(clip: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[int, int, int, list[np.ndarray]]:
    """How often a clip was opened, and how many frames were decoded and predicted; and the frames that were written."""
    backend, opened, decoded, open_file = Counting(), [], [], av.open

    def opening(file: str, mode: str = "r") -> object:
        if mode == "r":
            opened.append(file)
        return open_file(file, mode)

    def decoding(self: ClipReader) -> Iterator[object]:
        for frame in whole(self):
            decoded.append(frame.pts)
            yield frame

    whole = ClipReader._decoded
    with monkeypatch.context() as patch:
        patch.setattr(av, "open", opening)
        patch.setattr(ClipReader, "_decoded", decoding)
        written = predict_video(clip, out, backend, steady=False).written
    frames = [
        it.to_ndarray(format="rgb24" if path.suffix == ".mp4" else "gray16le") for path in written for it in read(path)
    ]
    return len(opened), len(decoded), backend.num_frames, frames


def test_a_clip_is_opened_decoded_and_predicted_once(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert counted(clip, tmp_path / "a", monkeypatch)[:3] == (1, 8, 8)


def test_a_frame_that_is_undistorted_is_predicted_once_too(clip: Path, tmp_path: Path) -> None:
    """Its picture is another than the frame's, and narrower than all of it: what was seen ahead is what is shown."""
    camera = Camera.from_focal_px(90.0, 96, 72)
    bent = replace(camera, lens=Lens(LensModel.RADIAL_TANGENTIAL, (-0.2, 0.0, 0.0, 0.0)), undistort=True)
    backend, seen = Counting(), []
    predict_video(clip, tmp_path / "a", backend, given=lambda *_: bent, on_prediction=lambda it, _: seen.append(it))
    assert backend.num_frames == len(seen) == len(TIMES_MS)
    frame = read(clip)[0].to_ndarray(format="rgb24")
    wanted = predict(frame, Counting(), camera=lambda *_: bent)
    np.testing.assert_array_equal(seen[0].rgb, wanted.rgb)
    np.testing.assert_array_equal(seen[0].valid, wanted.valid)
    assert not np.array_equal(wanted.rgb, frame)


def test_a_clip_too_long_to_be_kept_is_decoded_once_more_and_predicted_once(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = counted(clip, tmp_path / "a", monkeypatch)[3]
    monkeypatch.setattr("leadline.prediction.video.clip.MAX_KEPT_BYTES", 2 * 96 * 72 * 1.5)
    monkeypatch.setattr("leadline.prediction.video.clip.NUM_LOOKED_AT", 3)
    num_opened, num_decoded, num_predicted, others = counted(clip, tmp_path / "b", monkeypatch)
    assert (num_opened, num_decoded, num_predicted) == (3, 16, 8)
    assert len(frames) == len(others) == 16
    for one, other in zip(frames[8:], others[8:], strict=True):  # depth, which has no colours to agree on
        np.testing.assert_array_equal(one, other)
