"""An evaluation as one HTML page: numbers, where the models fail, the first model's best and worst pictures."""

from collections.abc import Callable, Sequence
from pathlib import Path

from leadline._version import __version__
from leadline.data import open_dataset
from leadline.evaluation import Evaluation, evaluate_models, get_protocol, open_scorer
from leadline.io import require_target
from leadline.reporting.html import Page, ScoredModel, require_distinct, write_html
from leadline.reporting.protocol_text import protocol_rules
from leadline.reporting.sheets import rank_pictures, scored_pictures


def write_report(
    models: Sequence[str],
    data: Path,
    split: str,
    protocol: str,
    out: Path,
    num_rows: int = 3,
    processes: int = 1,
    show_progress: bool = False,
    on_unread: Callable[[str], object] = lambda line: None,
) -> Path:
    """Evaluate models and write what was found as one file that needs no network.

    A picture that cannot be scored for one of them is left out of all.

    Args:
        models: as `leadline.evaluation.evaluation.evaluate`, each once.
        data: path of the data set.
        split: as `evaluate`.
        protocol: as `evaluate`.
        out: the file to write.
        num_rows: best, median and worst pictures of the first model, so many of each.
        processes: as `evaluate`.
        show_progress: draw progress bars.
        on_unread: is called with one line for each picture that is left out.

    Returns:
        The file.

    Raises:
        LeadlineError: as `evaluate`, or if two models have one name or `out` cannot be written; before any is scored.
    """
    require_target(out)
    models = list(dict.fromkeys(models))
    if len(models) > 1:
        dataset = open_dataset(Path(data))
        require_distinct([open_scorer(model, dataset).name for model in models])
    reports = evaluate_models(
        models,
        data=data,
        split=split,
        protocol=protocol,
        processes=processes,
        details=True,
        show_progress=show_progress,
    )
    first, rules = reports[0], get_protocol(protocol)
    chosen = rank_pictures(first, num_rows)
    page = Page(
        title=f"{' and '.join(report.model for report in reports)} on {first.data}",
        facts=_facts(first),
        rules=protocol_rules(rules),
        averaging=rules.averaging,
        models=[_scored_model(report) for report in reports],
        pictures={
            f"{name.capitalize()} pictures of {first.model}": pictures
            for name, pictures in scored_pictures(models[0], first, data, rules, chosen).items()
        },
    )
    write_html(out, page)
    for line in first.unread.values():
        on_unread(line)
    return out


def _facts(report: Evaluation) -> list[tuple[str, str]]:
    return [
        ("data", report.data),
        ("split", report.split),
        ("protocol", report.protocol),
        ("pictures", f"{len(report.ids)}{f'; {len(report.unread)} broken ones left out' if report.unread else ''}"),
        ("protocol's hash", report.protocol_digest),
        ("data's hash", report.data_digest),
        ("leadline", __version__),
    ]


def _scored_model(report: Evaluation) -> ScoredModel:
    boundaries = None
    if report.boundaries is not None:
        precision, recall, f1 = report.boundaries.nanmean(0).tolist()  # NaN where a truth has no edge
        boundaries = (precision, recall, f1)
    return ScoredModel(
        name=report.model,
        per_image=report.per_image,
        pooled=report.pooled,
        abs_rel=[row["abs_rel"] for row in report.rows()],
        groups=report.groups,
        calibration=report.calibration,
        boundaries=boundaries,
    )
