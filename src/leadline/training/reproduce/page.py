"""The page that `leadline reproduce` writes: every finished experiment beside the report's numbers."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from leadline.errors import counted
from leadline.evaluation import METRICS, ranking_value
from leadline.io import atomic_file
from leadline.reporting import compare_curves
from leadline.training.reproduce.experiments import REFERENCE, STUDIES, TABLE_1, Experiment
from leadline.training.run import Run
from leadline.training.settings import RunSettings, resolve_settings, resolve_stages

CEILING = "ceiling"
"""Folder of the score that the truth itself gets, once it is brought into the report's range."""

SHOWN = {name: METRICS[name].heading for name in ("delta1", "delta2", "delta3", "abs_rel", "rms", "log10")}
"""The report's six metrics, under leadline's names."""
NUM_TESTED = 200
"""The report's test pictures: on another number of them nothing is better or worse than the report."""
MIN_SHOWN = 0.0005
FIGURES = {
    "figure_1": "Figure 1: the best model, from small errors to large (percentiles 10, 35, 65 and 90 of abs_rel).",
    "figure_5": "Figure 5: its best, median and worst picture.",
    "figure_6": "Figure 6: four pictures drawn at random.",
}


def write_page(out: Path) -> Path:
    """Write report.md and the learning curves from whatever experiments are finished.

    Args:
        out: folder of the experiments.

    Returns:
        The page.
    """
    table_1 = [it for it in STUDIES["table1"] if (out / it.name / "cost.json").exists()]
    if table_1:
        compare_curves(out / "learning_curves.png", {it.title: _all_rows(out / it.name) for it in table_1})
    sections = (
        _table_1(out, "report"),
        _table_1(out, "report-in-range"),
        _official(out),
        _ablations(out),
        _costs(out),
        _pictures(out),
    )
    page = out / "report.md"
    with atomic_file(page) as temporary:
        temporary.write_text("\n\n".join(["# The report's Table 1", *filter(None, sections)]) + "\n", encoding="utf-8")
    return page


def _scores(out: Path, experiment: Experiment, protocol: str) -> dict[str, Any] | None:
    """What metrics.json holds, or None if the experiment is not finished."""
    path = out / experiment.name / protocol / "metrics.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _numbers(values: Mapping[str, float]) -> list[str]:
    return [f"{values[name]:.3f}" if name in values else "" for name in SHOWN]


def _num_better(values: Mapping[str, float], reported: Mapping[str, float]) -> str:
    count = sum(ranking_value(name, values[name]) > ranking_value(name, reported[name]) for name in reported)
    return f"{count} of {len(reported)}"


def _table_1(out: Path, protocol: str) -> str:
    scored = [(it, scores) for it in STUDIES["table1"] if (scores := _scores(out, it, protocol))]
    if not scored:
        return ""
    num_images = scored[-1][1]["num_images"]
    is_compared = protocol == "report" and num_images == NUM_TESTED
    rows = []
    for experiment, scores in scored:
        own = [(f"leadline, {averaging}", scores[averaging]) for averaging in ("pooled", "per_image")]
        if protocol == "report":  # the report's numbers are of no other
            reported = TABLE_1[experiment.name]
            rows.append([experiment.title, "the report", *_numbers(reported), *[""] * is_compared])
            rows += [
                ["", title, *_numbers(values), *[_num_better(values, reported)] * is_compared] for title, values in own
            ]
        else:
            rows += [[experiment.title, title, *_numbers(values)] for title, values in own]
    ceiling = out / CEILING / protocol / "metrics.json"
    if ceiling.exists():
        scores = json.loads(ceiling.read_text(encoding="utf-8"))
        rows.append(["*ceiling*", scores["model"], *_numbers(scores["pooled"]), *[""] * is_compared])
    about = {
        "report": f"Every pixel of the {num_images} test pictures, protocol `report`, beside the report's own numbers"
        + ("." if num_images == NUM_TESTED else f", which are of {NUM_TESTED} others and do not compare."),
        "report-in-range": f"The same {num_images} pictures, only pixels whose truth the range [0.5, 4] m can express "
        "(`report-in-range`). The report has no numbers under this protocol, so nothing here is better or worse than "
        "its own.",
    }[protocol]
    heading = {"report": "Table 1", "report-in-range": "Within the range"}[protocol]
    against = ["better than the report"] * is_compared
    return f"## {heading}\n\n{about}\n\n{_table(['network', 'numbers', *SHOWN.values(), *against], rows)}"


def _official(out: Path) -> str:
    rows = []
    for experiment in STUDIES["official"]:
        for protocol in experiment.protocols:
            scores = _scores(out, experiment, protocol)
            if scores is None:
                continue
            for averaging in ("pooled", "per_image"):
                rows.append([experiment.title, protocol, averaging, *_numbers(scores[averaging])])
    if not rows:
        return ""
    about = (
        "The same recipes on the makers' split, whose training and test pictures share no scene: trained on nine "
        "tenths of its 795 training pictures, scored on its 654 test pictures."
    )
    return (
        f"## Without shared scenes\n\n{about}\n\n{_table(['network', 'protocol', 'averaging', *SHOWN.values()], rows)}"
    )


def _ablations(out: Path) -> str:
    found = [(it, scores["pooled"]) for it in STUDIES["ablations"] if (scores := _scores(out, it, "report"))]
    if not found:
        return ""
    seeds = [values for it, values in found if it.recipe == REFERENCE]
    budget = resolve_settings(REFERENCE)
    about = (
        f"DenseNet + decoder on a small budget: {budget.epochs} epochs at {budget.model.height}×{budget.model.width} "
        "(validation chooses the epoch), the report's split, protocol `report`, pooled. They compare with each other, "
        "not with Table 1."
    )
    rows = []
    for it, values in found:
        beyond = "" if it.recipe == REFERENCE else _beyond(values, seeds)
        rows.append([it.title, *_numbers(values), beyond])
    if len(seeds) > 1:
        spread = {name: _spread(name, seeds) for name in SHOWN}
        rows.insert(len(seeds), [f"*largest less smallest of the {len(seeds)} seeds*", *_numbers(spread), ""])
    header = ["changed", *SHOWN.values(), "beyond every seed in"]
    return f"## Ablations\n\n{about}\n\n{_table(header, rows)}"


def _spread(name: str, seeds: Sequence[Mapping[str, float]]) -> float:
    values = [seed[name] for seed in seeds]
    return max(values) - min(values)


def _beyond(values: Mapping[str, float], seeds: Sequence[Mapping[str, float]]) -> str:
    """The metrics that differ from the seeds' mean by more than the seeds do among themselves."""
    if len(seeds) < 2:
        return ""
    found = []
    for name, shown in SHOWN.items():
        gain = ranking_value(name, values[name]) - fmean(ranking_value(name, seed[name]) for seed in seeds)
        if abs(gain) > max(_spread(name, seeds), MIN_SHOWN):
            found.append(f"{shown.split()[0]} {'better' if gain > 0 else 'worse'}")
    return ", ".join(found) or "none"


def _costs(out: Path) -> str:
    rows = []
    for experiment in (it for study in STUDIES.values() for it in study):
        path = out / experiment.name / "cost.json"
        if not path.exists():
            continue
        cost = json.loads(path.read_text(encoding="utf-8"))
        stages = _settings(out / experiment.name)
        rows.append(
            [
                experiment.name,
                f"{cost['parameters'] / 1e6:.1f} M",
                ", ".join(f"{it.model.height}×{it.model.width}" for it in stages),
                epochs_in_words(stages)
                + ("" if epochs_in_words(stages) == _recipe_epochs(experiment) else " (not the recipe's)"),
                f"{cost['seconds_per_epoch']:.0f} s",
                f"{cost['pictures_per_second']:.1f}",
                f"cpu, {counted(cost['threads'], 'thread')}" if cost["device"] == "cpu" else cost["device"],
            ]
        )
    if not rows:
        return ""
    header = ["experiment", "parameters", "working size", "epochs", "an epoch", "pictures a second", "on"]
    about = (
        "An epoch is the last stage's and includes its validation; pictures a second are predicted one at a time at "
        "their own size."
    )
    return f"## Cost\n\n{about}\n\n{_table(header, rows)}"


def _settings(folder: Path) -> list[RunSettings]:
    """Settings of a run's stages, first to last."""
    return [stage.read_settings() for stage in Run(folder).stages]


def _all_rows(folder: Path) -> list[dict[str, float]]:
    """Rows of every stage, epochs counted on; of several runs the first one's, and their average as an epoch more."""
    runs = [run for stage in Run(folder).stages for run in dict.fromkeys((stage.trained[0], stage))]
    rows = [row for run in runs for row in run.read_rows()]
    return [{**row, "epoch": float(epoch)} for epoch, row in enumerate(rows, start=1)]


def _recipe_epochs(experiment: Experiment) -> str:
    return epochs_in_words(resolve_stages(experiment.recipe, experiment.overrides))


def epochs_in_words(stages: Sequence[RunSettings]) -> str:
    """Epochs of each stage, those of one of several runs times their number: "50 + 4×8"."""
    return " + ".join(f"{stage.runs}×{stage.epochs}" if stage.runs > 1 else str(stage.epochs) for stage in stages)


def _pictures(out: Path) -> str:
    scored = "scored is the last stage's best epoch by validation abs_rel, or its runs' mean, drawn as an epoch more"
    parts = [("learning_curves.png", f"Learning curves; {scored}.")]
    parts += [(f"figures/{name}.png", caption) for name, caption in FIGURES.items()]
    shown = [f"{caption}\n\n![{caption}]({path})" for path, caption in parts if (out / path).exists()]
    return "\n\n".join(["## Pictures", *shown]) if shown else ""
