import math
from collections.abc import Callable
from io import BytesIO
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex
from PIL import Image

from leadline.evaluation.breakdown import DIVISIONS, Groups
from leadline.evaluation.metrics import SUMS
from leadline.reporting import plots as report_figures
from leadline.reporting.calibration_plot import reliability_figure
from leadline.reporting.figures import ERROR_END, ScoredPicture
from leadline.reporting.plots import (
    PANEL_WIDTH_PX,
    colour_stops,
    error_histogram,
    group_bars,
    group_rows,
    model_colours,
    picture_panels,
    region_maps,
)


def groups_of(division: str, abs_rel: list[float], counts: list[int] | None = None) -> Groups:
    """Groups with these errors; the metrics that are not abs_rel are 0."""
    sums = torch.zeros(len(abs_rel), len(SUMS), dtype=torch.float64)
    sums[:, 0] = torch.tensor(counts or [1] * len(abs_rel))
    sums[:, SUMS.index("abs_rel")] = torch.tensor(abs_rel, dtype=torch.float64) * sums[:, 0]
    known = DIVISIONS.get(division)
    labels = known.labels if known else tuple(f"kind {place}" for place in range(len(abs_rel)))
    return Groups(division, known.title if known else "kind of place (pictures)", labels, sums)


EDGES = {"one": groups_of("edges", [0.2, 0.1], [25, 75]), "other": groups_of("edges", [0.3, 0.05], [25, 75])}
NINTHS = groups_of("region", [place / 10 for place in range(9)])


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The figures that would be encoded."""
    kept: list[Any] = []

    def keep(figure: Any) -> bytes:
        kept.append(figure)
        return b""

    monkeypatch.setattr(report_figures, "_png", keep)
    return kept


def opened(data: bytes) -> Image.Image:
    return Image.open(BytesIO(data))


@pytest.mark.parametrize(
    "draw",
    [
        lambda: group_bars(EDGES, "abs_rel"),
        lambda: group_rows({"one": groups_of("scene", [0.2])}, "abs_rel"),
        lambda: region_maps({"one": NINTHS, "other": NINTHS}, "abs_rel"),
        lambda: error_histogram({"one": [0.1, 0.2], "other": [0.3]}),
    ],
    ids=["bars", "rows", "maps", "histogram"],
)
def test_every_plot_is_a_png_of_one_width_and_the_same_every_time(draw: Callable[[], bytes]) -> None:
    data = draw()
    image = opened(data)
    assert image.format == "PNG" and image.width == 728 and 250 < image.height < 1200
    assert data == draw()


def test_plots_have_titled_axes_with_their_units(drawn: list[Any]) -> None:
    group_bars({"one": groups_of("distance", [0.1] * 8)}, "rms")
    group_rows({"one": groups_of("scene", [0.2, 0.3])}, "delta1")
    error_histogram({"one": [0.1, 0.2]})
    titles = [(figure.axes[0].get_xlabel(), figure.axes[0].get_ylabel()) for figure in drawn]
    assert titles[0][0].startswith("true distance in metres")
    assert titles[0][1] == "rms: √mean (y−ŷ)², in metres\n(lower is better)"
    assert titles[1][0] == "δ1: share of pixels with max(y/ŷ, ŷ/y) < 1.25\n(higher is better)"
    assert titles[1][1] == "kind of place (pictures)"
    assert titles[2] == ("abs_rel of a picture, mean |y−ŷ|/y (last bin: and more)", "number of pictures")


def test_each_model_has_a_bar_in_each_group_and_a_name_in_the_legend(drawn: list[Any]) -> None:
    group_bars(EDGES, "abs_rel")
    (figure,) = drawn
    heights = [bar.get_height() for bar in figure.axes[0].patches]
    assert heights == pytest.approx([0.2, 0.1, 0.3, 0.05])
    middles = [bar.get_x() + bar.get_width() / 2 for bar in figure.axes[0].patches]
    assert middles == pytest.approx([-0.2, 0.8, 0.2, 1.2])
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["one", "other"]
    ticks = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    assert ticks == ["edges (≤3 px)\n25 %", "surfaces (>3 px)\n75 %"]


def test_a_single_model_needs_no_legend(drawn: list[Any]) -> None:
    group_bars({"one": EDGES["one"]}, "abs_rel")
    assert drawn[0].legends == []


def test_empty_and_tiny_groups_say_so_and_take_no_bar(drawn: list[Any]) -> None:
    group_bars({"one": groups_of("distance", [0.1] * 8, [9999, 1, 0, 0, 0, 0, 0, 0])}, "abs_rel")
    axis = drawn[0].axes[0]
    assert [label.get_text().split("\n")[1] for label in axis.get_xticklabels()][:3] == ["100 %", "<1 %", "none"]
    assert [math.isnan(bar.get_height()) for bar in axis.patches][:3] == [False, False, True]
    assert axis.get_xlim() == pytest.approx((-0.6, 7.6))
    group_bars({"one": groups_of("edges", [math.inf, math.nan])}, "abs_rel")
    assert all(math.isnan(bar.get_height()) for bar in drawn[1].axes[0].patches)


def test_rows_go_from_the_worst_of_the_first_model_down(drawn: list[Any]) -> None:
    first, second = groups_of("scene", [0.1, 0.3, 0.2, math.nan]), groups_of("scene", [0.5, 0.6, 0.7, 0.8])
    group_rows({"one": first, "other": second}, "abs_rel")
    axis = drawn[0].axes[0]
    assert [label.get_text() for label in axis.get_yticklabels()] == ["kind 1", "kind 2", "kind 0", "kind 3"]
    top, bottom = sorted(axis.get_ylim())
    assert axis.get_ylim() == (bottom, top)  # the first row is at the top
    by_row = sorted((bar.get_y(), bar.get_width()) for bar in axis.patches)
    assert [width for _, width in by_row][:6] == pytest.approx([0.3, 0.6, 0.2, 0.7, 0.1, 0.5])


def test_ninths_lie_where_they_are_in_the_picture_and_share_a_scale(drawn: list[Any]) -> None:
    region_maps({"one": NINTHS, "other": groups_of("region", [0.5] * 9)}, "abs_rel")
    one, other = (axis.images[0] for axis in drawn[0].axes[:2])
    np.testing.assert_allclose(one.get_array(), [[0, 0.1, 0.2], [0.3, 0.4, 0.5], [0.6, 0.7, 0.8]])
    assert one.get_clim() == other.get_clim() == pytest.approx((0, 0.8))
    assert one.origin == "upper"
    texts = {(text.get_position(), text.get_text()) for text in drawn[0].axes[0].texts}
    assert ((2, 0), "0.200") in texts and ((0, 2), "0.600") in texts


def test_a_map_without_any_scored_ninth_can_be_drawn() -> None:
    assert opened(region_maps({"one": groups_of("region", [0.0] * 9, [0] * 9)}, "abs_rel")).format == "PNG"


def test_the_histogram_counts_every_finite_picture_and_marks_the_median(drawn: list[Any]) -> None:
    errors = [0.1] * 60 + [0.2] * 39 + [50.0, math.nan]
    error_histogram({"one": errors})
    axis = drawn[0].axes[0]
    corners = axis.patches[-1].get_xy()  # the outline: along each bin at the height of its count
    tops = corners[(corners[:, 1] > 0)][:, 1]
    assert tops.max() == 60
    # 98 of 100 are at most 0.2: the axis ends a tenth beyond, and the picture of 50 is in the last bin.
    assert axis.get_xlim() == pytest.approx((0, 0.22))
    assert corners[corners[:, 0] == corners[:, 0].max()][:, 1].max() == 1
    assert axis.lines[0].get_xdata()[0] == pytest.approx(0.1)
    assert axis.lines[0].get_label() == "median 0.100"


def test_of_several_models_the_median_stands_by_the_name(drawn: list[Any]) -> None:
    error_histogram({"one": [0.1, 0.1, 0.3], "other": [0.2]})
    labels = [text.get_text() for text in drawn[0].legends[0].get_texts()]
    assert labels == ["one (median 0.100, dashed)", "other (median 0.200, dashed)"]


def test_a_model_has_one_colour_whichever_models_a_plot_shows(drawn: list[Any]) -> None:
    colours = model_colours(["without uncertainty", "one", "other"])
    assert len(set(colours.values())) == 3
    group_bars(EDGES, "abs_rel", colours)
    error_histogram({"other": [0.1]}, colours)
    reliability_figure({"other": torch.tensor([[10.0, 1.0, 2.0]])}, colours)
    bars, histogram, reliability = (figure.axes[0] for figure in drawn)
    shown = {to_hex(bars.containers[1].patches[0].get_facecolor()), to_hex(histogram.patches[-1].get_edgecolor())}
    shown.add(to_hex(reliability.lines[0].get_color()))
    assert shown == {colours["other"].lower()}


@pytest.mark.parametrize("errors", [[], [math.nan], [0.0, 0.0]])
def test_a_histogram_of_nothing_or_of_no_errors_can_be_drawn(errors: list[float]) -> None:
    assert opened(error_histogram({"one": errors})).format == "PNG"


def test_names_are_shown_as_they_are(drawn: list[Any]) -> None:
    # Matplotlib would take dollars for a formula, and hide what begins with an underscore.
    names = ["a$x^2$b", "_hidden", "x" * 80]
    group_bars({name: EDGES["one"] for name in names}, "abs_rel")
    shown = [text.get_text().strip() for text in drawn[0].legends[0].get_texts()]
    assert shown == [r"a\$x^2\$b", "_hidden", "…" + "x" * 49]
    drawn[0].savefig(BytesIO(), format="png")


# Panels


def scored(height: int = 60, width: int = 80, pred_off: float = 0.25) -> ScoredPicture:
    """A wall of 2 m in its left half and of 4 m in its right, predicted too far; the upper half is not valid."""
    depth_m = torch.full((1, height, width), 2.0)
    depth_m[..., width // 2 :] = 4.0
    valid = torch.ones_like(depth_m, dtype=torch.bool)
    valid[:, : height // 2] = False
    image = torch.tensor([1.0, 0.5, 0.0]).view(3, 1, 1).expand(3, height, width)
    return ScoredPicture("a", image, depth_m * valid, valid, depth_m * (1 + pred_off))


def pixel(data: bytes, x: int, y: int) -> tuple[int, ...]:
    colour = opened(data).convert("RGB").getpixel((x, y))
    assert isinstance(colour, tuple)
    return colour


def hex_colour(text: str) -> tuple[int, ...]:
    return tuple(int(text[place : place + 2], 16) for place in (1, 3, 5))


def test_panels_show_picture_depths_in_one_scale_and_errors() -> None:
    panels = picture_panels(scored())
    assert panels.near_m <= 2 and panels.far_m >= 5
    assert pixel(panels.picture, 40, 30) == pytest.approx((255, 128, 0), abs=4)
    stops = [hex_colour(colour) for colour in colour_stops(count=256)]

    def depth_colour(depth_m: float) -> tuple[int, ...]:
        return stops[round((depth_m - panels.near_m) / (panels.far_m - panels.near_m) * 255)]

    assert pixel(panels.truth, 10, 50) == pytest.approx(depth_colour(2), abs=6)
    assert pixel(panels.truth, 70, 50) == pytest.approx(depth_colour(4), abs=6)
    assert pixel(panels.prediction, 70, 50) == pytest.approx(depth_colour(5), abs=6)
    assert pixel(panels.prediction, 70, 10) == pytest.approx(depth_colour(5), abs=6)
    errors = [hex_colour(colour) for colour in colour_stops("viridis", 256)]
    assert pixel(panels.error, 10, 50) == pytest.approx(errors[round(0.25 / ERROR_END * 255)], abs=6)
    for data in (panels.truth, panels.error):
        assert pixel(data, 10, 10) == pytest.approx((128, 128, 128), abs=4)


def test_panels_are_small_jpegs_of_the_pictures_own_aspect() -> None:
    small, large = picture_panels(scored()), picture_panels(scored(480, 640))
    assert opened(small.truth).format == "JPEG" and opened(small.truth).size == (80, 60)
    for data in large[:4]:
        assert opened(data).size == (PANEL_WIDTH_PX, 270) and len(data) < 20_000


def test_a_prediction_that_is_nan_is_grey() -> None:
    panels = picture_panels(scored(pred_off=math.nan))
    assert pixel(panels.prediction, 10, 50) == pytest.approx((128, 128, 128), abs=4)
    assert pixel(panels.error, 10, 50) == pytest.approx((128, 128, 128), abs=4)


def test_colour_stops_are_the_maps_ends_and_evenly_between() -> None:
    assert colour_stops("gray", 3) == ["#000000", "#808080", "#ffffff"]
    assert len(colour_stops()) == 9
