"""A training run as a folder: its files, its stages, how far it has come and what it resumes from."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from leadline._version import __version__
from leadline.errors import LeadlineError
from leadline.io import atomic_file, format_json, read_json, read_toml, restore_folder
from leadline.models import NO_WEIGHTS, find_checkpoint, read_record, table_in
from leadline.training.settings import STAGES, RunSettings, parse_settings, write_settings

if TYPE_CHECKING:  # torch takes seconds, for which asking how far a run has come need not wait
    from leadline.data import DepthDataset, Splits


class Status(Enum):
    """How far a run has come."""

    NEW = "new"
    """Nothing of it has been trained."""
    BEGUN = "begun"
    """What decides it is written, but no state: resumed, it begins again in the same way."""
    INTERRUPTED = "interrupted"
    """There is a state, or an earlier stage, to continue from."""
    DONE = "done"
    """Its model is there."""


class Plan(NamedTuple):
    """What a run of several stages or repeats is going to do."""

    recipe: str
    data: Path
    stages: list[RunSettings]


@dataclass(frozen=True)
class Run:
    """A run's folder.

    The last stage's run is the folder itself, so that it is used like any other run; the earlier ones lie in it, in
    stage-1, stage-2 and so on. A stage that is trained several times has those repeats in its folder, in run-1, run-2
    and so on, and is itself the average of their weights.
    """

    folder: Path

    # Files.

    @property
    def settings_file(self) -> Path:
        """Its settings, written last of what decides it: where they are, all of that is there."""
        return self.folder / "settings.toml"

    @property
    def record_file(self) -> Path:
        """Versions, recipe, data, and whether it is finished."""
        return self.folder / "run.json"

    @property
    def plan_file(self) -> Path:
        """The settings of all stages, where it has several stages or repeats."""
        return self.folder / "stages.toml"

    @property
    def metrics_file(self) -> Path:
        """A row for each validated epoch."""
        return self.folder / "metrics.csv"

    @property
    def curves_file(self) -> Path:
        """The same, drawn."""
        return self.folder / "curves.png"

    @property
    def state_file(self) -> Path:
        """The state that training resumes from."""
        return self.folder / "checkpoints" / "last.ckpt"

    @property
    def best(self) -> Path:
        """The folder of the best checkpoint."""
        return self.folder / "checkpoints" / "best"

    def split_file(self, part: str) -> Path:
        """The ids of a part of the data set."""
        return self.folder / "splits" / f"{part}.txt"

    def sheet_file(self, epoch: int) -> Path:
        """The sheet of validation pictures of an epoch, the first of which is 1."""
        return self.folder / "validation" / f"epoch_{epoch:03d}.png"

    # Stages and repeats.

    def plan_stages(self, num_stages: int) -> list["Run"]:
        """Where each of so many stages goes, first to last."""
        return [*(Run(self.folder / f"stage-{number}") for number in range(1, num_stages)), self]

    def plan_repeats(self, num_runs: int) -> list["Run"]:
        """Where each of a stage's repeats goes; none where it is trained once."""
        return self._repeats(num_runs) if num_runs > 1 else []

    def _repeats(self, num_runs: int) -> list["Run"]:
        return [Run(self.folder / f"run-{number}") for number in range(1, num_runs + 1)]

    @property
    def stages(self) -> list["Run"]:
        """Its stages that are there, first to last."""
        return self.plan_stages(len(list(self.folder.glob("stage-[0-9]*"))) + 1)

    @property
    def trained(self) -> list["Run"]:
        """Of the last stage, the runs in which epochs were trained: its repeats, or itself."""
        return self._repeats(len(list(self.folder.glob("run-[0-9]*")))) or [self]

    # How far it has come.

    @property
    def has_begun(self) -> bool:
        """Whether the last stage itself, earlier ones and repeats aside, has begun."""
        return self.settings_file.is_file()

    @property
    def status(self) -> Status:
        """How far it has come, all stages together; a checkpoint that a kill put aside has its name again."""
        restore_folder(self.best)
        if not self.has_begun:
            begun = any(run.has_begun for stage in self.stages for run in stage.trained)
            return Status.INTERRUPTED if begun else Status.NEW
        if self.read_record().get("finished") and self.best.is_dir():
            return Status.DONE
        return Status.INTERRUPTED if self.state_file.is_file() else Status.BEGUN

    def already_there(self) -> LeadlineError:
        """Build the error for a new run where there is one already."""
        out = self.folder
        return LeadlineError(f"{out} already holds a run; continue it with --resume {out}, or choose another --out")

    def how_to_resume(self) -> str:
        """Tell the user how to continue it."""
        return f"continue with --resume {self.folder}"

    # What is written.

    def begin(self, settings: RunSettings, data: Path, recipe: str, ids_of: Mapping[str, Sequence[str]]) -> None:
        """Write down what decides the last stage, before its first step.

        Args:
            settings: its settings.
            data: path of the data set.
            recipe: the recipe's name.
            ids_of: ids of the pictures of each part.
        """
        import torch

        for part, ids in ids_of.items():
            with atomic_file(self.split_file(part)) as temporary:
                temporary.write_text("".join(f"{name}\n" for name in ids), encoding="utf-8")
        self._write_record(
            {
                "leadline": __version__,
                "torch": torch.__version__,
                "recipe": recipe,
                "data": str(data.resolve()),
                "encoder_weights": encoder_origin(settings),
            }
        )
        write_settings(self.settings_file, settings)

    def finish(self) -> None:
        """Write down that the last stage is done."""
        self._write_record({**self.read_record(), "finished": True})

    def write_plan(self, plan: Plan) -> None:
        """Write down what all stages are going to do."""
        import tomli_w

        values = [stage.model_dump(exclude_none=True) for stage in plan.stages]
        with atomic_file(self.plan_file) as temporary:
            text = tomli_w.dumps({"recipe": plan.recipe, "data": str(plan.data.resolve()), STAGES: values})
            temporary.write_text(text, encoding="utf-8")

    def forget_plan(self) -> None:
        """Remove a plan whose first stage never began, which would be taken for the next run's."""
        self.plan_file.unlink(missing_ok=True)

    def _write_record(self, record: Mapping[str, Any]) -> None:
        with atomic_file(self.record_file) as temporary:
            temporary.write_text(format_json(record), encoding="utf-8")

    # What is read.

    def read_settings(self) -> RunSettings:
        """The settings of the last stage.

        Raises:
            LeadlineError: if there is no run, or it is of another version's settings.
        """
        if not self.has_begun:
            raise LeadlineError(f"no run at {self.folder}: wanted a folder that 'leadline train' wrote")
        return parse_settings(read_toml(self.settings_file), str(self.settings_file))

    def read_record(self) -> dict[str, Any]:
        """Versions, recipe, data, and whether it is finished; empty where nothing is written."""
        return table_in({"record": read_json(self.record_file)}, "record") if self.record_file.is_file() else {}

    def read_data(self) -> Path:
        """Path of the data set that it is trained on.

        Raises:
            LeadlineError: if its record does not say, or it is no longer there.
        """
        return still_there(self.read_data_path(), self.record_file)

    def read_data_path(self) -> Path:
        """Where the data set was that it was trained on; it may have been moved since.

        Raises:
            LeadlineError: if its record does not say.
        """
        data = self.read_record().get("data")
        if not isinstance(data, str):
            raise LeadlineError(
                f"{self.record_file} is gone or does not name the data set: put it back, or train again into another "
                "folder"
            )
        return Path(data)

    def read_plan(self) -> Plan | None:
        """What all stages are going to do; None where it is one stage, trained once.

        Raises:
            LeadlineError: if the plan is not whole.
        """
        if not self.plan_file.is_file():
            return None
        values = read_toml(self.plan_file)
        try:
            recipe, data, stages = (values[name] for name in ("recipe", "data", STAGES))
        except KeyError as error:
            raise LeadlineError(f"{self.plan_file} lacks {error}; train again into another folder") from error
        return Plan(recipe, Path(data), [parse_settings(stage, str(self.plan_file)) for stage in stages])

    def read_rows(self) -> list[dict[str, float]]:
        """The rows of the last stage's metrics.csv; none where there is no such file yet."""
        if not self.metrics_file.is_file():
            return []
        with self.metrics_file.open(newline="", encoding="utf-8") as file:
            return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]

    def read_splits(self, dataset: "DepthDataset") -> "Splits":
        """The pictures of each part as they were written down, whatever has come to the data set since.

        Raises:
            LeadlineError: if one is no longer there.
        """
        from leadline.data import PARTS, select

        lists = {part: self.split_file(part) for part in PARTS}
        return {part: select(dataset, str(path)) if path.stat().st_size else [] for part, path in lists.items()}


def encoder_origin(settings: RunSettings) -> str:
    """Where the encoder's weights are from: a file's or a hub's name, or what the model that training starts from had.

    Raises:
        LeadlineError: if there is no such model.
    """
    weights = settings.model.encoder.weights
    if settings.init and not settings.restore_encoder:
        record = read_record(find_checkpoint(settings.init))
        weights = str(table_in(record, "settings", "model", "encoder").get("weights", NO_WEIGHTS))
    return Path(weights).name


def still_there(data: Path, file: Path) -> Path:
    """The data set that a run's file names, which may have been moved since.

    Raises:
        LeadlineError: if so.
    """
    if not data.exists():
        raise LeadlineError(
            f"{data}, the data set that {file} names, is gone: put it back, or write its new place into that file"
        )
    return data
