"""Lenses by hand-worked numbers, and by taking a picture through one and back."""

import warnings

import numpy as np
import pytest

from leadline.errors import LeadlineError
from leadline.geometry.camera import Camera
from leadline.geometry.lens import Lens, LensModel, resample

RADIAL = Lens(LensModel.RADIAL_TANGENTIAL, (-0.3, 0.1, 0.01, -0.02))
CAMERA = Camera(fx=100.0, fy=100.0, cx=49.5, cy=39.5, width=100, height=80)


def seen_at(lens: Lens, x: float, y: float) -> tuple[float, float]:
    found = lens.distorted(np.array([x]), np.array([y]))
    return float(found[0][0]), float(found[1][0])


def test_radial_and_tangential_shifts_are_opencvs() -> None:
    # r² = 0.25: radial 1 - 0.3·0.25 + 0.1·0.0625 = 0.93125; tangential x: 2·0.01·0.12 - 0.02·(0.25 + 0.18)
    assert seen_at(RADIAL, 0.3, 0.4) == pytest.approx(
        (0.3 * 0.93125 + 0.0024 - 0.0086, 0.4 * 0.93125 + 0.01 * (0.25 + 0.32) + 2 * -0.02 * 0.12)
    )


def test_the_rational_model_divides() -> None:
    lens = Lens(LensModel.RADIAL_TANGENTIAL, (0.0, 0.0, 0.0, 0.0, 0.0, 1.0))  # k4 = 1, r² = 1
    assert seen_at(lens, 1.0, 0.0) == pytest.approx((0.5, 0.0))


def test_a_fish_eye_without_coefficients_shows_angles() -> None:
    lens = Lens(LensModel.KANNALA_BRANDT)
    assert seen_at(lens, 1.0, 0.0) == pytest.approx((np.pi / 4, 0.0))
    assert seen_at(lens, 0.0, 0.0) == (0.0, 0.0)
    bent = Lens(LensModel.KANNALA_BRANDT, (0.1,))
    assert seen_at(bent, 0.0, 1.0) == pytest.approx((0.0, np.pi / 4 * (1 + 0.1 * (np.pi / 4) ** 2)))


def test_realsenses_inverse_model_goes_back() -> None:
    inverse = Lens(LensModel.INVERSE_RADIAL_TANGENTIAL, RADIAL.coefficients)
    assert seen_at(inverse, *seen_at(RADIAL, 0.3, 0.4)) == pytest.approx((0.3, 0.4), abs=1e-6)


def test_a_mirror_turns_the_sideways_shift_over() -> None:
    x, y = seen_at(RADIAL, 0.3, 0.4)
    assert seen_at(RADIAL.mirrored(), -0.3, 0.4) == pytest.approx((-x, y))


@pytest.mark.parametrize(
    ("lens", "is_pinhole"),
    [
        (None, True),
        (Lens(LensModel.RADIAL_TANGENTIAL, (0.1,)), True),  # corners at r² = 0.41: 4.1 %
        (Lens(LensModel.RADIAL_TANGENTIAL, (-0.13,)), False),  # 5.3 %
        (Lens(LensModel.KANNALA_BRANDT), False),  # 1 - atan(0.64) / 0.64 = 11 %
        (Lens(LensModel.PANORAMA, name="equirectangular"), False),
        (Lens(LensModel.OTHER, name="omni"), False),
    ],
)
def test_a_weak_distortion_is_still_a_pinhole(lens: Lens | None, is_pinhole: bool) -> None:
    camera = Camera(**{**CAMERA.__dict__, "lens": lens})
    assert camera.is_pinhole == is_pinhole
    assert camera.resized(200, 160).is_pinhole == is_pinhole


@pytest.mark.parametrize("lens", [RADIAL, Lens(LensModel.KANNALA_BRANDT, (0.05,))])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_the_image_becomes_a_pinholes(lens: Lens, dtype: type) -> None:
    """Columns and rows as colours: after undistortion each pixel tells where the lens showed it."""
    rows, columns = np.mgrid[:80, :100]
    camera = Camera(**{**CAMERA.__dict__, "lens": lens, "undistort": True})
    after, image, seen = camera.without_lens(np.stack([columns, rows, rows], axis=-1).astype(dtype))
    assert after.lens is None and after.matrix.tolist() == CAMERA.matrix.tolist() and image.dtype == dtype
    x, y = seen_at(lens, (80 - 49.5) / 100, (10 - 39.5) / 100)
    assert seen[10, 80]
    np.testing.assert_allclose(
        image[10, 80, :2], (x * 100 + 49.5, y * 100 + 39.5), atol=0.51 if dtype is np.uint8 else 1e-3
    )


def test_what_the_lens_did_not_show_is_marked() -> None:
    image, seen = resample(
        np.full((2, 2, 1), 7.0, np.float32), np.array([[0.5, -0.1, 1.2]]), np.array([[0.5, 0.0, 1.0]])
    )
    assert seen.tolist() == [[True, False, False]] and image[..., 0].tolist() == [[7.0, 0.0, 0.0]]


@pytest.mark.parametrize("lens", [None, Lens(LensModel.PANORAMA, name="equirectangular panorama")])
def test_what_cannot_be_undistorted_is_refused(lens: Lens | None) -> None:
    with pytest.raises(LeadlineError, match=r"no distortion is known|panorama cannot be undistorted"):
        Camera(**{**CAMERA.__dict__, "lens": lens}).without_lens(np.zeros((80, 100, 3), np.uint8))


@pytest.mark.parametrize(
    "lens",
    [
        RADIAL,
        Lens(LensModel.INVERSE_RADIAL_TANGENTIAL, RADIAL.coefficients),
        Lens(LensModel.KANNALA_BRANDT, (0.1, -0.02, 0.003)),
    ],
)
def test_each_model_leads_back(lens: Lens) -> None:
    x, y = lens.undistorted(*(np.array([value]) for value in seen_at(lens, 0.3, 0.4)))
    assert (x[0], y[0]) == pytest.approx((0.3, 0.4), abs=1e-6)


def test_places_follow_their_image_out_of_the_lens() -> None:
    lens = Lens(LensModel.KANNALA_BRANDT)
    camera = Camera(fx=100, fy=100, cx=159.5, cy=119.5, width=320, height=240, lens=lens)
    places = np.array([[159.5, 119.5], [159.5 + 100 * np.pi / 4, 119.5], [159.5 + 158, 119.5]])
    assert camera.since_without_lens(places).tolist() == places.tolist()  # the lens is still there
    image = np.zeros((240, 320, 3), np.uint8)
    pinhole = camera.without_lens(image)[0]
    assert pinhole.since_without_lens(places)[:2] == pytest.approx(np.array([[159.5, 119.5], [259.5, 119.5]]))
    assert np.isnan(pinhole.since_without_lens(places)[2]).all()  # 158 / 100 is more than a right angle has
    with warnings.catch_warnings(action="error"):
        assert np.isnan(pinhole.since_without_lens(np.array([[319.0, 239.0]]))).all()
    mirrored = pinhole.mirrored().since_without_lens(np.array([[159.5 - 100 * np.pi / 4, 119.5]]))
    assert mirrored == pytest.approx(np.array([[59.5, 119.5]]))
