"""One evaluated model, or several, as a page: numbers, where it fails, and its best and worst pictures.

The page is one HTML file that loads nothing: its style and its pictures are inside it, and it runs no script.
"""

from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from html import escape
from pathlib import Path
from typing import NamedTuple

from torch import Tensor

from leadline.errors import LeadlineError
from leadline.evaluation import METRICS, Groups, named, ranking_value
from leadline.io import atomic_file
from leadline.reporting.calibration_plot import reliability_figure
from leadline.reporting.figures import ERROR_END, ScoredPicture
from leadline.reporting.plots import error_histogram, group_bars, group_rows, model_colours, picture_panels, region_maps
from leadline.reporting.protocol_text import AVERAGINGS
from leadline.reporting.style import style_sheet

GROUP_METRICS = ("delta1", "abs_rel", "rms", "log10")
"""The columns of the tables below the plots."""


@dataclass(frozen=True, kw_only=True)
class ScoredModel:
    """What a page says of one model."""

    name: str
    per_image: Mapping[str, float]
    """By the metric's name, the mean over pictures."""
    pooled: Mapping[str, float]
    """The same over all pixels."""
    abs_rel: Sequence[float]
    """Of each picture."""
    groups: Mapping[str, Groups] = field(default_factory=dict)
    """`Breakdown.results()`, and `breakdown.by_scene` under "scene"; what is missing is not drawn."""
    calibration: Tensor | None = None
    """`reliability.reliability_sums` over all pictures; None where the model does not say how far off it may be."""
    boundaries: tuple[float, float, float] | None = None
    """Mean of `boundaries.boundary_scores` over the pictures: precision, recall, F1."""


@dataclass(frozen=True, kw_only=True)
class Page:
    """What a page shows. Any text may hold any character.

    Raises:
        LeadlineError: if there is no model, or two have one name.
    """

    title: str
    facts: Sequence[tuple[str, str]]
    """What was evaluated, as (label, value): model, data, split, protocol, number of pictures, hashes, version."""
    rules: Sequence[str]
    """The protocol in words, such as `protocol_words.protocol_rules` gives."""
    averaging: str
    """The averaging that the protocol's users print, "per_image" or "pooled"."""
    models: Sequence[ScoredModel]
    pictures: Mapping[str, Sequence[ScoredPicture]] = field(default_factory=dict)
    """By heading, such as "Best"; each picture's title is its caption."""

    def __post_init__(self) -> None:
        """Refuse what could not be told apart."""
        require_distinct([model.name for model in self.models])


def require_distinct(names: Sequence[str]) -> None:
    """Refuse models that a page could not tell apart.

    Raises:
        LeadlineError: if there is no name, or one comes twice.
    """
    if not names or len(set(names)) < len(names):
        raise LeadlineError(
            f"a page needs models of distinct names, got {', '.join(names) or 'none'}: "
            f"rename a folder, or say name in predictions.toml"
        )


def write_html(path: Path, page: Page) -> None:
    """Write a page.

    Args:
        path: the file to write; its folder is created.
        page: what it shows.

    Raises:
        OSError: if the folder cannot be written.
    """
    with atomic_file(path) as temporary:
        temporary.write_text(_document(page), encoding="utf-8")


def _document(page: Page) -> str:
    body = "\n".join(filter(None, (_header(page), _numbers(page), _breakdowns(page), _pictures(page))))
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; img-src data:; '
        "style-src 'unsafe-inline'\">\n"
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(page.title)}</title>\n<style>{style_sheet()}</style>\n</head>\n"
        f"<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )


def _header(page: Page) -> str:
    facts = "".join(f"<div><dt>{escape(label)}</dt><dd>{escape(value)}</dd></div>" for label, value in page.facts)
    rules = "".join(f"<li>{escape(rule)}</li>" for rule in page.rules)
    return (
        f'<header>\n<h1>{escape(page.title)}</h1>\n<dl class="facts">{facts}</dl>\n'
        f"<details open><summary>How predictions are scored</summary><ul>{rules}</ul></details>\n</header>"
    )


def _numbers(page: Page) -> str:
    best = {
        (averaging, metric): max(ranking_value(metric, getattr(model, averaging)[metric]) for model in page.models)
        for averaging in AVERAGINGS
        for metric in METRICS
    }
    rows = []
    for model in page.models:
        name = f'<th scope="rowgroup" rowspan="{len(AVERAGINGS)}">{escape(model.name)}</th>'
        for averaging, words in AVERAGINGS.items():
            values = getattr(model, averaging)
            bold = [len(page.models) > 1 and ranking_value(it, values[it]) == best[averaging, it] for it in METRICS]
            cells = [_cell(values[metric], is_best) for metric, is_best in zip(METRICS, bold, strict=True)]
            star = " *" if averaging == page.averaging else ""
            rows.append([name, f"<td>{words}{star}</td>", *cells])
            name = ""
    header = ["model", "averaging", *(_metric_name(metric) for metric in METRICS)]
    star = "* the averaging that this protocol's users print."
    meanings = "".join(f"<div><dt>{it.label}</dt><dd>{escape(it.meaning)}</dd></div>" for it in METRICS.values())
    return (
        f'<section>\n<h2>Numbers</h2>\n{_table(header, rows)}\n<p class="note">{star} y is the truth, ŷ the '
        "prediction; ↑ higher is better, ↓ lower is better"
        f"{', and the best is bold' if len(page.models) > 1 else ''}.</p>\n"
        f'<details><summary>What the metrics mean</summary><dl class="facts">{meanings}</dl></details>\n'
        f"{_boundaries(page)}</section>"
    )


def _boundaries(page: Page) -> str:
    known = [(model.name, model.boundaries) for model in page.models if model.boundaries is not None]
    if not known:
        return ""
    rows = [[f'<th scope="row">{escape(name)}</th>', *map(_cell, scores)] for name, scores in known]
    return (
        f"<h3>Edges of things</h3>\n{_table(['model', 'precision ↑', 'recall ↑', 'F1 ↑'], rows)}\n"
        '<p class="note">Boundaries between neighbouring pixels whose depths have a ratio above 1.05 to 1.25, after '
        "Depth Pro; mean over pictures. A boundary one pixel beside the true one is missed: compare these numbers only "
        "on the same truth.</p>\n"
    )


class _Plot(NamedTuple):
    """A plot of the section "Where it fails"."""

    division: str
    metric: str
    caption: str
    draw: Callable[[Mapping[str, Groups], str, Mapping[str, str]], bytes]
    has_table: bool = True


_PLOTS = (
    _Plot("distance", "abs_rel", "Relative error by true distance", group_bars),
    _Plot("distance", "rms", "Error in metres by true distance", group_bars, has_table=False),
    _Plot("edges", "abs_rel", "At the edges of things and on surfaces", group_bars),
    _Plot("uncertainty", "abs_rel", "Where the model says that it is sure, and where not", group_bars),
    _Plot("region", "abs_rel", "By place in the picture", region_maps),
    _Plot("scene", "abs_rel", "By kind of place", group_rows),
)


def _breakdowns(page: Page) -> str:
    # The plot by kind of place can be many times as high as the others, so that it comes last.
    *plots, last = (_plot(page, plot) for plot in _PLOTS)
    blocks = "".join([*plots, _calibration(page), _spread(page), last])
    about = "Pooled over the scored pixels of each group; their numbers open below the plots."
    return (
        f'<section>\n<h2>Where it fails</h2>\n<p class="note">{about}</p>\n'
        f'<div class="plots">\n{blocks}</div>\n</section>'
    )


def _colours(page: Page) -> dict[str, str]:
    """Every model's colour, the same whichever of them a plot shows."""
    return model_colours(model.name for model in page.models)


def _calibration(page: Page) -> str:
    known = {model.name: model.calibration for model in page.models if model.calibration is not None}
    if not known:
        return ""
    alt = f"Actual against expected error, for {', '.join(known)}."
    image = _image(reliability_figure(known, _colours(page)), "png", alt)
    return f"<figure>{image}<figcaption>Whether the model knows how far off it is</figcaption></figure>\n"


def _spread(page: Page) -> str:
    errors = {model.name: model.abs_rel for model in page.models}
    alt = f"Histogram of the pictures' abs_rel, for {', '.join(errors)}."
    image = _image(error_histogram(errors, _colours(page)), "png", alt)
    return f"<figure>{image}<figcaption>How the pictures' errors are spread</figcaption></figure>\n"


def _plot(page: Page, plot: _Plot) -> str:
    groups = {model.name: model.groups[plot.division] for model in page.models if plot.division in model.groups}
    first = next(iter(groups.values()), None)
    if first is None or len(first.labels) < 2:  # one group tells nothing that the numbers above do not
        return ""
    alt = f"{plot.caption}: {plot.metric} by {first.title}, for {', '.join(groups)}."
    table = f"<details><summary>Numbers</summary>{_group_table(groups)}</details>" if plot.has_table else ""
    image = _image(plot.draw(groups, plot.metric, _colours(page)), "png", alt)
    return f"<figure>{image}<figcaption>{plot.caption}</figcaption>\n{table}</figure>\n"


def _group_table(groups: Mapping[str, Groups]) -> str:
    header = ["group", "pixels", *map(_metric_name, GROUP_METRICS)]
    rows = []
    for name, it in groups.items():
        if len(groups) > 1:
            rows.append([f'<th scope="rowgroup" colspan="{len(header)}" class="model">{escape(name)}</th>'])
        for label, share, values in zip(it.labels, it.shares, map(named, it.metrics), strict=True):
            cells = [_cell(values[metric]) for metric in GROUP_METRICS]
            rows.append([f'<th scope="row">{escape(label)}</th>', f"<td>{100 * share:.1f} %</td>", *cells])
    return _table(header, rows)


def _pictures(page: Page) -> str:
    parts = []
    for heading, pictures in page.pictures.items():
        rows = "".join(map(_picture, pictures))
        parts.append(f"<h3>{escape(heading)}</h3>\n{rows}")
    if not parts:
        return ""
    return f"<section>\n<h2>Pictures</h2>\n{''.join(parts)}</section>"


def _picture(scored: ScoredPicture) -> str:
    panels = picture_panels(scored)
    depth = partial(_scale, "depth", f"{panels.near_m:.3g} m", f"{panels.far_m:.3g} m")
    shown = (
        ("picture", panels.picture, ""),
        ("truth", panels.truth, depth()),
        ("prediction", panels.prediction, depth()),
        ("relative error |y−ŷ|/y", panels.error, _scale("error", "0", f"≥ {ERROR_END:g}")),
    )
    figures = "".join(
        f"<figure>{_image(data, 'jpeg', f'{name} of {scored.title}')}<figcaption>{name}{scale}</figcaption></figure>"
        for name, data, scale in shown
    )
    return f'<section class="picture"><h4>{escape(scored.title)}</h4><div class="panels">{figures}</div></section>\n'


def _scale(name: str, low: str, high: str) -> str:
    """A bar of colours between its ends."""
    return f'<span class="scale">{low}<span class="bar {name}"></span>{high}</span>'


def _image(data: bytes, kind: str, alt: str) -> str:
    return f'<img src="data:image/{kind};base64,{b64encode(data).decode()}" alt="{escape(alt)}">'


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of finished cells that scrolls by itself where the screen is narrow."""
    head = "".join(f'<th scope="col">{name}</th>' for name in header)
    body = "\n".join(f"<tr>{''.join(row)}</tr>" for row in rows)
    return (
        f'<div class="scroll" role="region" aria-label="table" tabindex="0"><table>\n<thead><tr>{head}</tr></thead>\n'
        f"<tbody>\n{body}\n</tbody></table></div>"
    )


def _metric_name(metric: str) -> str:
    return METRICS[metric].heading


def _cell(value: float, best: bool = False) -> str:
    shown = f"{value:.4f}" if value == value else "–"
    return f"<td><strong>{shown}</strong></td>" if best else f"<td>{shown}</td>"
