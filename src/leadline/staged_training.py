"""Training in stages: each goes on from the best weights of the one before, at another size or rate.

The last stage's run is the folder itself, so that it is used like any other run; the earlier ones lie in it, in
stage-1, stage-2 and so on. A recipe without stages is trained as one.
"""

import logging
from collections.abc import Sequence
from pathlib import Path

import tomli_w

from leadline.device import is_first_process
from leadline.errors import UserError
from leadline.files import atomic_file
from leadline.run import SETTINGS_FILE, Interrupted, refuse_another_run, stage_folders, trained_stages
from leadline.settings import STAGES, RunSettings, parse_settings
from leadline.toml_files import read_toml
from leadline.training import resume, train

logger = logging.getLogger(__name__)

STAGES_FILE = "stages.toml"


def train_stages(
    stages: Sequence[RunSettings], data: Path, out: Path, recipe: str = "", show_progress: bool = False
) -> Path:
    """Train stage after stage from the beginning.

    Args:
        stages: settings of each, see `leadline.settings.resolve_stages`.
        data: path of the data set.
        out: folder of the run, which must not hold another.
        recipe: the recipe's name, for the record.
        show_progress: draw a progress bar.

    Returns:
        The folder of the last stage's best checkpoint.

    Raises:
        UserError: if `out` holds a run, a setting does not fit the data, or the loss diverges.
        Interrupted: after Ctrl-C; the state is saved.
    """
    if is_first_process():
        for folder in trained_stages(out):
            refuse_another_run(folder, out)
        # A plan whose first stage never began would be taken for this run's.
        (out / STAGES_FILE).unlink(missing_ok=True)
    if len(stages) == 1:
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
        UserError: if there is no run to continue.
        Interrupted: after Ctrl-C; the state is saved.
    """
    if not (out / STAGES_FILE).is_file():
        return resume(out, show_progress)
    recipe, data, stages = _read_plan(out / STAGES_FILE)
    num_started = sum((folder / SETTINGS_FILE).is_file() for folder in stage_folders(out, len(stages)))
    return _train_from(num_started, stages, data, out, recipe, show_progress)


def _train_from(
    num_started: int, stages: Sequence[RunSettings], data: Path, out: Path, recipe: str, show_progress: bool
) -> Path:
    """Finish the last stage that was started, and train those after it."""
    folders = stage_folders(out, len(stages))
    try:
        if num_started:
            best = resume(folders[num_started - 1], show_progress)
        for place in range(num_started, len(stages)):
            size = f"{stages[place].model.height}×{stages[place].model.width}"
            logger.info("stage %d of %d: %d epochs at %s", place + 1, len(stages), stages[place].epochs, size)
            before = {"init": str(folders[place - 1])} if place else {}
            best = train(stages[place].model_copy(update=before), data, folders[place], recipe, show_progress)
    except Interrupted as error:
        raise Interrupted(f"{str(error).partition(';')[0]}; continue with --resume {out}") from error
    return best


def _read_plan(path: Path) -> tuple[str, Path, list[RunSettings]]:
    """Recipe, data and the settings of each stage."""
    plan = read_toml(path)
    try:
        return plan["recipe"], Path(plan["data"]), [parse_settings(stage, str(path)) for stage in plan[STAGES]]
    except KeyError as error:
        raise UserError(f"{path} lacks {error}; train again into another folder") from error
