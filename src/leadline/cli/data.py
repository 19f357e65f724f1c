"""The commands about data sets: `leadline data ...`."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App

from leadline.cli.console import EXIT_USAGE, OUT, example, print_error, print_text
from leadline.errors import LeadlineError

data_app = App(name="data", help="Prepare, check, make and download data sets.")


@data_app.command(help_epilogue=example("leadline data prepare nyu --mat labeled.mat --splits splits.mat --out nyu"))
def prepare(kind: str = "nyu", /, *, mat: Path, splits: Path, out: Annotated[Path, OUT]) -> int:
    """Convert the official files into a folder data set.

    Args:
        kind: nyu, the labelled set of NYU Depth V2.
        mat: nyu_depth_v2_labeled.mat.
        splits: splits.mat.
        out: folder to write.
    """
    from leadline.data.datasets import prepare_nyu

    _only_nyu(kind)
    print(f"{prepare_nyu(mat, splits, out)} images written to {out}")
    return 0


@data_app.command(help_epilogue=example("leadline data download nyu --out official"))
def download(kind: str = "nyu", /, *, out: Annotated[Path, OUT]) -> int:
    """Download the official files; resume an interrupted download.

    Args:
        kind: nyu, the labelled set of NYU Depth V2 (3 GB).
        out: folder to write.
    """
    from leadline.data import download_nyu

    _only_nyu(kind)
    for path in download_nyu(out):
        print(path)
    return 0


@data_app.command(help_epilogue=example("leadline data synthesize --out rooms --count 64"))
def synthesize(
    *,
    out: Annotated[Path, OUT],
    count: int = 64,
    seed: int = 0,
    height: int = 480,
    width: int = 640,
    scenes: Literal["rooms", "near"] = "rooms",
) -> int:
    """Render synthetic scenes with exact depth, to try leadline without data and to train with.

    Args:
        out: folder to write.
        count: number of images.
        seed: random seed; the same seed renders the same scenes.
        height: image height in pixels.
        width: image width in pixels.
        scenes: rooms, seen from eye height; or near: desks, bins, floors, kitchens and shelves, seen by many cameras.
    """
    from leadline.data.synthetic import synthesize as render

    print(f"{render(out, count, seed, height, width, scenes=scenes)} images written to {out}")
    return 0


@data_app.command(help_epilogue=example("leadline data convert kitchen.r3d --out kitchen --every 0.5"))
def convert(source: Path, /, *, out: Annotated[Path, OUT], every: float = 0.0, motion: float = 0.0) -> int:
    """Write a data set or capture of any layout as a folder with an index: upright, with cameras and poses.

    Args:
        source: the capture: what --data takes, such as a .r3d file or a folder of Stray Scanner.
        out: folder to write.
        every: least seconds between two images of a scene.
        motion: metres that the camera must have moved between two images of a scene; turning by 15 degrees counts, too.
    """
    from leadline.data import Thinning
    from leadline.data import convert as write

    broken: list[LeadlineError] = []
    num_written = write(source, out, Thinning(every, motion), broken.append)
    print(f"{num_written} images written to {out}" + (f", {len(broken)} could not be read" if broken else ""))
    for error in broken:
        print_error(str(error))
    return EXIT_USAGE if broken else 0


@data_app.command(help_epilogue=example("leadline data check rooms"))
def check(root: Path, /) -> int:
    """Check a data set: files, sizes, depth histogram, share of valid pixels, suspected unit.

    Args:
        root: the folder that holds index.csv, or a capture or data set of another layout.
    """
    from leadline.data.check import check_dataset

    report = check_dataset(root)
    print_text("\n".join(report.lines()))
    return EXIT_USAGE if report.problems else 0


def _only_nyu(kind: str) -> None:
    if kind != "nyu":
        raise LeadlineError(f"unknown data set {kind!r}: only nyu can be prepared and downloaded")
