from math import hypot, nan

import pytest
from PIL import ExifTags, Image

from leadline.io.exif import focal_px_from_exif


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
