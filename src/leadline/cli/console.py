"""What the commands share: exit codes and tables."""

import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from rich.table import Table


Runtime = Literal["onnxruntime", "torch"]
"""What runs a leadline model."""

EXIT_USAGE = 2
"""Exit code after a mistake by the user, also when a data set is broken."""


def run_by(model: str, backend: Runtime | None) -> str:
    """A model's name with what shall run it; see `leadline.backends.open_backend`."""
    return model if backend is None else f"{backend}:{model}"


def render_table(header: Sequence[str], *rows: Iterable[str]) -> "Table":
    """A table of rows of text under a header."""
    from rich.table import Table

    table = Table(*header)
    for row in rows:
        table.add_row(*row)
    return table


def print_table(table: "Table") -> None:
    """Print a table, as wide as it is where the output is no terminal; brackets in names are no markup."""
    from rich.console import Console

    Console(width=None if sys.stdout.isatty() else 200, markup=False, emoji=False).print(table)


def depths(near_m: float, median_m: float, far_m: float) -> str:
    """Near, median and far of an image, as its line has them."""
    return f"near {near_m:5.2f} m  median {median_m:5.2f} m  far {far_m:5.2f} m"
