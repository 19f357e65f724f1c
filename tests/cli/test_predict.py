"""The command predict: its files, and what it passes over."""

from pathlib import Path

import numpy as np
import pytest
from one_line import fails
from PIL import Image

from leadline.cli.main import main


def test_predict_takes_videos_beside_pictures(
    photos: Path, tiny_checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    av = pytest.importorskip("av", reason="needs PyAV")
    clip = tmp_path / "clip.mkv"
    with av.open(str(clip), "w") as file:
        stream = file.add_stream("ffv1", rate=10)
        stream.width, stream.height, stream.pix_fmt = 40, 30, "yuv420p"
        for grey in (50, 90):
            file.mux(stream.encode(av.VideoFrame.from_ndarray(np.full((30, 40, 3), grey, np.uint8), format="rgb24")))
        file.mux(stream.encode())
    out = tmp_path / "depth"
    assert main(["predict", str(clip), str(photos), "--model", str(tiny_checkpoint), "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "2 frames (torch " in printed and "5 of 5 images written" in printed
    assert {"clip_side.mp4", "clip_depth.mkv", "rgb.npz"} <= {path.name for path in out.iterdir()}
    again = ["predict", str(clip), "--model", str(tiny_checkpoint), "--out", str(out), "--skip-existing"]
    (out / "clip_side.mp4").unlink()  # as if it had been killed between the two
    assert main(again) == 0 and "2 frames" in capsys.readouterr().out
    before = (out / "clip_depth.mkv").stat().st_mtime_ns
    assert main(again) == 0 and capsys.readouterr().out == "clip.mkv: its results are already there\n"
    assert (out / "clip_depth.mkv").stat().st_mtime_ns == before
    clip.write_text("text")
    assert "is no video that can be read" in fails(capsys, "predict", clip, "--model", tiny_checkpoint)


def test_predict_rerun_takes_a_file_or_none_wherever_it_stands(
    photos: Path, tiny_checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("rerun", reason="needs rerun-sdk")
    saved = tmp_path / "all.rrd"
    words = ["--model", str(tiny_checkpoint), "--out", str(tmp_path / "depth"), "--format", "depth"]
    assert main(["predict", *words, "--rerun", str(saved), str(photos)]) == 0
    assert "5 of 5 images" in capsys.readouterr().out and saved.stat().st_size > 10_000
    assert "one file" in fails(capsys, "predict", photos, *words, "--rerun", "a.rrd", "b.rrd")


def test_predict_goes_on_past_a_stream_that_is_not_there(
    photos: Path, tiny_checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("av", reason="needs PyAV")
    words = ["--model", str(tiny_checkpoint), "--out", str(tmp_path / "depth"), "--format", "depth"]
    assert main(["predict", "camera:97", str(photos), *words]) == 2
    printed = capsys.readouterr()
    assert "camera:97 cannot be opened" in printed.err and "5 of 5 images written" in printed.out
    assert "leave it out" in fails(capsys, "predict", photos, *words, "--seconds", "3")


def test_predict_goes_on_past_a_broken_picture(
    photos: Path, tiny_checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (photos / "text.png").write_text("this is text")
    line = fails(capsys, "predict", photos, "--model", tiny_checkpoint, "--out", tmp_path / "depth", "--format", "npz")
    assert "text.png is no picture" in line
    assert len(list((tmp_path / "depth").iterdir())) == 5


def _run_together(*lines: str) -> str:
    """Lines without spaces: a terminal wraps them at a space, at which one hangs on how long the folder's name is."""
    return "".join(lines).replace(" ", "")


def test_many_are_counted_below_their_lines_and_the_last_line_says_what_is_where(
    photos: Path, tiny_checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("pyte", reason="no terminal to look at")
    from terminal import Terminal

    (photos / "alpha.png").unlink()
    out, recording = tmp_path / "d", tmp_path / "r.rrd"
    words = ["predict", str(photos), "--model", str(tiny_checkpoint), "--out", str(out), "--format", "depth,npz"]
    terminal = Terminal(columns=120)
    assert terminal.run(*words, "--rerun", str(recording)) == 0
    counted = [line for screen in terminal.shown for line in screen if "images" in line and line.endswith(" left")]
    assert {line.split()[0].partition("/")[2] for line in counted} == {"4"}
    told = terminal.lines
    assert not any(line.endswith(" left") for line in told), "the count goes when all is done"
    assert _run_together(f"4 of 4 images written to {out} as depth, npz (") in _run_together(*told)
    where = f"recording written to {recording}: open it with 'rerun {recording}'"
    assert _run_together(where) in _run_together(*told) and recording.is_file()
    (out / "grey.npz").unlink()
    assert main([*words, "--skip-existing"]) == 0
    assert f"1 of 4 images written to {out} as depth, npz, 3 already there (" in capsys.readouterr().out


def test_a_full_disk_is_one_line_of_each_image(
    photos: Path,
    tiny_checkpoint: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("leadline.io.atomic.os.replace", full)
    out = tmp_path / "depth"
    assert main(["predict", str(photos), "--model", str(tiny_checkpoint), "--out", str(out)]) == 2
    printed, told = capsys.readouterr()
    assert printed.startswith(f"0 of 5 images written to {out} (")
    assert [line.partition(": no result (")[2] for line in told.splitlines()] == [
        "OSError: No space left on device)"
    ] * 5
    assert not list(out.iterdir())


def test_a_checkpoint_cut_short_is_one_line(
    photos: Path, tiny_checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = tiny_checkpoint / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    assert "cut short" in fails(capsys, "predict", photos, "--model", tiny_checkpoint, "--out", tmp_path / "depth")


def test_predict_brings_an_image_to_known_points(
    photos: Path, tiny_checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--model", str(tiny_checkpoint), "--out", str(tmp_path / "depth"), "--format", "npz"]
    image = photos / "rgb.jpg" if (photos / "rgb.jpg").exists() else next(photos.glob("rgb.*"))
    points = tmp_path / "points.csv"
    points.write_text("3,3,1000\n")
    assert main(["predict", str(image), *words, "--known", str(points)]) == 0
    assert "one factor from 1 known point, not checked" in capsys.readouterr().out
    with np.load(tmp_path / "depth" / "rgb.npz") as written:
        assert written["depth_m"][3, 3] == pytest.approx(1000, rel=1e-3)
    assert "name the image in each line" in fails(capsys, "predict", photos, *words, "--known", points)
    both = ("--known", points, "--camera-height", "1")
    assert "give --known or --camera-height, not both" in fails(capsys, "predict", image, *words, *both)
    assert "needs their poses: give --colmap" in fails(
        capsys, "predict", image, "--model", tiny_checkpoint, "--format", "fused"
    )


def test_every_format_is_offered_for_an_unknown_one(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert fails(capsys, "predict", photos, "--format", "png").endswith(", points, glb, sheet, fused")
    assert "did you mean 'sheet'" in fails(capsys, "predict", photos, "--format", "sheets")


def test_an_image_that_fits_no_cloud_is_said_and_the_others_are_in_it(
    tiny_checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = tmp_path / "sparse"
    model.mkdir()
    (model / "cameras.txt").write_text("1 PINHOLE 40 30 40 40 20 15\n2 OPENCV_FISHEYE 40 30 40 40 20 15 0 0 0 0\n")
    points = "10 10 1 20 10 2 30 20 3"
    names = {"a.png": 1, "bent.png": 2, "c.png": 1}
    (model / "images.txt").write_text(
        "".join(
            f"{number} 1 0 0 0 0 0 0 {camera} {name}\n{points}\n" for number, (name, camera) in enumerate(names.items())
        )
    )
    (model / "points3D.txt").write_text("1 -1 0 3 0 0 0 0\n2 0 0 3 0 0 0 0\n3 1 0 3 0 0 0 0\n")
    images = [tmp_path / name for name in names]
    for image in images:
        Image.fromarray(np.full((30, 40, 3), 90, np.uint8)).save(image)
    words = ["--model", tiny_checkpoint, "--out", tmp_path / "out", "--format", "depth,fused", "--colmap", model]
    told = fails(capsys, "predict", *images, *words)
    assert "bent.png" in told and "need a pinhole camera" in told and "left out of fused.ply" in told
    assert (tmp_path / "out" / "fused.ply").exists() and (tmp_path / "out" / "bent_depth.png").exists()
