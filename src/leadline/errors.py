"""The exceptions that are leadline's own, a mistake that the user can mend and a stopped training; words they share."""

import difflib
from collections.abc import Iterable

TORCH_EXTRA = {"torch", "torchvision", "timm", "pytorch_lightning", "torchmetrics", "tensorboard"}
TORCH_EXTRA |= {"tomli_w", "h5py", "matplotlib", "pooch", "tqdm"}
"""Packages that the extra "torch" brings: they are imported without a word on what is missing."""


class LeadlineError(ValueError):
    """A mistake that the caller can mend: its text says what was wanted, what was got and what to do.

    The command line prints the text as one line and exits with code 2; library users see a ``ValueError``.
    """


class Interrupted(Exception):
    """Ctrl-C stopped a training, whose state is saved.

    Attributes:
        stopped: where it stopped.
    """

    def __init__(self, stopped: str, remedy: str) -> None:
        """Say where it stopped and how to continue."""
        super().__init__(f"{stopped}; {remedy}")
        self.stopped = stopped


def missing_package(name: str, extra: str = "torch") -> LeadlineError:
    """Build the error for a package that is not installed.

    Args:
        name: of the package, or of a module in it.
        extra: what brings it, and all else that the caller's purpose needs.
    """
    package = name.partition(".")[0]
    return LeadlineError(f'this needs {package}, which is not installed: pip install "leadline[{extra}]"')


def unknown_name(kind: str, name: str, known: Iterable[str], above: str = "") -> LeadlineError:
    """Build the error for a name that is not in a table.

    Args:
        kind: what the name stands for ("recipe", "protocol", ...).
        name: the name that was given.
        known: the names that exist.
        above: what stands before each of them where they are nested, such as "data.".

    Returns:
        An error that offers the nearest known name, or lists them (20 at the most).
    """
    choices = list(known)
    near = difflib.get_close_matches(name, choices, n=1)
    listed = ", ".join(above + choice for choice in choices[:20]) + (" …" if len(choices) > 20 else "")
    remedy = f"did you mean {above + near[0]!r}?" if near else f"choose from {listed}"
    return LeadlineError(f"unknown {kind} {shown(above + name)}: {remedy}")


def counted(number: int, what: str) -> str:
    """Such as "1 image" and "2 images"."""
    return f"{number} {what}{'s' * (number != 1)}"


def shown(value: object) -> str:
    """A value as Python writes it, or the beginning of that."""
    try:
        return brief(repr(value))
    except (ValueError, RecursionError):
        return f"a {type(value).__name__} too long to show"


def brief(error: object, length: int = 160) -> str:
    """What an error says, or any value, as the beginning of one line."""
    try:
        said = " ".join(str(error).split())
    except (ValueError, RecursionError):  # a number of thousands of digits, or what is too deep
        said = ""
    said = said or type(error).__name__
    return said if len(said) <= length else f"{said[:length]}…"
