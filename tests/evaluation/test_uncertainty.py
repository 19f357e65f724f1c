import io

import pytest
import torch
from PIL import Image
from torch import Tensor

from leadline.evaluation.uncertainty import BIN_EDGES, NUM_BINS, calibration_error, reliability_rows, reliability_sums
from leadline.reporting.calibration_plot import reliability_figure


def sums(expected: list[float], factors: list[float], scored: list[bool] | None = None) -> Tensor:
    """Of pixels 2 m away that are predicted `factors` times as far."""
    truth = torch.full((1, 1, 1, len(factors)), 2.0)
    counted = torch.tensor(scored or [True] * len(factors)).view(truth.shape)
    return reliability_sums(truth * torch.tensor(factors), truth, counted, torch.tensor(expected).view(truth.shape))


def test_by_hand() -> None:
    # Two pixels are expected to be off by 0.1 and 0.11 (one bin), and are by ln 1.1 and ln 1.3; one by 0.4, and is 0.
    found = reliability_rows(sums([0.1, 0.11, 0.4], [1.1, 1 / 1.3, 1.0]))
    assert [row["num_pixels"] for row in found] == [2, 1]
    assert found[0]["expected"] == pytest.approx(0.105)
    assert found[0]["actual"] == pytest.approx((0.0953102 + 0.2623643) / 2, rel=1e-5)
    assert found[1]["expected"] == pytest.approx(0.4)
    assert found[1]["actual"] == pytest.approx(0, abs=1e-7)


def test_calibration_error_by_hand() -> None:
    # Off by 0.1788372 where 0.105 is expected, twice, and by 0 where 0.4 is: (2 * 0.0738372 + 0.4) / 3.
    assert calibration_error(sums([0.1, 0.11, 0.4], [1.1, 1 / 1.3, 1.0])) == pytest.approx(0.1825581, rel=1e-5)


def test_pixels_that_are_not_scored_or_not_known_do_not_count() -> None:
    found = sums([0.1, 0.1, float("nan")], [1.0, 5.0, 1.0], [True, False, True])
    assert found[:, 0].sum() == 1
    assert reliability_rows(found)[0]["actual"] == 0


def test_the_outer_bins_are_open() -> None:
    assert BIN_EDGES[0] == 0.005
    found = sums([1e-6, 50.0], [1.0, 1.0])
    assert found[0, 0] == found[NUM_BINS - 1, 0] == 1


def test_sums_of_pictures_add_up() -> None:
    both = sums([0.1, 0.2], [1.3, 0.9])
    torch.testing.assert_close(sums([0.1], [1.3]) + sums([0.2], [0.9]), both)


@pytest.mark.parametrize("names", [["base"], ["base", "$fast_"]])
def test_the_figure_is_a_picture(names: list[str]) -> None:
    known = sums([0.05, 0.1, 0.2, 0.4], [1.05, 1.12, 1.3, 1.4])
    with Image.open(io.BytesIO(reliability_figure(dict.fromkeys(names, known)))) as image:
        assert image.format == "PNG"
        assert len(image.convert("L").getcolors() or []) > 10
