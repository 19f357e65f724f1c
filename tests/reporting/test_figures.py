import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from leadline.data.synthetic.dataset import SyntheticDataset
from leadline.reporting import figures
from leadline.reporting.figures import ERROR_END, ScoredPicture, compare_curves, depth_sheet, learning_curves

INVALID_GREY = (153, 153, 153)


def scored(index: int = 0, height: int = 48, width: int = 64, off: float = 0.1, invalid: float = 0.0) -> ScoredPicture:
    """A room with a prediction that is `off` too far; of its depth, the upper part is `invalid`."""
    sample = SyntheticDataset(8, 2, height, width)[index]
    valid = sample.valid.clone()
    valid[:, : round(invalid * height)] = False
    return ScoredPicture(sample.id, sample.image, sample.depth_m * valid, valid, sample.depth_m * (1 + off))


def epoch_row(epoch: int, **values: float) -> dict[str, float]:
    return {"epoch": epoch, "train_loss": 1.0, "abs_rel": 0.2, "delta1": 0.7, "rms": 0.6, "silog": 15.0, **values}


def num_grey(path: Path) -> int:
    with Image.open(path) as file:
        return int((np.asarray(file.convert("RGB")) == INVALID_GREY).all(axis=-1).sum())


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The figures that would be saved."""
    saved: list[Any] = []

    def keep(figure: Any, path: Path) -> None:
        saved.append(figure)
        figures.pyplot().close(figure)

    monkeypatch.setattr(figures, "save_figure", keep)
    return saved


def panels(figure: Any) -> list[Any]:
    """The panels of a sheet, line by line, without the colour bars."""
    return [axis for axis in figure.axes if axis.images]


# Sheets


def test_a_sheet_is_a_png_of_a_size_to_look_at(tmp_path: Path) -> None:
    path = tmp_path / "new" / "sheet.png"
    depth_sheet(path, [scored(0), scored(1, invalid=0.5)])
    with Image.open(path) as file:
        # 13 inches wide at 90 dots; two lines of pictures of 3:4, a title and the bars.
        assert file.format == "PNG" and file.size == (1170, int((1.1 + 2 * 3.05 * 0.75) * 90))
    assert os.listdir(path.parent) == ["sheet.png"]
    assert figures.pyplot().get_fignums() == []


def test_a_sheet_s_title_stands_above(drawn: list[Any]) -> None:
    depth_sheet(Path("x.png"), [scored(0)], "base_$5, protocol nyu-eigen")
    assert drawn[0].get_suptitle() == "base_$5, protocol nyu-eigen"


def test_curves_have_the_metrics_names_and_units(drawn: list[Any]) -> None:
    learning_curves(Path("x.png"), [epoch_row(1)], "abs_rel")
    titles = [axis.get_title() for axis in drawn[0].axes]
    assert titles == ["training loss", "validation abs_rel", "validation δ1", "validation rms in metres"]


def test_a_title_with_dollars_is_no_formula(tmp_path: Path) -> None:
    depth_sheet(tmp_path / "sheet.png", [scored(0)._replace(title="cost_$5_and_$6")])
    assert (tmp_path / "sheet.png").is_file()


def test_invalid_pixels_are_grey_in_truth_and_error(tmp_path: Path) -> None:
    depth_sheet(tmp_path / "whole.png", [scored()])
    depth_sheet(tmp_path / "half.png", [scored(invalid=0.5)])
    # Half of two panels of about 280×210 pixels.
    assert num_grey(tmp_path / "half.png") - num_grey(tmp_path / "whole.png") > 0.7 * 280 * 210


def test_panels_show_picture_truth_prediction_and_error(drawn: list[Any], tmp_path: Path) -> None:
    row = scored(off=0.25, invalid=0.5)
    depth_sheet(tmp_path / "sheet.png", [row])
    picture, truth, prediction, error = (np.ma.filled(axis.images[0].get_array(), np.nan) for axis in panels(drawn[0]))
    np.testing.assert_array_equal(picture, row.image.permute(1, 2, 0))
    np.testing.assert_array_equal(truth, row.depth_m.masked_fill(~row.valid, torch.nan)[0])
    np.testing.assert_array_equal(prediction, row.pred_m[0])
    assert np.isnan(error[:24]).all()
    np.testing.assert_allclose(error[24:], 0.25, rtol=1e-5)
    titles = [axis.get_title() for axis in panels(drawn[0])]
    assert titles == ["picture", "truth", "prediction", "relative error"]
    assert panels(drawn[0])[0].get_ylabel() == row.title


def test_one_scale_serves_all_depths_of_a_sheet_and_another_all_errors(drawn: list[Any], tmp_path: Path) -> None:
    rows = [scored(0), scored(4, 60, 40), scored(5, 30, 90, invalid=1)]
    depth_sheet(tmp_path / "sheet.png", rows)
    scales = [axis.images[0].get_clim() for axis in panels(drawn[0])]
    assert len(scales) == 12
    assert {scales[place] for place in (3, 7, 11)} == {(0, ERROR_END)}
    ((near_m, far_m),) = {scales[place] for place in (1, 2, 5, 6, 9, 10)}
    depths = torch.cat([part for row in rows for part in (row.depth_m[row.valid], row.pred_m.flatten())])
    assert 0 < depths.min() <= near_m < far_m <= depths.max()
    assert 0.005 < (depths < near_m).float().mean() < 0.015 and 0.005 < (depths > far_m).float().mean() < 0.015
    labels = [axis.get_xlabel() for axis in drawn[0].axes]
    assert "depth in metres" in labels and "|y − ŷ| / y" in labels


def test_a_perfect_prediction_of_an_even_wall_can_be_drawn(drawn: list[Any], tmp_path: Path) -> None:
    flat = torch.full((1, 24, 32), 2.0)
    depth_sheet(tmp_path / "sheet.png", [ScoredPicture("a", torch.zeros(3, 24, 32), flat, flat > 0, flat)])
    error = panels(drawn[0])[3].images[0].get_array()
    assert not error.any()


# Curves


def test_curves_are_a_png_of_a_size_to_look_at(tmp_path: Path) -> None:
    path = tmp_path / "new" / "curves.png"
    learning_curves(path, [epoch_row(1)], "abs_rel")
    with Image.open(path) as file:
        assert file.format == "PNG" and file.size == (1260, 288)
    assert os.listdir(path.parent) == ["curves.png"]
    assert figures.pyplot().get_fignums() == []


ROWS = [
    epoch_row(1, abs_rel=0.30, delta1=0.50, rms=0.9, train_loss=2.0),
    epoch_row(2, abs_rel=0.10, delta1=0.60, rms=0.8, train_loss=1.5),
    epoch_row(3, abs_rel=0.20, delta1=0.90, rms=0.5, train_loss=1.2),
    epoch_row(4, abs_rel=0.15, delta1=0.70, rms=0.7, train_loss=1.1),
]


def test_every_curve_is_over_epochs_counted_from_one(drawn: list[Any], tmp_path: Path) -> None:
    learning_curves(tmp_path / "curves.png", ROWS, "silog")
    for axis, key in zip(drawn[0].axes, ("train_loss", "abs_rel", "delta1", "rms", "silog"), strict=True):
        line = axis.lines[0]
        assert list(line.get_xdata()) == [1, 2, 3, 4]
        assert list(line.get_ydata()) == [row[key] for row in ROWS]


@pytest.mark.parametrize(
    ("monitor", "place", "best"), [("abs_rel", 1, (2, 0.1)), ("delta1", 2, (3, 0.9)), ("rms", 3, (3, 0.5))]
)
def test_the_best_epoch_is_marked_on_the_monitored_curve_alone(
    drawn: list[Any], tmp_path: Path, monitor: str, place: int, best: tuple[int, float]
) -> None:
    learning_curves(tmp_path / "curves.png", ROWS, monitor)
    stars = [[line for line in axis.lines if line.get_marker() == "*"] for axis in drawn[0].axes]
    assert [len(found) for found in stars] == [int(number == place) for number in range(4)]
    (star,) = stars[place]
    assert (star.get_xdata()[0], star.get_ydata()[0]) == best
    assert f"{best[1]:.3f}" in star.get_label()


def test_curves_of_several_runs_share_their_axes_and_one_legend(drawn: list[Any]) -> None:
    runs = {
        "short": [epoch_row(1, rms=0.9), epoch_row(2, rms=0.8)],
        "long": [epoch_row(epoch, rms=0.71 - epoch / 100) for epoch in range(1, 5)],
    }
    compare_curves(Path("x.png"), runs)
    (figure,) = drawn
    assert [axis.get_title() for axis in figure.axes][-1] == "validation rms in metres"
    lines = figure.axes[-1].get_lines()
    assert [list(line.get_xdata()) for line in lines] == [[1, 2], [1, 2, 3, 4]]
    assert list(lines[0].get_ydata()) == [0.9, 0.8]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["short", "long"]
