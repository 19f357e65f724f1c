"""The commands that score models: evaluate, compare, report, figure."""

import sys
from collections.abc import Collection
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from leadline.cli.console import (
    EXIT_USAGE,
    OUT,
    Runtime,
    print_error,
    print_table,
    print_text,
    require_packages,
    run_by,
)
from leadline.errors import counted

MAX_NAME = 14
"""Letters of a model's name that heads a column."""

Processes = Annotated[int, Parameter(validator=Number(gte=1))]
Rows = Annotated[int, Parameter(validator=Number(gte=1))]


def evaluate(
    model: str = "default",
    /,
    *,
    backend: Runtime | None = None,
    data: Path,
    split: str = "official/test",
    protocol: str = "nyu-eigen",
    processes: Processes = 1,
    cluster: Annotated[bool, Parameter(negative=())] = False,
    out: Annotated[Path | None, OUT] = None,
) -> int:
    """Score a model under a named protocol, per image and pooled; go on past images that cannot be read (exit code 2).

    Args:
        model: default, the name of a bundled model, the folder of a checkpoint or a run, an .onnx or OpenVINO .xml
            file, hf:NAME (a Hugging Face depth model), or files:DIR (predictions made elsewhere).
        backend: what runs a leadline model: onnxruntime or torch; if not given, what answers soonest
            (docs/models.md).
        data: the data set: a folder with an index.csv, or a public one as its authors ship it
            (docs/reference/data-sets.md).
        split: all, RULE/PART such as official/test or report/test, or a text file of ids.
        protocol: report, report-in-range, nyu-eigen, nyu-eigen-flip, nyu-densedepth, nyu-multitask, metric, relative,
            median, kitti-eigen; or a TOML file.
        processes: number of processes that share the images.
        cluster: use a Ray cluster instead, or all cores of this machine
            (docs/guides/many-machines.md).
        out: folder for metrics.json and per_image.csv.
    """
    from leadline.evaluation import evaluate as run_evaluation
    from leadline.io import require_target
    from leadline.reporting import save_report

    if out is not None:
        require_target(out, folder=True)
    report = run_evaluation(
        run_by(model, backend),
        data=data,
        split=split,
        protocol=protocol,
        processes=processes,
        cluster=cluster,
        skip_unread=True,
        show_progress=sys.stderr.isatty(),
    )
    result = report.to_json()
    images = counted(len(report.ids), "image")
    if report.unread:
        images = f"{len(report.ids)} of {len(report.ids) + len(report.unread)} images, the others broken"
    unscored = f", {report.num_unscored} of them without a scored pixel" if report.num_unscored else ""
    ran = f" ({report.runtime})" * bool(report.runtime)
    print_text(f"{model} on {report.data} {split}, protocol {report.protocol}, {images}{unscored}{ran}")
    print_table(*_metrics_rows({name: result[name] for name in ("per_image", "pooled")}))
    if out is not None:
        save_report(report, out)
        print(f"metrics.json and per_image.csv written to {out}")
    return _told_of(report.unread.values())


def compare(
    *models: str,
    data: Path,
    split: str = "official/test",
    protocol: str = "nyu-eigen",
    processes: Processes = 1,
    out: Annotated[Path | None, OUT] = None,
) -> int:
    """Compare models with the first one, image by image, with 95 % confidence intervals.

    An image that one of them cannot be scored on is told, and left out of all (exit code 2).

    Args:
        models: as for evaluate; or folders that evaluate --out has written.
        data: the data set.
        split: as for evaluate.
        protocol: as for evaluate.
        processes: number of processes that share the images.
        out: folder for compare.md, compare.csv and compare.png.
    """
    from leadline.evaluation import compare as run_comparison
    from leadline.io import atomic_file, require_target
    from leadline.reporting import READING, about, draw_comparisons, hashes, markdown, notes, table, write_csv

    if out is not None:
        require_packages("matplotlib")
        require_target(out, folder=True)
    comparisons = run_comparison(
        *models,
        data=data,
        split=split,
        protocol=protocol,
        processes=processes,
        skip_unread=True,
        show_progress=sys.stderr.isatty(),
    )
    for comparison in comparisons:
        header, *rows = table(comparison)
        names = f"{comparison.other} against {comparison.first}"
        if max(map(len, header)) > MAX_NAME:
            header[1:3] = "first", "second"
            names = f"{comparison.other} (second) against {comparison.first} (first)"
        print_text(f"{names}: {about(comparison)}")
        print_table(header, *rows)
        print_text("\n".join(filter(None, [READING, *notes(comparison), hashes(comparison)])))
    if out is not None:
        with atomic_file(out / "compare.md") as temporary:
            temporary.write_text(markdown(comparisons), encoding="utf-8")
        write_csv(out / "compare.csv", comparisons)
        draw_comparisons(out / "compare.png", comparisons)
        print(f"compare.md, compare.csv and compare.png written to {out}")
    return _told_of(dict.fromkeys(line for comparison in comparisons for line in comparison.unread.values()))


def report(
    *models: str,
    data: Path,
    split: str = "official/test",
    protocol: str = "nyu-eigen",
    processes: Processes = 1,
    out: Annotated[Path, OUT] = Path("report.html"),
    rows: Rows = 3,
) -> int:
    """Write an HTML report of where models fail, in one file that needs no network.

    It breaks errors down by distance, image region, object boundary and scene, and shows the best and worst images.

    Args:
        models: as for evaluate; none means the default.
        data: the data set.
        split: as for evaluate.
        protocol: as for evaluate.
        processes: number of processes that share the images.
        out: the file to write.
        rows: number of best, median and worst images of the first model to show.
    """
    require_packages("matplotlib")
    from leadline.reporting import write_report

    names = models or ("default",)
    unread: list[str] = []
    print(write_report(names, data, split, protocol, out, rows, processes, sys.stderr.isatty(), unread.append))
    return _told_of(unread)


def figure(
    model: str = "default",
    /,
    *,
    data: Path,
    split: str = "official/test",
    protocol: str = "nyu-eigen",
    out: Annotated[Path, OUT],
    rows: Rows = 4,
) -> int:
    """Draw image, ground truth, prediction and error of test images.

    Sheets show the best, the median and the worst ones, and an even sample.

    Args:
        model: as for evaluate.
        data: the data set.
        split: as for evaluate.
        protocol: the protocol whose relative error ranks the images.
        out: folder for the sheets, metrics.json and per_image.csv.
        rows: images per sheet.
    """
    require_packages("matplotlib")
    from leadline.reporting import draw_sheets

    unread: list[str] = []
    for path in draw_sheets(model, data, split, protocol, out, rows, sys.stderr.isatty(), unread.append):
        print(path)
    return _told_of(unread)


def _told_of(unread: Collection[str]) -> int:
    """Print a line for each image that could not be scored; the exit code."""
    for line in unread:
        print_error(line)
    return EXIT_USAGE if unread else 0


def _metrics_rows(averagings: dict[str, dict[str, float]]) -> list[list[str]]:
    """A line for each metric, the header first."""
    from leadline.evaluation import METRICS

    rows = [[info.heading, *(f"{values[key]:.4f}" for values in averagings.values())] for key, info in METRICS.items()]
    return [["", *averagings], *rows]
