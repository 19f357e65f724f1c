"""Training in stages: each goes on from the best weights of the one before, at another size or rate.

The last stage's run is the folder itself, so that it is used like any other run; the earlier ones lie in it, in
stage-1, stage-2 and so on. A stage of several runs has those in its folder, in run-1, run-2 and so on, and is itself
the mean of them. A recipe of one stage and one run is trained as it is.
"""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import tomli_w

from leadline.errors import LeadlineError
from leadline.io import atomic_file, read_toml
from leadline.training.distributed import is_first_process
from leadline.training.run_folder import SETTINGS_FILE, Interrupted, refuse_another_run
from leadline.training.settings import STAGES, RunSettings, parse_settings
from leadline.training.training import average, resume, train

logger = logging.getLogger(__name__)

STAGES_FILE = "stages.toml"


def stage_folders(out: Path, num_stages: int) -> list[Path]:
    """The folder of each stage's run, first to last."""
    return [*(out / f"stage-{number}" for number in range(1, num_stages)), out]


def run_folders(stage: Path, num_runs: int) -> list[Path]:
    """Where each of a stage's runs lies, of which the stage's own folder has the mean; none where it is one run."""
    return [stage / f"run-{number}" for number in range(1, num_runs + 1)] if num_runs > 1 else []


def trained_runs(stage: Path) -> list[Path]:
    """The folders of a stage that are there in which epochs were trained."""
    return run_folders(stage, len(list(stage.glob("run-[0-9]*")))) or [stage]


def trained_stages(out: Path) -> list[Path]:
    """The folder of each stage of a run that is there, first to last."""
    return stage_folders(out, len(list(out.glob("stage-*"))) + 1)


class _Part(NamedTuple):
    """What is done at a stretch."""

    title: str
    folder: Path
    settings: RunSettings
    runs: list[Path]  # those to average; a training has none


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
    if is_first_process():
        for stage in trained_stages(out):
            for folder in {stage, *trained_runs(stage)}:
                refuse_another_run(folder, out)
        # A plan whose first stage never began would be taken for this run's.
        (out / STAGES_FILE).unlink(missing_ok=True)
    if len(stages) == 1 and stages[0].runs == 1:
        return train(stages[0], data, out, recipe, show_progress)
    if is_first_process():
        values = [stage.model_dump(exclude_none=True) for stage in stages]
        with atomic_file(out / STAGES_FILE) as temporary:
            plan = {"recipe": recipe, "data": str(data.resolve()), STAGES: values}
            temporary.write_text(tomli_w.dumps(plan), encoding="utf-8")
    return _train_from(0, stages, data, out, recipe, show_progress)


def resume_stages(out: Path, show_progress: bool = False) -> Path:
    """Continue a run where it stopped, in whichever stage; it ends as if it had never been stopped.

    Args:
        out: folder of the run.
        show_progress: draw a progress bar.

    Returns:
        The folder of the last stage's best checkpoint.

    Raises:
        LeadlineError: if there is no run to continue.
        Interrupted: after Ctrl-C; the state is saved.
    """
    if not (out / STAGES_FILE).is_file():
        return resume(out, show_progress)
    recipe, data, stages = _read_plan(out / STAGES_FILE)
    num_started = sum((part.folder / SETTINGS_FILE).is_file() for part in _parts(stages, out))
    return _train_from(num_started, stages, data, out, recipe, show_progress)


def _parts(stages: Sequence[RunSettings], out: Path) -> list[_Part]:
    """Every training and averaging, in order."""
    parts: list[_Part] = []
    for place, (folder, settings) in enumerate(zip(stage_folders(out, len(stages)), stages, strict=True)):
        if parts:
            settings = settings.model_copy(update={"init": str(parts[-1].folder)})
        title = f"stage {place + 1} of {len(stages)}"
        runs = run_folders(folder, settings.runs)
        for number, run in enumerate(runs):
            own = settings.model_copy(update={"runs": 1, "seed": settings.seed + number})
            parts.append(_Part(f"{title}, run {number + 1} of {len(runs)}", run, own, []))
        parts.append(_Part(f"{title}, mean of {len(runs)} runs" if runs else title, folder, settings, runs))
    return parts


def _train_from(
    num_started: int, stages: Sequence[RunSettings], data: Path, out: Path, recipe: str, show_progress: bool
) -> Path:
    """Finish the last part that was started, and do those after it."""
    parts = _parts(stages, out)
    try:
        if num_started and not parts[num_started - 1].runs:
            best = resume(parts[num_started - 1].folder, show_progress)
        elif num_started:
            num_started -= 1  # a mean is made again, whether it was cut or not: that takes one validation
        for title, folder, settings, runs in parts[num_started:]:
            size = f"{settings.model.height}×{settings.model.width}"
            logger.info("%s%s", title, "" if runs else f": {settings.epochs} epochs at {size}")
            if runs:
                best = average(runs, settings, data, folder, recipe)
            else:
                best = train(settings, data, folder, recipe, show_progress)
    except Interrupted as error:
        raise Interrupted(f"{str(error).partition(';')[0]}; continue with --resume {out}") from error
    return best


def _read_plan(path: Path) -> tuple[str, Path, list[RunSettings]]:
    """Recipe, data and the settings of each stage."""
    plan = read_toml(path)
    try:
        return plan["recipe"], Path(plan["data"]), [parse_settings(stage, str(path)) for stage in plan[STAGES]]
    except KeyError as error:
        raise LeadlineError(f"{path} lacks {error}; train again into another folder") from error
