"""Checkpoints: a folder of weights, settings and model card, rebuilt without unpickling anything."""

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from leadline._version import __version__
from leadline.errors import LeadlineError, unknown_name
from leadline.io import atomic_file, atomic_folder, require_only
from leadline.models.build import build_model
from leadline.models.inference import optimize_for_inference
from leadline.models.model import DepthModel
from leadline.models.quantization import Precision, dequantize, quantize
from leadline.models.settings import ModelSettings

BUNDLE = Path(__file__).parents[1] / "bundled"
DEFAULT = "base"

WEIGHTS, CONFIG, CARD = "model.safetensors", "config.json", "README.md"
FORMAT = 1


def save_checkpoint(
    folder: Path, model: DepthModel, record: dict[str, Any], card: str, precision: Precision = "float32"
) -> None:
    """Write a checkpoint; an older one of that name is replaced only when the new one is whole.

    Args:
        folder: where to.
        model: what to save.
        record: how it came about (data, split, encoder weights, numbers); JSON values.
        card: the model card, Markdown.
        precision: how weights are stored; see `leadline.models.quantization.quantize`.

    Raises:
        OSError: if the folder cannot be written.
    """
    weights = quantize(model.state_dict(), precision)
    settings = model.settings.without_weights()
    config = {"format": FORMAT, "leadline": __version__, "model": settings.model_dump(), "record": record}
    with atomic_folder(folder) as temporary:
        save_file(weights, temporary / WEIGHTS)
        _write_json(temporary / CONFIG, config)
        (temporary / CARD).write_text(card, encoding="utf-8")


def save_record(folder: Path, record: dict[str, Any], card: str) -> None:
    """Replace what a checkpoint says of how it came about; its weights stay as they are.

    Args:
        folder: the checkpoint.
        record: as `save_checkpoint`.
        card: the model card, Markdown.

    Raises:
        LeadlineError: if it is no checkpoint.
        OSError: if the folder cannot be written.
    """
    config = {**read_config(folder), "record": record}
    with atomic_file(folder / CONFIG) as temporary:
        _write_json(temporary, config)
    with atomic_file(folder / CARD) as temporary:
        temporary.write_text(card, encoding="utf-8")


def load_checkpoint(folder: Path) -> DepthModel:
    """Rebuild a model.

    Args:
        folder: a checkpoint.

    Returns:
        The model in evaluation mode, on the CPU, channels last.

    Raises:
        LeadlineError: if the folder is no whole checkpoint, or its weights do not fit its settings.
    """
    settings = _read_settings(folder)
    try:
        weights = load_file(folder / WEIGHTS)
    except (SafetensorError, OSError) as error:
        raise LeadlineError(
            f"{folder / WEIGHTS} is missing or cut short ({error}); copy the checkpoint again"
        ) from error
    model = build_model(settings)
    try:
        model.load_state_dict(dequantize(weights))
    except RuntimeError as error:
        reason = str(error).splitlines()[1].strip() if "\n" in str(error) else str(error)
        raise LeadlineError(f"{folder / WEIGHTS} holds another model than {CONFIG} says: {reason[:160]}") from error
    return model.eval().to(memory_format=torch.channels_last)


def save_rescaled(source: Path, folder: Path, scale: float, how: dict[str, Any], note: str) -> None:
    """Write a copy of a checkpoint that answers its metres times a scale.

    The answer of every head is proportional to the two ends of its range (`leadline.models.heads.CURVES`), so that
    the scale goes there and the weights stay: whatever loads the copy has the scale in it.

    Args:
        source: a checkpoint.
        folder: where to; see `ensure_checkpoint_overwritable`.
        scale: positive.
        how: how the scale came about; JSON values.
        note: the same in words, below the model card.

    Raises:
        LeadlineError: if the source is no whole checkpoint.
        OSError: if the folder cannot be written.
    """
    config, settings = read_config(source), _read_settings(source)
    head = settings.head
    ends_m = {"min_depth_m": head.min_depth_m * scale, "max_depth_m": head.max_depth_m * scale}
    config["model"] = settings.model_copy(update={"head": head.model_copy(update=ends_m)}).model_dump()
    record = config.get("record", {})
    config["record"] = {**record, "calibrations": [*record.get("calibrations", []), how]}
    card = (source / CARD).read_text(encoding="utf-8") if (source / CARD).is_file() else ""
    with atomic_folder(folder) as temporary:
        shutil.copyfile(source / WEIGHTS, temporary / WEIGHTS)
        _write_json(temporary / CONFIG, config)
        (temporary / CARD).write_text(f"{card}\n{note}\n", encoding="utf-8")


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


def _read_settings(folder: Path) -> ModelSettings:
    config = read_config(folder)
    try:
        return ModelSettings.model_validate(config["model"])
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "model"
        raise LeadlineError(f"{folder / CONFIG} describes no model of this version: {where}: {first['msg']}") from error


def read_config(folder: Path) -> dict[str, Any]:
    """Read a checkpoint's `config.json`.

    Raises:
        LeadlineError: if it is missing or not what `save_checkpoint` writes.
    """
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise LeadlineError(f"no checkpoint at {folder}: wanted a folder with {WEIGHTS} and {CONFIG}") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise LeadlineError(f"{folder / CONFIG} is not valid JSON: {error}") from error
    if not isinstance(config, dict) or config.get("format") != FORMAT or "model" not in config:
        raise LeadlineError(f"{folder / CONFIG} is not a leadline checkpoint of format {FORMAT}")
    return config


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


def load_model(model: str | Path = "default") -> DepthModel:
    """Load a model to predict with.

    Args:
        model: "default", the name of a bundled model, a checkpoint's folder, or a run's (its best epoch).

    Returns:
        The model in evaluation mode, on the CPU.

    Raises:
        LeadlineError: if there is no such model or its checkpoint is broken.
    """
    return load_checkpoint(find_checkpoint(model))


def open_model(model: str | Path, device: torch.device) -> DepthModel:
    """Load a model to predict with under `leadline.models.device.autocast`.

    Args:
        model: as `load_model`.
        device: where it shall run.

    Returns:
        The model in evaluation mode, as `optimize_for_inference` leaves it.

    Raises:
        LeadlineError: if there is no such model or its checkpoint is broken.
    """
    opened = load_model(model).to(device)
    optimize_for_inference(opened)
    return opened


def _write_json(path: Path, config: dict[str, Any]) -> None:
    path.write_text(json.dumps(config, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
