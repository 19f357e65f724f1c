"""The focal length in a picture's EXIF block, and whether that or its XMP block names a lens that is no pinhole."""

import re
from collections.abc import Sequence
from math import cos, hypot, isfinite, log, radians, sin

from PIL import ExifTags, Image

from leadline.errors import LeadlineError
from leadline.geometry import Camera, Lens, LensModel

_FILM_DIAGONAL_MM = hypot(36.0, 24.0)


_MM_PER_UNIT = {
    2: 25.4,
    3: 10.0,
    4: 1.0,
    5: 0.001,
}  # EXIF's FocalPlaneResolutionUnit: inch, cm, mm, micrometre


_LEAST_FILM_MM = 7.0
"""Numbers below are no 35 mm equivalent but a phone's own focal length in its place: nobody builds such lenses."""
_STITCHED_ASPECT = 2.5
"""No camera shoots pictures with sides so unequal: it stitched several, and its focal length is of none of them."""
_SAME_ASPECT = 0.02
"""How far the aspects of two sizes may differ, as a share: a thumbnail's sides are rounded to whole pixels."""
_FISH_EYE = re.compile(r"fish[\s-]?eye", re.IGNORECASE)
_LONGEST_NAME = 60
_SENSORS_MM = (
    *((53.4, 40.0), (49.1, 36.8), (45.0, 30.0), (43.8, 32.9), (36.0, 24.0), (28.7, 19.1), (23.5, 15.6)),
    *((22.3, 14.9), (17.3, 13.0), (13.2, 8.8), (7.6, 5.7), (6.17, 4.55)),
)
"""Sensors behind lenses that are named: medium format to 1/2.3 inch. Without rare ones that a full frame, half as large
or three quarters, would be taken for."""
_USUAL_ASPECT = 1.4
"""Between 4:3 and 3:2."""
_LEAST_KEPT = 0.01
"""Share of a side that somebody may keep of a picture."""
_SAME_SENSOR = 0.03
"""How far sensors of one kind differ, as a share."""
_CROP = re.compile(rb"crs:(HasCrop|AlreadyApplied|Crop(?:Left|Top|Right|Bottom|Angle))\s*(?:=\s*[\"']|>)\s*([\w.+-]+)")
_PANORAMA = re.compile(rb"\w+:ProjectionType\s*(?:=\s*[\"']|>)\s*(\w+)")


def _number(value: object) -> float:
    """A number from EXIF or XMP as float; 0 if it is missing, broken or infinite."""
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, ArithmeticError):
        return 0.0
    return number if isfinite(number) else 0.0


def _positive(value: object) -> float:
    """Likewise; 0 also if it is negative."""
    return max(0.0, _number(value))


def focal_px_from_exif(exif: Image.Exif, size: tuple[int, int], xmp: bytes = b"") -> float | None:
    """Focal length that a camera wrote into its picture.

    It comes from the 35 mm equivalent, which EXIF defines by the diagonal, or else from the focal length in
    millimetres, the sensor's pixels per unit and the digital zoom, which only the 35 mm equivalent has in it. Those are
    of the picture as it was shot, whose size EXIF remembers: one of the same shape was resized since; of another shape,
    it was cut if it has kept a side's length, and else nobody knows what was done to it. Adobe's programs put the new
    size there and say in XMP which share was kept; of one that was resized, only a sensor that nobody makes tells. One
    that was shot several times as wide as high is a panorama, which no focal length is of.

    Args:
        exif: the picture's EXIF block.
        size: width and height of the picture that the focal length is for; their order does not matter.
        xmp: the picture's XMP block.

    Returns:
        The focal length in pixels; None if EXIF does not say, or says what no lens has.
    """
    tags = exif.get_ifd(ExifTags.IFD.Exif)

    def number(tag: ExifTags.Base) -> float:
        return _positive(tags.get(tag))

    shot = sorted((number(ExifTags.Base.ExifImageWidth), number(ExifTags.Base.ExifImageHeight)))
    uncut = _before_crop(xmp, size)
    if (whole := uncut or (shot if shot[0] else sorted(size)))[1] > _STITCHED_ASPECT * whole[0]:
        return None
    film_mm = number(ExifTags.Base.FocalLengthIn35mmFilm)
    focal_px = film_mm * hypot(*whole) / _FILM_DIAGONAL_MM if film_mm >= _LEAST_FILM_MM else 0.0
    if not focal_px:
        mm_per_unit = _MM_PER_UNIT.get(int(number(ExifTags.Base.FocalPlaneResolutionUnit)), _MM_PER_UNIT[2])
        px_per_mm = number(ExifTags.Base.FocalPlaneXResolution) / mm_per_unit
        if ExifTags.Base.LensModel in tags and not _is_sensor(whole, px_per_mm):
            return None
        focal_px = number(ExifTags.Base.FocalLength) * px_per_mm * (number(ExifTags.Base.DigitalZoomRatio) or 1.0)
    elif uncut or not shot[0]:
        shot = [0.0, 0.0]  # taken for this size, whose diagonal is above
    focal_px *= _scale_since(sorted(size), shot)
    try:
        return Camera.from_focal_px(focal_px, *size).plausible().focal_px
    except LeadlineError:
        return None


def _scale_since(size: list[int], shot: list[float]) -> float:
    """How much a picture was enlarged since it was shot, by its shorter and longer side; 0 where nobody knows."""
    if not shot[1]:
        return 1.0
    scale = size[1] / shot[1]
    if not shot[0] or abs(size[0] / (shot[0] * scale) - 1) <= _SAME_ASPECT:
        return scale
    return 1.0 if any(abs(now - before) < 1 for now, before in zip(size, shot, strict=True)) else 0.0


def _before_crop(xmp: bytes, size: Sequence[int]) -> list[float] | None:
    """The shorter and longer side, in today's pixels, of a picture that Adobe's programs cut; None if they did not.

    XMP tells two corners in shares of the sides of the sensor's image, which is wider than high, and how many degrees
    the part was turned clockwise to make it straight; the picture may be turned by quarters since.
    """
    told = dict(_CROP.findall(xmp))
    if told.get(b"HasCrop") != b"True" or told.get(b"AlreadyApplied") != b"True":
        return None
    left, top, right, bottom = (_positive(told.get(b"Crop" + side)) for side in (b"Left", b"Top", b"Right", b"Bottom"))
    across, down = right - left, bottom - top
    if not _LEAST_KEPT <= min(across, down) <= max(across, down) <= 1:
        return None
    angle = radians(_number(told.get(b"CropAngle")))
    wholes = [
        ((wide * cos(angle) - high * sin(angle)) / across, (high * cos(angle) + wide * sin(angle)) / down)
        for wide, high in (size, size[::-1])
    ]
    wholes = [whole for whole in wholes if min(whole) > 0]
    usual = min(wholes, key=lambda whole: abs(log(whole[0] / whole[1] / _USUAL_ASPECT)), default=None)
    return sorted(usual) if usual else None


def _is_sensor(sides_px: Sequence[float], px_per_mm: float) -> bool:
    """Whether so many pixels, the shorter side first, fill a sensor that is made, or are a part as long or as high."""
    filled = ([px / px_per_mm / mm for px, mm in zip(sides_px, sorted(it), strict=True)] for it in _SENSORS_MM)
    return px_per_mm > 0 and any(abs(max(shares) - 1) <= _SAME_SENSOR for shares in filled)


def lens_from_xmp(xmp: bytes) -> Lens | None:
    """The lens of a picture that its XMP block calls a panorama (Google's GPano); None of any other."""
    found = _PANORAMA.search(xmp)
    kind = "" if found is None else found[1].decode()
    return Lens(LensModel.PANORAMA, name=f"{kind} panorama") if kind not in ("", "rectilinear") else None


def lens_from_exif(exif: Image.Exif) -> Lens | None:
    """The lens of a picture whose EXIF block calls it a fish-eye by its name; None of any other."""
    name = exif.get_ifd(ExifTags.IFD.Exif).get(ExifTags.Base.LensModel)
    if not isinstance(name, str) or not _FISH_EYE.search(name):
        return None
    return Lens(LensModel.OTHER, name=f"fish-eye lens {name[:_LONGEST_NAME]!r}")
