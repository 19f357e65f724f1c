from math import cos, hypot, nan, radians, sin

import pytest
from PIL import ExifTags, Image

from leadline.geometry.lens import LensModel
from leadline.io.exif import focal_px_from_exif, lens_from_exif, lens_from_xmp


def exif(**tags: object) -> Image.Exif:
    """A block as read from a file, with values that no writer would put there."""
    block = Image.Exif()
    found = {ExifTags.Base[name]: value for name, value in tags.items()}
    block.get_ifd = lambda tag: found if tag == ExifTags.IFD.Exif else {}  # type: ignore[method-assign]
    return block


def test_focal_length_from_the_35_mm_equivalent_goes_by_the_diagonal():
    expected = 26 * hypot(4000, 3000) / hypot(36, 24)  # 3004.6 pixels
    assert focal_px_from_exif(exif(FocalLengthIn35mmFilm=26), (4000, 3000)) == pytest.approx(expected)
    assert focal_px_from_exif(exif(FocalLengthIn35mmFilm=26), (3000, 4000)) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("unit", "per_unit"), [(2, 25400.0), (3, 10000.0), (4, 1000.0), (5, 1.0), (1, 25400.0), (99, 25400.0)]
)
def test_focal_length_from_the_sensor(unit, per_unit):
    # 1000 pixels per mm and a lens of 4.2 mm: 4200 pixels
    block = exif(FocalLength=4.2, FocalPlaneXResolution=per_unit, FocalPlaneResolutionUnit=unit)
    assert focal_px_from_exif(block, (4000, 3000)) == pytest.approx(4200.0)


def test_focal_length_from_the_sensor_counts_inches_by_default():
    assert focal_px_from_exif(exif(FocalLength=4.2, FocalPlaneXResolution=25400.0), (4000, 3000)) == pytest.approx(
        4200.0
    )


def test_focal_length_from_the_sensor_follows_a_later_resize():
    block = exif(FocalLength=4.2, FocalPlaneXResolution=25400.0, ExifImageWidth=4000, ExifImageHeight=3000)
    assert focal_px_from_exif(block, (1000, 750)) == pytest.approx(1050.0)
    assert focal_px_from_exif(block, (750, 1000)) == pytest.approx(1050.0)


@pytest.mark.parametrize(
    "tags",
    [
        {},
        {"FocalLengthIn35mmFilm": 0},  # EXIF's "unknown"
        {"FocalLengthIn35mmFilm": nan},
        {"FocalLengthIn35mmFilm": "wide"},
        {"FocalLengthIn35mmFilm": (26, 26)},
        {"FocalLengthIn35mmFilm": -26},
        {"FocalLengthIn35mmFilm": 1},  # 0.03 of the long side: no lens
        {"FocalLength": 4.2},
        {"FocalPlaneXResolution": 25400.0},
        {"FocalLength": 4.2, "FocalPlaneXResolution": 1e12},
    ],
)
def test_a_focal_length_that_is_missing_or_absurd_is_unknown(tags):
    assert focal_px_from_exif(exif(**tags), (4000, 3000)) is None


SHOT = {"ExifImageWidth": 4000, "ExifImageHeight": 3000}


@pytest.mark.parametrize(
    ("size", "share"),
    [
        ((4000, 3000), 1.0),
        ((3000, 4000), 1.0),  # turned
        ((800, 600), 0.2),  # resized
        ((801, 600), 0.20025),
        ((4000, 2250), 1.0),  # cut
        ((3000, 3000), 1.0),
        ((1080, 1080), None),  # cut and resized, or squeezed: nobody knows
        ((3900, 2000), None),
    ],
)
@pytest.mark.parametrize(
    ("tags", "focal_px"),
    [
        ({"FocalLengthIn35mmFilm": 26}, 26 * 5000 / hypot(36, 24)),
        ({"FocalLength": 4.2, "FocalPlaneXResolution": 25400.0}, 4200.0),
    ],
)
def test_a_cut_keeps_the_focal_length_and_a_resize_does_not(tags, focal_px, size, share):
    found = focal_px_from_exif(exif(**tags, **SHOT), size)
    assert found == (None if share is None else pytest.approx(focal_px * share))


@pytest.mark.parametrize(("ratio", "times"), [(2.0, 2.0), (0.0, 1.0), (nan, 1.0)])  # 0 is EXIF's "not used"
def test_digital_zoom_is_in_the_35_mm_equivalent_alone(ratio, times):
    lens = exif(FocalLength=4.2, FocalPlaneXResolution=25400.0, DigitalZoomRatio=ratio)
    assert focal_px_from_exif(lens, (4000, 3000)) == pytest.approx(4200 * times)
    film = exif(FocalLengthIn35mmFilm=26, DigitalZoomRatio=ratio)
    assert focal_px_from_exif(film, (4000, 3000)) == pytest.approx(26 * 5000 / hypot(36, 24))


def test_panoramas_are_told_by_google_s_block():
    for block in (b'<rdf x GPano:ProjectionType="equirectangular"/>', b"<GPano:ProjectionType>cylindrical</GPano"):
        lens = lens_from_xmp(block)
        assert lens is not None and lens.model is LensModel.PANORAMA and str(lens).endswith(" panorama")
    assert lens_from_xmp(b'<rdf:Description pano:ProjectionType="equirectangular"/>') is not None  # a prefix is free
    assert lens_from_xmp(b"") is None and lens_from_xmp(b'GPano:ProjectionType="rectilinear"') is None


@pytest.mark.parametrize(("size", "known"), [((4000, 1700), True), ((9000, 3000), False), ((1500, 7000), False)])
def test_a_panorama_has_no_focal_length(size: tuple[int, int], known: bool):
    shot = {"ExifImageWidth": size[0], "ExifImageHeight": size[1]}
    for tags in ({}, shot):
        assert (focal_px_from_exif(exif(FocalLengthIn35mmFilm=26, **tags), size) is not None) is known


def test_a_strip_cut_out_of_a_picture_keeps_its_focal_length():
    tags = {"ExifImageWidth": 4000, "ExifImageHeight": 3000}
    block = exif(FocalLengthIn35mmFilm=26, **tags)
    assert focal_px_from_exif(block, (4000, 1000)) == focal_px_from_exif(block, (4000, 3000))


def test_the_phones_own_focal_length_is_no_35_mm_equivalent():
    assert focal_px_from_exif(exif(FocalLengthIn35mmFilm=4, FocalLength=4.25), (4000, 3000)) is None
    known = exif(FocalLengthIn35mmFilm=4, FocalLength=4.2, FocalPlaneXResolution=25400.0)
    assert focal_px_from_exif(known, (4000, 3000)) == pytest.approx(4200.0)


def test_a_fish_eye_is_told_by_its_name():
    lens = lens_from_exif(exif(LensModel="EF8-15mm f/4L FISHEYE USM"))
    assert lens is not None and not lens.can_be_removed
    assert str(lens) == "fish-eye lens 'EF8-15mm f/4L FISHEYE USM'"
    assert lens_from_exif(exif(LensModel="Fish-Eye 7.5")) is not None
    assert lens_from_exif(exif(LensModel="EF50mm f/1.8")) is None and lens_from_exif(exif(LensModel=b"x")) is None


CUT = b"""<rdf:Description crs:HasCrop="%s" crs:AlreadyApplied="%s"
 crs:CropTop="0.25" crs:CropLeft="0.5" crs:CropBottom="0.75" crs:CropRight="1" crs:CropAngle="0"/>"""


@pytest.mark.parametrize("size", [(1500, 1000), (1000, 1500)])  # half of 3000×2000, turned since or not
def test_what_adobe_s_programs_cut_off_counts(size: tuple[int, int]):
    tags = exif(FocalLengthIn35mmFilm=26, ExifImageWidth=size[0], ExifImageHeight=size[1])
    whole = 26 * hypot(3000, 2000) / hypot(36, 24)
    assert focal_px_from_exif(tags, size, CUT % (b"True", b"True")) == pytest.approx(whole)
    elements = b"<crs:HasCrop>True</crs:HasCrop><crs:AlreadyApplied>True</crs:AlreadyApplied>"
    elements += b"<crs:CropLeft>0.5</crs:CropLeft><crs:CropRight>1.0</crs:CropRight>"
    elements += b"<crs:CropTop>0</crs:CropTop><crs:CropBottom>0.500000</crs:CropBottom>"
    assert focal_px_from_exif(tags, size, elements) == pytest.approx(whole)
    damaged = (
        CUT.replace(b"0.75", values) % (b"True", b"True") for values in (b"?", b"0.25", b"0.250000001", b"1e999")
    )
    for xmp in (CUT % (b"True", b"False"), CUT % (b"False", b"True"), *damaged):
        assert focal_px_from_exif(tags, size, xmp) == pytest.approx(whole / 2)


@pytest.mark.parametrize("angle", [3.0, -3.0, 30.0])
def test_what_adobe_s_programs_made_straight_is_of_the_whole_picture(angle: float):
    turn = radians(angle)
    wide, high = 1500, 1000  # of 3000×2000, between corners that were turned with it
    across, down = wide * cos(turn) - high * sin(turn), high * cos(turn) + wide * sin(turn)
    xmp = b'crs:HasCrop="True" crs:AlreadyApplied="True" crs:CropLeft="0.25" crs:CropTop="0.125" crs:CropAngle="%g"'
    xmp = xmp % angle + b' crs:CropRight="%.6f" crs:CropBottom="%.6f"' % (0.25 + across / 3000, 0.125 + down / 2000)
    plane = {"FocalLength": 24, "FocalPlaneXResolution": 3000 / 36 * 25.4, "LensModel": "EF24mm f/2.8"}
    for size in ((wide, high), (high, wide)):
        told = exif(FocalLengthIn35mmFilm=26, ExifImageWidth=size[0], ExifImageHeight=size[1])
        assert focal_px_from_exif(told, size, xmp) == pytest.approx(26 * hypot(3000, 2000) / hypot(36, 24), rel=1e-4)
        assert focal_px_from_exif(exif(**plane), size, xmp) == pytest.approx(24 * 3000 / 36)
    for strange in (b"90", b"1e999", b"?"):
        focal_px_from_exif(told, size, xmp.replace(b"%g" % angle, strange))  # and no error


@pytest.mark.parametrize(
    ("size", "px_per_mm"),
    [
        *(((5472, 3648), 150.0), ((8192, 5464), 8192 / 36.04), ((4480, 4480), 186.6), ((4160, 2768), 186.6)),  # Canon's
        *(((5184, 3456), 225.0), ((5184, 3456), 225.5), ((4896, 3264), 4896 / 27.9), ((6768, 4512), 241.9)),
        *(((5472, 3648), 5472 / 13.2), ((4000, 3000), 13652 / 25.4), ((4000, 3000), 16393 / 25.4)),
        *(((4896, 2760), 209.2), ((3264, 3264), 209.2), ((8176, 6132), 8176 / 49.0)),
    ],
)
def test_a_lens_before_a_sensor_that_is_made_tells_the_focal_length(size: tuple[int, int], px_per_mm: float):
    tags = {"FocalLength": 24, "FocalPlaneXResolution": px_per_mm, "FocalPlaneResolutionUnit": 4, "LensModel": "24mm"}
    for shot in (size, size[::-1]):
        found = focal_px_from_exif(exif(**tags, ExifImageWidth=shot[0], ExifImageHeight=shot[1]), shot)
        assert found == pytest.approx(24 * px_per_mm)


@pytest.mark.parametrize("size", [(2880, 1920), (3000, 2000), (3360, 2240), (2048, 1365)])
@pytest.mark.parametrize("wide_px", [5760, 6720])
def test_full_frames_that_were_exported_smaller_are_no_rare_camera_s(size: tuple[int, int], wide_px: int):
    # 5760 of 36 mm exported 3000 wide have the pixels per inch of a sensor of 18.7 mm, which a PowerShot has.
    plane = {"FocalLength": 24, "FocalPlaneXResolution": wide_px / 36 * 25.4, "LensModel": "EF24mm f/2.8"}
    assert focal_px_from_exif(exif(**plane, ExifImageWidth=size[0], ExifImageHeight=size[1]), size) is None


@pytest.mark.parametrize(
    ("size", "known"),
    [((5184, 3456), True), ((4608, 3456), True), ((5184, 2916), True), ((2048, 1365), False), ((1365, 2048), False)],
)
def test_a_lens_before_a_sensor_that_nobody_makes_was_resized(size: tuple[int, int], known: bool):
    # An editor put the new size where the camera had its own, and left the pixels per inch: 5184 over 22.3 mm.
    plane = {"FocalLength": 24, "FocalPlaneXResolution": 5184 / 22.3 * 25.4}
    tags = {**plane, "ExifImageWidth": size[0], "ExifImageHeight": size[1]}
    found = focal_px_from_exif(exif(**tags, LensModel="EF24mm f/2.8"), size)
    assert found == (pytest.approx(24 * 5184 / 22.3) if known else None)
    resized = exif(**plane, LensModel="EF24mm f/2.8", ExifImageWidth=5184, ExifImageHeight=3456)
    if size[0] in (2048, 1365):
        assert focal_px_from_exif(resized, size) == pytest.approx(
            24 * 2048 / 22.3, rel=1e-3
        )  # told by a size that was kept
