"""Several models become one: the mean of their weights."""

from collections.abc import Sequence
from pathlib import Path

import torch

from leadline.errors import LeadlineError
from leadline.models import DepthModel, load_checkpoint


def load_weight_average(folders: Sequence[Path]) -> DepthModel:
    """The mean of the weights of several models, batch norms' statistics included.

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
