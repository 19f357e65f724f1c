"""The files of a checkpoint and where checkpoints are. Free of torch, so that they can be listed at once."""

from pathlib import Path
from typing import Any

from leadline.errors import LeadlineError, unknown_name
from leadline.io import read_json, require_only

BUNDLE = Path(__file__).parents[1] / "bundled"
DEFAULT = "base"

WEIGHTS, CONFIG, CARD = "model.safetensors", "config.json", "README.md"
FORMAT = 1


def read_config(folder: Path) -> dict[str, Any]:
    """Read a checkpoint's `config.json`.

    Raises:
        LeadlineError: if it is missing, no JSON or not what `save_checkpoint` writes.
    """
    try:
        config = read_json(folder / CONFIG)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise LeadlineError(f"no checkpoint at {folder}: wanted a folder with {WEIGHTS} and {CONFIG}") from error
    if not isinstance(config, dict) or config.get("format") != FORMAT or "model" not in config:
        raise LeadlineError(f"{folder / CONFIG} is not a leadline checkpoint of format {FORMAT}")
    return config


def read_record(folder: Path) -> dict[str, Any]:
    """What a checkpoint records of how it came about; empty where it records nothing.

    Raises:
        LeadlineError: as `read_config`.
    """
    return table_in(read_config(folder), "record")


def table_in(values: Any, *keys: str) -> dict[str, Any]:
    """A table within nested tables of a file; empty where there is none, or something else in its place.

    Args:
        values: what the file holds.
        keys: the way to the table.
    """
    for key in keys:
        values = values.get(key) if isinstance(values, dict) else None
    return values if isinstance(values, dict) else {}


def bundled_models() -> dict[str, Path]:
    """Checkpoints that come with leadline, by name."""
    return {path.parent.name: path.parent for path in sorted(BUNDLE.glob(f"*/{CONFIG}"))}


def find_checkpoint(model: str | Path) -> Path:
    """The folder of a model.

    Args:
        model: "default", the name of a bundled model, a checkpoint's folder, or a run's (its best epoch).

    Raises:
        LeadlineError: if there is none.
    """
    bundled = bundled_models()
    name = DEFAULT if model == "default" else str(model)
    if name in bundled:
        return bundled[name]
    folder = Path(model)
    if (folder / "checkpoints" / "best").is_dir():
        return folder / "checkpoints" / "best"
    if not folder.is_dir():
        raise unknown_name("model", name, ["default", *bundled])
    return folder


def ensure_checkpoint_overwritable(folder: Path, source: Path) -> None:
    """Refuse to write a checkpoint where something else is, or onto the one it is made from.

    Args:
        folder: where a checkpoint is to be written.
        source: what it is made from.

    Raises:
        LeadlineError: if the folder holds anything but another checkpoint's files, or is a file.
    """
    if folder.resolve() == source.resolve():
        raise LeadlineError(f"{folder} is the model itself, which is kept as it is: name another folder")
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir()) and not _is_checkpoint(folder)):
        raise LeadlineError(f"{folder} holds something else than a checkpoint: name a new or an empty folder")
    require_only(folder, (WEIGHTS, CONFIG, CARD))


def _is_checkpoint(folder: Path) -> bool:
    try:
        read_config(folder)
    except LeadlineError:
        return False
    return True
