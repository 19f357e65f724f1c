from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from leadline.backends.base import Estimate
from leadline.backends.base import Image as RgbImage
from leadline.errors import LeadlineError
from leadline.geometry.camera import Camera
from leadline.geometry.depth import Output
from leadline.geometry.lens import Lens, LensModel
from leadline.io.camera_files import CameraFile, camera_from_options
from leadline.prediction.known_distances import KnownDistance, known_lengths
from leadline.prediction.scale_calibration import Measured, fit_calibration, fit_scale, measure_points


class Flat:
    """2 everywhere, for a camera of 100 px."""

    name, working_size, concurrency = "flat", None, 1

    def __init__(self, output: Output = Output.METRES) -> None:
        self.output = output

    def assumed_camera(self, height: int, width: int) -> Camera | None:
        return None

    def estimate(self, images: Sequence[RgbImage], cameras: Sequence[Camera | None]) -> Estimate:
        (image,), (camera,) = images, cameras
        values = np.full((1, *image.shape[:2]), 2.0, np.float32)
        return Estimate(values if camera is None else values * np.float32(camera.focal_px / 100))


def logs(*ratios: float) -> list[np.ndarray]:
    return [np.log([ratio]) for ratio in ratios]


def test_the_scale_is_the_median_ratio_and_outliers_do_not_move_it() -> None:
    found = fit_scale(logs(1.2, 1.25, 1.3, 9.0, 0.1), "")
    assert found.scale == pytest.approx(1.25)


def test_errors_are_those_of_what_was_left_out() -> None:
    found = fit_scale(logs(1.0, 2.0, 4.0), "3 distances")
    # As it is: |1/1 - 1|, |1/2 - 1|, |1/4 - 1|.
    assert found.error_before == pytest.approx(0.5)
    # Without the first the scale is sqrt(2·4), without the second sqrt(1·4), without the third sqrt(1·2):
    # |sqrt(8)/1 - 1| = 1.83, |2/2 - 1| = 0, |sqrt(2)/4 - 1| = 0.65.
    assert found.error_after == pytest.approx(1 - np.sqrt(2) / 4)
    assert not found.helps
    assert str(found) == (
        "scale 2.000 not kept: median error on what was left out 64.6%, without it 50.0% (3 distances)"
    )


def test_a_common_factor_is_found_and_kept() -> None:
    found = fit_scale(logs(1.5, 1.5, 1.5), "3 distances")
    assert (found.scale, found.error_before, found.error_after) == pytest.approx((1.5, 1 / 3, 0))
    assert found.helps and str(found).startswith("scale 1.500 kept: median error on what was left out 0.0%, without")


def test_a_picture_counts_once_however_many_pixels_it_has() -> None:
    groups = [np.log(np.full(1000, 3.0)), *logs(1.1, 1.2)]
    assert fit_scale(groups, "").scale == pytest.approx(1.2)


@pytest.mark.parametrize("num", [0, 1, 2])
def test_fewer_than_three_are_refused(num: int) -> None:
    with pytest.raises(LeadlineError, match=f"a scale needs at least 3 measurements, got {num}: measure more"):
        fit_scale(logs(*[1.0] * num), "")


def points(values: Sequence[float], metres: Sequence[float]) -> list[Measured]:
    return [Measured(np.array([value]), np.array([depth_m])) for value, depth_m in zip(values, metres, strict=True)]


def test_metres_get_the_same_scale_from_values() -> None:
    found = fit_calibration(points([1, 2, 4], [1.5, 3, 6]), "3 distances")
    assert (found.scale, found.shift) == pytest.approx((1.5, 0)) and found.space is Output.METRES


@pytest.mark.parametrize("outlier", [False, True])
@pytest.mark.parametrize("space", [Output.DEPTH, Output.DISPARITY])
def test_five_points_give_scale_and_shift_in_the_models_own_space(space: Output, outlier: bool) -> None:
    values = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    target = [0.6, 1.1, 1.6, 2.1, 2.6, 3.1]  # 0.5 times the value, plus 0.1
    metres = [1 / it for it in target] if space is Output.DISPARITY else target
    if outlier:
        metres[3] *= 2
    num = 6 if outlier else 5
    found = fit_calibration(points(values[:num], metres[:num]), "5 distances", space)
    assert (found.scale, found.shift) == pytest.approx((0.5, 0.1), rel=5e-3)
    assert found.error_before is None and found.error_after == pytest.approx(0, abs=5e-3)
    assert found.helps and found.space is space


def test_the_error_of_scale_and_shift_is_that_of_what_was_left_out() -> None:
    found = fit_calibration(points([1, 2, 3], [1, 2, 6]), "3 distances in 1 picture", Output.DEPTH)
    # Through the other two: 4·value - 6 gives -2 at 1; 2.5·value - 1.5 gives 3.5 at 2; the value itself gives 3 at 3.
    # |-2/1 - 1| = 3, |3.5/2 - 1| = 0.75, |3/6 - 1| = 0.5.
    assert found.error_after == pytest.approx(0.75, rel=1e-6)
    assert str(found).endswith("of its depth kept: median error on what was left out 75.0% (3 distances in 1 picture)")


def test_disparity_is_judged_by_its_depth_at_most_a_kilometre() -> None:
    found = fit_calibration(points([1, 2, 3], [1, 1 / 2, 1 / 4]), "", Output.DISPARITY)
    # Through the other two disparities: 0 at 1, so 1 km for 1 m; 2.5 at 2, so 0.4 m for 0.5 m; 3 at 3, for 4.
    assert found.error_after == pytest.approx(1 / 3, rel=1e-6)


def test_two_points_are_enough_but_nothing_is_left_to_check_them_on() -> None:
    found = fit_calibration(points([1, 3], [2, 4]), "2 distances", Output.DEPTH)
    assert (found.scale, found.shift) == pytest.approx((1, 1))
    assert found.error_after is None and found.helps
    assert str(found) == (
        "scale 1 and shift 1 of its depth kept: not checked, as nothing could be left out (2 distances)"
    )


@pytest.mark.parametrize("values", [[], [1.0], [2.0, 2.0, 2.0]])
def test_points_at_one_value_fit_no_scale_and_shift(values: list[float]) -> None:
    with pytest.raises(LeadlineError, match=rf"at different values of the model, got {len(values)}: measure nearer"):
        fit_calibration(points(values, [1.0] * len(values)), "", Output.DISPARITY)


def test_disparity_that_rises_with_distance_is_refused() -> None:
    with pytest.raises(LeadlineError, match="the model's disparity falls where the measured one rises"):
        fit_calibration(points([1, 2, 3], [1, 2, 3]), "", Output.DISPARITY)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    Image.new("RGB", (201, 101)).save(tmp_path / "a.png")
    return tmp_path / "a.png"


def test_distances_along_the_axis_and_straight_from_the_camera(photo: Path) -> None:
    # 2 m everywhere at 100 px; the right border's middle is 100 px from the centre, 45° off the axis.
    known = [
        KnownDistance(photo, (100, 50), 3.0, False),
        KnownDistance(photo, (200, 50), 3.0, False),
        KnownDistance(photo, (200, 50), 3.0 * np.sqrt(2), True),
    ]
    groups = measure_points(Flat(), known, camera_from_options(focal_px=100))
    assert [(values.tolist(), metres.tolist()) for values, metres, _ in groups] == [([2.0], [pytest.approx(3.0)])] * 3
    # Half as far through half the focal length.
    (first, *_) = measure_points(Flat(), known, camera_from_options(focal_px=50))
    assert first.values.tolist() == [1.0]


def test_points_of_a_picture_are_left_out_together_where_there_are_enough(photo: Path) -> None:
    paths = [photo, *(photo.with_name(name) for name in ("b.png", "c.png"))]
    for path in paths[1:]:
        path.write_bytes(photo.read_bytes())
    known = [KnownDistance(path, (x, 5), 1.0, False) for path in paths for x in (5, 50)]
    camera = camera_from_options(focal_px=100)
    assert [len(group.values) for group in measure_points(Flat(), known, camera)] == [2, 2, 2]
    assert [len(group.values) for group in measure_points(Flat(), known[:4], camera)] == [1, 1, 1, 1]


def test_a_point_outside_names_its_picture(photo: Path) -> None:
    with pytest.raises(LeadlineError, match=r"a\.png: the point 201,0 lies outside of this picture of 201×101 pixels"):
        measure_points(Flat(), [KnownDistance(photo, (201, 0), 1.0, False)], camera_from_options(focal_px=100))


def test_values_without_a_unit_are_looked_up_as_they_are(photo: Path) -> None:
    (group,) = measure_points(Flat(Output.DISPARITY), [KnownDistance(photo, (3, 4), 5.0, False)])
    assert (group.values.tolist(), group.metres.tolist()) == ([2.0], [5.0])


def test_a_length_gives_the_scale_that_makes_it_right(tmp_path: Path) -> None:
    Image.new("RGB", (101, 101)).save(tmp_path / "a.png")
    given = camera_from_options(focal_px=100)
    # 40 px at 2 m with 100 px of focal length are 0.8 m.
    lengths = known_lengths(tmp_path / "a.png", [((30, 50), (70, 50), 1.2)])
    groups = measure_points(Flat(), lengths, given)
    assert groups[0].values.tolist() == pytest.approx([0.8]) and groups[0].metres.tolist() == [1.2]
    found = fit_calibration(groups, "1 distance", fewest=1)
    assert found.scale == pytest.approx(1.5) and found.helps and found.error_after is None
    with pytest.raises(LeadlineError, match="lengths give a model of metres its scale, got one of disparity"):
        measure_points(Flat(Output.DISPARITY), lengths, given)


def test_a_length_follows_its_image_out_of_a_lens(tmp_path: Path) -> None:
    Image.new("RGB", (321, 241)).save(tmp_path / "a.png")
    lens = Lens(LensModel.KANNALA_BRANDT)
    camera = CameraFile(np.array([[200, 0, 160], [0, 200, 120], [0, 0, 1.0]]), (241, 321), lens)
    given = camera_from_options(camera=camera, undistort=True)
    reach = 200 * np.arctan(0.6)
    lengths = known_lengths(tmp_path / "a.png", [((160 - reach, 120), (160 + reach, 120), 1.2)])
    assert measure_points(Flat(), lengths, given)[0].values.tolist() == pytest.approx([4 * 240 / 200], rel=1e-3)


def test_a_length_without_extent_is_refused(tmp_path: Path) -> None:
    Image.new("RGB", (101, 101)).save(tmp_path / "a.png")
    with pytest.raises(LeadlineError, match="both ends of a length are at 30,50"):
        lengths = known_lengths(tmp_path / "a.png", [((30, 50), (30, 50), 1.2)])
        measure_points(Flat(), lengths, camera_from_options(focal_px=100))
    with pytest.raises(LeadlineError, match="a length is a positive number of metres, got -1"):
        known_lengths(tmp_path / "a.png", [((30, 50), (40, 50), -1.0)])


def test_a_length_in_centimetres_is_doubted_aloud() -> None:
    assert "a factor of 100 is more than a model errs by" in str(fit_scale(logs(100.0), "1 distance", fewest=1))
    assert "model errs" not in str(fit_scale(logs(1.6), "1 distance", fewest=1))
