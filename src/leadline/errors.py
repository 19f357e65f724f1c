"""The one kind of exception that means "the user can mend this"."""

import difflib
from collections.abc import Iterable


class LeadlineError(ValueError):
    """A mistake that the caller can mend: its text says what was wanted, what was got and what to do.

    The command line prints the text as one line and exits with code 2; library users see a ``ValueError``.
    """


def unwrap_worker_error(error: Exception) -> Exception:
    """A worker process sends its whole traceback as the text of its mistake: this is the mistake alone."""
    _, from_worker, text = str(error).rpartition("leadline.errors.LeadlineError: ")
    return LeadlineError(text.strip()) if from_worker else error


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
    return LeadlineError(f"unknown {kind} {above + name!r}: {remedy}")
