"""The focal length in a picture's EXIF block."""

from math import hypot, isfinite

from PIL import ExifTags, Image

_FILM_DIAGONAL_MM = hypot(36.0, 24.0)


_MM_PER_UNIT = {
    2: 25.4,
    3: 10.0,
    4: 1.0,
    5: 0.001,
}  # EXIF's FocalPlaneResolutionUnit: inch, cm, mm, micrometre


_PLAUSIBLE_FOCAL = (0.1, 100.0)  # in long sides of the picture: fields of view of 157 and 0.6 degrees


def _positive(value: object) -> float:
    """A number from EXIF as float; 0 if it is missing, broken, infinite or not positive."""
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, ArithmeticError):
        return 0.0
    return number if isfinite(number) and number > 0 else 0.0


def focal_px_from_exif(exif: Image.Exif, size: tuple[int, int]) -> float | None:
    """Focal length that a camera wrote into its picture.

    It comes from the 35 mm equivalent, which EXIF defines by the diagonal, or else from the focal length in
    millimetres and the sensor's pixels per unit. Those are pixels of the picture as it was shot, so one that
    was resized later is told by the size that EXIF remembers.

    Args:
        exif: the picture's EXIF block.
        size: width and height of the picture that the focal length is for; their order does not matter.

    Returns:
        The focal length in pixels; None if EXIF does not say, or says what no lens has.
    """
    tags = exif.get_ifd(ExifTags.IFD.Exif)

    def number(tag: ExifTags.Base) -> float:
        return _positive(tags.get(tag))

    long_side = max(size)
    focal_px = number(ExifTags.Base.FocalLengthIn35mmFilm) * hypot(*size) / _FILM_DIAGONAL_MM
    if not focal_px:
        mm_per_unit = _MM_PER_UNIT.get(int(number(ExifTags.Base.FocalPlaneResolutionUnit)), _MM_PER_UNIT[2])
        shot_side = max(number(ExifTags.Base.ExifImageWidth), number(ExifTags.Base.ExifImageHeight))
        focal_px = number(ExifTags.Base.FocalLength) * number(ExifTags.Base.FocalPlaneXResolution) / mm_per_unit
        focal_px *= long_side / (shot_side or long_side)
    low, high = _PLAUSIBLE_FOCAL
    return focal_px if low * long_side <= focal_px <= high * long_side else None
