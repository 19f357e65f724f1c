"""The cameras of a folder data set in a few words, and whether they can be right."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from leadline.data.datasets.folder import FolderInfo, one_camera_problem, row_camera, stored_camera
from leadline.errors import LeadlineError
from leadline.geometry import fov_deg_from_focal


class Cameras(NamedTuple):
    """What index, `dataset.toml` and EXIF blocks say of the cameras."""

    focals_px: tuple[float, ...]  # fx of each picture whose camera is known
    num_exif: int  # pictures whose focal length is from EXIF alone
    num_unknown: int
    problems: tuple[str, ...]  # a sentence each
    notes: tuple[str, ...]  # likewise, of what may be right


def look_at_cameras(
    rows: Sequence[dict[str, str]],
    info: FolderInfo,
    exif_focals_px: Sequence[float | None],
    sizes: Sequence[tuple[int, int] | None],
) -> Cameras:
    """Sum up the cameras of all pictures.

    Args:
        rows: the index.
        info: what `dataset.toml` says.
        exif_focals_px: what the EXIF block of each picture says, which counts where index and TOML say nothing.
        sizes: width and height of each picture; None of those that cannot be read.
    """
    known_px: list[float] = []
    exif_px: list[float] = []
    num_unknown, impossible, resized = 0, [], []
    of_toml: list[tuple[int, int]] = []
    for row, focal_px, size in zip(rows, exif_focals_px, sizes, strict=True):
        try:
            values = row_camera(row, info)
            if size is not None and (camera := stored_camera(row, info, size)) and camera.resize_note:
                resized.append(f"id {row['id']}: {camera.resize_note}")
        except LeadlineError as error:
            impossible.append(str(error))
            continue
        if size is not None and values is not None and values is info.intrinsics:
            of_toml.append(size)
        if values is not None:
            known_px.append(values[0])
        elif focal_px is not None:
            exif_px.append(focal_px)
        else:
            num_unknown += 1
    problems = _first_of(impossible) or [one_camera_problem(of_toml)]
    return Cameras(
        (*known_px, *exif_px), len(exif_px), num_unknown, tuple(filter(None, problems)), tuple(_first_of(resized))
    )


def _first_of(found: Sequence[str]) -> list[str]:
    """The first one with the number of the others; empty if there is none."""
    more = f"; and {len(found) - 1} more such" if len(found) > 1 else ""
    return [found[0] + more] if found else []


def focal_line(cameras: Cameras, sizes: Mapping[tuple[int, int], int]) -> str:
    """Focal lengths, their field of view where all pictures have one size, and how many are from EXIF or not given."""
    if not cameras.focals_px:
        return "not given"
    shortest, longest = min(cameras.focals_px), max(cameras.focals_px)
    widths = [width for width, _ in sizes]
    shown = f"{shortest:.1f} px" if shortest == longest else f"{shortest:.1f} to {longest:.1f} px"
    if len(widths) == 1:
        degrees = [f"{fov_deg_from_focal(focal, widths[0]):.1f}" for focal in dict.fromkeys((longest, shortest))]
        shown += f": {' to '.join(degrees)} degrees from side to side"
    shown += f"; of {cameras.num_exif} pictures from EXIF" if cameras.num_exif else ""
    return shown + (f"; of {cameras.num_unknown} pictures not given" if cameras.num_unknown else "")
