"""The page's judgements, on hand-made numbers."""

import json
from pathlib import Path

import pytest

from leadline.training.reproduce.experiments import TABLE_1
from leadline.training.reproduce.page import _beyond, _num_better, write_page


def values(delta1: float = 0.7, abs_rel: float = 0.2) -> dict[str, float]:
    return {"delta1": delta1, "delta2": 0.9, "delta3": 0.96875, "abs_rel": abs_rel, "rms": 0.9, "log10": 0.08}


def test_better_means_higher_for_thresholds_and_lower_for_errors() -> None:
    reported = TABLE_1["densenet"]
    assert _num_better(reported, reported) == "0 of 6"
    assert _num_better({**reported, "delta1": 0.715, "rms": 0.848}, reported) == "1 of 6"
    assert _num_better({**reported, "delta1": 0.713, "rms": 0.846}, reported) == "1 of 6"


def test_a_difference_counts_when_it_exceeds_the_spread_of_the_seeds() -> None:
    seeds = [values(delta1=0.70, abs_rel=0.20), values(delta1=0.72, abs_rel=0.21), values(delta1=0.71, abs_rel=0.19)]
    # Means .71 and .20, spreads .02 and .02; all else has no spread and does not differ.
    assert _beyond(values(delta1=0.731, abs_rel=0.185), seeds) == "δ1 better"
    assert _beyond(values(delta1=0.68, abs_rel=0.23), seeds) == "δ1 worse, abs_rel worse"
    assert _beyond(values(delta1=0.72, abs_rel=0.21), seeds) == "none"
    assert _beyond(values(), seeds[:1]) == ""


@pytest.fixture
def ablations(tmp_path: Path) -> Path:
    numbers = {"ablation": 0.70, "ablation-seed-1": 0.72, "ablation-seed-2": 0.71, "ablation-l1": 0.60}
    for name, delta1 in numbers.items():
        (tmp_path / name / "report").mkdir(parents=True)
        scores = {"num_images": 4, "pooled": values(delta1), "per_image": values(delta1)}
        (tmp_path / name / "report" / "metrics.json").write_text(json.dumps(scores))
    return tmp_path


def test_ablations_are_beside_the_spread(ablations: Path) -> None:
    page = write_page(ablations).read_text(encoding="utf-8")
    assert "| *largest less smallest of the 3 seeds* | 0.020 | 0.000 |" in page
    assert "| loss: L1 alone | 0.600 | 0.900 | 0.969 | 0.200 | 0.900 | 0.080 | δ1 worse |" in page
    assert "4 epochs at 96×128" in page


def test_within_the_range_nothing_is_claimed_against_the_report_s_other_protocol(tmp_path: Path) -> None:
    for protocol in ("report", "report-in-range"):
        (tmp_path / "cae" / protocol).mkdir(parents=True)
        scores = {"num_images": 200, "pooled": values(0.9), "per_image": values(0.8)}
        (tmp_path / "cae" / protocol / "metrics.json").write_text(json.dumps(scores))
    whole, within = write_page(tmp_path).read_text(encoding="utf-8").split("## Within the range")
    assert "| Convolutional autoencoder | the report | 0.501 |" in whole and "better than the report" in whole
    assert "| Convolutional autoencoder | leadline, pooled | 0.900 |" in within
    assert "the report |" not in within and "better than" not in within and " of 6" not in within


@pytest.mark.parametrize(("num_images", "claims"), [(200, True), (3, False)])
def test_numbers_of_other_pictures_are_not_better_than_the_report_s(
    tmp_path: Path, num_images: int, claims: bool
) -> None:
    (tmp_path / "cae" / "report").mkdir(parents=True)
    scores = {"num_images": num_images, "pooled": values(0.9), "per_image": values(0.8)}
    (tmp_path / "cae" / "report" / "metrics.json").write_text(json.dumps(scores))
    page = write_page(tmp_path).read_text(encoding="utf-8")
    assert (" of 6 |" in page, "of 200 others and do not compare" in page) == (claims, not claims)
    assert ("better than the report |" in page) == claims  # no column without numbers


def test_percentiles_are_called_so(tmp_path: Path) -> None:
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "figure_1.png").touch()
    assert "(percentiles 10, 35, 65 and 90 of abs_rel)" in write_page(tmp_path).read_text(encoding="utf-8")


def test_without_any_experiment_only_the_title_remains(tmp_path: Path) -> None:
    assert write_page(tmp_path).read_text(encoding="utf-8") == "# The report's Table 1\n"
