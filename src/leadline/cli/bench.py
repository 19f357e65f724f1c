"""The command that times models: `leadline bench`."""

import sys
from collections.abc import Iterator
from math import floor, log10
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from leadline.cli.console import LIST, OUT, Names, print_table, print_text
from leadline.errors import LeadlineError, counted

if TYPE_CHECKING:
    import torch

    from leadline.evaluation.speed import Benchmark, Entry, Spread

SYNTHETIC_SIZE = "480x640"
NUM_SYNTHETIC = 8
KINDS = ("cpu", "cuda", "mps")
IN_MODEL = "in model"
"""Instead of a time where a backend preprocesses and postprocesses as part of the model."""

Batches = Annotated[list[int] | None, LIST, Parameter(validator=Number(gte=1))]


def bench(
    *models: str,
    data: Names = None,
    size: str | None = None,
    batch: Batches = None,
    device: Names = None,
    rounds: Annotated[int, Parameter(validator=Number(gte=1))] = 7,
    out: Annotated[Path | None, OUT] = None,
) -> int:
    """Time models: decode, preprocess, model, postprocess and write separately, then end to end.

    End to end, several images are processed at a time, as predict does. All models take turns in each round, after one
    round of warm-up; ± is half the interquartile range over the rounds.

    Args:
        models: models as for predict; the default if none is given.
        data: images, folders of them and patterns; 8 synthetic JPEG images if not given.
        size: height x width of the synthetic images, 480x640 if not given.
        batch: images at a time; several sizes are timed in turn. 1 if not given.
        device: one or more of cpu, cuda, cuda:1, mps, for models in PyTorch. The fastest available if not given.
        rounds: number of rounds that count.
        out: JSON file for the times of all rounds.
    """
    from tempfile import TemporaryDirectory

    from leadline.evaluation.speed import benchmark, make_images
    from leadline.io import find_images, require_target

    if out is not None:
        require_target(out)
    if data and size:
        raise LeadlineError("--size is for synthetic images, and --data names images: give one of them")
    devices = _devices(device or [])
    height, width = _height_width(size or SYNTHETIC_SIZE)
    with TemporaryDirectory(prefix="leadline-bench-") as folder:
        paths = find_images(data) if data else make_images(Path(folder), NUM_SYNTHETIC, height, width)
        result = benchmark(
            models or ("default",), paths,
            devices=devices, batches=batch or (1,), rounds=rounds, show_progress=sys.stderr.isatty(),
        )  # fmt: skip
    what = "of your images" if data else f"synthetic images of {height}×{width}"
    print_text(
        f"{result.num_images} {what}, {counted(rounds, 'round')}; {result.machine}, torch {result.torch}, "
        f"{counted(result.num_threads, 'thread')}"
    )
    print_table(*_models_rows(result))
    print("\nmilliseconds per image")
    print_table(*_times_rows(result))
    if out is not None:
        result.save(out)
        print(f"times of all rounds written to {out}")
    return 0


def _height_width(size: str) -> tuple[int, int]:
    height, _, width = size.lower().partition("x")
    if not (height.isdecimal() and width.isdecimal() and int(height) and int(width)):
        raise LeadlineError(f"--size must be HEIGHTxWIDTH in pixels such as {SYNTHETIC_SIZE}, got {size!r}")
    return int(height), int(width)


def _devices(names: list[str]) -> "list[torch.device]":
    """The devices of these names, which must be there; the fastest that is there if there are none."""
    import torch

    from leadline.models import pick_device

    for name in names:
        if not _is_there(name):
            raise LeadlineError(f"no device {name!r} here: take {pick_device().type} or leave --device out")
    return [torch.device(name) for name in names] or [pick_device()]


def _is_there(name: str) -> bool:
    import torch

    try:
        return torch.empty(0, device=name).device.type in KINDS
    except (RuntimeError, AssertionError):
        return False


def _models_rows(result: "Benchmark") -> list[list[str]]:
    """A line for each network, the header first."""
    header = ["model", "device", "batch", "parameters", "multiply-adds", "network sees", "GFLOP/s", "of the peak"]
    return [header, *([*_key(entry), *_of_network(entry)] for entry in result.entries)]


def _times_rows(result: "Benchmark") -> list[list[str]]:
    """A line for each model's times, the header first."""
    from leadline.evaluation.speed import END_TO_END, PHASES, Spread

    rows = [["model", "device", "batch", *PHASES, END_TO_END, "images/s", "times the first"]]
    for entry in result.entries:
        first = result.first_like(entry)
        times = (
            _plus_minus(Spread.of(entry.seconds[name]), 1e3) if name in entry.seconds else IN_MODEL
            for name in (*PHASES, END_TO_END)
        )
        images_per_s = _plus_minus(Spread.of([1 / seconds for seconds in entry.seconds[END_TO_END]]))
        against_first = "" if entry is first else _plus_minus(entry.speed_against(first))
        rows.append([*_key(entry), *times, images_per_s, against_first])
    return rows


def _of_network(entry: "Entry") -> Iterator[str]:
    """Size and speed of a network; of one that PyTorch does not run, only what is known."""
    yield "" if entry.num_parameters is None else f"{entry.num_parameters / 1e6:.1f} M"
    yield "" if entry.num_multiply_adds is None else f"{entry.num_multiply_adds / 1e9:.2f} G"
    yield "" if entry.height is None else f"{entry.height}×{entry.width}"
    yield "" if entry.gflops is None else _plus_minus(entry.gflops)
    yield "" if entry.share_of_peak is None else _plus_minus(entry.share_of_peak, 100) + " %"


def _key(entry: "Entry") -> tuple[str, str, str]:
    return entry.model, f"{entry.device} {entry.dtype}", str(entry.batch)


def _plus_minus(value: "Spread", factor: float = 1) -> str:
    """Median and spread, both with the digits that give the median three."""
    median = value.median * factor
    digits = max(0, 2 - floor(log10(max(median, 1e-9))))
    return f"{median:.{digits}f} ±{value.half_iqr * factor:.{digits}f}"
