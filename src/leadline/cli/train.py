"""The command `leadline train`: every setting of a run is a flag."""

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Group, Parameter
from pydantic import BeforeValidator

from leadline.cli.console import LIST, OUT, TRAINING, require_packages, split_words
from leadline.data import DataSettings
from leadline.errors import LeadlineError
from leadline.models import ModelSettings
from leadline.training import LossSettings, OptimizerSettings, Run, RunSettings, Status, recipe_names


class ListedDataSettings(DataSettings):
    """The settings of data, whose lists are given as every command takes them."""

    beside: Annotated[tuple[str, ...], BeforeValidator(split_words), LIST] = ()
    """Folders of more pictures to train on, all of them, once an epoch; 'PATH*3': three times."""


class Settings(RunSettings):
    """The settings of a run, each part a section of the help."""

    model: Annotated[ModelSettings, Parameter(group=Group("Model", sort_key=1))] = ModelSettings()
    data: Annotated[ListedDataSettings, Parameter(group=Group("Data", sort_key=2))] = ListedDataSettings()
    loss: Annotated[LossSettings, Parameter(group=Group("Loss", sort_key=3))] = LossSettings()
    optimizer: Annotated[OptimizerSettings, Parameter(group=Group("Optimizer", sort_key=4))] = OptimizerSettings()


def train(
    recipe: str | None = None,
    /,
    *,
    data: Path | None = None,
    out: Annotated[Path | None, OUT] = None,
    resume: Path | None = None,
    settings: Annotated[Settings | None, Parameter(name="*")] = None,
) -> int:
    """Train a model by a recipe; any of its settings can be overridden here.

    Args:
        recipe: a recipe's name (see `leadline models`) or a TOML file.
        data: the data set: a folder with an index.csv, or a public one as released (docs/reference/data-sets.md).
        out: folder of the run.
        resume: folder of an interrupted run to resume, with its own settings.
        settings: override the recipe's.
    """
    require_packages(*TRAINING)
    show_progress = sys.stderr.isatty()
    if resume is not None:
        if recipe or data or out or settings:
            raise LeadlineError("--resume RUN takes everything from the run; leave the recipe and other settings out")
        run = Run(resume)
        if run.status is Status.DONE:  # said before anything slow is imported
            print(f"{resume} is finished: there is nothing to resume\nbest checkpoint: {run.best}")
            return 0
        from leadline.training import resume_stages

        best = resume_stages(resume, show_progress)
    else:
        if recipe is None:
            raise LeadlineError(f"name a recipe or give --resume RUN; recipes: {', '.join(recipe_names())}")
        if data is None or out is None:
            raise LeadlineError("training needs --data DIR and --out RUN")
        from leadline.training import train as run_training

        overrides = settings.model_dump(exclude_unset=True) if settings else {}
        best = run_training(recipe, data=data, out=out, settings=overrides, show_progress=show_progress)
    print(f"best checkpoint: {best}")
    return 0
