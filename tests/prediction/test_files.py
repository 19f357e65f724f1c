import os
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path, PurePath

import numpy as np
import pytest
from PIL import Image

from leadline.backends.torch_model import TorchBackend
from leadline.errors import LeadlineError
from leadline.geometry.camera import Camera
from leadline.io.depth_files import read_npz
from leadline.io.discovery import CONTACT_SHEET
from leadline.io.images import Picture, read_image
from leadline.models.model import DepthModel
from leadline.prediction import files as many_pictures
from leadline.prediction.files import output_stems, predict_files
from leadline.prediction.prediction import predict
from leadline.prediction.result import BESIDE, FORMATS, Prediction, output_paths


def save_photo(path: Path, height: int, width: int) -> Path:
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A picture of 60×80 without EXIF."""
    return save_photo(tmp_path / "photo.png", 60, 80)


def test_the_camera_is_that_of_every_picture(photo: Path, tmp_path: Path, tiny_model: DepthModel) -> None:
    matrix = np.array([[120, 0, 29.5], [0, 125, 34.5], [0, 0, 1]], np.float32)
    (result,) = predict_files([photo], tmp_path / "out", tiny_model, formats=["npz"], camera=matrix)
    np.testing.assert_array_equal(read_npz(result.written[0]).intrinsics, matrix)


def test_a_picture_of_another_shape_than_the_cameras_is_passed_over(tmp_path: Path, tiny_model: DepthModel) -> None:
    paths = [save_photo(tmp_path / "a.png", 40, 30), save_photo(tmp_path / "b.png", 30, 40)]
    camera = Camera(fx=30, fy=30, cx=19, cy=14, width=40, height=30)
    results = list(predict_files(paths, tmp_path / "out", tiny_model, formats=["npz"], camera=camera))
    assert "for pictures of 40×30 pixels, got 30×40" in results[0].error and not results[1].error


def test_a_folder_goes_on_past_a_broken_picture(tmp_path: Path, tiny_model: DepthModel) -> None:
    paths = [save_photo(tmp_path / "a.png", 30, 40), tmp_path / "b.png", save_photo(tmp_path / "c.jpg", 30, 40)]
    paths[1].write_text("no picture")
    results = list(predict_files(paths, tmp_path / "out", tiny_model, sheet=True))
    assert [bool(result.error) for result in results] == [False, True, False]
    assert "b.png is no picture" in results[1].error
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(
        ["a_depth.png", "a_color.png", "a.npz", "c_depth.png", "c_color.png", "c.npz", CONTACT_SHEET]
    )


def test_many_files_give_what_one_gives(tmp_path: Path, tiny_model: DepthModel) -> None:
    paths = [save_photo(tmp_path / f"{number}.png", 30 + number, 40) for number in range(5)]
    results = list(predict_files(paths, tmp_path / "out", tiny_model, formats=["npz"]))
    assert [result.path for result in results] == paths
    for path in paths:
        stored = read_npz(tmp_path / "out" / f"{path.stem}.npz")
        assert np.array_equal(stored.depth_m, predict(path, tiny_model).depth_m)


def test_an_unknown_format_is_refused_before_any_work(tmp_path: Path, tiny_model: DepthModel) -> None:
    with pytest.raises(LeadlineError, match="unknown format 'colour': did you mean 'color'"):
        list(predict_files([tmp_path / "a.png"], tmp_path / "out", tiny_model, formats=["colour"]))


def test_a_place_that_cannot_be_written_is_told_before_the_first_picture(
    photo: Path, tmp_path: Path, tiny_model: DepthModel
) -> None:
    (tmp_path / "out").write_text("a file where the folder should be")
    with pytest.raises(LeadlineError, match="out is a file, wanted a folder to write"):
        list(predict_files([photo], tmp_path / "out", tiny_model))


@pytest.mark.parametrize(
    "error", [MemoryError(), AssertionError("no palette"), OSError(28, "No space left"), KeyError(7)]
)
def test_whatever_fails_one_picture_is_its_own_line_and_the_others_go_on(
    tmp_path: Path, tiny_model: DepthModel, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    paths = [tmp_path / f"{name}.png" for name in "abc"]
    for path in paths:
        Image.new("RGB", (64, 48), "gray").save(path)
    real = Prediction.save

    def save(prediction: Prediction, stem: Path, *options: object) -> list[Path]:
        if stem.name == "b":
            raise error
        return real(prediction, stem, *options)  # type: ignore[arg-type]

    monkeypatch.setattr(Prediction, "save", save)
    results = list(predict_files(paths, tmp_path / "out", tiny_model, formats=["depth"]))
    assert [result.summary is None for result in results] == [False, True, False]
    assert results[1].error.startswith(f"{paths[1]}: no result ({type(error).__name__}")


def test_results_that_are_cut_short_are_not_skipped(photo: Path, tmp_path: Path, tiny_model: DepthModel) -> None:
    def again() -> int:
        jobs = predict_files(
            [photo], tmp_path, tiny_model, formats=["depth", "npz", "ply", "points"], skip_existing=True
        )
        return len([result for result in jobs if not result.error])

    assert [again(), again()] == [1, 0]
    for result in (tmp_path / f"{photo.stem}{ending}" for ending in ("_depth.png", ".npz", ".ply", "_points.glb")):
        whole = result.read_bytes()
        result.write_bytes(whole[: len(whole) * 2 // 3])
        assert again() == 1, result
        assert result.read_bytes() == whole
        assert again() == 0


def test_results_of_an_older_image_or_of_another_camera_are_not_skipped(
    photo: Path, tmp_path: Path, tiny_model: DepthModel
) -> None:
    def num_predicted(**options: object) -> int:
        jobs = predict_files([photo], tmp_path, tiny_model, formats=["npz"], skip_existing=True, **options)  # type: ignore[arg-type]
        return len([result for result in jobs if not result.error])

    assert [num_predicted(focal_px=focal_px) for focal_px in (300.0, 300.0, 310.0, 310.0)] == [1, 0, 1, 0]
    assert num_predicted() == 0  # nothing is said of the camera
    os.utime(photo, ns=(2**62, 2**62))
    assert num_predicted() == 1


def test_no_result_takes_anothers_place(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("a/1.jpg", "a/1.png", "b/1.jpg", "b/2.jpg")]
    stems = output_stems(paths, tmp_path / "out")
    assert [str(stem.relative_to(tmp_path / "out")) for stem in stems] == ["a/1_jpg", "a/1_png", "b/1", "b/2"]
    assert output_stems(paths[:1], tmp_path / "out") == [tmp_path / "out" / "1"]
    paths = [tmp_path / name for name in ("1.jpg", "1.png", "1_jpg.png")]
    assert [stem.name for stem in output_stems(paths, tmp_path / "out")] == ["1_jpg", "1_png", "1_jpg_png"]


def test_names_that_some_disks_take_for_one_are_kept_apart(tmp_path: Path) -> None:
    stems = output_stems([tmp_path / name for name in ("A.jpg", "a.png", "B.jpg")], tmp_path)
    assert [stem.name for stem in stems] == ["A_jpg", "a_png", "B"]
    stems = output_stems([tmp_path / name for name in ("A.jpg", "a_Points.jpg")], tmp_path)
    assert [stem.name for stem in stems] == ["A", "a_Points_jpg"]


def test_pictures_on_two_drives_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(paths: object) -> str:
        raise ValueError("Paths don't have the same drive")

    monkeypatch.setattr("os.path.commonpath", refuse)
    with pytest.raises(LeadlineError, match="wanted pictures of one drive"):
        output_stems([tmp_path / "a.jpg", tmp_path / "b.jpg"], tmp_path)


def test_the_surface_of_one_picture_is_not_the_points_of_another(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("a.jpg", "a_points.jpg", "b_points.jpg", "_points.jpg")]
    stems = output_stems(paths, tmp_path)
    assert [stem.name for stem in stems] == ["a", "a_points_jpg", "b_points", "_points"]
    assert output_paths(stems[0], ["points"]) == [tmp_path / "a_points.glb"]
    every = [path for stem in stems for path in output_paths(stem, list(FORMATS))]
    assert len(set(every)) == len(every) == 4 * (len(FORMATS) + sum(map(len, BESIDE.values())))


def test_names_are_found_without_comparing_each_picture_with_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [tmp_path / f"{number}.jpg" for number in range(300)] + [tmp_path / "0.png"]
    compared, equal = [], PurePath.__eq__
    monkeypatch.setattr(PurePath, "__eq__", lambda one, other: compared.append(one) or equal(one, other))
    stems = output_stems(paths, tmp_path / "out")
    assert len(set(stems)) == 301
    assert len(compared) < 10 * 301


def test_a_second_run_goes_on_where_the_first_stopped(photo: Path, tiny_model: DepthModel, tmp_path: Path) -> None:
    other = photo.with_name("other.png")
    Image.new("RGB", (40, 30)).save(other)
    paths, out = [photo, other], tmp_path / "out"
    list(predict_files([photo], out, tiny_model, formats=["npz", "depth"]))
    results = list(predict_files(paths, out, tiny_model, formats=["npz", "depth"], skip_existing=True))
    assert [result.path for result in results] == [other]
    (out / f"{photo.stem}.npz").unlink()  # as if it had been killed between two files of a picture
    results = list(predict_files(paths, out, tiny_model, formats=["npz", "depth"], skip_existing=True))
    assert [result.path for result in results] == [photo]
    assert len(list(predict_files(paths, out, tiny_model, formats=["npz", "depth"]))) == 2


@pytest.mark.parametrize(("large_px", "alone"), [(1, True), (10**9, False)])
def test_large_pictures_are_in_memory_one_at_a_time(
    large_px: int, alone: bool, tmp_path: Path, tiny_model: DepthModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [save_photo(tmp_path / f"{number}.png", 30, 40) for number in range(3)]
    events: list[str] = []

    def read(path: Path, max_pixels: int, before_pixels: Callable[[int], object]) -> Picture:
        picture = read_image(path, max_pixels, before_pixels)
        events.append(f"read {path.stem}")
        return picture

    def save(self: Prediction, stem: Path, formats: object, max_triangles: int) -> list[Path]:
        time.sleep(0.1)
        events.append(f"written {stem.name}")
        return []

    monkeypatch.setattr(many_pictures, "LARGE_PIXELS", large_px)
    monkeypatch.setattr(many_pictures, "read_image", read)
    monkeypatch.setattr(Prediction, "save", save)
    backend = TorchBackend(tiny_model, "tiny")
    backend.concurrency = 2
    list(predict_files(paths, tmp_path / "out", backend))
    assert sorted(events) == ["read 0", "read 1", "read 2", "written 0", "written 1", "written 2"]
    in_turn = [f"{what} {event[-1]}" for event in events[::2] for what in ("read", "written")]
    assert (events == in_turn) is alone


def test_a_show_sees_every_picture_in_order_from_one_thread(tmp_path: Path, tiny_model: DepthModel) -> None:
    paths = [save_photo(tmp_path / f"{number}.png", 30, 40) for number in range(5)]
    paths[3].write_text("no picture")
    seen: list[tuple[str, int]] = []

    def show(path: Path, prediction: Prediction) -> None:
        assert prediction.depth_m.shape == (30, 40)
        seen.append((path.stem, threading.get_ident()))

    results = list(predict_files(paths, tmp_path / "out", tiny_model, formats=["npz"], on_prediction=show))
    assert len(results) == 5
    assert seen == [(stem, threading.get_ident()) for stem in "0124"]


def test_nothing_to_predict_is_no_mistake(tmp_path: Path, tiny_model: DepthModel) -> None:
    assert list(predict_files([], tmp_path / "out", tiny_model)) == []


def test_links_are_named_as_themselves(photo: Path, tmp_path: Path) -> None:
    links = [tmp_path / "today" / name for name in ("hall.jpg", "kitchen.jpg")]
    links[0].parent.mkdir()
    for link in links:
        link.symlink_to(photo)
    assert output_stems(links, tmp_path / "out") == [tmp_path / "out" / name for name in ("hall", "kitchen")]


def test_a_sheet_of_all_stays_where_only_some_are_predicted(
    photo: Path, tiny_model: DepthModel, tmp_path: Path
) -> None:
    other, out = tmp_path / "other.jpg", tmp_path / "out"
    shutil.copy(photo, other)
    list(predict_files([photo], out, tiny_model, sheet=True))
    before = (out / "contact_sheet.png").read_bytes()
    assert len(list(predict_files([photo, other], out, tiny_model, sheet=True, skip_existing=True))) == 1
    assert (out / "contact_sheet.png").read_bytes() == before


@pytest.mark.parametrize("name", ["depth", "npz", "color", "ply"])
def test_a_sensors_file_beside_its_picture_is_kept(
    photo: Path, tiny_model: DepthModel, tmp_path: Path, name: str
) -> None:
    (measured,) = output_paths(tmp_path / "scene" / photo.stem, [name])
    measured.parent.mkdir()
    measured.write_bytes(b"measured")
    (result,) = predict_files([photo], measured.parent, tiny_model, formats=[name], fov_deg=60)
    assert "is there and not leadline's own: choose another --out" in result.error
    assert measured.read_bytes() == b"measured"
    measured.unlink()
    for _ in range(2):  # its own are replaced
        (result,) = predict_files([photo], measured.parent, tiny_model, formats=[name], fov_deg=60)
        assert result.written == [measured]


def test_where_no_format_can_be_there_nothing_is_skipped(photo: Path, tiny_model: DepthModel, tmp_path: Path) -> None:
    out, seen = tmp_path / "out", []
    options = {"formats": [], "skip_existing": True, "sheet": True}
    list(predict_files([photo], out, tiny_model, on_prediction=lambda path, _: seen.append(path), **options))
    assert seen == [photo] and (out / CONTACT_SHEET).exists()
