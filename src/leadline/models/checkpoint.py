"""Checkpoints: a folder of weights, settings and model card, rebuilt without unpickling anything."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from leadline._version import __version__
from leadline.errors import LeadlineError, brief
from leadline.geometry import checked
from leadline.io import atomic_file, atomic_folder
from leadline.models.build import build_model
from leadline.models.checkpoint_files import (
    CARD,
    CONFIG,
    FORMAT,
    MAX_WEIGHT,
    WEIGHTS,
    find_checkpoint,
    read_config,
    read_settings,
    write_json,
)
from leadline.models.inference import optimize_for_inference
from leadline.models.model import DepthModel
from leadline.models.quantization import Precision, dequantize, quantize


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
        write_json(temporary / CONFIG, config)
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
        write_json(temporary, config)
    with atomic_file(folder / CARD) as temporary:
        temporary.write_text(card, encoding="utf-8")


def load_checkpoint(folder: Path) -> DepthModel:
    """Rebuild a model.

    Args:
        folder: a checkpoint.

    Returns:
        The model in evaluation mode, on the CPU, channels last.

    Raises:
        LeadlineError: if the folder is no whole checkpoint, or its weights are not finite, absurd, or do not fit its
            settings.
    """
    settings = read_settings(folder)
    try:
        weights = dequantize(load_file(folder / WEIGHTS))
    except LeadlineError as error:
        raise LeadlineError(f"{folder / WEIGHTS}: {error}") from error
    except Exception as error:  # safetensors passes on what its readers of headers and types raise
        raise LeadlineError(
            f"{folder / WEIGHTS} is missing or cut short ({brief(error)}); copy the checkpoint again"
        ) from error
    _require_sane(weights, folder / WEIGHTS)
    try:
        # Nothing is asked of the network: whatever encoder weights a stranger's settings name, those beside them count.
        model = build_model(settings.without_weights())
    except LeadlineError as error:
        raise LeadlineError(f"{folder / CONFIG}: {error}") from error
    except Exception as error:  # timm's and PyTorch's errors at sizes that no network has
        raise LeadlineError(f"{folder / CONFIG} describes a model that cannot be built: {brief(error)}") from error
    try:
        model.load_state_dict(weights)
    except Exception as error:
        reason = str(error).splitlines()[1].strip() if "\n" in str(error) else str(error)
        raise LeadlineError(f"{folder / WEIGHTS} holds another model than {CONFIG} says: {reason[:160]}") from error
    return model.eval().to(memory_format=torch.channels_last)


def _require_sane(weights: Mapping[str, torch.Tensor], path: Path) -> None:
    """Refuse weights that a diverged training or a bad disk has left: they answer all the same."""
    for name, values in weights.items():
        if values.is_floating_point() and values.numel() and not bool(values.abs().max() <= MAX_WEIGHT):
            worst = "NaN" if bool(values.isnan().any()) else f"{float(values.abs().max()):.3g}"
            raise LeadlineError(
                f"{path}: {name} holds {worst}, wanted numbers of a trained network, at most {MAX_WEIGHT:g}: the file "
                "is damaged or its training diverged; copy the checkpoint again or take an earlier one"
            )


@checked
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
