"""What comparisons look like: a page, a CSV file, rows for a terminal, and a figure."""

import csv
from collections.abc import Iterator, Sequence
from math import ceil, floor, inf, log10
from pathlib import Path
from textwrap import wrap
from typing import Any

from leadline._version import __version__
from leadline.evaluation import METRICS, NUM_RESAMPLES, RANKED_BY, Change, Comparison, Difference
from leadline.io import atomic_file
from leadline.reporting.figures import pyplot, save_figure

NUM_SHOWN = 5
FEW = 20
"""From fewer scenes or pictures, a percentile interval covers clearly less than it says (of 10 normal values, 91 %)."""
NOTES = {
    "scenes": "",
    "pictures": "The scenes are unknown: if pictures of one scene are alike, the intervals are too narrow.",
    "pictures of one scene": "All pictures are of one scene: the intervals say nothing about other scenes.",
}
"""By what was resampled, what a reader must know about it."""
READING = (
    "Won: the share of pictures on which the second model is better, ties counted half. "
    "Each interval holds by itself, not all of them together."
)
COLOURS = {"better": "#0072b2", "worse": "#d55e00", "unclear": "0.5"}  # apart for the colour-blind too
MIN_SHOWN = 1e-4  # of a relative error; a logarithmic axis has no place for 0
MAX_NAME, MAX_TITLE = 44, 130  # letters


def about(comparison: Comparison) -> str:
    """What was compared and how, in a sentence."""
    return (
        f"{len(comparison.changes)} pictures of {comparison.data} {comparison.split}, protocol {comparison.protocol}, "
        f"means per image; 95 % intervals of the paired difference from {NUM_RESAMPLES} resamples of "
        f"{comparison.num_resampled} {comparison.resampled}."
    )


def hashes(comparison: Comparison) -> str:
    """What the numbers hang on: the protocol's rules, the truth, the version; "" where no hash is known."""
    known = {"rules": comparison.protocol_digest, "truth": comparison.data_digest}
    words = [f"{name} {digest}" for name, digest in known.items() if digest]
    return f"Hashes: {', '.join(words)}; leadline {__version__}." if words else ""


def notes(comparison: Comparison) -> list[str]:
    """What a reader must know before believing the intervals; often nothing."""
    few = comparison.num_resampled < FEW
    found = [
        NOTES[comparison.resampled],
        f"With only {comparison.num_resampled} to draw from, the intervals are too narrow." if few else "",
        _left_out(comparison) if comparison.left_out else "",
        _unread(comparison) if comparison.unread else "",
        _holes(comparison) if any(comparison.hole_shares) else "",
    ]
    return [note for note in found if note]


def _left_out(comparison: Comparison) -> str:
    names, (num_first, num_other) = comparison.left_out, comparison.num_unscored
    return (
        f"{len(names)} left out for a score that is no number ({num_first} of {comparison.first}, "
        f"{num_other} of {comparison.other}): {_listed(names)}."
    )


def _unread(comparison: Comparison) -> str:
    return f"{len(comparison.unread)} left out of both, broken: {_listed(list(comparison.unread))}."


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:NUM_SHOWN]) + (", …" if len(names) > NUM_SHOWN else "")


def _holes(comparison: Comparison) -> str:
    first, other = comparison.hole_shares
    return (
        f"Pixels without a prediction are left out ({first:.2%} of {comparison.first}, {other:.2%} of "
        f"{comparison.other}): the two are not scored on quite the same ones."
    )


def table(comparison: Comparison) -> list[list[str]]:
    """A table's lines, the header first: metric, both means, their difference, its interval, wins and verdict."""
    header = ["metric", comparison.first, comparison.other, "change", "95 % interval", "won", "verdict"]
    return [header, *(_line(it) for it in comparison.differences)]


def _line(it: Difference) -> list[str]:
    return [
        METRICS[it.metric].heading,
        f"{it.first:.4f}",
        f"{it.other:.4f}",
        f"{it.difference:+.4f}",
        f"{it.low:+.4f} to {it.high:+.4f}",
        f"{it.won:.1%}",
        it.verdict,
    ]


def markdown(comparisons: Sequence[Comparison]) -> str:
    """Write comparisons as a page, a section for each, with the pictures that change most."""
    return "\n\n".join(block for comparison in comparisons for block in _section(comparison)) + "\n"


def _section(comparison: Comparison) -> Iterator[str]:
    yield f"## {comparison.other} against {comparison.first}"
    yield " ".join(filter(None, [about(comparison), READING, *notes(comparison), hashes(comparison)]))
    yield _markdown_table(table(comparison))
    for title, found in largest_changes(comparison).items():
        if found:
            header = ["picture", comparison.first, comparison.other, "difference"]
            yield f"Most {title}, by {RANKED_BY}:"
            yield _markdown_table([header, *(_change_line(change) for change in found)])


def largest_changes(comparison: Comparison) -> dict[str, list[Change]]:
    """The pictures that are "improved" and "worsened" most, each `NUM_SHOWN` at the most."""
    better = [change for change in comparison.changes[:NUM_SHOWN] if change.difference < 0]
    worse = [change for change in comparison.changes[::-1][:NUM_SHOWN] if change.difference > 0]
    return {"improved": better, "worsened": worse}


def _change_line(change: Change) -> list[str]:
    return [change.id, f"{change.first:.4f}", f"{change.other:.4f}", f"{change.difference:+.4f}"]


def _markdown_table(rows: Sequence[Sequence[str]]) -> str:
    header, *others = ([cell.replace("|", "\\|") for cell in row] for row in rows)
    return "\n".join(f"| {' | '.join(line)} |" for line in [header, ["---"] * len(header), *others])


def write_csv(path: Path, comparisons: Sequence[Comparison]) -> None:
    """Write a line for each comparison and metric.

    Args:
        path: the file.
        comparisons: at least one.
    """
    lines = [_csv_line(comparison, it) for comparison in comparisons for it in comparison.differences]
    with atomic_file(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(lines[0]))
        writer.writeheader()
        writer.writerows(lines)


def _csv_line(comparison: Comparison, it: Difference) -> dict[str, str | float]:
    return {
        "first": comparison.first,
        "other": comparison.other,
        "data": comparison.data,
        "split": comparison.split,
        "protocol": comparison.protocol,
        "metric": it.metric,
        "first_mean": it.first,
        "other_mean": it.other,
        "difference": it.difference,
        "low": it.low,
        "high": it.high,
        "won": it.won,
        "verdict": it.verdict,
        "num_images": len(comparison.changes),
        "num_left_out": len(comparison.left_out) + len(comparison.unread),
        "protocol_digest": comparison.protocol_digest,
        "data_digest": comparison.data_digest,
        "leadline": __version__,
        "resampled": comparison.resampled,
        "num_resampled": comparison.num_resampled,
    }


def draw_comparisons(path: Path, comparisons: Sequence[Comparison]) -> None:
    """Draw each picture's relative error under both models, and each metric's interval; a row for each comparison.

    Args:
        path: PNG to write.
        comparisons: at least one.
    """
    plt = pyplot()
    figure = plt.figure(figsize=(13, 5.8 * len(comparisons)), layout="constrained")
    for part, comparison in zip(figure.subfigures(len(comparisons), squeeze=False)[:, 0], comparisons, strict=True):
        pictures, intervals = part.subplots(1, 2, width_ratios=(4, 5))
        _draw_pictures(pictures, comparison)
        _draw_intervals(intervals, comparison)
        title = _wrapped(f"{comparison.other} against {comparison.first}", MAX_TITLE)
        part.suptitle(f"{title}\n{_wrapped(about(comparison), MAX_TITLE)}", fontsize=10, parse_math=False)
    save_figure(figure, path)


def _draw_pictures(axis: Any, comparison: Comparison) -> None:
    """A dot for each picture; below the diagonal the other model is better."""
    firsts = [max(change.first, MIN_SHOWN) for change in comparison.changes]
    others = [max(change.other, MIN_SHOWN) for change in comparison.changes]
    ends = min(firsts + others) / 1.15, max(firsts + others) * 1.15
    axis.plot(ends, ends, color="0.3", linewidth=1)
    axis.scatter(firsts, others, s=14, alpha=0.6, color="0.25", linewidths=0)
    axis.set(xscale="log", yscale="log", xlim=ends, ylim=ends, aspect="equal")
    ticks = _log_ticks(*ends)
    for one in (axis.xaxis, axis.yaxis):
        one.set_ticks(ticks, labels=[f"{tick:g}" for tick in ticks])
        one.set_ticks([], minor=True)
    axis.set_xlabel(f"{RANKED_BY} of\n{_wrapped(comparison.first, MAX_NAME)}", parse_math=False)
    axis.set_ylabel(f"{RANKED_BY} of\n{_wrapped(comparison.other, MAX_NAME)}", parse_math=False)
    won = next(it.won for it in comparison.differences if it.metric == RANKED_BY)
    label = {"transform": axis.transAxes, "bbox": {"facecolor": "white", "edgecolor": "none", "alpha": 0.8}}
    axis.text(0.97, 0.03, f"better on {won:.1%}", color=COLOURS["better"], ha="right", va="bottom", **label)
    axis.text(0.03, 0.97, f"worse on {1 - won:.1%}", color=COLOURS["worse"], ha="left", va="top", **label)
    axis.grid(alpha=0.3)


def _log_ticks(low: float, high: float) -> list[float]:
    """1, 2 and 5 times the powers of ten between two ends; the powers alone over more than two decades."""
    digits = (1, 2, 5) if high / low < 100 else (1,)
    powers = range(floor(log10(low)), ceil(log10(high)) + 1)
    ticks = [digit * 10.0**power for power in powers for digit in digits]
    return [tick for tick in ticks if low <= tick <= high]


def _percent_better(it: Difference) -> list[float] | None:
    """By how many per cent of the first model's metric the other is better: low end, middle, high end.

    More is better whatever the metric. What a resample promises beyond the possible is cut: no more pixels than all are
    good (δ1), and no more error than all of it can go. None where the first model's metric is 0.
    """
    if it.first == 0:
        return None
    is_share = METRICS[it.metric].better == "higher"
    most = 100 * (1 - it.first) / it.first if is_share else 100.0
    gains = (it.low, it.difference, it.high) if is_share else (0 - it.high, 0 - it.difference, 0 - it.low)
    return [max(-100.0 if is_share else -inf, min(most, 100 * gain / it.first)) for gain in gains]


def _draw_intervals(axis: Any, comparison: Comparison) -> None:
    """A bar for each metric's interval in per cent of the first model's metric, and a line at its difference."""
    gains = {it.metric: (it, values) for it in comparison.differences if (values := _percent_better(it))}
    shown, percents = [it for it, _ in gains.values()], [values for _, values in gains.values()]
    ends = min([0.0, *(low for low, _, _ in percents)]), max([0.0, *(high for _, _, high in percents)])
    margin = 0.05 * (ends[1] - ends[0]) or 1.0
    for place, (it, (low, middle, high)) in enumerate(zip(shown, percents, strict=True)):
        colour = COLOURS[it.verdict]
        axis.barh(place, high - low, left=low, height=0.55, color=colour)
        axis.plot([middle, middle], [place - 0.4, place + 0.4], color="black", linewidth=1.5)
        axis.text(1.02, place, f"{middle:+.1f} %", transform=axis.get_yaxis_transform(), va="center", color=colour)
    axis.axvline(0, color="0.3", linewidth=1)
    axis.set_xlim(ends[0] - margin, ends[1] + margin)
    axis.set_yticks(range(len(shown)), [METRICS[it.metric].label for it in shown])
    axis.invert_yaxis()
    axis.grid(alpha=0.3, axis="x")
    name = _wrapped(comparison.first, MAX_NAME)
    axis.set_xlabel(f"better by, in % of the metric of {name}\n(right: better, left: worse)", parse_math=False)
    handles = [axis.barh(0, 0, color=colour, label=verdict) for verdict, colour in COLOURS.items()]
    axis.legend(handles=handles, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=len(handles), frameon=False)


def _wrapped(text: str, width: int) -> str:
    """A text on as many lines as it needs, three at the most; of a longer one, the middle is left out."""
    half = 3 * width // 2 - 2
    return "\n".join(wrap(text if len(text) <= 2 * half else f"{text[:half]}…{text[-half:]}", width))
