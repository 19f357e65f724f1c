"""Text files from anywhere, read so that whatever is wrong with one is one line: too long, too deep, or of no form."""

from pathlib import Path
from typing import Any

import yaml

from leadline.errors import LeadlineError

MAX_BYTES = 64_000_000
"""Longest text file that is read: an index of 400 000 images has about as much."""


def read_text(path: Path) -> str:
    """Read UTF-8, with or without a byte-order mark.

    Raises:
        LeadlineError: if it is too long.
        UnicodeDecodeError: if it is no UTF-8.
        OSError: if it cannot be read.
    """
    num_bytes = path.stat().st_size
    if num_bytes > MAX_BYTES:
        raise LeadlineError(
            f"{path} has {num_bytes:,} bytes, wanted a text file of at most {MAX_BYTES:,}: name another"
        )
    return path.read_text(encoding="utf-8-sig")


def load_yaml(text: str) -> Any:
    """What YAML text holds: its document, a list of several, or None.

    Raises:
        yaml.YAMLError: if it is none, or has aliases, by which a few lines stand for millions of numbers.
    """
    loader = _NoAliases(text)
    try:
        documents = []
        while loader.check_data():
            documents.append(loader.get_data())
        documents = [document for document in documents if document is not None]  # what follows the last ---
        return documents if len(documents) > 1 else documents[0] if documents else None
    finally:
        loader.dispose()


class _NoAliases(yaml.SafeLoader):  # type: ignore[misc]
    """YAML of plain values."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        """Refuse an alias; compose what is none."""
        if self.check_event(yaml.events.AliasEvent):
            raise yaml.YAMLError("it has YAML aliases (*name): write their values in their places")
        return super().compose_node(parent, index)
