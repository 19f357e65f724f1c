"""TOML files that a person wrote, as validated records; a mistake in one is one line."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from leadline.errors import LeadlineError
from leadline.io.text_files import brief, read_text

Record = TypeVar("Record", bound=BaseModel)


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file.

    Raises:
        LeadlineError: if it is no TOML, too long or too deep.
        OSError: if it cannot be read.
    """
    try:
        return tomllib.loads(read_text(path))
    except LeadlineError:
        raise
    except (ValueError, ArithmeticError, LookupError, RecursionError) as error:
        raise LeadlineError(f"{path} is not valid TOML: {brief(error)}") from error


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
