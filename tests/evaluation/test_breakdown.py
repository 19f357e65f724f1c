import math
import pickle

import numpy as np
import pytest
import torch
from torch import Tensor

from leadline.evaluation.breakdown import (
    DIVISIONS,
    Breakdown,
    by_scene,
    distance_bands,
    division_sums,
    group_sums,
    near_edges,
    picture_thirds,
    scene_type,
    sureness_fifths,
)
from leadline.evaluation.metrics import METRICS, SUMS, error_sums, metrics_from_sums, named

STEP_M = 10 / 255  # of a truth of 10 m in 8 bits


def row(*values: float) -> Tensor:
    """One picture of one row, (1, 1, 1, W)."""
    return torch.tensor(values)[None, None, None]


def everywhere(depth_m: Tensor) -> Tensor:
    return torch.ones_like(depth_m, dtype=torch.bool)


def random_maps(seed: int, num_pictures: int = 3) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Prediction, truth with edges and depths beyond 10 m, mask and uncertainty."""
    rng = np.random.default_rng(seed)
    shape = (num_pictures, 1, 16, 20)
    blocks = rng.uniform(0.5, 12, (num_pictures, 1, 4, 5)).repeat(4, axis=2).repeat(4, axis=3)
    pred_m = blocks * np.exp(0.3 * rng.standard_normal(shape))
    maps = (torch.from_numpy(values).float() for values in (pred_m, blocks, rng.random(shape)))
    pred, target, uncertainty = maps
    return pred, target, torch.from_numpy(rng.random(shape) < 0.7), uncertainty


# Divisions


def test_the_upper_end_belongs_to_its_band_of_distance() -> None:
    depth_m = row(0.5, 1.0, 1.01, 2.0, 3.5, 5.0, 8.0, 9.9, 10.0, 10.1)
    bands = distance_bands(depth_m, everywhere(depth_m), None)
    assert bands.dtype == torch.int64 and bands.flatten().tolist() == [0, 0, 1, 1, 3, 4, 5, 6, 6, 7]
    assert DIVISIONS["distance"].labels == ("0–1", "1–2", "2–3", "3–4", "4–6", "6–8", "8–10", ">10")


def test_the_picture_is_cut_in_ninths_row_by_row() -> None:
    depth_m = torch.ones(2, 1, 3, 6)
    ninths = picture_thirds(depth_m, everywhere(depth_m), None)
    expected = [[0, 0, 1, 1, 2, 2], [3, 3, 4, 4, 5, 5], [6, 6, 7, 7, 8, 8]]
    assert [picture[0].tolist() for picture in ninths] == [expected, expected]
    assert [DIVISIONS["region"].labels[place] for place in (0, 4, 8)] == ["top left", "middle centre", "bottom right"]


@pytest.mark.parametrize("length", [1, 2, 4, 5, 480])
def test_a_side_of_any_length_is_cut_in_thirds(length: int) -> None:
    rows = picture_thirds(torch.ones(1, 1, length, 3), torch.ones(1, 1, length, 3).bool(), None)[0, 0, :, 0] // 3
    sizes = torch.bincount(rows, minlength=3)
    assert rows.diff().ge(0).all() and sizes.max() - sizes.min() <= 1


def test_pixels_within_three_of_a_step_in_depth_are_at_an_edge() -> None:
    # 2.0 to 2.3 m, a ratio of 1.15, between the columns 5 and 6.
    depth_m = row(*[2.0] * 6, *[2.3] * 6)
    assert near_edges(depth_m, everywhere(depth_m), None).flatten().tolist() == [1, 1, *[0] * 8, 1, 1]
    assert near_edges(depth_m.transpose(-1, -2), everywhere(depth_m).transpose(-1, -2), None).sum() == 4


def test_an_edge_reaches_as_far_along_diagonals_as_along_rows() -> None:
    # One near pixel amid a wall: it and its four neighbours are at a step; 7×7 around each leaves the corners alone.
    depth_m = torch.full((1, 1, 9, 9), 3.0)
    depth_m[..., 4, 4] = 1.0
    inside = near_edges(depth_m, everywhere(depth_m), None)[0, 0].nonzero().tolist()
    assert inside == [[0, 0], [0, 8], [8, 0], [8, 8]]


def test_a_slope_below_the_ratio_is_no_edge() -> None:
    depth_m = row(*(2.0 * 1.09**place for place in range(10)))
    assert near_edges(depth_m, everywhere(depth_m), None).all()


@pytest.mark.parametrize("steps", [18, 19, 26, 100])
def test_one_step_of_a_truth_in_eight_bits_is_no_edge(steps: int) -> None:
    # From 0.7 m on: 5.5 % there.
    depth_m = row(*[steps * STEP_M] * 4, *[(steps + 1) * STEP_M] * 4)
    assert near_edges(depth_m, everywhere(depth_m), None).all()


def test_a_step_beside_a_hole_of_the_truth_is_not_seen() -> None:
    depth_m, valid = row(2, 2, 2, 0, 4, 4, 4), everywhere(row(*range(7)))
    valid[..., 3] = False
    assert near_edges(depth_m, valid, None).all()
    assert not near_edges(depth_m, everywhere(depth_m), None).any()


def test_fifths_go_from_sure_to_unsure_within_each_picture() -> None:
    uncertainty = torch.stack([torch.arange(10.0), 100 - torch.arange(10.0)])[:, None, None]
    fifths = sureness_fifths(uncertainty, everywhere(uncertainty), uncertainty)
    assert fifths is not None
    assert fifths[0].flatten().tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    assert fifths[1].flatten().tolist() == [4, 4, 3, 3, 2, 2, 1, 1, 0, 0]


def test_pixels_that_do_not_count_belong_to_no_fifth_and_shift_none() -> None:
    uncertainty = row(1, 2, 3, 4, 5, -9, math.nan)
    valid = everywhere(uncertainty)
    valid[..., 5] = False
    fifths = sureness_fifths(uncertainty, valid, uncertainty)
    assert fifths is not None and fifths.flatten().tolist() == [0, 1, 2, 3, 4, -1, -1]


def test_equal_uncertainties_share_a_group() -> None:
    uncertainty = row(*[0.5] * 10)
    fifths = sureness_fifths(uncertainty, everywhere(uncertainty), uncertainty)
    assert fifths is not None and not fifths.any()
    nothing = sureness_fifths(uncertainty, ~everywhere(uncertainty), uncertainty)
    assert nothing is not None and nothing.eq(-1).all()


# Sums


def test_the_sums_of_each_group_by_hand() -> None:
    #   truth        1     2   4     4
    #   prediction   1.75  2   3     8
    #   ratio        1.75  1   4/3   2     thresholds 1.25, 1.5625, 1.953125
    pred_m, target_m = row(1.75, 2, 3, 8), row(1, 2, 4, 4)
    sums = group_sums(pred_m, target_m, everywhere(pred_m), row(2, 0, 2, -1).long(), 3)
    log_a, log_b = math.log(1.75), math.log(0.75)
    logs = [log_a**2 + log_b**2, (log_a - log_b) / math.log(10), log_a + log_b]
    assert sums.shape == (1, 3, len(SUMS)) and sums.dtype == torch.float64
    assert sums[0, 0].tolist() == [1, 1, 1, 1, 0, 0, 0, 0, 0, 0]
    assert sums[0, 1].tolist() == [0] * len(SUMS)
    assert sums[0, 2].tolist() == pytest.approx([2, 0, 1, 2, 1, 0.8125, 1.5625, *logs], rel=1e-14)


@pytest.mark.parametrize("seed", range(3))
def test_each_group_has_the_sums_of_a_picture_that_shows_nothing_else(seed: int) -> None:
    pred_m, target_m, valid, uncertainty = random_maps(seed)
    for name, sums in division_sums(pred_m, target_m, valid, uncertainty).items():
        labels = DIVISIONS[name].assign(target_m, valid, uncertainty)
        assert labels is not None and sums.shape == (3, len(DIVISIONS[name].labels), len(SUMS))
        for group in range(sums.shape[1]):
            alone = error_sums(pred_m, target_m, valid & (labels == group))
            torch.testing.assert_close(sums[:, group], alone, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_the_groups_of_every_division_add_up_to_the_picture(seed: int) -> None:
    pred_m, target_m, valid, uncertainty = random_maps(seed)
    whole = error_sums(pred_m, target_m, valid)
    found = division_sums(pred_m, target_m, valid, uncertainty)
    assert list(found) == list(DIVISIONS) == ["distance", "region", "edges", "uncertainty"]
    for sums in found.values():
        torch.testing.assert_close(sums.sum(1), whole, rtol=1e-9, atol=1e-12)


def test_without_uncertainty_the_other_divisions_are_the_same() -> None:
    pred_m, target_m, valid, uncertainty = random_maps(0)
    without, found = division_sums(pred_m, target_m, valid), division_sums(pred_m, target_m, valid, uncertainty)
    assert list(without) == ["distance", "region", "edges"]
    for name, sums in without.items():
        torch.testing.assert_close(sums, found[name], rtol=1e-12, atol=1e-13)


def test_a_pixel_without_uncertainty_still_counts_in_the_other_divisions() -> None:
    pred_m, target_m, valid, uncertainty = random_maps(0, num_pictures=1)
    valid[...] = True
    uncertainty[..., 0, 0] = math.nan
    found = division_sums(pred_m, target_m, valid, uncertainty)
    counts = {name: int(sums[0, :, 0].sum()) for name, sums in found.items()}
    assert counts == {"distance": 320, "region": 320, "edges": 320, "uncertainty": 319}


def test_a_prediction_that_is_nan_spoils_its_own_group_alone() -> None:
    pred_m = row(math.nan, 2.0)
    sums = group_sums(pred_m, row(1, 2), everywhere(pred_m), row(0, 1).long(), 2)[0]
    # It counts, and is within no delta.
    assert sums[0, :4].tolist() == [1, 0, 0, 0] and sums[0, 4:].isnan().all()
    assert sums[1].tolist() == [1, 1, 1, 1, 0, 0, 0, 0, 0, 0]


def test_rubbish_where_nothing_is_valid_does_not_matter() -> None:
    pred_m, target_m, valid, uncertainty = random_maps(1)
    clean = division_sums(pred_m, target_m, valid, uncertainty)
    for rubbish in (math.nan, math.inf, 0.0, -1.0):
        spoilt = (part.where(valid, rubbish) for part in (pred_m, target_m, uncertainty))
        pred, target, unsure = spoilt
        for name, sums in division_sums(pred, target, valid, unsure).items():
            assert torch.equal(sums, clean[name]), (rubbish, name)


def test_shapes_must_agree() -> None:
    with pytest.raises(ValueError, match="must have one shape"):
        division_sums(torch.ones(1, 1, 4, 5), torch.ones(1, 1, 4, 6), torch.ones(1, 1, 4, 6).bool())


# Over pictures


def test_order_batches_and_repetition_of_pictures_do_not_matter() -> None:
    pred_m, target_m, valid, uncertainty = random_maps(2)
    together, apart = Breakdown(), Breakdown()
    together.update(pred_m, target_m, valid, torch.tensor([0, 1, 2]), uncertainty)
    for place in (2, 0, 1, 2):
        one = slice(place, place + 1)
        apart.update(pred_m[one], target_m[one], valid[one], torch.tensor([place]), uncertainty[one])
    for name, groups in together.results().items():
        torch.testing.assert_close(apart.results()[name].sums, groups.sums, rtol=1e-12, atol=1e-13)


def test_breakdowns_of_several_processes_merge_into_one() -> None:
    pred_m, target_m, valid, _ = random_maps(3)
    whole, parts = Breakdown(), [Breakdown() for _ in range(2)]
    whole.update(pred_m, target_m, valid, torch.tensor([0, 1, 2]))
    parts[0].update(pred_m[1:], target_m[1:], valid[1:], torch.tensor([1, 2]))
    parts[1].update(pred_m[:2], target_m[:2], valid[:2], torch.tensor([0, 1]))
    sent = [pickle.loads(pickle.dumps(part)) for part in parts]
    merged = Breakdown().merge(sent).results()
    assert list(merged) == ["distance", "region", "edges"]
    for name, groups in whole.results().items():
        torch.testing.assert_close(merged[name].sums, groups.sums, rtol=1e-12, atol=1e-13)


def test_results_are_metrics_pooled_over_pictures_and_shares_of_pixels() -> None:
    # Three pixels of 1.5 m, 10 % off; one of 5 m, twice too far.
    breakdown = Breakdown()
    breakdown.update(row(1.65, 1.65), row(1.5, 1.5), everywhere(row(1, 1)), torch.tensor([4]))
    breakdown.update(row(1.65, 10), row(1.5, 5), everywhere(row(1, 1)), torch.tensor([7]))
    groups = breakdown.results()["distance"]
    assert (groups.name, groups.title) == ("distance", "true distance in metres")
    assert groups.shares == [0, 0.75, 0, 0, 0.25, 0, 0, 0]
    near, far = named(groups.metrics[1]), named(groups.metrics[4])
    assert near["abs_rel"] == pytest.approx(0.1, rel=1e-6) and near["delta1"] == 1
    assert far["abs_rel"] == 1 and far["rms"] == 5 and far["delta3"] == 0
    assert groups.metrics[0].isnan().all() and groups.metrics.shape == (8, len(METRICS))


def test_no_pictures_have_no_results() -> None:
    assert Breakdown().results() == {}


# Scenes


@pytest.mark.parametrize(
    ("scene", "kind"),
    [
        ("living_room_0012", "living room"),
        ("bedroom_0056a", "bedroom"),
        ("nyu_office_1", "nyu office"),
        ("scene0012_00", "scene"),
        ("room_0000", "room"),
        ("kitchen", "kitchen"),
        ("2nd_floor_01", "2nd floor"),
        ("0012", "unknown"),
        ("", "unknown"),
        ("_", "unknown"),
    ],
)
def test_the_kind_of_place_is_the_scene_without_its_number(scene: str, kind: str) -> None:
    assert scene_type(scene) == kind


def test_whole_pictures_are_grouped_by_kind_of_place() -> None:
    pred_m = torch.tensor([2.0, 3.0, 1.0]).view(3, 1, 1, 1)
    sums = error_sums(pred_m, torch.ones(3, 1, 1, 1), torch.ones(3, 1, 1, 1).bool())
    groups = by_scene(sums, ["kitchen_0001", "bath_0002", "kitchen_0003b"])
    assert groups.labels == ("bath (1)", "kitchen (2)")
    # Relative errors 2 of the bath, 1 and 0 of the kitchens.
    assert groups.metrics[:, 3].tolist() == [2, 0.5]
    torch.testing.assert_close(groups.metrics[0], metrics_from_sums(sums[1]))
    with pytest.raises(ValueError):
        by_scene(sums, ["kitchen_0001"])
