import sys
from collections.abc import Iterator
from math import isnan
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
from PIL import Image

from leadline.backends import pack_model
from leadline.backends.base import Estimate
from leadline.cli.main import main
from leadline.errors import LeadlineError
from leadline.export import export
from leadline.geometry.depth import Output
from leadline.io.camera_files import camera_from_options
from leadline.io.depth_files import read_npz
from leadline.models.checkpoint import load_model
from leadline.prediction.files import predict_files
from leadline.serving.cluster import Job, _Worker, jobs_left, predict_on_cluster


def noise(seed: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 255, (30, 40, 3), np.uint8))


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Three pictures, one of them broken, and what is none."""
    folder = tmp_path / "photos"
    for seed, name in enumerate(["desk/10.png", "desk/2.png", "hall.png"]):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        noise(seed).save(folder / name)
    (folder / "desk" / "broken.png").write_text("no picture")
    for name in ("notes.txt", ".hidden.png", "hall_depth.png"):
        (folder / name).write_text("")
    return folder


@pytest.fixture
def bucket(photos: Path) -> Iterator[str]:
    """The same in what has no folders and shows a file once it is whole, as a bucket does."""
    system = fsspec.filesystem("memory")
    for path in (it for it in photos.rglob("*") if it.is_file()):
        system.pipe_file(f"/bucket/{path.relative_to(photos).as_posix()}", path.read_bytes())
    yield "memory://bucket"
    system.rm("/", recursive=True)


def worker(model: Path, source: str, target: str, **camera: Any) -> _Worker:
    return _Worker(pack_model(model), source, target, ("depth", "npz"), camera_from_options(**camera))


def ask(worker: _Worker, *jobs: Job) -> dict[str, list[Any]]:
    return worker({name: np.array([getattr(job, name) for job in jobs]) for name in Job._fields})


@pytest.mark.parametrize("place", ["photos", "bucket"])
def test_pictures_are_found_in_natural_order_and_their_results_mirror_them(
    place: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    source = str(request.getfixturevalue(place))
    jobs, num_there = jobs_left(source, str(tmp_path / "out"), ["depth"])
    assert [job.picture for job in jobs] == ["desk/2.png", "desk/10.png", "desk/broken.png", "hall.png"]
    assert [job.stem for job in jobs] == ["desk/2", "desk/10", "desk/broken", "hall"]
    assert num_there == 0


def test_pictures_whose_results_are_all_there_are_passed_over(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (out / "desk").mkdir(parents=True)
    for name in ("desk/2_depth.png", "desk/2.npz", "desk/10.npz", "hall_depth.png"):
        if name.endswith(".npz"):
            np.savez(out / name, depth_m=np.ones((2, 2)))
        else:
            noise(0).save(out / name)
    (out / "desk" / "10_depth.png").touch()  # of a disk that was full: nothing is in it
    jobs, num_there = jobs_left(str(photos), str(out), ["depth", "npz"])
    assert [job.picture for job in jobs] == ["desk/10.png", "desk/broken.png", "hall.png"]
    assert num_there == 1
    assert jobs_left(str(photos), str(out), ["depth"])[1] == 2
    assert jobs_left(str(photos), str(out), [])[1] == 0  # nothing to be there


def test_names_that_results_would_share_keep_their_endings(photos: Path) -> None:
    noise(0).save(photos / "hall.jpg")
    jobs, _ = jobs_left(str(photos), "memory://out", ["depth"])
    assert [job.stem for job in jobs][-2:] == ["hall_jpg", "hall_png"]


@pytest.mark.parametrize(
    ("source", "formats", "told"),
    [
        ("photos/desk", ["dept"], "did you mean 'depth'"),
        ("photos/nowhere", ["depth"], "nowhere does not exist: check the path"),
        ("empty", ["depth"], "no images in empty"),
        ("photos/hall.png", ["depth"], "is a file: name the folder or the bucket that it is in"),
        ("nix://photos", ["depth"], "cannot be reached: Protocol not known: nix"),
    ],
)
def test_what_cannot_be_looked_into_is_refused(
    source: str, formats: list[str], told: str, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(photos.parent)
    Path("empty").mkdir()
    with pytest.raises(LeadlineError, match=told):
        jobs_left(source, "memory://out", formats)


@pytest.mark.parametrize("target", ["memory://results", "{tmp_path}/results"])
def test_a_worker_does_what_one_machine_does(
    target: str, bucket: str, photos: Path, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    target = target.format(tmp_path=tmp_path)
    jobs, _ = jobs_left(bucket, target, ["depth", "npz"])
    done = ask(worker(tiny_checkpoint, bucket, target, focal_px=50.0), *jobs)
    paths, model = [photos / job.picture for job in jobs], load_model(tiny_checkpoint)
    own = predict_files(paths, tmp_path / "own", model, formats=["depth", "npz"], focal_px=50.0)
    system, root = fsspec.core.url_to_fs(target)
    for row, result in enumerate(own):
        assert done["picture"][row] == jobs[row].picture
        if result.summary is None:
            assert isnan(done["median_m"][row])
            assert done["error"][row] == result.error.replace(str(photos / jobs[row].picture), jobs[row].picture)
            continue
        assert (done["near_m"][row], done["median_m"][row], done["far_m"][row]) == result.summary
        assert done["focal"][row] == "focal 50 px (given)" and not done["error"][row]
        for path in result.written:
            assert system.cat_file(f"{root}/{path.relative_to(tmp_path / 'own').as_posix()}") == path.read_bytes()
    assert len(system.find(root)) == 6  # nothing else is left there
    assert jobs_left(bucket, target, ["depth", "npz"]) == ([jobs[2]], 3)


def test_a_worker_puts_all_files_of_a_floor_plan_back(
    bucket: str, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class OverAFloor:
        """Sees a floor 1 m below a level camera, and a wall behind."""

        name, output, device, runtime, concurrency, working_size = "floor", Output.METRES, "cpu", "none", 1, None

        def assumed_camera(self, height: int, width: int) -> None:
            return None

        def estimate(self, images: Any, cameras: Any) -> Estimate:
            below = np.arange(30.0)[:, None] - 14.5
            depth_m = np.where(below > 0, np.minimum(40 / np.maximum(below, 1e-9), 8), 8) * np.ones((30, 40))
            return Estimate(depth_m[None].astype(np.float32))

    monkeypatch.setattr("leadline.serving.cluster.open_packed", lambda packed: OverAFloor())
    ours = _Worker(None, bucket, str(tmp_path / "out"), ("floor",), camera_from_options(focal_px=40.0))
    jobs = Job("hall.png", "hall"), Job("desk/2.png", "desk/2")
    assert ask(ours, *jobs)["error"] == ["", ""]
    (own,) = predict_files([photos / "hall.png"], tmp_path / "own", OverAFloor(), formats=["floor"], focal_px=40.0)
    assert len(own.written) == 3
    for path in own.written:
        assert (tmp_path / "out" / path.name).read_bytes() == path.read_bytes(), "its YAML names its PNG"
    assert 'image: "2_floor.png"' in (tmp_path / "out" / "desk" / "2_floor.yaml").read_text()
    (tmp_path / "out" / "hall_floor.yaml").unlink()
    assert jobs_left(bucket, str(tmp_path / "out"), ["floor"])[0][-1] == jobs[0]


@pytest.mark.usefixtures("traced_once")
def test_a_worker_has_the_model_of_a_file(bucket: str, photos: Path, tiny_checkpoint: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason="needs the extra onnx")
    model, out = tmp_path / "tiny.onnx", tmp_path / "out"
    export(tiny_checkpoint, model)
    (own,) = predict_files([photos / "hall.png"], tmp_path / "own", str(model), formats=["npz"])
    started = worker(model, bucket, str(out))
    model.unlink()
    assert ask(started, Job("hall.png", "hall"))["error"] == [""]
    assert np.array_equal(read_npz(out / "hall.npz").depth_m, read_npz(own.written[0]).depth_m)


def test_what_is_not_leadlines_is_kept(bucket: str, tiny_checkpoint: Path) -> None:
    system = fsspec.filesystem("memory")
    system.pipe_file("/results/hall.npz", b"mine")
    done = ask(worker(tiny_checkpoint, bucket, "memory://results"), Job("hall.png", "hall"))
    (error,) = done["error"]
    assert error.startswith("hall.png: /results/hall.npz is there and not leadline's own: choose another --out")
    assert system.cat_file("/results/hall.npz") == b"mine"
    assert not system.exists("/results/hall_depth.png")


def test_a_picture_that_went_and_a_target_that_fails_are_told(
    bucket: str, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    jobs = Job("gone.png", "gone"), Job("hall.png", "hall")
    gone, hall = ask(worker(tiny_checkpoint, bucket, str(tmp_path / "file" / "out")), *jobs)["error"]
    assert gone == "gone.png cannot be fetched: /bucket/gone.png (FileNotFoundError: /bucket/gone.png)"
    assert hall.startswith("hall.png: its results cannot be written: ")


def test_trouble_of_any_kind_with_one_picture_leaves_the_others(
    bucket: str, tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def get_file(self: Any, path: str, *more: Any) -> None:
        if path.endswith("hall.png"):
            raise RuntimeError("500, try\nagain")
        return whole(self, path, *more)

    whole = fsspec.get_filesystem_class("memory").get_file
    monkeypatch.setattr(fsspec.get_filesystem_class("memory"), "get_file", get_file)
    jobs = Job("hall.png", "hall"), Job("desk/2.png", "desk/2")
    errors = ask(worker(tiny_checkpoint, bucket, "memory://results"), *jobs)["error"]
    assert errors == ["hall.png cannot be fetched: /bucket/hall.png (RuntimeError: 500, try again)", ""]


def test_trouble_with_a_batch_leaves_the_other_batches(
    bucket: str, tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("leadline.serving.cluster.predict_files", fail)
    jobs = Job("hall.png", "hall"), Job("desk/2.png", "desk/2")
    errors = ask(worker(tiny_checkpoint, bucket, "memory://results"), *jobs)["error"]
    assert errors[1] == "desk/2.png cannot be predicted: OSError: No space left on device"
    assert len(errors) == 2


def test_a_cluster_that_is_not_there_is_one_line(
    photos: Path, tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("ray", reason="a cluster needs Ray")
    monkeypatch.setenv("RAY_ADDRESS", "nowhere")
    assert main(["cluster", str(photos), "--out", "memory://out", "--model", str(tiny_checkpoint)]) == 2
    assert capsys.readouterr().err.startswith("leadline: there is no cluster at nowhere: ")


def test_the_command_predicts_what_is_left(
    photos: Path, tiny_checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("ray", reason="a cluster needs Ray")
    words = ["cluster", str(photos), "--out", str(tmp_path / "out"), "--model", str(tiny_checkpoint)]
    assert main([*words, "--focal-px", "50"]) == 2
    told = capsys.readouterr()
    assert f"3 of 4 images written to {tmp_path / 'out'} as depth, npz, 0 already there" in told.out
    assert "desk/broken.png is no picture that can be read" in told.err
    found = read_npz(tmp_path / "out" / "desk" / "10.npz")
    (own,) = predict_files([photos / "desk" / "10.png"], tmp_path, load_model(tiny_checkpoint), focal_px=50.0)
    assert np.array_equal(found.depth_m, read_npz(own.written[2]).depth_m)
    (photos / "desk" / "broken.png").unlink()
    assert main(words) == 0  # which starts no cluster
    assert f"0 of 3 images written to {tmp_path / 'out'}, 3 already there" in capsys.readouterr().out


def test_what_is_impossible_is_refused_before_a_cluster_starts(
    photos: Path, tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    place = [Job("hall.png", "hall")], str(photos), "memory://out"
    with pytest.raises(LeadlineError, match="between 0 and 180 degrees"):
        next(predict_on_cluster(*place, tiny_checkpoint, ["depth"], fov_deg=200.0))
    with pytest.raises(LeadlineError, match="unknown model 'nix'"):
        next(predict_on_cluster(*place, "nix", ["depth"]))
    with pytest.raises(LeadlineError, match=r'pip install "leadline\[ray\]"'):
        next(predict_on_cluster(*place, tiny_checkpoint, ["depth"]))
