"""The report's experiments, trained, scored and written down; whatever is already there is not done again."""

import json
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import torch

from leadline.data import DepthDataset, open_dataset, select
from leadline.errors import Interrupted, LeadlineError, unknown_name
from leadline.evaluation import (
    PROTOCOLS,
    ImageEstimate,
    ScoredBy,
    ScoredImage,
    evaluate_protocols,
    reports,
    score_images,
)
from leadline.geometry import Output
from leadline.io import atomic_file, format_json
from leadline.models import NO_WEIGHTS, HeadSettings, autocast, build_encoder, open_model, pick_device
from leadline.reporting import draw_figures, save_report
from leadline.training.reproduce.experiments import STUDIES, Experiment, choose_experiments
from leadline.training.reproduce.page import CEILING, epochs_in_words, write_page
from leadline.training.run import Run, Status
from leadline.training.settings import RunSettings, merge, resolve_settings, resolve_stages
from leadline.training.stages import resume_stages, train_stages

logger = logging.getLogger(__name__)

NUM_TIMED = 10
NO_MATTER = {"data.workers", "data.cache", "init"}
"""Settings that change how fast a run is, and nothing that it learns; and where the stage before lies."""


def reproduce(
    data: Path,
    out: Path,
    only: Sequence[str] = (),
    epochs: int | None = None,
    encoder_weights: Mapping[str, Path] | None = None,
    show_progress: bool = False,
) -> Path:
    """Train the report's networks one after the other, score each, and write tables and figures.

    Called again with the same folder, it goes on where it was stopped.

    Args:
        data: path of the data set.
        out: folder for a run of each experiment, and for report.md.
        only: names of experiments or studies, see `STUDIES`; none means Table 1.
        epochs: instead of the recipes' own.
        encoder_weights: by an encoder's name, the file of its weights, instead of a download.
        show_progress: draw progress bars.

    Returns:
        The page, OUT/report.md.

    Raises:
        LeadlineError: if an experiment is unknown, `out` holds a run of one with other settings or data, or the data is
            so small that no picture is kept for validation.
        Interrupted: after Ctrl-C; the state is saved.
    """
    encoder_weights = encoder_weights or {}
    wanted = [(it, _stages(it, epochs, encoder_weights)) for it in choose_experiments(only)]
    used = {stages[0].model.encoder.name for _, stages in wanted}
    for name in encoder_weights.keys() - used:
        raise unknown_name("encoder", name, sorted(used), "--encoder-weights.")
    dataset = open_dataset(data)  # before hours of training: is it there, and is there what chooses the best epoch?
    for part in (it.data for _, stages in wanted for it in stages):
        select(dataset, f"{part.split}/val", part.split_seed, part.validation)
    for experiment, stages in wanted:
        runs = Run(out / experiment.name).plan_stages(len(stages))
        for run, settings in zip(runs, stages, strict=True):
            _check_same(run, settings, data)
    _check_encoders([stages[0] for experiment, stages in wanted if Run(out / experiment.name).status is Status.NEW])
    for experiment, stages in wanted:
        folder = out / experiment.name
        _train(Run(folder), stages, data, experiment.recipe, show_progress)
        _score(folder, experiment, data, show_progress)
        if not (folder / "cost.json").exists():
            _write_json(folder / "cost.json", _cost(folder, dataset[0].image))
        write_page(out)
    _score_ceiling(out / CEILING, data)
    _draw_best(out, data)
    return write_page(out)


def _stages(experiment: Experiment, epochs: int | None, encoder_weights: Mapping[str, Path]) -> list[RunSettings]:
    first = resolve_stages(experiment.recipe, experiment.overrides)[0]
    encoder = first.model.encoder
    values: dict[str, Any] = {} if epochs is None else {"epochs": epochs}
    # A network without a pretrained encoder stays without.
    if encoder.name in encoder_weights and encoder.weights != NO_WEIGHTS and first.model.network == "encoder-decoder":
        values["model"] = {"encoder": {"weights": str(encoder_weights[encoder.name])}}
    return resolve_stages(experiment.recipe, merge(experiment.overrides, values))


def _check_same(run: Run, settings: RunSettings, data: Path) -> None:
    """Refuse to take a run of other settings or data for the one that is wanted."""
    if not run.has_begun:
        return
    there = run.read_settings()
    # Training has added the focal length of its pictures.
    there = there.model_copy(update={"model": there.model.model_copy(update={"focal_px": settings.model.focal_px})})
    old, new = _flat(there.model_dump()), _flat(settings.model_dump())
    old["data"], new["data"] = run.read_data_path().name, data.resolve().name
    for name in new.keys() - NO_MATTER:
        if old[name] != new[name]:
            raise LeadlineError(
                f"{run.folder} holds a run with {name} {old[name]}, wanted {new[name]}; "
                "give the same options as then, or another --out"
            )


def _check_encoders(wanted: Sequence[RunSettings]) -> None:
    """Find every encoder's weights now, not when its turn comes after hours."""
    for encoder in {it.model.encoder for it in wanted if it.model.network == "encoder-decoder"}:
        try:
            build_encoder(encoder)
        except LeadlineError as error:
            raise LeadlineError(f"{error}: --encoder-weights.{encoder.name} FILE") from error


def _flat(values: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        flat |= _flat(value, f"{above}{name}.") if isinstance(value, Mapping) else {above + name: value}
    return flat


def _train(run: Run, stages: Sequence[RunSettings], data: Path, recipe: str, show_progress: bool) -> None:
    name = run.folder.name
    try:
        if run.status is Status.NEW:
            logger.info("training %s (epochs: %s)", name, epochs_in_words(stages))
            train_stages(stages, data, run.folder, recipe, show_progress)
        elif run.status is Status.DONE:
            logger.info("%s is trained already", run.folder)
        else:
            logger.info("resuming %s", name)
            resume_stages(run.folder, show_progress)
    except Interrupted as error:
        raise Interrupted(error.stopped, "the same command goes on from there") from error


def _score(folder: Path, experiment: Experiment, data: Path, show_progress: bool) -> None:
    missing = [name for name in experiment.protocols if not (folder / name / "metrics.json").exists()]
    if missing:
        reports = evaluate_protocols(
            folder, data=data, split=experiment.split, protocols=missing, show_progress=show_progress
        )
        for report in reports:
            save_report(replace(report, model=experiment.name), folder / report.protocol)


class Oracle:
    """Knows the truth, but must answer within a head's range."""

    output = Output.METRES
    runtime = ""
    concurrency = 1

    def __init__(self, head: HeadSettings) -> None:
        """Choose the range."""
        self.range_m = (head.min_depth_m, head.max_depth_m)
        self.name = "the truth, clamped to {:g} to {:g} m".format(*self.range_m)

    def open_image(self, dataset: DepthDataset, index: int) -> ScoredImage:
        """The ground truth within the range, see `leadline.evaluation.Scorer`."""
        truth = dataset.ground_truth(index)
        return ScoredImage(truth, lambda flip: ImageEstimate(truth.depth_m[None].clamp(*self.range_m)))


def _score_ceiling(folder: Path, data: Path) -> None:
    """What a perfect answer would score that cannot leave the report's range."""
    if (folder / "report" / "metrics.json").exists():
        return
    oracle, dataset, split = Oracle(resolve_settings("report-cae").model.head), open_dataset(data), "report/test"
    rules = [PROTOCOLS["report"]]
    rows = score_images(oracle, dataset, select(dataset, split), rules)
    (report,) = reports(ScoredBy(oracle.name), data, dataset, split, rules, rows)
    save_report(report, folder / "report")


def _cost(folder: Path, image: torch.Tensor) -> dict[str, Any]:
    """Size and speed: parameters, seconds of a training epoch, pictures a second one at a time."""
    device = pick_device()
    model = open_model(folder, device)
    seconds = []
    with torch.inference_mode(), autocast(device):
        for _ in range(2 + NUM_TIMED):
            start = time.perf_counter()
            model(image[None].to(device)).cpu()
            seconds.append(time.perf_counter() - start)
    return {
        "parameters": sum(value.numel() for value in model.parameters()),
        "seconds_per_epoch": median(row["seconds"] for run in Run(folder).trained for row in run.read_rows()),
        "pictures_per_second": 1 / median(seconds[2:]),
        "device": device.type,
        "threads": torch.get_num_threads(),
    }


def _draw_best(out: Path, data: Path) -> None:
    """The report's figures, for the best model of Table 1 that is there."""
    scores = {}
    for experiment in STUDIES["table1"]:
        path = out / experiment.name / "report" / "metrics.json"
        if path.exists():
            scores[experiment.name] = json.loads(path.read_text(encoding="utf-8"))["pooled"]["delta1"]
    if scores:
        best = max(scores, key=scores.__getitem__)
        draw_figures(out / best, out / best / "report", data, out / "figures")


def _write_json(path: Path, values: Mapping[str, Any]) -> None:
    with atomic_file(path) as temporary:
        temporary.write_text(format_json(values), encoding="utf-8")
