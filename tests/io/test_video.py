import struct
from contextlib import ExitStack
from fractions import Fraction
from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest

from leadline.errors import LeadlineError
from leadline.io import video
from leadline.io.video import ClipReader, main_video

HEIGHT, WIDTH, MS = 48, 64, Fraction(1, 1000)


def add_film(out: Any, codec: str = "libx264", base: Fraction = MS, aspect: Fraction | None = None) -> Any:
    film = out.add_stream(codec, rate=30)
    film.width, film.height, film.pix_fmt, film.codec_context.time_base = WIDTH, HEIGHT, "yuv420p", base
    if aspect is not None:
        film.codec_context.sample_aspect_ratio = aspect
    return film


def write_frames(out: Any, film: Any, times: list[int], rgb: np.ndarray | None = None, base: Fraction = MS) -> None:
    noise = np.random.default_rng(0)
    for time in times:
        pixels = noise.integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8) if rgb is None else rgb
        frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
        frame.pts, frame.time_base = time, base
        out.mux(film.encode(frame))
    out.mux(film.encode())


def write(path: Path, rgb: np.ndarray | None = None, codec: str = "libx264", **options: Any) -> Path:
    """40 frames, 1.33 s; noise unless a picture is given."""
    base = Fraction(1, 30) if path.suffix in (".avi", ".mpg") else MS
    times = list(range(40)) if base > MS else [33 * it for it in range(40)]
    with av.open(str(path), "w", options=options.pop("container", {})) as out:
        write_frames(out, add_film(out, codec, base, **options), times, rgb, base)
    return path


def read(path: Path, **options: Any) -> tuple[list[int], list[np.ndarray], ClipReader]:
    """Times, pictures, and the reader at its end."""
    with ExitStack() as stack:
        reader = ClipReader(path, stack, **options)
        shots = [(it.frame.pts, it.rgb()) for it in reader.shots()]
    return [pts for pts, _ in shots], [rgb for _, rgb in shots], reader


def quarters() -> np.ndarray:
    """Four shades that tell how a picture is turned."""
    picture = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    picture[:24, :32], picture[:24, 32:], picture[24:, :32], picture[24:, 32:] = 40, 90, 150, 220
    return picture


def shown_by(matrix: tuple[int, int, int, int]) -> np.ndarray:
    """Where the shades of `quarters` are by the standard: a pixel (p, q) goes to (a p + c q, b p + d q)."""
    a, b, c, d = matrix
    shades = np.zeros((2, 2), int)
    for (p, q), shade in zip([(-1, -1), (1, -1), (-1, 1), (1, 1)], [40, 90, 150, 220], strict=True):
        shades[int(b * p + d * q > 0), int(a * p + c * q > 0)] = shade
    return shades


TURNS = [
    it for it in product((-1, 0, 1), repeat=4) if abs(it[0] * it[3] - it[1] * it[2]) == 1 and sum(map(abs, it)) == 2
]


@pytest.mark.parametrize("matrix", TURNS)
def test_a_clip_is_turned_and_mirrored_as_its_matrix_says(matrix: tuple[int, int, int, int], tmp_path: Path) -> None:
    held = bytearray(write(tmp_path / "a.mp4", quarters()).read_bytes())
    place = held.find(b"tkhd") + 8 + 20 + 16
    for offset, value in zip((0, 4, 12, 16), matrix, strict=True):
        held[place + offset : place + offset + 4] = struct.pack(">i", value << 16)
    (tmp_path / "b.mp4").write_bytes(held)
    rgb = read(tmp_path / "b.mp4")[1][0]
    height, width = rgb.shape[:2]
    assert (height, width) == ((HEIGHT, WIDTH) if matrix[0] else (WIDTH, HEIGHT))
    seen = rgb[height // 4 :: height // 2, width // 4 :: width // 2, 0].astype(int)
    np.testing.assert_allclose(seen, shown_by(matrix), atol=6)


def test_a_matrix_of_nothing_is_passed_over(tmp_path: Path) -> None:
    held = bytearray(write(tmp_path / "a.mp4", quarters()).read_bytes())
    place = held.find(b"tkhd") + 8 + 20 + 16
    held[place : place + 20] = bytes(20)
    (tmp_path / "b.mp4").write_bytes(held)
    np.testing.assert_array_equal(read(tmp_path / "b.mp4")[1][0], read(tmp_path / "a.mp4")[1][0])


def test_a_still_track_before_the_film_is_no_film(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.mkv"), "w") as out:
        cover = out.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = 160, 160, "yuvj420p"
        film = add_film(out)
        picture = av.VideoFrame.from_ndarray(np.full((160, 160, 3), 200, np.uint8), format="rgb24")
        picture.pts = 0
        for packet in [*cover.encode(picture), *cover.encode()]:
            out.mux(packet)
        write_frames(out, film, [0, 33, 66])
    times, frames, _ = read(tmp_path / "a.mkv")
    assert times == [0, 33, 66] and frames[0].shape == (HEIGHT, WIDTH, 3)


@pytest.mark.parametrize("kind", ["attached_pic", "timed_thumbnails", "still_image"])
def test_covers_are_never_the_film(kind: str) -> None:
    cover, film = (
        SimpleNamespace(disposition=it) for it in (av.stream.Disposition[kind], av.stream.Disposition.default)
    )

    class Streams(SimpleNamespace):
        def best(self, _: str) -> Any:
            return cover

    assert main_video(SimpleNamespace(streams=Streams(video=[cover, film]))) is film
    assert main_video(SimpleNamespace(streams=Streams(video=[cover]))) is None


@pytest.mark.parametrize(
    ("size", "said"), [((WIDTH // 2, HEIGHT // 2), ""), ((HEIGHT, WIDTH), "has 2 frames of another shape")]
)
def test_frames_that_change_their_shape_in_mid_clip_are_said(size: tuple[int, int], said: str, tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.mkv"), "w") as out:
        film = add_film(out, "mjpeg")
        film.pix_fmt = "yuvj420p"
        for time, (width, height) in enumerate([(WIDTH, HEIGHT), size, size]):
            encoder = av.CodecContext.create("mjpeg", "w")
            encoder.width, encoder.height, encoder.pix_fmt, encoder.time_base = width, height, "yuvj420p", MS
            frame = av.VideoFrame.from_ndarray(np.zeros((height, width, 3), np.uint8), format="rgb24")
            for packet in [*encoder.encode(frame.reformat(format="yuvj420p")), *encoder.encode(None)]:
                packet.stream, packet.pts, packet.dts, packet.time_base = film, 33 * time, 33 * time, MS
                out.mux(packet)
    _, frames, reader = read(tmp_path / "a.mkv")
    assert [frame.shape[:2] for frame in frames] == [(HEIGHT, WIDTH)] * 3
    assert reader.wrong.startswith(said) and bool(reader.wrong) == bool(said)


def test_frames_of_one_time_are_a_tick_apart(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as out:
        film = add_film(out, "mjpeg")
        film.pix_fmt = "yuvj420p"
        for time in (0, 33, 33, 33, 34, 66):
            encoder = av.CodecContext.create("mjpeg", "w")
            encoder.width, encoder.height, encoder.pix_fmt, encoder.time_base = WIDTH, HEIGHT, "yuvj420p", MS
            frame = av.VideoFrame.from_ndarray(quarters(), format="rgb24").reformat(format="yuvj420p")
            frame.pts = 0
            for packet in [*encoder.encode(frame), *encoder.encode(None)]:
                packet.stream, packet.pts, packet.dts, packet.time_base = film, time, time, MS
                out.mux(packet)
    assert read(path)[0] == [0, 33, 34, 35, 36, 66]


WHOLE = {"a.mp4": "libx264", "a.3gp": "libx264", "a.MTS": "libx264", "a.mkv": "libx264", "a.webm": "libvpx-vp9"}
WHOLE |= {"a.ogv": "libvpx", "a.m2ts": "libx264", "h265.ts": "libx265"}
WHOLE |= {"a.avi": "mpeg4", "a.flv": "flv1", "a.wmv": "wmv2", "a.mpg": "mpeg2video", "fragments.mp4": "libx264"}


@pytest.mark.parametrize("name", WHOLE)
def test_whole_clips_of_every_container_are_read_without_a_word(name: str, tmp_path: Path) -> None:
    container = {"movflags": "frag_keyframe+empty_moov"} if name.startswith("fragments") else {}
    made = write(tmp_path / name.replace("MTS", "ts"), codec=WHOLE[name], container=container).rename(tmp_path / name)
    times, _, reader = read(made)
    assert len(times) == 40 and (reader.wrong, reader.notes) == ("", [])


@pytest.mark.parametrize("name", ["a.mkv", "a.webm", "a.avi", "a.flv", "a.mp4"])
def test_what_came_of_a_clip_that_is_cut_short_is_read_and_said(name: str, tmp_path: Path) -> None:
    container = {"movflags": "faststart"} if name == "a.mp4" else {}
    held = write(tmp_path / name, codec=WHOLE[name], container=container).read_bytes()
    (tmp_path / name).write_bytes(held[: len(held) * 6 // 10])
    times, _, reader = read(tmp_path / name)
    assert 10 < len(times) < 35
    said, came = (float(it.split()[0]) for it in reader.wrong.partition("header says ")[2].split(" s, "))
    assert reader.wrong.startswith("is cut short: its header says 1.3 s, ") and reader.wrong.endswith("came is written")
    assert came == pytest.approx(len(times) / 40 * said, abs=0.15)


@pytest.mark.parametrize("name", ["a.ts", "a.m2ts", "h265.ts", "a.ogv"])
def test_a_cut_within_a_packet_is_said_where_no_header_tells_the_length(name: str, tmp_path: Path) -> None:
    held = write(tmp_path / name, codec=WHOLE.get(name, "libx264")).read_bytes()
    for num_bytes in (len(held) * 6 // 10 // 188 * 188 + 100, len(held) - 1):
        (tmp_path / name).write_bytes(held[:num_bytes])
        times, _, reader = read(tmp_path / name)
        assert len(times) > 15 and reader.wrong == "is cut short: it ends within a packet; what came is written"


def plain_film(path: Path) -> Path:
    """20 frames without a container worth the name."""
    codec, pixels, size = {
        ".y4m": ("wrapped_avframe", "yuv420p", (64, 48)),
        ".mjpeg": ("mjpeg", "yuvj420p", (64, 48)),
        ".dv": ("dvvideo", "yuv420p", (720, 576)),
        ".mxf": ("mpeg2video", "yuv420p", (64, 48)),
    }[path.suffix]
    noise = np.random.default_rng(0)
    with av.open(str(path), "w") as out:
        film = out.add_stream(codec, rate=25)
        (film.width, film.height), film.pix_fmt = size, pixels
        for _ in range(20):
            rgb = noise.integers(0, 255, (*size[::-1], 3), np.uint8)
            out.mux(film.encode(av.VideoFrame.from_ndarray(rgb, format="rgb24")))
        out.mux(film.encode())
    return path


@pytest.mark.parametrize("name", ["a.y4m", "a.mjpeg", "a.dv", "a.mxf"])
def test_films_without_a_container_are_whole_or_said_to_be_cut(name: str, tmp_path: Path) -> None:
    times, _, reader = read(plain_film(tmp_path / name))
    assert len(times) == 20 and reader.wrong == ""
    held = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(held[: len(held) * 6 // 10 - 7])
    times, _, reader = read(tmp_path / name)
    assert 9 <= len(times) <= 12 and reader.wrong.startswith("is cut short: it")


@pytest.mark.parametrize("name", ["a.ts", "a.wmv"])
def test_a_cut_within_a_frame_is_said_too(name: str, tmp_path: Path) -> None:
    held = write(tmp_path / name, codec=WHOLE.get(name, "libx264")).read_bytes()
    said = []
    for num_packets in range(len(held) * 6 // 10 // 188, len(held) * 7 // 10 // 188, 3):
        (tmp_path / name).write_bytes(held[: 188 * num_packets])
        said.append(read(tmp_path / name)[2].wrong)
    # Between two frames a cut cannot be told; no encoder says twice where that is.
    assert set(said) <= {"", "is cut short: it ends within a frame; what came is written"}
    assert said.count("") <= len(said) // 3


def test_a_broadcast_that_was_tuned_into_late_is_whole_and_one_with_a_gap_is_not(tmp_path: Path) -> None:
    container = {"x264-params": "keyint=10:bframes=0"}
    with av.open(str(tmp_path / "a.ts"), "w") as out:
        film = add_film(out)
        film.options = container
        write_frames(out, film, [33 * it for it in range(40)])
    held = (tmp_path / "a.ts").read_bytes()
    third = len(held) // 3 // 188 * 188
    (tmp_path / "late.ts").write_bytes(held[third - 60 :])
    times, _, reader = read(tmp_path / "late.ts")
    assert 15 < len(times) < 35 and reader.wrong == ""
    (tmp_path / "gap.ts").write_bytes(held[:third] + held[third + 4 * 188 :])
    assert read(tmp_path / "gap.ts")[2].wrong.startswith("is broken: something is missing of ")


def test_a_film_that_its_owner_trimmed_is_whole(tmp_path: Path) -> None:
    """An edit list shows the first half only; the rest is still in the file."""
    held = bytearray(write(tmp_path / "a.mp4").read_bytes())
    place = held.find(b"elst") + 12
    (shown,) = struct.unpack(">I", held[place : place + 4])
    held[place : place + 4] = struct.pack(">I", shown // 2)
    (tmp_path / "b.mp4").write_bytes(held)
    times, _, reader = read(tmp_path / "b.mp4")
    assert len(times) == 20 and reader.wrong == ""


def test_frames_behind_a_damaged_place_are_read(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mkv", codec="ffv1")
    with av.open(str(path)) as container:
        packets = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    place, size = packets[10]
    held = bytearray(path.read_bytes())
    held[place + 40 : place + size] = b"\xff" * (size - 40)
    path.write_bytes(held)
    times, _, reader = read(path)
    assert len(times) == 39 and reader.wrong.startswith("is broken: ")


def test_of_a_clip_without_a_picture_nothing_is_written(tmp_path: Path) -> None:
    held = write(tmp_path / "a.mp4").read_bytes()
    for length in (len(held) // 2, 60):  # the table of frames stands at the end
        (tmp_path / "b.mp4").write_bytes(held[:length])
        with pytest.raises(LeadlineError, match=r"b\.mp4 (holds no moving picture|is no video that can be read)"):
            read(tmp_path / "b.mp4")


@pytest.mark.parametrize(
    ("aspect", "width", "is_said"),
    [("12:11", 70, False), ("2:1", 128, False), ("1:2", 32, False), ("20000:1", 64, True), ("1:20000", 64, True)],
)
def test_pixels_of_a_shape_that_can_be_are_made_squares(aspect: str, width: int, is_said: bool, tmp_path: Path) -> None:
    held = bytearray(write(tmp_path / "a.mp4", codec="mpeg4", aspect=Fraction(2, 1)).read_bytes())
    place = held.find(b"pasp") + 4
    held[place : place + 8] = struct.pack(">II", *map(int, aspect.split(":")))
    (tmp_path / "b.mp4").write_bytes(held)
    _, frames, reader = read(tmp_path / "b.mp4")
    assert frames[0].shape == (HEIGHT, width, 3)
    words = f"says that its pixels are {aspect}, which no camera's are; they are taken for squares"
    assert reader.wrong == (words if is_said else "")


@pytest.mark.parametrize(
    ("name", "mode", "packed"),
    [
        ("a.mkv", "left_right", "side by side"),
        ("a.mkv", "bottom_top", "one above the other"),
        ("a.webm", "row_interleaved_lr", "line by line"),
        ("a.mkv", "mono", ""),
        ("a.mkv", "block_lr", ""),  # one view after the other
    ],
)
def test_two_views_in_a_frame_are_said(name: str, mode: str, packed: str, tmp_path: Path) -> None:
    with av.open(str(tmp_path / name), "w") as out:
        film = add_film(out, "libvpx")
        film.metadata["stereo_mode"] = mode
        write_frames(out, film, [0, 33], quarters())
    words = f"holds two views in each frame, {packed}, so that its depths are wrong: cut one out first"
    assert read(tmp_path / name)[2].wrong == (words if packed else "")


def grey_film(path: Path, *brightest: int) -> Path:
    """Frames of FFV1 in grey of 16 bits, each from 0 to a number."""
    with av.open(str(path), "w") as out:
        film = out.add_stream("ffv1", rate=30)
        film.width, film.height, film.pix_fmt = WIDTH, HEIGHT, "gray16le"
        for high in brightest:
            grey = np.tile(np.linspace(0, high, WIDTH).astype(np.uint16), (HEIGHT, 1))
            out.mux(film.encode(av.VideoFrame.from_ndarray(grey, format="gray16le")))
        out.mux(film.encode())
    return path


@pytest.mark.parametrize(("high", "bits"), [(1023, 10), (4095, 12), (65535, 0)])
def test_grey_of_few_bits_in_16_is_taken_for_a_cameras_and_said(tmp_path: Path, high: int, bits: int) -> None:
    _, frames, reader = read(grey_film(tmp_path / "a.mkv", high, high // 2))
    assert [int(rgb.max()) for rgb in frames] == pytest.approx([255, 127], abs=1)
    said = f"its numbers end at {high} of 65535: taken for those of a camera of {bits} bits"
    assert reader.notes == ([said] if bits else [])


def test_a_film_that_begins_in_the_dark_goes_on_in_the_light(tmp_path: Path) -> None:
    _, frames, reader = read(grey_film(tmp_path / "a.mkv", 1000, 4095, 65535, 32767))
    assert [int(rgb.max()) for rgb in frames] == pytest.approx([249, 255, 255, 127], abs=1)
    assert reader.wrong == "has 3 frames of more bits than its first seems to have: convert it to 8 bits"


def test_large_frames_are_reduced_and_larger_ones_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.mp4", quarters())
    _, frames, reader = read(path, max_pixels=32 * 24)
    assert frames[0].shape == (24, 32, 3) and reader.wrong == ""
    assert reader.notes == ["its frames of 64×48 pixels are reduced to 32×24"]
    assert read(path, max_pixels=64 * 48)[2].notes == []
    monkeypatch.setattr(video, "MAX_DECODED_PIXELS", 64 * 48 - 1)
    with pytest.raises(LeadlineError, match=r"a\.mp4 has frames of 64×48 pixels; wanted at most 3,071"):
        read(path)


@pytest.mark.parametrize(("transfer", "name", "code"), [(16, "PQ", 0.4275), (18, "HLG", 0.4705)])
def test_hdr_is_shown_as_an_ordinary_picture_and_said(transfer: int, name: str, code: float, tmp_path: Path) -> None:
    """A grey of 128, by hand: 0.2159 of 203 cd/m² is 43.8; in PQ 0.4275, in HLG 0.4705 (a scene's light of 0.0738)."""
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as out:
        film = out.add_stream("ffv1", rate=30)
        film.width, film.height, film.pix_fmt = WIDTH, HEIGHT, "yuv420p10le"
        context = film.codec_context
        context.colorspace, context.color_trc, context.color_primaries, context.color_range = 9, transfer, 9, 1
        frame = av.VideoFrame(WIDTH, HEIGHT, "yuv420p10le")
        for plane, value in zip(frame.planes, (64 + 876 * code, 512, 512), strict=True):
            plane.update(np.full(plane.buffer_size // 2, round(value), np.uint16).tobytes())
        frame.pts, frame.colorspace, frame.color_range = 0, 9, 1
        out.mux(film.encode(frame))
        out.mux(film.encode())
    _, frames, reader = read(path)
    assert reader.notes == [f"its HDR ({name}) is tone-mapped to SDR"]
    assert np.abs(frames[0].astype(int) - 128).max() <= 2
