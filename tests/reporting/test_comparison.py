import csv
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from leadline.evaluation.comparison import Change, Comparison, Difference
from leadline.evaluation.metrics import METRICS
from leadline.reporting import comparison as comparison_figure
from leadline.reporting import figures
from leadline.reporting.comparison import about, draw_comparisons, largest_changes, markdown, notes, table, write_csv

VALUES = {
    "delta1": (0.8, 0.82, 0.01, 0.03, 0.625),
    "abs_rel": (0.2, 0.15, -0.06, -0.04, 0.7),
    "rms": (0.5, 0.55, 0.02, 0.08, 0.4),
    "silog": (20.0, 20.5, -0.5, 1.5, 0.45),
}
STEPS = (-9, -5, -1, 0, 2, 6, 7, 8, 9, 10)
CHANGES = [Change(f"p{number}", 0.2, 0.2 + step / 100) for number, step in enumerate(STEPS)]


def comparison(**changes: Any) -> Comparison:
    """Two models that tie in all but four metrics."""
    rest = (0.5, 0.5, 0.0, 0.0, 0.5)
    made = Comparison(
        first="base", other="small", data="rooms", split="official/test", protocol="report",
        resampled="scenes", num_resampled=40, left_out=[], num_unscored=(0, 0),
        differences=[Difference(name, *VALUES.get(name, rest)) for name in METRICS], changes=CHANGES,
    )  # fmt: skip
    return replace(made, **changes)


# Text


def test_the_sentence_says_what_was_compared_and_what_was_resampled() -> None:
    assert about(comparison()) == (
        "10 pictures of rooms official/test, protocol report, means per image; "
        "95 % intervals of the paired difference from 10000 resamples of 40 scenes."
    )
    assert notes(comparison()) == []


def test_notes_warn_of_what_the_intervals_do_not_hold() -> None:
    (unknown,) = notes(comparison(resampled="pictures"))
    assert "scenes are unknown" in unknown
    alone, few = notes(comparison(resampled="pictures of one scene", num_resampled=10))
    assert "nothing about other scenes" in alone and "only 10 to draw from" in few
    (gone,) = notes(comparison(left_out=list("abcdef"), num_unscored=(2, 5)))
    assert gone == "6 left out for a score that is no number (2 of base, 5 of small): a, b, c, d, e, …."
    (holes,) = notes(comparison(hole_shares=(0.0, 0.125)))
    assert "0.00% of base, 12.50% of small" in holes


def test_the_table_has_a_header_and_a_line_for_each_metric() -> None:
    header, *lines = table(comparison())
    assert header == ["metric", "base", "small", "change", "95 % interval", "won", "verdict"]
    assert [line[0].split()[0] for line in lines] == [info.label for info in METRICS.values()]
    assert lines[0] == ["δ1 ↑", "0.8000", "0.8200", "+0.0200", "+0.0100 to +0.0300", "62.5%", "better"]
    assert lines[3] == ["abs_rel ↓", "0.2000", "0.1500", "-0.0500", "-0.0600 to -0.0400", "70.0%", "better"]
    assert [line[-1] for line in lines] == ["better", *["unclear"] * 2, "better", "unclear", "worse", *["unclear"] * 3]


def test_at_most_five_pictures_that_change_are_named_and_none_that_does_not() -> None:
    found = largest_changes(comparison())
    assert [change.id for change in found["improved"]] == ["p0", "p1", "p2"]
    assert [change.id for change in found["worsened"]] == ["p9", "p8", "p7", "p6", "p5"]


def test_the_page_has_a_section_for_each_comparison() -> None:
    page = markdown([comparison(other="a|b"), comparison(changes=CHANGES[:3], resampled="pictures")])
    first, second = page.split("## ")[1:]
    assert first.startswith("a|b against base\n") and second.startswith("small against base\n")
    assert "| metric | base | a\\|b | change |" in first
    assert "| abs_rel ↓ | 0.2000 | 0.1500 | -0.0500 | -0.0600 to -0.0400 | 70.0% | better |" in first
    assert "Most improved, by abs_rel:\n\n| picture | base | a\\|b | difference |" in first
    assert "| p9 | 0.2000 | 0.3000 | +0.1000 |" in first
    assert "Most worsened" in first and "Most worsened" not in second
    assert about(comparison()) in first and "scenes are unknown" in second
    # A line of a table has as many cells as its header.
    for block in page.split("\n\n"):
        lines = [line.replace("\\|", "") for line in block.splitlines() if line.startswith("|")]
        assert len({line.count("|") for line in lines}) <= 1


def test_the_csv_file_holds_every_number_unrounded(tmp_path: Path) -> None:
    path = tmp_path / "new" / "comparison.csv"
    write_csv(path, [comparison(), comparison(other="ŷ, quoted", left_out=["x"], unread={"y": "y is no picture"})])
    with path.open(newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == 2 * len(METRICS)
    assert {line["other"] for line in lines} == {"small", "ŷ, quoted"}
    line = lines[len(METRICS)]
    assert line["metric"] == "delta1" and line["verdict"] == "better" and line["resampled"] == "scenes"
    assert [float(line[key]) for key in ("first_mean", "other_mean", "low", "high", "won")] == list(VALUES["delta1"])
    assert float(line["difference"]) == 0.82 - 0.8
    assert [line[key] for key in ("num_images", "num_left_out", "num_resampled")] == ["10", "2", "40"]
    assert os.listdir(path.parent) == ["comparison.csv"]


# Figure


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The figures that would be saved, laid out as they would be."""
    saved: list[Any] = []

    def keep(figure: Any, path: Path) -> None:
        figure.draw_without_rendering()
        saved.append(figure)
        figures.pyplot().close(figure)

    monkeypatch.setattr(comparison_figure, "save_figure", keep)
    return saved


def test_a_figure_is_a_png_of_a_size_to_look_at(tmp_path: Path) -> None:
    path = tmp_path / "new" / "comparison.png"
    draw_comparisons(path, [comparison(), comparison()])
    with Image.open(path) as file:
        assert file.format == "PNG" and file.size == (1170, 1044)
    assert os.listdir(path.parent) == ["comparison.png"]
    assert figures.pyplot().get_fignums() == []


def test_every_picture_is_a_dot_on_equal_axes(drawn: list[Any]) -> None:
    draw_comparisons(Path("x.png"), [comparison()])
    pictures, _ = drawn[0].axes
    dots = pictures.collections[0].get_offsets()
    np.testing.assert_allclose(dots, [(change.first, change.other) for change in CHANGES])
    assert pictures.get_xlim() == pictures.get_ylim() and pictures.get_xscale() == pictures.get_yscale() == "log"
    low, high = pictures.get_xlim()
    assert low < dots.min() and dots.max() < high
    assert (pictures.get_xlabel(), pictures.get_ylabel()) == ("abs_rel of\nbase", "abs_rel of\nsmall")
    assert [text.get_text() for text in pictures.texts] == ["better on 70.0%", "worse on 30.0%"]


def test_bars_are_the_intervals_in_per_cent_and_have_the_colour_of_the_verdict(drawn: list[Any]) -> None:
    draw_comparisons(Path("x.png"), [comparison()])
    axis = drawn[0].axes[1]
    bars = axis.patches[: len(METRICS)]
    ends = {name: (bar.get_x(), bar.get_x() + bar.get_width()) for name, bar in zip(METRICS, bars, strict=True)}
    assert ends["delta1"] == pytest.approx((1.25, 3.75))
    assert ends["abs_rel"] == pytest.approx((20, 30))
    assert ends["rms"] == pytest.approx((-16, -4))
    assert ends["silog"] == pytest.approx((-7.5, 2.5))
    assert [tick.get_text() for tick in axis.get_yticklabels()][:4] == ["δ1", "δ2", "δ3", "abs_rel"]
    colours = dict(zip(METRICS, (bar.get_facecolor() for bar in bars), strict=True))
    legend = {text.get_text(): patch.get_facecolor() for text, patch in legend_entries(axis)}
    assert list(legend) == ["better", "worse", "unclear"] and len(set(legend.values())) == 3
    assert colours["delta1"] == colours["abs_rel"] == legend["better"]
    assert colours["rms"] == legend["worse"] and colours["silog"] == colours["log10"] == legend["unclear"]
    labels = dict(zip(METRICS, (text.get_text() for text in axis.texts), strict=True))
    assert (labels["delta1"], labels["abs_rel"], labels["rms"]) == ("+2.5 %", "+25.0 %", "-10.0 %")
    low, high = axis.get_xlim()
    assert low < -16 and high > 30


def test_an_interval_ends_where_the_impossible_begins(drawn: list[Any]) -> None:
    near = [Difference("delta1", 0.96, 0.99, 0.02, 0.05, 0.9), Difference("abs_rel", 0.1, 0.02, -0.11, -0.05, 0.9)]
    draw_comparisons(Path("x.png"), [comparison(differences=near)])
    axis = drawn[0].axes[1]
    ends = [(bar.get_x(), bar.get_x() + bar.get_width()) for bar in axis.patches[:2]]
    assert ends[0] == pytest.approx((100 * 0.02 / 0.96, 100 * 0.04 / 0.96))  # all pixels are good
    assert ends[1] == pytest.approx((50, 100))  # no error is left
    assert [text.get_text() for text in axis.texts] == ["+3.1 %", "+80.0 %"]


def legend_entries(axis: Any) -> list[tuple[Any, Any]]:
    legend = axis.get_legend()
    return list(zip(legend.get_texts(), legend.get_patches(), strict=True))


def test_each_comparison_has_its_own_row_below_its_title(drawn: list[Any]) -> None:
    draw_comparisons(Path("x.png"), [comparison(), comparison(other="large")])
    titles = [part.get_suptitle().splitlines()[0] for part in drawn[0].subfigs]
    assert titles == ["small against base", "large against base"]
    assert len(drawn[0].axes) == 4
    upper, lower = drawn[0].subfigs
    assert all(axis.get_tightbbox().y0 >= lower._suptitle.get_window_extent().y1 for axis in upper.axes)


@pytest.mark.parametrize("name", ["runs/" + "very-long-name/" * 40, "a $\\frac$ of _names_", "名前", "x" * 130])
def test_any_name_of_a_model_stays_within_the_figure(drawn: list[Any], name: str) -> None:
    draw_comparisons(Path("x.png"), [comparison(first=name, other=name)])
    (figure,) = drawn
    (part,) = figure.subfigs
    width, height = figure.bbox.width, figure.bbox.height
    texts = [part._suptitle, *(label for axis in figure.axes for label in (axis.xaxis.label, axis.yaxis.label))]
    for text in texts:
        box = text.get_window_extent()
        assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= width and box.y1 <= height, text.get_text()
    pictures, intervals = (axis.get_tightbbox() for axis in figure.axes)
    assert pictures.x1 <= intervals.x0
    assert max(pictures.y1, intervals.y1) <= part._suptitle.get_window_extent().y0


def test_models_without_error_or_difference_can_be_drawn(drawn: list[Any]) -> None:
    perfect = [Difference(name, 0.0, 0.0, 0.0, 0.0, 0.5) for name in METRICS]
    draw_comparisons(Path("x.png"), [comparison(differences=perfect, changes=[Change("a", 0.0, 0.0)] * 2)])
    pictures, intervals = drawn[0].axes
    assert pictures.get_xlim()[0] > 0
    assert not intervals.texts and intervals.get_xlim() == (-1, 1)
    same = [Difference(name, 0.5, 0.5, 0.0, 0.0, 0.5) for name in METRICS]
    draw_comparisons(Path("x.png"), [comparison(differences=same)])
    assert drawn[1].axes[1].get_xlim() == (-1, 1) and len(drawn[1].axes[1].texts) == len(METRICS)


@pytest.mark.parametrize(
    ("ends", "ticks"),
    [
        ((0.04, 1.1), [0.05, 0.1, 0.2, 0.5, 1.0]),
        ((0.0001, 1.0), [0.0001, 0.001, 0.01, 0.1, 1.0]),
        ((0.15, 0.6), [0.2, 0.5]),
    ],
)
def test_ticks_of_logarithmic_axes_are_round(ends: tuple[float, float], ticks: list[float]) -> None:
    assert comparison_figure._log_ticks(*ends) == pytest.approx(ticks)


def test_the_hashes_stand_on_the_page_where_they_are_known() -> None:
    known = comparison(protocol_digest="abc1", data_digest="def2")
    assert "Hashes: rules abc1, truth def2; leadline " in markdown([known])
    assert "Hashes" not in markdown([comparison()])
