"""What the commands share: exit codes, text and tables as wide as the terminal, and progress."""

import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from shutil import get_terminal_size
from textwrap import fill
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

from cyclopts import Parameter

from leadline.errors import missing_package

if TYPE_CHECKING:
    from cyclopts import Token
    from rich.console import Console
    from rich.table import Table


Runtime = Literal["onnxruntime", "onnxruntime-float32", "onnxruntime-int8", "torch"]
"""What runs a leadline model."""

EXIT_USAGE = 2
"""Exit code after a mistake by the user, also when a data set is broken."""
PIPE_WIDTH = 200
"""Letters in a line where the output is no terminal."""
TRAINING = ("torch", "timm", "pytorch_lightning", "torchmetrics", "tensorboard", "tomli_w", "matplotlib")
"""Packages that training needs, of which some are not imported before the first epoch ends."""
GAP = 2
"""Letters between two columns."""
TIMES = re.compile(r"\*\d+$")
"""How often something is taken, behind its name."""
HEADING, IMAGE = re.compile(r"#+ "), re.compile(r"!\[.*\]\(([^)]+)\)")
"""Marks of Markdown; an image's file is the group."""


def split_words(given: Sequence[str]) -> list[str]:
    """A list as every command takes it: `a,b`, several words, or the flag repeated.

    What is there under a name with a comma stays whole, also where a number of times follows it (`a,b*3`).
    """
    groups = [[text] if Path(TIMES.sub("", text)).exists() else text.split(",") for text in given]
    return [word.strip() for group in groups for word in group if word.strip()]


def split_commas(kind: Any, tokens: Sequence["Token"]) -> list[Any]:
    """The same of a command's words; whole numbers where it is a list of those."""
    words = split_words([token.value for token in tokens])
    return [int(word) for word in words] if int in get_args(kind) else words


LIST = Parameter(converter=split_commas, consume_multiple=True, negative=())
"""How lists are given."""
Names = Annotated[list[str] | None, LIST]
Formats = Annotated[Sequence[str], LIST]
OUT = Parameter(alias="-o")


def example(line: str) -> str:
    """What stands below a command's help."""
    return f"Example: {line}"


def require_packages(*names: str, extra: str = "torch") -> None:
    """Find packages before any work is done.

    Args:
        names: of the packages.
        extra: what brings them.

    Raises:
        LeadlineError: if one is not installed.
    """
    for name in names:
        if find_spec(name) is None:
            raise missing_package(name, extra)


def run_by(model: str, backend: Runtime | None) -> str:
    """A model's name with what shall run it; see `leadline.backends.open_backend`."""
    return model if backend is None else f"{backend}:{model}"


def print_text(text: str) -> None:
    """Print text with its lines broken between words, as wide as the terminal."""
    _console().print(text, soft_wrap=not _has_width())


def print_error(error: Exception | str) -> None:
    """Print an error on stderr: one line, which a terminal shows broken between words."""
    line = f"leadline: {' '.join(str(error).split())}"
    if sys.stderr.isatty():
        line = fill(line, get_terminal_size().columns, break_long_words=False, break_on_hyphens=False)
    print(line, file=sys.stderr)


def print_table(header: Sequence[str], *rows: Iterable[str]) -> None:
    """Print a table whole: as it is where it fits, else turned, else with cells on several lines, else row by row.

    Numbers and names are never cut; only a word that is wider than the terminal is broken.

    Args:
        header: the columns' names; the first column names the rows.
        rows: cells, as many as the header has.
    """
    lines = [[*row] for row in rows]
    upright = [[*header], *lines]
    from rich.cells import cell_len

    turned = [list(column) for column in zip(*upright, strict=True)]
    console = _console()
    for cells in (upright, turned):
        for title_width in (cell_len, _widest_word):  # a header is broken between words sooner than a table is turned
            widths = [_widest_line(column, title_width) for column in zip(*cells, strict=True)]
            if _total(widths) <= console.width:
                return console.print(_table(cells, widths))
    least = [max(map(_widest_word, column)) for column in zip(*upright, strict=True)]
    whole_names = [_widest_line([row[0] for row in upright]), *least[1:]]  # of rows, on one line each
    for widths in (whole_names, least):
        if _total(widths) <= console.width:
            return console.print(_table(upright, _shrunk(upright, widths, console.width)))
    label = max(map(cell_len, header))
    for line in lines:
        console.print(_table([["", ""], *zip(header, line, strict=True)], [label, max(1, console.width - label - GAP)]))
        console.print()
    return None


def print_page(path: Path) -> None:
    """Print a file of Markdown without its marks: headings bold, tables as `print_table` does, images by their files.

    Args:
        path: of the file, beside which its images lie.
    """
    console = _console()
    for block in path.read_text(encoding="utf-8").strip().split("\n\n"):
        if block.startswith("|"):
            header, _, *rows = (
                [cell.strip() for cell in _plain(line)[1:-1].split(" | ")] for line in block.splitlines()
            )
            print_table(header, *rows)
        elif image := IMAGE.fullmatch(block):
            print(path.parent / image[1])
        else:
            style = "bold" if HEADING.match(block) else None
            console.print(_plain(HEADING.sub("", block)), style=style, soft_wrap=not _has_width())
        print()


@contextmanager
def counting(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """Draw count and time left at the foot of the terminal, below what is printed meanwhile.

    Args:
        what: is counted, in the plural.
        total: how many there are; of one nothing is drawn.

    Yields:
        What is to be called with the number that are done.
    """
    if total < 2 or not sys.stderr.isatty():
        yield lambda done: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    console.width -= len("^C")  # which the terminal writes behind the line
    left = TimeRemainingColumn(), TextColumn("left")
    columns = (MofNCompleteColumn(), TextColumn(what), BarColumn(bar_width=None), *left)
    bar = Progress(*columns, console=console, expand=True, transient=True, redirect_stdout=sys.stdout.isatty())
    with bar:
        task = bar.add_task("", total=total)
        yield lambda done: bar.update(task, completed=done)


def depths(near_m: float, median_m: float, far_m: float) -> str:
    """Near, median and far of an image, as its line has them."""
    return f"near {near_m:5.2f} m  median {median_m:5.2f} m  far {far_m:5.2f} m"


def _console() -> "Console":
    """Standard output, as wide as the terminal (or as COLUMNS says); brackets in names are no markup."""
    from rich.console import Console

    return Console(width=None if _has_width() else PIPE_WIDTH, markup=False, emoji=False, highlight=False)


def _plain(markdown: str) -> str:
    """Text without the marks of emphasis and code."""
    return re.sub(r"([*`])([^*`]+)\1", r"\2", markdown)


def _has_width() -> bool:
    """Whether the output is a terminal, or COLUMNS says how wide it is."""
    return sys.stdout.isatty() or "COLUMNS" in os.environ


def _table(cells: Sequence[Sequence[str]], widths: Sequence[int]) -> "Table":
    """A table whose first line is the header, its columns of given widths."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    header, *lines = cells
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False, show_header=any(header))
    for title, width in zip(header, widths, strict=True):
        table.add_column(title, width=width, overflow="fold")
    for line in lines:
        table.add_row(*line)
    return table


def _shrunk(cells: Sequence[Sequence[str]], least: Sequence[int], width: int) -> list[int]:
    """Widths of columns that fit together, taken from the widest ones that can give."""
    widths = [_widest_line(column) for column in zip(*cells, strict=True)]
    while _total(widths) > width:
        widest = max((own, place) for place, own in enumerate(widths) if own > least[place])[1]
        widths[widest] -= 1
    return widths


def _total(widths: Iterable[int]) -> int:
    found = [*widths]
    return sum(found) + GAP * (len(found) - 1)


def _widest_word(cell: str) -> int:
    from rich.cells import cell_len

    return max(map(cell_len, cell.split()), default=0)


def _widest_line(column: Iterable[str], title_width: Callable[[str], int] = _widest_word) -> int:
    """Letters of the widest line of a column, whose header may be broken between words."""
    from rich.cells import cell_len

    title, *cells = column
    return max([title_width(title), *(cell_len(line) for cell in cells for line in cell.splitlines())])
