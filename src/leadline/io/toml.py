"""TOML files that a person wrote, as validated records; a mistake in one is one line."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from leadline.errors import LeadlineError, brief
from leadline.io.text_files import read_text

MAX_BITS = 64

Record = TypeVar("Record", bound=BaseModel)


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file.

    Raises:
        LeadlineError: if it is no TOML, too long or too deep, or holds a number that no program keeps.
        OSError: if it cannot be read.
    """
    try:
        values = tomllib.loads(read_text(path))
        _refuse_long_numbers(values)
        return values
    except LeadlineError:
        raise
    except (ValueError, ArithmeticError, LookupError, RecursionError) as error:
        raise LeadlineError(f"{path} is not valid TOML: {brief(error)}") from error


def _refuse_long_numbers(value: Any) -> None:
    """Refuse whole numbers of more than 64 bits, which TOML leaves to its readers and Python cannot always print."""
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            _refuse_long_numbers(inner)
    elif isinstance(value, int) and value.bit_length() > MAX_BITS:
        raise ValueError(f"it holds a whole number of {value.bit_length()} bits, wanted at most {MAX_BITS}")


def as_record(kind: type[Record], values: Mapping[str, Any], source: str) -> Record:
    """Validate values.

    Args:
        kind: the record.
        values: its fields.
        source: where they are from, for the message.

    Raises:
        LeadlineError: at the first unknown or impossible value; it lists the known keys.
    """
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        where = "".join(f"{part}." for part in first["loc"]).rstrip(".")
        reason = first["msg"].removeprefix("Value error, ")
        known = ", ".join(kind.model_fields)
        told = f"{brief(where)}: " if where else ""
        raise LeadlineError(f"{source}: {told}{brief(reason, 400)}; known keys: {known}") from error
    except (ArithmeticError, TypeError, ValueError, RecursionError) as error:  # numbers beyond all that a float holds
        raise LeadlineError(f"{source} holds an impossible value: {brief(error)}") from error
