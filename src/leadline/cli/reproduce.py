"""The command that trains and scores the student report's networks: reproduce."""

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from leadline.cli.console import OUT, TRAINING, Names, print_page, require_packages


def reproduce(
    *,
    data: Path,
    out: Annotated[Path, OUT],
    only: Names = None,
    epochs: Annotated[int | None, Parameter(validator=Number(gte=1))] = None,
    encoder_weights: dict[str, Path] | None = None,
) -> int:
    """Train the networks of the student report and write its Table 1 beside the original numbers.

    The same command with the same --out resumes an interrupted run.

    Args:
        data: the data set: a folder with an index.csv, or a public one as released (docs/reference/data-sets.md).
        out: folder for report.md, its figures, and each network's run and scores.
        only: cae, unet, xception, densenet; or all of a study: table1 (the default), official (the same networks
            without scenes shared between training and test), ablations.
        epochs: number of epochs instead of the recipes', for a quick try.
        encoder_weights: file of an encoder's weights instead of a download: --encoder-weights.densenet121 FILE.
    """
    require_packages(*TRAINING)
    from leadline.training.reproduce import reproduce as run_reproduction

    page = run_reproduction(data, out, only or (), epochs, encoder_weights, sys.stderr.isatty())
    print_page(page)
    print(f"written to {page}")
    return 0
