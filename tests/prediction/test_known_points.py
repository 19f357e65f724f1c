from collections.abc import Sequence
from dataclasses import replace
from math import exp
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PilImage

from leadline.backends.base import Estimate, Image
from leadline.errors import LeadlineError
from leadline.geometry.camera import Camera
from leadline.geometry.depth import Output
from leadline.geometry.lens import Lens, LensModel
from leadline.io.camera_files import CameraFile
from leadline.io.colmap_model import ColmapView
from leadline.prediction.anchored import FloorScale
from leadline.prediction.files import predict_files
from leadline.prediction.known_points import CameraHeight, ColmapPoints, ListedPoints, MappedPoints, read_anchor
from leadline.prediction.result import Prediction

PICTURE = Path("a.jpg")


def test_points_of_a_list_belong_to_their_image(tmp_path: Path) -> None:
    file = tmp_path / "points.csv"
    file.write_text("a.jpg,1,2,3\nb.jpg,4,5,6\na.jpg,7,8,9\n")
    listed = ListedPoints.read(file, [tmp_path / "a.jpg", tmp_path / "b.jpg"])
    found = listed.points(tmp_path / "a.jpg", (20, 20))
    assert found.xy.tolist() == [[1, 2], [7, 8]] and found.metres.tolist() == [3, 9] and not found.from_camera.any()
    with pytest.raises(LeadlineError, match="holds no distance of"):
        listed.points(tmp_path / "c.jpg", (20, 20))
    with pytest.raises(LeadlineError, match="the point 7,8 lies outside"):
        listed.points(tmp_path / "a.jpg", (5, 20))


def test_lines_without_an_image_want_a_single_one(tmp_path: Path) -> None:
    file = tmp_path / "points.csv"
    file.write_text("1,2,3\n")
    assert ListedPoints.read(file, [PICTURE]).points(PICTURE, (9, 9)).metres.tolist() == [3]
    with pytest.raises(LeadlineError, match="name the image in each line"):
        ListedPoints.read(file, [PICTURE, Path("b.jpg")])
    file.write_text("1,2,3,4,5\n")
    with pytest.raises(LeadlineError, match="holds lengths, wanted points"):
        ListedPoints.read(file, [PICTURE]).points(PICTURE, (9, 9))


def test_a_smaller_map_is_of_the_same_view(tmp_path: Path) -> None:
    millimetres = np.zeros((3, 4), np.uint16)
    millimetres[1, 2] = 2500
    PilImage.fromarray(millimetres).save(tmp_path / "a.png")
    for place in (tmp_path / "a.png", tmp_path):
        found = MappedPoints.of(place, [PICTURE]).points(PICTURE, (30, 40))
        assert found.xy.tolist() == [[24.5, 14.5]] and found.metres.tolist() == [2.5]


def test_floats_are_metres_and_holes_no_points(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([[np.nan, 1.5], [0, np.inf]], np.float32))
    found = MappedPoints.of(tmp_path / "a.npy", [PICTURE]).points(PICTURE, (2, 2))
    assert found.xy.tolist() == [[1, 0]] and found.metres.tolist() == [1.5]


def test_maps_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.ones((4, 3), np.float32))
    np.save(tmp_path / "b.npy", np.zeros((3, 4), np.float32))
    with pytest.raises(LeadlineError, match="of 3×4 pixels, another shape than its image of 40×30"):
        MappedPoints.of(tmp_path / "a.npy", [PICTURE]).points(PICTURE, (30, 40))
    with pytest.raises(LeadlineError, match="holds no depth"):
        MappedPoints.of(tmp_path / "b.npy", [PICTURE]).points(PICTURE, (30, 40))
    with pytest.raises(LeadlineError, match="is one map, got 2 images"):
        MappedPoints.of(tmp_path / "b.npy", [PICTURE, PICTURE])
    with pytest.raises(LeadlineError, match="holds no depth map of c"):
        MappedPoints.of(tmp_path, [PICTURE]).points(Path("c.jpg"), (30, 40))


def test_colmap_knows_images_by_the_end_of_their_path_and_follows_their_size() -> None:
    matrix = np.array([[50, 0, 20], [0, 50, 15], [0, 0, 1.0]])
    view = ColmapView(CameraFile(matrix, (30, 40)), np.array([[9.5, 4.5]]), np.array([2.0]), np.eye(4))
    known = ColmapPoints(Path("model"), {"room/a.jpg": view, "a.jpg": view._replace(depth_m=np.array([9.0]))})
    found = known.points(Path("/photos/room/a.jpg"), (60, 80))
    assert found.xy.tolist() == [[19.5, 9.5]] and found.metres.tolist() == [2]
    camera = known.camera(Path("/photos/room/a.jpg"))(60, 80)
    assert (camera.fx, camera.width) == (100, 80)
    known.camera(Path("a.jpg"), turned_from=(40, 30))  # COLMAP saw it upright, as its size tells
    for stored in ((60, 80), (30, 40)):  # on its head, or on its side
        with pytest.raises(
            LeadlineError, match="a.jpg is turned by its EXIF block, and COLMAP took it as it is stored"
        ):
            known.camera(Path("a.jpg"), turned_from=stored)
    with pytest.raises(LeadlineError, match="has no image b"):
        known.points(Path("b.jpg"), (60, 80))


class Disparities:
    """A model without a unit: 1 / depth for depths from 1 m on the left to 3 m, times 4."""

    name, output, working_size, device, concurrency = "relative", Output.DISPARITY, None, "cpu", 1

    def assumed_camera(self, height: int, width: int) -> None:
        return None

    def estimate(self, images: Sequence[Image], cameras: Sequence[Camera | None]) -> Estimate:
        height, width = images[0].shape[:2]
        return Estimate(np.broadcast_to(4 / np.linspace(1, 3, width, dtype=np.float32), (1, height, width)))


def test_files_of_a_model_without_a_unit_become_metres(tmp_path: Path) -> None:
    PilImage.new("RGB", (41, 30)).save(tmp_path / "a.png")
    (tmp_path / "points.csv").write_text("0,3,2\n20,9,4\n40,20,6\n10,5,3\n")  # twice as far as 1 to 3 m
    listed = ListedPoints.read(tmp_path / "points.csv", [tmp_path / "a.png"])
    (result,) = predict_files([tmp_path / "a.png"], tmp_path / "out", Disparities(), formats=["npz"], anchor=listed)
    assert result.notes.startswith("scale and shift from 4 known points") and not result.error
    with np.load(tmp_path / "out" / "a.npz") as written:
        assert written["depth_m"][0] == pytest.approx(np.linspace(2, 6, 41), rel=1e-3)
    with pytest.raises(LeadlineError, match="predicts disparity without a unit"):
        next(predict_files([tmp_path / "a.png"], tmp_path / "out", Disparities(), anchor=CameraHeight(1.0)))


def test_one_thing_is_known_at_a_time(tmp_path: Path) -> None:
    assert read_anchor([PICTURE]) is None
    with pytest.raises(LeadlineError, match="give --sparse or --camera-height, not both"):
        read_anchor([PICTURE], sparse=tmp_path, camera_height_m=1.0)


def floor_and_wall(expected_error: float) -> Prediction:
    """A floor 1 m below the camera and a wall at 5 m, with that relative error expected."""
    y, _ = np.mgrid[:120, :160]
    with np.errstate(divide="ignore"):
        depth_m = np.minimum(np.where(y > 60, 1 / np.maximum((y - 59.5) / 100, 1e-9), np.inf), 5).astype(np.float32)
    camera, rgb = Camera.from_focal_px(100, 160, 120), np.zeros((120, 160, 3), np.uint8)
    return Prediction(rgb, depth_m, depth_m > 0, camera, depth_m * np.float32(expected_error))


def test_the_camera_height_scales_the_image() -> None:
    prediction = floor_and_wall(0.01)
    found = CameraHeight(0.4).apply(prediction, PICTURE, (120, 160), Output.METRES)
    assert isinstance(found.anchoring, FloorScale) and found.anchoring.scale == pytest.approx(0.4, rel=0.01)
    assert found.depth_m == pytest.approx(0.4 * prediction.depth_m, rel=0.01)
    assert found.uncertainty_m == pytest.approx(0.01 * found.depth_m, rel=0.01)
    assert "camera 0.40 m above the floor" in str(found.anchoring)


@pytest.mark.parametrize(
    ("height_m", "expected_error", "scale"),
    [(exp(-1.2), 0.1, exp(-0.9647)), (exp(0.4), 0.1, exp(0.1802)), (1.0, 0.1, 1.0), (exp(0.4), 0.3, exp(0.2610))],
)
def test_a_doubtful_floor_scales_less(height_m: float, expected_error: float, scale: float) -> None:
    # An error of 0.1 is 0.2 for the floor, with 0.25 at the most 1 / (25 + 16) squared. The logarithm -1.2 may be of a
    # spread of 0.1 and 0.3, 0.1 squared: it keeps 0.1 / 0.1244. That of 0.4 of 0.1 and 0.1, 0.02 / 0.0444. An error of
    # 0.3 is 1 / (2.778 + 16) = 0.05325 for the floor and 0.09 and 0.01 for the scale: of 0.4 it keeps 0.1 / 0.15325.
    found = CameraHeight(height_m).apply(floor_and_wall(expected_error), PICTURE, (120, 160), Output.METRES)
    assert isinstance(found.anchoring, FloorScale) and found.anchoring.scale == pytest.approx(scale, rel=0.01)
    assert found.anchoring.floor.camera_height_m == pytest.approx(scale, rel=0.01)


def test_a_height_in_centimetres_is_doubted_aloud() -> None:
    told = str(CameraHeight(35.0).apply(floor_and_wall(0.01), PICTURE, (120, 160), Output.METRES).anchoring)
    assert "is more than a model errs by: check that all is in metres" in told
    told = str(CameraHeight(0.35).apply(floor_and_wall(0.01), PICTURE, (120, 160), Output.METRES).anchoring)
    assert "model errs" not in told


@pytest.mark.parametrize(("unit", "doubted"), [(1.0, False), (3.28, True), (100.0, True), (1000.0, True)])
def test_points_in_another_unit_are_doubted_aloud(unit: float, doubted: bool, tmp_path: Path) -> None:
    prediction = floor_and_wall(0.01)  # the wall is at 5 m
    PilImage.new("RGB", (160, 120)).save(tmp_path / "a.png")
    rows = (f"{x},{y},{6 * unit}\n" for x in (10, 80, 150) for y in (5, 30, 50))
    (tmp_path / "points.csv").write_text("".join(rows))
    listed = ListedPoints.read(tmp_path / "points.csv", [tmp_path / "a.png"])
    told = str(listed.apply(prediction, tmp_path / "a.png", (120, 160), Output.METRES).anchoring)
    assert ("check that all is in metres" in told) is doubted, told


def test_the_end_of_16_bits_is_no_known_distance(tmp_path: Path) -> None:
    values = np.zeros((24, 32), np.uint16)
    values[::4, ::4] = 2000
    values[0, 0] = 65535
    PilImage.fromarray(values).save(tmp_path / "a.png")
    known = MappedPoints(tmp_path / "a.png")
    assert known.points(tmp_path / "a.jpg", (24, 32)).metres.max() == pytest.approx(65.535)
    values[values == 0] = 65535
    PilImage.fromarray(values).save(tmp_path / "a.png")
    with pytest.raises(LeadlineError, match=r"a\.png holds 65535 at 721 pixels, .*: write 0 where nothing is known"):
        known.points(tmp_path / "a.jpg", (24, 32))


@pytest.mark.parametrize(
    ("code", "dtype", "said"),
    [
        (65504, np.float16, "65504 at 721 pixels, the largest number of 16-bit floats, .* of 6.55e+04 m"),
        (1e10, np.float32, "1e+10 at 721 pixels, Blender's, .* of 1e+10 m"),
        (65535, np.float32, "65535 at 721 pixels, .* of 6.55e+04 m"),
    ],
)
def test_far_codes_of_floats_are_no_known_distances(tmp_path: Path, code: float, dtype: type, said: str) -> None:
    """Taken for distances, they were the metres of the whole result."""
    values = np.full((24, 32), code, dtype)
    values[::4, ::4] = 2
    values[0, 0] = code
    np.save(tmp_path / "a.npy", values)
    with pytest.raises(LeadlineError, match=said.replace("+", r"\+")):
        MappedPoints(tmp_path / "a.npy").points(tmp_path / "a.jpg", (24, 32))


@pytest.mark.parametrize(("unit", "doubted"), [(1.0, False), (0.1, True)])
def test_a_reconstruction_in_a_unit_of_its_own_is_doubted_aloud(unit: float, doubted: bool) -> None:
    prediction = floor_and_wall(0.01)  # the wall is at 5 m
    matrix = np.array([[100, 0, 79.5], [0, 100, 59.5], [0, 0, 1.0]])
    xy = np.array([[x, y] for x in (10.0, 80.0, 150.0) for y in (5.0, 30.0, 50.0)])
    view = ColmapView(CameraFile(matrix, (120, 160)), xy, np.full(len(xy), 6 * unit), np.eye(4))
    known = ColmapPoints(Path("model"), {"a.jpg": view})
    told = str(known.apply(prediction, PICTURE, (120, 160), Output.METRES).anchoring)
    assert ("scale the reconstruction to metres first (colmap model_aligner)" in told) is doubted, told


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (
            np.array([1e10], np.float32),
            r"holds 1e\+?10 at 721 pixels, Blender.s, which would be known distances of 1e\+10 m",
        ),
        (np.array([2**31 - 1], np.int32), "holds 2147483647 at 721 pixels, the largest number of 32 bits, which"),
        (np.array([255], np.uint8), "holds 255 at 721 pixels, the largest number of 8 bits, which .* of 0.255 m"),
    ],
)
def test_a_code_for_nothing_here_is_no_known_distance(values: np.ndarray, said: str, tmp_path: Path) -> None:
    sparse = np.full((24, 32), values[0], values.dtype)
    sparse[::4, ::4] = 2
    sparse[0, 0] = values[0]
    np.save(tmp_path / "a.npy", sparse)
    with pytest.raises(LeadlineError, match=said):
        MappedPoints(tmp_path / "a.npy").points(tmp_path / "a.jpg", (24, 32))


def test_no_floor_is_seen_through_a_fish_eye() -> None:
    prediction = floor_and_wall(0.01)
    bent = replace(prediction, camera=replace(prediction.camera, lens=Lens(LensModel.KANNALA_BRANDT)))
    with pytest.raises(LeadlineError, match="need a pinhole camera"):
        CameraHeight(0.4).apply(bent, PICTURE, (120, 160), Output.METRES)
