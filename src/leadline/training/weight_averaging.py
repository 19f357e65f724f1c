"""Arithmetic on weights: the average of several models, and an encoder between trained and pretrained."""

from collections.abc import Sequence
from pathlib import Path

import torch

from leadline.errors import LeadlineError
from leadline.models import DepthModel, ModelSettings, build_encoder, load_checkpoint


def load_weight_average(folders: Sequence[Path]) -> DepthModel:
    """Average the weights of several models, batch norms' statistics included.

    Trainings that begin at the same weights end in one basin, in whose middle errors are smaller (Wortsman et al.,
    "Model soups: averaging weights of multiple fine-tuned models improves accuracy without increasing inference
    time", ICML 2022).

    Args:
        folders: checkpoints of one shape.

    Returns:
        The model, as `load_checkpoint`.

    Raises:
        LeadlineError: if one is no whole checkpoint, or they are not of one kind and camera.
    """
    models = [load_checkpoint(folder) for folder in folders]
    for folder, model in zip(folders, models, strict=True):
        if model.settings != models[0].settings:
            raise LeadlineError(f"{folder} has other settings than {folders[0]}: wanted models of one kind and camera")
    states = [model.state_dict() for model in models]
    models[0].load_state_dict(
        {
            name: torch.stack([state[name].double() for state in states]).mean(0).to(value.dtype)
            for name, value in states[0].items()
        }
    )
    return models[0]


def restore_encoder(model: DepthModel, pretrained: ModelSettings, share: float) -> None:
    """Move a model's encoder part of the way back to its pretrained weights, in place.

    Long tuning on few pictures wears away what the encoder knew of all others. Between both lie encoders that know both
    (Wortsman et al., "Robust fine-tuning of zero-shot models", CVPR 2022); a few gentle epochs let the decoder follow.

    Args:
        model: what to change; its network has an encoder.
        pretrained: its settings, whose encoder has the pretrained weights.
        share: how far; 0 changes nothing, 1 is all the way.

    Raises:
        LeadlineError: if the weights cannot be had, or are another encoder's.
    """
    encoder = model.network.get_submodule("encoder")
    tuned, origin = encoder.state_dict(), build_encoder(pretrained.encoder).state_dict()
    encoder.load_state_dict(
        {name: torch.lerp(value.float(), origin[name].float(), share) for name, value in tuned.items()}
    )
