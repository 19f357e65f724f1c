"""The commands about data sets: `leadline data ...`."""

from pathlib import Path
from typing import Literal

from cyclopts import App

from leadline.errors import UserError

data_app = App(name="data", help="Prepare, check, make and download data sets.")

USER_MISTAKE = 2
"""Exit code after a mistake by the user, also when a data set is broken."""


@data_app.command
def prepare(kind: str = "nyu", /, *, mat: Path, splits: Path, out: Path) -> int:
    """Turn the makers' files into a folder data set.

    Args:
        kind: nyu, the labelled set of NYU Depth V2.
        mat: nyu_depth_v2_labeled.mat.
        splits: splits.mat.
        out: folder to write.
    """
    from leadline.data.nyu import prepare_nyu

    _only_nyu(kind)
    print(f"{prepare_nyu(mat, splits, out)} pictures written to {out}")
    return 0


@data_app.command
def download(kind: str = "nyu", /, *, out: Path) -> int:
    """Fetch the makers' files; a broken download continues where it stopped.

    Args:
        kind: nyu, the labelled set of NYU Depth V2 (3 GB).
        out: folder to write.
    """
    from leadline.data.download import download_nyu

    _only_nyu(kind)
    for path in download_nyu(out):
        print(path)
    return 0


@data_app.command
def synthesize(
    *,
    out: Path,
    count: int = 64,
    seed: int = 0,
    height: int = 480,
    width: int = 640,
    scenes: Literal["rooms", "near"] = "rooms",
) -> int:
    """Render scenes with exact depth, to try things with no data at all, and to train with.

    Args:
        out: folder to write.
        count: pictures.
        seed: the same seed renders the same rooms.
        height: of the pictures.
        width: of the pictures.
        scenes: rooms, seen from eye height; or near: desks, bins, floors, kitchens and shelves, seen by many cameras.
    """
    from leadline.data.synthetic import synthesize as render

    print(f"{render(out, count, seed, height, width, scenes=scenes)} pictures written to {out}")
    return 0


@data_app.command
def check(root: Path, /) -> int:
    """Look a folder data set over: files, sizes, depth histogram, valid share, suspected unit.

    Args:
        root: the folder that holds index.csv.
    """
    from leadline.data.check import check_folder

    report = check_folder(root)
    print("\n".join(report.lines()))
    return USER_MISTAKE if report.problems else 0


def _only_nyu(kind: str) -> None:
    if kind != "nyu":
        raise UserError(f"unknown data set {kind!r}: only nyu can be prepared and downloaded")
