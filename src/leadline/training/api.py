"""Training by a recipe, from programs."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from leadline.geometry import checked
from leadline.training.settings import resolve_stages
from leadline.training.stages import train_stages


@checked
def train(
    recipe: str,
    *,
    data: str | Path,
    out: str | Path,
    settings: Mapping[str, Any] | None = None,
    show_progress: bool = False,
) -> Path:
    """Train a model by a recipe.

    Args:
        recipe: a recipe's name (see `leadline models`) or a TOML file.
        data: path of the data set.
        out: folder of the run, which must not hold another.
        settings: override the recipe's, nested as in its TOML file, such as {"model": {"height": 96}}.
        show_progress: draw a progress bar.

    Returns:
        The folder of the best checkpoint, which `leadline.load_model` and every command take.

    Raises:
        LeadlineError: if the recipe or a setting is unknown, `out` holds a run, a setting does not fit the data, or the
            loss diverges.
        Interrupted: after Ctrl-C; the state is saved, and `leadline train --resume OUT` goes on.
    """
    stages = resolve_stages(recipe, dict(settings or {}))
    return train_stages(stages, Path(data), Path(out), Path(recipe).stem, show_progress)
