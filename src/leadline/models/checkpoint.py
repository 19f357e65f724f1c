"""Checkpoints: a folder of weights, settings and model card, rebuilt without unpickling anything."""

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from safetensors.torch import load_file, save_file

from leadline._version import __version__
from leadline.errors import LeadlineError
from leadline.io import atomic_file, atomic_folder, brief
from leadline.models.build import build_model
from leadline.models.checkpoint_files import CARD, CONFIG, FORMAT, WEIGHTS, find_checkpoint, read_config
from leadline.models.inference import optimize_for_inference
from leadline.models.model import DepthModel
from leadline.models.quantization import Precision, dequantize, quantize
from leadline.models.settings import ModelSettings


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
    except Exception as error:  # safetensors passes on what its readers of headers and types raise
        raise LeadlineError(
            f"{folder / WEIGHTS} is missing or cut short ({brief(error)}); copy the checkpoint again"
        ) from error
    try:
        # Nothing is asked of the network: whatever encoder weights a stranger's settings name, those beside them count.
        model = build_model(settings.without_weights())
    except LeadlineError as error:
        raise LeadlineError(f"{folder / CONFIG}: {error}") from error
    except Exception as error:  # timm's and PyTorch's errors at sizes that no network has
        raise LeadlineError(f"{folder / CONFIG} describes a model that cannot be built: {brief(error)}") from error
    try:
        model.load_state_dict(dequantize(weights))
    except Exception as error:
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


def _read_settings(folder: Path) -> ModelSettings:
    config = read_config(folder)
    try:
        return ModelSettings.model_validate(config["model"])
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "model"
        told = f"{brief(where)}: {brief(first['msg'])}"
        raise LeadlineError(f"{folder / CONFIG} describes no model of this version: {told}") from error
    except (ArithmeticError, TypeError, ValueError, RecursionError) as error:
        raise LeadlineError(f"{folder / CONFIG} describes no model: {brief(error)}") from error


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
