"""JSON of files and metadata: read with one line for whatever is wrong, written so that any reader can parse it."""

import json
import math
from pathlib import Path
from typing import Any

from leadline.errors import LeadlineError, brief
from leadline.io.text_files import read_text


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        LeadlineError: if it is too long, or as `parse_json`.
        OSError: if it cannot be read.
    """
    try:
        text = read_text(path)
    except UnicodeDecodeError as error:
        raise LeadlineError(f"{path} is not valid JSON: {brief(error)}") from error
    return parse_json(text, str(path))


def parse_json(text: str, source: str) -> Any:
    """Parse JSON.

    Args:
        text: the JSON.
        source: where it is from, for the message.

    Raises:
        LeadlineError: if it is no JSON, holds NaN, an infinity or a number of thousands of digits, or is nested too
            deeply.
    """
    try:
        return json.loads(text, parse_constant=_refuse, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise LeadlineError(f"{source} is not valid JSON: {brief(error)}") from error


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is no number")


def _finite(text: str) -> float:
    value = float(text)
    return value if math.isfinite(value) else _refuse(text[:20])


def format_json(value: Any) -> str:
    """A value as JSON in lines, its numbers that are not finite as null: JSON has none."""
    return json.dumps(_without_infinities(value), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _without_infinities(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_infinities(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_without_infinities(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
