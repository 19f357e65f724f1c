from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from leadline.errors import LeadlineError
from leadline.geometry.camera import Camera
from leadline.geometry.lens import Lens, LensModel
from leadline.io.depth_files import read_depth_png, read_npz
from leadline.models.heads import Estimate
from leadline.models.model import DepthModel
from leadline.prediction.prediction import predict


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A picture of 60×80 without EXIF."""
    return save_photo(tmp_path / "photo.png", 60, 80)


def save_photo(path: Path, height: int, width: int, **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path, **options)  # type: ignore[arg-type]
    return path


def test_a_prediction_says_what_it_is(photo: Path, tiny_model: DepthModel) -> None:
    prediction = predict(photo, tiny_model)
    assert prediction.depth_m.shape == prediction.valid.shape == (60, 80)
    assert prediction.depth_m.dtype == np.float32
    assert prediction.rgb.shape == (60, 80, 3)
    near_m, median_m, far_m = prediction.summary
    assert 0.5 <= near_m <= median_m <= far_m <= 10
    assert prediction.camera.source == "assumed"
    # Trained with 40 px at an area of 36·48 pixels; the picture has (80/48)² of that.
    assert prediction.focal_px == pytest.approx(40 * 80 / 48)


def test_files_arrays_tensors_and_pil_images_give_the_same(photo: Path, tiny_model: DepthModel) -> None:
    image = Image.open(photo)
    pixels = np.asarray(image)
    tensor = torch.from_numpy(pixels.copy()).permute(2, 0, 1)
    wanted = predict(photo, tiny_model).depth_m
    for given in (str(photo), image, pixels, pixels / 255.0, tensor, tensor / 255):
        assert np.array_equal(predict(given, tiny_model).depth_m, wanted)
    coarse = (tensor / 255).bfloat16()  # which NumPy does not know
    assert np.array_equal(predict(coarse, tiny_model).depth_m, predict(coarse.float(), tiny_model).depth_m)


@pytest.mark.parametrize(
    "given", [np.zeros((4, 4)), np.full((4, 4, 3), 7.0), torch.zeros(1, 3, 4, 4), np.zeros((4, 4, 4))]
)
def test_what_is_no_picture_is_refused(given: object, tiny_model: DepthModel) -> None:
    with pytest.raises(LeadlineError, match="a picture must be"):
        predict(given, tiny_model)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "given", [np.zeros((0, 5, 3), np.uint8), torch.zeros(3, 5, 0), Image.new("RGB", (0, 5)), np.zeros(0)]
)
def test_an_empty_picture_is_refused(given: object, tiny_model: DepthModel) -> None:
    with pytest.raises(LeadlineError, match="a picture must have pixels, got one of size"):
        predict(given, tiny_model)  # type: ignore[arg-type]


def test_metres_follow_the_focal_length(photo: Path, tiny_model: DepthModel) -> None:
    assumed = predict(photo, tiny_model)
    assert assumed.focal_px is not None
    given = predict(photo, tiny_model, focal_px=3 * assumed.focal_px)
    assert given.camera.source == "given"
    assert np.allclose(given.depth_m, 3 * assumed.depth_m)
    # 90° across 80 pixels: 40 px.
    by_fov = predict(photo, tiny_model, fov_deg=90)
    assert by_fov.focal_px == pytest.approx(40)
    assert np.allclose(by_fov.depth_m, predict(photo, tiny_model, focal_px=40).depth_m)


def test_the_focal_length_of_exif_is_used(tmp_path: Path, tiny_model: DepthModel) -> None:
    exif = Image.Exif()
    exif[0x8769] = {0xA405: 43}  # 43 mm of 35 mm film: its diagonal, so as many pixels as the picture's diagonal
    photo = save_photo(tmp_path / "phone.jpg", 60, 80, exif=exif)
    prediction = predict(photo, tiny_model)
    assert prediction.camera.source == "EXIF"
    assert prediction.focal_px == pytest.approx(100, rel=0.02)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"focal_px": -1.0}, "positive number of pixels, got -1"),
        ({"focal_px": 50.0, "fov_deg": 60.0}, "not both"),
        ({"fov_deg": 200.0}, "200"),
    ],
)
def test_impossible_cameras_are_refused(
    photo: Path, tiny_model: DepthModel, words: dict[str, float], message: str
) -> None:
    with pytest.raises(LeadlineError, match=message):
        predict(photo, tiny_model, **words)  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [(1, 1), (1, 400), (300, 3), (97, 131)])
def test_any_size_comes_back_as_it_went_in(tmp_path: Path, tiny_model: DepthModel, size: tuple[int, int]) -> None:
    prediction = predict(save_photo(tmp_path / "a.png", *size), tiny_model)
    assert prediction.depth_m.shape == size
    assert np.isfinite(prediction.depth_m).all()


def test_pictures_beyond_the_budget_come_smaller_with_their_camera(tmp_path: Path, tiny_model: DepthModel) -> None:
    photo = save_photo(tmp_path / "large.png", 300, 400)
    whole, small = predict(photo, tiny_model), predict(photo, tiny_model, max_pixels=30_000)
    assert small.depth_m.shape == (150, 200)
    assert whole.focal_px is not None
    assert small.focal_px == pytest.approx(whole.focal_px / 2)

    # A camera that is given is that of the whole picture.
    matrix = np.array([[500, 0, 150.0], [0, 510, 180.0], [0, 0, 1]])
    half = np.array([[250, 0, 74.75], [0, 255, 89.75], [0, 0, 1]])  # x to (x + 0.5) / 2 - 0.5
    np.testing.assert_allclose(predict(photo, tiny_model, max_pixels=30_000, camera=matrix).intrinsics, half)
    assert predict(photo, tiny_model, max_pixels=30_000, focal_px=500).focal_px == 250


def test_intrinsics_reach_metres_and_files(photo: Path, tmp_path: Path, tiny_model: DepthModel) -> None:
    camera = tmp_path / "camera.json"
    # Twice the picture's size.
    camera.write_text('{"fx": 240, "fy": 242, "cx": 59.5, "cy": 69.5, "width": 160, "height": 120}')
    wanted = np.array([[120, 0, 29.5], [0, 121, 34.5], [0, 0, 1]], np.float32)
    for intrinsics in (camera, str(camera), wanted):
        prediction = predict(photo, tiny_model, camera=intrinsics)
        np.testing.assert_array_equal(prediction.intrinsics, wanted)
        assert (prediction.focal_px, prediction.focal) == (120, "focal 120 px (given)")
        assert np.array_equal(prediction.depth_m, predict(photo, tiny_model, focal_px=120).depth_m)


def test_the_written_files_agree(photo: Path, tmp_path: Path, tiny_model: DepthModel) -> None:
    prediction = predict(photo, tiny_model)
    paths = prediction.save(tmp_path / "out" / "photo")
    assert [path.name for path in paths] == ["photo_depth.png", "photo_color.png", "photo.npz"]
    stored = read_npz(paths[2])
    assert np.array_equal(stored.depth_m, prediction.depth_m)
    assert stored.intrinsics[0, 0] == pytest.approx(prediction.focal_px)
    assert np.abs(read_depth_png(paths[0]).depth_m - prediction.depth_m).max() <= 0.0005 + 1e-6


def test_uncertainty_follows_the_metres(photo: Path, tiny_model: DepthModel, monkeypatch: pytest.MonkeyPatch) -> None:
    assert predict(photo, tiny_model).uncertainty_m is None
    depth_alone = tiny_model.estimate

    def estimate(image: torch.Tensor, focal_px: torch.Tensor) -> Estimate:
        return Estimate(depth_alone(image, focal_px).depth_m, 0.1 + 0 * image[:, :1])

    monkeypatch.setattr(tiny_model, "estimate", estimate)
    for focal_px in (50.0, 100.0):
        prediction = predict(photo, tiny_model, focal_px=focal_px)
        assert prediction.uncertainty_m is not None and prediction.uncertainty_m.dtype == np.float32
        np.testing.assert_allclose(prediction.uncertainty_m, 0.1 * prediction.depth_m, rtol=1e-5)


def test_a_pil_image_is_looked_at_as_its_file_is(tmp_path: Path, tiny_model: DepthModel) -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x8769] = 6, {0xA405: 43}  # its left side is the top
    turned = save_photo(tmp_path / "phone.jpg", 60, 80, exif=exif)
    grey = tmp_path / "grey.png"
    Image.fromarray(np.linspace(0, 65535, 60 * 80).reshape(60, 80).astype(np.uint16)).save(grey)
    clear = tmp_path / "clear.png"
    Image.new("RGBA", (80, 60), (10, 20, 30, 0)).save(clear)
    for path in (turned, grey, clear):
        with Image.open(path) as image:
            given, wanted = predict(image, tiny_model), predict(path, tiny_model)
        assert np.array_equal(given.rgb, wanted.rgb) and np.array_equal(given.depth_m, wanted.depth_m)
        assert (given.focal_px, given.camera.source) == (wanted.focal_px, wanted.camera.source)


def test_a_prediction_is_saved_under_a_name_given_as_text(photo: Path, tmp_path: Path, tiny_model: DepthModel) -> None:
    assert predict(photo, tiny_model).save(f"{tmp_path}/out/it", ["depth"]) == [tmp_path / "out" / "it_depth.png"]


@pytest.mark.parametrize("tiled", [False, True])
def test_a_squeezed_picture_has_the_whole_ones_metres(tiny_model: DepthModel, tiled: bool) -> None:
    """Of smooth colours, so that nothing is lost where rows are left out."""
    rows, columns = np.mgrid[:240, :320] / 320
    whole = np.stack([rows, columns, rows * columns], axis=-1).astype(np.float32)
    half = whole.reshape(120, 2, 320, 3).mean(1)
    wanted = predict(whole, tiny_model, focal_px=300, tiled=tiled).depth_m
    camera = Camera(fx=300, fy=150, cx=159.5, cy=59.5, width=320, height=120)
    found = predict(half, tiny_model, camera=camera, tiled=tiled)
    assert found.depth_m.shape == (120, 320) and found.focal_px == 300
    np.testing.assert_allclose(found.depth_m, wanted.reshape(120, 2, 320).mean(1), rtol=0.01)
    assert abs(predict(half, tiny_model, focal_px=300, tiled=tiled).depth_m / found.depth_m - 1).mean() > 0.05


BENT = Lens(LensModel.RADIAL_TANGENTIAL, (-0.3,))


def bent_camera() -> Camera:
    return Camera(fx=60, fy=60, cx=39.5, cy=29.5, width=80, height=60, lens=BENT)


def test_a_lens_is_said_with_depth_and_refused_in_space(photo: Path, tmp_path: Path, tiny_model: DepthModel) -> None:
    prediction = predict(photo, tiny_model, camera=bent_camera())
    assert (
        prediction.focal
        == "focal 60 px (given); no pinhole (radial-tangential -0.3): depths are off, most at the edges"
    )
    assert [path.name for path in prediction.save(tmp_path / "ok", ["depth", "npz"])] == ["ok_depth.png", "ok.npz"]
    for name in ("ply", "points", "glb"):
        with pytest.raises(LeadlineError, match=r"need a pinhole camera, .* radial-tangential -0\.3: undistort"):
            prediction.save(tmp_path / "refused", ["depth", name])
    assert not list(tmp_path.glob("refused*"))


def test_an_undistorted_prediction_is_of_what_a_pinhole_sees(
    photo: Path, tmp_path: Path, tiny_model: DepthModel
) -> None:
    pincushion = Camera(**{**bent_camera().__dict__, "lens": Lens(LensModel.RADIAL_TANGENTIAL, (0.3,))})
    prediction = predict(photo, tiny_model, camera=pincushion, undistort=True)
    assert prediction.focal == "focal 60 px (given), undistorted"
    # A corner at r² = 0.68 was 20 % farther out, and so outside of the photo; the middle stays.
    assert not prediction.valid[0, 0] and prediction.valid[30, 40]
    assert not prediction.rgb[0, 0].any()
    _, wanted, _ = pincushion.without_lens(np.asarray(Image.open(photo)))
    assert np.array_equal(prediction.rgb, wanted)
    assert prediction.save(tmp_path / "cloud", ["ply"])


def test_panoramas_are_said_and_refused(tmp_path: Path, tiny_model: DepthModel) -> None:
    xmp = b'<x:xmpmeta><rdf:Description GPano:ProjectionType="equirectangular"/></x:xmpmeta>'
    photo = save_photo(tmp_path / "around.jpg", 60, 120, xmp=xmp)
    prediction = predict(photo, tiny_model)
    assert "(assumed); no pinhole (equirectangular panorama)" in prediction.focal
    with pytest.raises(LeadlineError, match="equirectangular panorama"):
        prediction.save(tmp_path / "out", ["points"])


def test_a_prediction_keeps_its_image_when_the_caller_fills_the_array_anew(flat_model: DepthModel) -> None:
    image = np.zeros((24, 32, 3), np.uint8)
    found = predict(image, flat_model, focal_px=100)
    image[:] = 255
    assert not found.rgb.any()


def test_a_picture_divided_twice_is_refused(flat_model: DepthModel) -> None:
    with pytest.raises(LeadlineError, match=r"got one up to 0\.0039, which is black: was it divided by 255 twice"):
        predict(np.full((4, 4, 3), 255) / 255 / 255, flat_model)
    assert predict(np.zeros((4, 4, 3)), flat_model, focal_px=4).depth_m.shape == (4, 4)  # a lens behind its cap


def test_shares_in_bytes_are_refused(flat_model: DepthModel) -> None:
    shares = np.linspace(0, 1, 48).reshape(4, 4, 3)
    with pytest.raises(LeadlineError, match="of 0 and 1 alone, which is black: multiply shares by 255"):
        predict(shares.astype(np.uint8), flat_model)
    assert predict((shares * 2).astype(np.uint8), flat_model, focal_px=4).depth_m.shape == (4, 4)


def test_an_open_file_is_no_picture(flat_model: DepthModel, photo: Path) -> None:
    with photo.open("rb") as file, pytest.raises(LeadlineError, match="got a BufferedReader: convert it"):
        predict(file, flat_model)  # type: ignore[arg-type]


@pytest.mark.parametrize("picture", [None, b"\x89PNG", [[[0, 0, 0]]], 3])
def test_what_can_be_no_picture_is_one_line(flat_model: DepthModel, picture: Any) -> None:
    with pytest.raises(LeadlineError, match=f"got a {type(picture).__name__}: convert it"):
        predict(picture, flat_model)


def test_a_masked_array_is_an_array(photo: Path, tiny_model: DepthModel) -> None:
    """Pixels that are masked out are still the image's."""
    rgb = np.asarray(Image.open(photo))

    prediction = predict(np.ma.masked_array(rgb, rgb > 10), tiny_model)

    assert type(prediction.rgb) is np.ndarray
    assert np.array_equal(prediction.depth_m, predict(rgb, tiny_model).depth_m)
