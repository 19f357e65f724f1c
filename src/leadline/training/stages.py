"""Training in stages: each goes on from the best weights of the one before, at another size or rate.

A stage that is trained several times goes on with the average of its repeats' weights; see `Run` for what lies where.
A recipe of one stage, trained once, is trained as it is.
"""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from leadline.data import joins
from leadline.errors import Interrupted, LeadlineError
from leadline.models import build_encoder
from leadline.training.distributed import is_first_process
from leadline.training.progress import Stage
from leadline.training.run import Plan, Run, Status, still_there
from leadline.training.settings import RunSettings
from leadline.training.training import average, resume, train

logger = logging.getLogger(__name__)


class _Part(NamedTuple):
    """What is done at a stretch."""

    title: str
    stage: int
    run: Run
    settings: RunSettings
    repeats: list[Run]  # those to average; a training has none


def train_stages(
    stages: Sequence[RunSettings], data: Path, out: Path, recipe: str = "", show_progress: bool = False
) -> Path:
    """Train stage after stage from the beginning.

    Args:
        stages: settings of each, see `leadline.training.settings.resolve_stages`.
        data: path of the data set.
        out: folder of the run, which must not hold another.
        recipe: the recipe's name, for the record.
        show_progress: draw a progress bar.

    Returns:
        The folder of the last stage's best checkpoint.

    Raises:
        LeadlineError: if `out` holds a run, a setting does not fit the data, the loss diverges, or there are several
            of what has no common start.
        Interrupted: after Ctrl-C; the state is saved.
    """
    if stages[0].runs > 1 and not stages[0].init:
        raise LeadlineError(
            f"{stages[0].runs} runs that each start at random have no mean; give --init MODEL, or set runs in a later "
            "stage"
        )
    run = Run(out)
    if is_first_process() and run.status is not Status.NEW:
        raise run.already_there()
    for stage in stages:
        joins(stage.data)  # refused now, not after hours
    for encoder in {stage.model.encoder for stage in stages if stage.restore_encoder}:
        build_encoder(encoder)  # its weights are to be found now, not after hours
    if is_first_process():
        run.forget_plan()
    if len(stages) == 1 and stages[0].runs == 1:
        return train(stages[0], data, run, recipe, show_progress)
    plan = Plan(recipe, data, list(stages))
    if is_first_process():
        run.write_plan(plan)
    return _train_parts(_parts(plan.stages, run), plan, run, show_progress)


def resume_stages(out: Path, show_progress: bool = False) -> Path:
    """Continue a run where it stopped, in whichever stage; it ends as if it had never been stopped.

    A finished run stays as it is.

    Args:
        out: folder of the run.
        show_progress: draw a progress bar.

    Returns:
        The folder of the last stage's best checkpoint.

    Raises:
        LeadlineError: if there is no run to continue.
        Interrupted: after Ctrl-C; the state is saved.
    """
    run = Run(out)
    if run.status is Status.DONE:
        logger.info("%s is finished; there is nothing to resume", out)
        return run.best
    plan = run.read_plan()
    if plan is None:
        return resume(run, show_progress)
    still_there(plan.data, run.plan_file)
    parts = _parts(plan.stages, run)
    num_begun = sum(part.run.has_begun for part in parts)
    if not num_begun:
        return _train_parts(parts, plan, run, show_progress)
    return _train_parts(parts[num_begun - 1 :], plan, run, show_progress, is_resumed=True)


def _parts(stages: Sequence[RunSettings], run: Run) -> list[_Part]:
    """Every training and averaging, in order."""
    parts: list[_Part] = []
    for place, (stage, settings) in enumerate(zip(run.plan_stages(len(stages)), stages, strict=True), start=1):
        if parts:
            settings = settings.model_copy(update={"init": str(parts[-1].run.folder)})
        title = f"stage {place} of {len(stages)}"
        repeats = stage.plan_repeats(settings.runs)
        for number, repeat in enumerate(repeats):
            own = settings.model_copy(update={"runs": 1, "seed": settings.seed + number})
            parts.append(_Part(f"{title}, run {number + 1} of {len(repeats)}", place, repeat, own, []))
        last = f"{title}, average of {len(repeats)} runs" if repeats else title
        parts.append(_Part(last, place, stage, settings, repeats))
    return parts


def _train_parts(parts: Sequence[_Part], plan: Plan, run: Run, show_progress: bool, is_resumed: bool = False) -> Path:
    """Do some parts of a run, the last ones; the first of them may have begun before."""
    try:
        for number, part in enumerate(parts):
            later = [it.settings for it in parts[number + 1 :] if not it.repeats]
            stage = Stage(part.stage, len(plan.stages), later)
            _do(part, stage, plan, show_progress, is_resumed and number == 0)
    except Interrupted as error:
        raise Interrupted(error.stopped, run.how_to_resume()) from error
    return run.best


def _do(part: _Part, stage: Stage, plan: Plan, show_progress: bool, is_resumed: bool) -> None:
    if is_resumed and part.run.status is Status.DONE:
        return
    settings = part.settings
    size = f"{settings.model.height}×{settings.model.width}"
    epochs = "1 epoch" if settings.epochs == 1 else f"{settings.epochs} epochs"
    logger.info("%s%s", part.title, "" if part.repeats else f": {epochs} at {size}")
    if part.repeats:
        # Made again, whether it was cut or not: that takes one validation.
        average(part.repeats, settings, plan.data, part.run, plan.recipe)
    elif is_resumed:
        resume(part.run, show_progress, stage)
    else:
        train(settings, plan.data, part.run, plan.recipe, show_progress, stage)
