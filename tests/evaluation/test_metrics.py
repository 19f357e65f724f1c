import math
import multiprocessing
import sys
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from leadline.evaluation.metrics import METRICS, SUMS, error_sums, metrics_from_sums, named
from leadline.training.validation_metrics import DepthMetrics

NUM_PROCESSES = 2
LINEAR = ("delta1", "delta2", "delta3", "abs_rel", "sq_rel", "log10")
SEEDS = st.integers(0, 2**32 - 1)


def maps(*pictures: list[float]) -> Tensor:
    """Pictures of one row each, (B, 1, 1, W)."""
    return torch.tensor(pictures)[:, None, None, :]


def random_maps(seed: int, num_pictures: int = 5, dtype: torch.dtype = torch.float32) -> tuple[Tensor, ...]:
    """Prediction, truth and mask; every picture with another share of valid pixels."""
    rng = np.random.default_rng(seed)
    shape = (num_pictures, 1, 13, 17)
    target = rng.uniform(0.5, 10, shape)
    pred = target * np.exp(0.3 * rng.standard_normal(shape))
    valid = rng.random(shape) < rng.uniform(0.1, 0.9, (num_pictures, 1, 1, 1))
    return torch.from_numpy(pred).to(dtype), torch.from_numpy(target).to(dtype), torch.from_numpy(valid)


def numpy_metrics(pred: np.ndarray, target: np.ndarray) -> dict[str, float]:
    """The metrics from their formulae, over flat arrays in float64."""
    y_hat, y = pred.astype(np.float64), target.astype(np.float64)
    ratio = np.maximum(y / y_hat, y_hat / y)
    log_ratio = np.log(y_hat) - np.log(y)
    return {
        "delta1": np.mean(ratio < 1.25),
        "delta2": np.mean(ratio < 1.25**2),
        "delta3": np.mean(ratio < 1.25**3),
        "abs_rel": np.mean(np.abs(y - y_hat) / y),
        "sq_rel": np.mean((y - y_hat) ** 2 / y),
        "rms": np.sqrt(np.mean((y - y_hat) ** 2)),
        "rms_log": np.sqrt(np.mean(log_ratio**2)),
        "log10": np.mean(np.abs(np.log10(y) - np.log10(y_hat))),
        "silog": 100 * np.std(log_ratio),
    }


def metrics_of(pred: Tensor, target: Tensor, valid: Tensor) -> list[dict[str, float]]:
    """The metrics of each picture."""
    return [named(row) for row in metrics_from_sums(error_sums(pred, target, valid))]


def score(*batches: tuple[Tensor, Tensor, Tensor, list[int]]) -> DepthMetrics:
    metric = DepthMetrics()
    for pred, target, valid, index in batches:
        metric.update(pred, target, valid, torch.tensor(index))
    return metric


def averages(metric: DepthMetrics) -> tuple[dict[str, float], dict[str, float]]:
    """Per image and pooled."""
    both = metric.compute()
    assert set(both) == {"per_image", "pooled"}
    return named(both["per_image"]), named(both["pooled"])


# Four depths by hand:
#   truth        1     2   4     4
#   prediction   1.75  2   3     8
#   ratio        1.75  1   4/3   2     thresholds 1.25, 1.5625, 1.953125
FOUR_TRUTHS, FOUR_GUESSES = maps([1, 2, 4, 4]), maps([1.75, 2, 3, 8])
FOUR_DEPTHS = {
    "delta1": 0.25,
    "delta2": 0.5,
    "delta3": 0.75,
    "abs_rel": 0.5,  # (0.75 + 0 + 0.25 + 1) / 4
    "sq_rel": 1.203125,  # (0.5625 + 0 + 0.25 + 4) / 4
    "rms": 2.0953818267800,  # sqrt((0.5625 + 0 + 1 + 16) / 4)
    "rms_log": 0.46807686837605,  # logs 0.5596, 0, -0.2877, 0.6931
    "log10": 0.16725169523964,
    "silog": 40.110426788363,
}


def test_every_metric_of_four_depths():
    (values,) = metrics_of(FOUR_GUESSES, FOUR_TRUTHS, torch.ones(1, 1, 1, 4).bool())
    assert values == pytest.approx(FOUR_DEPTHS, rel=1e-13)
    assert list(values) == list(METRICS) == list(FOUR_DEPTHS)


def test_silog_is_not_the_other_silog():
    # Depth Anything V2 prints sqrt(mean e^2 - 0.5 (mean e)^2) under the same name: 0.436 on these depths.
    error = (FOUR_GUESSES / FOUR_TRUTHS).double().log()
    other = (error.square().mean() - 0.5 * error.mean().square()).sqrt().item()
    assert other == pytest.approx(0.43587876090904, rel=1e-6)
    assert 100 * error.std(correction=0).item() == pytest.approx(FOUR_DEPTHS["silog"], rel=1e-6)


def test_the_relative_errors_divide_by_the_truth():
    pred, target, valid = maps([1], [4]), maps([4], [1]), torch.ones(2, 1, 1, 1).bool()
    assert [row["abs_rel"] for row in metrics_of(pred, target, valid)] == [3 / 4, 3]
    assert [row["sq_rel"] for row in metrics_of(pred, target, valid)] == [9 / 4, 9]


def test_a_ratio_at_the_threshold_is_not_below_it():
    ones, everything = torch.ones(1, 1, 1, 3), torch.ones(1, 1, 1, 3).bool()
    at = maps([1.25, 1.25**2, 1.25**3])
    below = torch.nextafter(at, ones)
    for ratios, shares in ((at, [0, 1 / 3, 2 / 3]), (below, [1 / 3, 2 / 3, 1])):
        for values in (*metrics_of(ratios, ones, everything), *metrics_of(ones, ratios, everything)):
            assert [values[name] for name in ("delta1", "delta2", "delta3")] == shares


@pytest.mark.parametrize("factor", [0.3, 0.7, 1.1, 1.3, 1.7, 3.0, 7.0])
def test_silog_of_a_constant_factor_is_zero_and_no_nan(factor: float):
    # Rounding alone makes the mean square smaller than the squared mean for some of these.
    target = torch.ones(1, 1, 1, 7, dtype=torch.float64)
    (values,) = metrics_of(factor * target, target, target.bool())
    assert values["silog"] == pytest.approx(0, abs=1e-5)


def test_the_sums_by_hand():
    valid = torch.tensor([True, True, True, False]).view(1, 1, 1, 4)
    (row,) = error_sums(FOUR_GUESSES, FOUR_TRUTHS, valid).tolist()
    log_a, log_b = math.log(1.75), math.log(0.75)
    # Count, three deltas, abs_rel, sq_rel, square, log_square, log10, log of the first three depths.
    expected = [
        3,
        1,
        2,
        3,
        1,
        0.8125,
        1.5625,
        log_a**2 + log_b**2,
        (log_a - log_b) / math.log(10),
        log_a + log_b,
    ]
    assert row == pytest.approx(expected, rel=1e-14)
    assert len(row) == len(SUMS)


def test_a_perfect_prediction_is_the_best_and_a_wrong_one_is_worse():
    pred, target, valid = random_maps(0)
    best, worse = metrics_of(target, target, valid)[0], metrics_of(pred, target, valid)[0]
    assert {info.better for info in METRICS.values()} == {"higher", "lower"}
    for name, info in METRICS.items():
        assert info.name == name and info.meaning
        assert best[name] == (1 if info.better == "higher" else 0)
        assert worse[name] < best[name] if info.better == "higher" else worse[name] > best[name]


@pytest.mark.parametrize("seed", range(5))
def test_each_picture_and_the_pool_are_numpys(seed: int):
    pred, target, valid = random_maps(seed)
    pictures = [numpy_metrics(p[v].numpy(), t[v].numpy()) for p, t, v in zip(pred, target, valid, strict=True)]
    for row, expected in zip(metrics_of(pred, target, valid), pictures, strict=True):
        assert row == pytest.approx(expected, rel=1e-12)
    per_image, pooled = averages(score((pred, target, valid, [0, 1, 2, 3, 4])))
    means = {name: float(np.mean([picture[name] for picture in pictures])) for name in METRICS}
    assert per_image == pytest.approx(means, rel=1e-12)
    assert pooled == pytest.approx(numpy_metrics(pred[valid].numpy(), target[valid].numpy()), rel=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_the_pool_is_scikit_learns(seed: int):
    sklearn = pytest.importorskip("sklearn.metrics", reason="scikit-learn is a development dependency")
    pred, target, valid = random_maps(seed)
    y, y_hat = target[valid].double().numpy(), pred[valid].double().numpy()
    _, pooled = averages(score((pred, target, valid, [0, 1, 2, 3, 4])))
    expected = {
        "abs_rel": sklearn.mean_absolute_percentage_error(y, y_hat),
        "sq_rel": sklearn.mean_squared_error(y, y_hat, sample_weight=1 / y) * np.mean(1 / y),
        "rms": sklearn.root_mean_squared_error(y, y_hat),
        "rms_log": sklearn.root_mean_squared_error(np.log(y), np.log(y_hat)),
        "log10": sklearn.mean_absolute_error(np.log10(y), np.log10(y_hat)),
    }
    assert {name: pooled[name] for name in expected} == pytest.approx(expected, rel=1e-6)


def test_the_two_averagings_by_hand():
    # One pixel that is 2 m off at 1 m, and three that are 1 m off at 2 m.
    pred, target = maps([3, 9, 9], [3, 3, 3]), maps([1, 1, 1], [2, 2, 2])
    valid = maps([1, 0, 0], [1, 1, 1]).bool()
    per_image, pooled = averages(score((pred, target, valid, [0, 1])))
    assert per_image["abs_rel"] == (2 + 0.5) / 2
    assert pooled["abs_rel"] == (2 + 3 * 0.5) / 4
    assert per_image["rms"] == (2 + 1) / 2
    assert pooled["rms"] == math.sqrt((4 + 3 * 1) / 4)
    assert per_image["delta2"] == (0 + 1) / 2  # ratios 3 and 1.5
    assert pooled["delta2"] == 3 / 4


# Laws


@settings(max_examples=30, deadline=None)
@given(seed=SEEDS, factor=st.floats(0.01, 100))
def test_a_common_scale_changes_only_what_is_in_metres(seed: int, factor: float):
    pred, target, valid = random_maps(seed, dtype=torch.float64)
    before = averages(score((pred, target, valid, [0, 1, 2, 3, 4])))
    after = averages(score((factor * pred, factor * target, valid, [0, 1, 2, 3, 4])))
    for old, new in zip(before, after, strict=True):
        expected = {name: value * (factor if name in ("sq_rel", "rms") else 1) for name, value in old.items()}
        assert new == pytest.approx(expected, rel=1e-9)


@settings(max_examples=30, deadline=None)
@given(seed=SEEDS, factor=st.floats(0.01, 100))
def test_silog_forgets_a_scale_of_the_prediction(seed: int, factor: float):
    pred, target, valid = random_maps(seed, dtype=torch.float64)
    _, before = averages(score((pred, target, valid, [0, 1, 2, 3, 4])))
    _, after = averages(score((factor * pred, target, valid, [0, 1, 2, 3, 4])))
    assert after["silog"] == pytest.approx(before["silog"], rel=1e-9)


@settings(max_examples=30, deadline=None)
@given(seed=SEEDS, num_pictures=st.integers(1, 6))
def test_the_pool_is_the_mean_of_the_pictures_weighted_by_their_pixels(seed: int, num_pictures: int):
    pred, target, valid = random_maps(seed, num_pictures)
    metric = score((pred, target, valid, list(range(num_pictures))))
    counts = valid.flatten(1).sum(1).double().numpy()
    rows = metric.sums()[1]
    per_picture = dict(zip(METRICS, metrics_from_sums(rows).numpy().T, strict=True))
    _, pooled = averages(metric)
    for name in LINEAR:
        assert pooled[name] == pytest.approx(np.average(per_picture[name], weights=counts), rel=1e-12)
    for name in ("rms", "rms_log"):
        mean_square = np.average(per_picture[name] ** 2, weights=counts)
        assert pooled[name] ** 2 == pytest.approx(mean_square, rel=1e-12)


# Pixels and pictures that do not count


@pytest.mark.parametrize("rubbish", [math.nan, math.inf, 0.0, -1.0])
def test_what_is_masked_does_not_matter(rubbish: float):
    pred, target, valid = random_maps(0)
    spoilt = error_sums(pred.where(valid, rubbish), target.where(valid, rubbish), valid)
    assert torch.equal(spoilt, error_sums(pred, target, valid))


def test_a_picture_without_valid_pixels_has_no_metrics_and_enters_no_average():
    pred, target, valid = random_maps(0)
    without = averages(score((pred[1:], target[1:], valid[1:], [1, 2, 3, 4])))
    valid[0] = False
    metric = score((pred, target, valid, [0, 1, 2, 3, 4]))
    for average, expected in zip(averages(metric), without, strict=True):
        assert average == pytest.approx(expected, rel=1e-14)
    index, rows = metric.sums()
    assert index.tolist() == [0, 1, 2, 3, 4]
    assert rows[0].tolist() == [0] * len(SUMS)
    missing = metrics_from_sums(rows).isnan()
    assert missing[0].all() and not missing[1:].any()


def test_nothing_valid_at_all_gives_nan():
    pred, target, valid = random_maps(0)
    for average in averages(score((pred, target, torch.zeros_like(valid), [0, 1, 2, 3, 4]))):
        assert all(math.isnan(value) for value in average.values())


@pytest.mark.filterwarnings("ignore:The ``compute`` method")
def test_no_pictures_give_nan_and_no_rows():
    metric = DepthMetrics()
    index, rows = metric.sums()
    assert (index.shape, rows.shape) == ((0,), (0, len(SUMS)))
    for average in averages(metric):
        assert all(math.isnan(value) for value in average.values())


def test_a_prediction_that_is_nan_spoils_the_averages():
    # A model that diverged on one picture must not gain by it.
    pred, target, valid = random_maps(0)
    pred[2] = math.nan
    for average in averages(score((pred, target, valid, [0, 1, 2, 3, 4]))):
        assert math.isnan(average["abs_rel"]) and math.isnan(average["silog"])


def test_a_prediction_that_is_not_positive_is_wrong_but_finite():
    (values,) = metrics_of(maps([0, -3]), maps([1, 1]), torch.ones(1, 1, 1, 2).bool())
    # Both count as 1e-9 m.
    assert values["log10"] == pytest.approx(9, rel=1e-12)
    assert values["rms_log"] == pytest.approx(9 * math.log(10), rel=1e-12)
    assert values["delta3"] == 0


def test_shapes_must_agree():
    one = torch.ones(2, 1, 4, 5)
    expected = r"prediction, truth and mask must have one shape, got \(2, 1, 4, 5\), \(2, 1, 4, 6\), \(2, 1, 4, 5\)"
    with pytest.raises(ValueError, match=expected):
        error_sums(one, torch.ones(2, 1, 4, 6), one.bool())
    with pytest.raises(ValueError, match=r"one shape, got \(2, 1, 4, 5\), \(2, 1, 4, 5\), \(2, 4, 5\)"):
        DepthMetrics().update(one, one, one[:, 0].bool(), torch.tensor([0, 1]))


# The set of pictures, however it comes


def same(one: DepthMetrics, other: DepthMetrics) -> bool:
    """Whether two metrics agree to the last bit: indices, rows and both averages."""
    averages_agree = (torch.equal(one.compute()[key], other.compute()[key]) for key in ("per_image", "pooled"))
    sums_agree = (torch.equal(a, b) for a, b in zip(one.sums(), other.sums(), strict=True))
    return all(averages_agree) and all(sums_agree)


def pick(pictures: tuple[Tensor, ...], index: list[int]) -> tuple[Tensor, Tensor, Tensor, list[int]]:
    pred, target, valid = (part[index] for part in pictures)
    return pred, target, valid, index


def test_order_and_batches_do_not_matter():
    pictures = random_maps(0)
    together = score(pick(pictures, [0, 1, 2, 3, 4]))
    assert same(together, score(pick(pictures, [3, 0, 4, 2, 1])))
    assert same(together, score(*(pick(pictures, [i]) for i in (4, 2, 0, 1, 3))))
    assert same(together, score(pick(pictures, [2, 4]), pick(pictures, [1, 0, 3])))


def test_batches_do_not_matter_with_several_threads():
    # A sum over one long axis is split between threads only when there is nothing else to split.
    rng = np.random.default_rng(0)
    pictures = tuple(torch.from_numpy(rng.uniform(0.5, 10, (4, 1, 200, 240)).astype("f4")) for _ in range(2))
    pictures = (*pictures, torch.ones(4, 1, 200, 240).bool())
    num_threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert same(score(pick(pictures, [0, 1, 2, 3])), score(*(pick(pictures, [i]) for i in range(4))))
    finally:
        torch.set_num_threads(num_threads)


def test_a_picture_that_comes_twice_counts_once():
    pictures = random_maps(0)
    once = score(pick(pictures, [0, 1, 2, 3, 4]))
    assert same(once, score(pick(pictures, [0, 1, 2, 2]), pick(pictures, [3, 4, 0]), pick(pictures, [1])))


def test_reset_forgets_the_pictures():
    pictures = random_maps(0)
    metric = score(pick(pictures, [0, 1]))
    metric.reset()
    metric.update(*pick(pictures, [2])[:3], torch.tensor([2]))
    assert same(metric, score(pick(pictures, [2])))


@pytest.mark.parametrize("cast", ["half", "bfloat16", "float"])
def test_a_cast_of_the_module_around_it_keeps_float64(cast: str):
    module = torch.nn.ModuleDict({"metric": DepthMetrics()})
    getattr(module, cast)()
    module["metric"].update(*random_maps(0), torch.arange(5))
    getattr(module, cast)()
    assert same(module["metric"], score(pick(random_maps(0), [0, 1, 2, 3, 4])))


# Two processes

# A sampler that pads gave process 1 the pictures 0 and 1 once more; the shards are uneven.
SHARDS = ([[0, 2], [4], [6, 8]], [[1, 3, 5], [7], [0, 1]])


def score_shard(rank: int, folder: Path) -> None:
    """What one process does: score its shard, then one where process 1 has no picture at all."""
    # A forked child must not wait for its parent's pool of threads.
    torch.set_num_threads(1)
    meeting = (folder / "meeting").as_uri()
    torch.distributed.init_process_group(
        "gloo", init_method=meeting, rank=rank, world_size=NUM_PROCESSES, timeout=timedelta(minutes=5)
    )
    pictures = random_maps(7, num_pictures=9)
    uneven = score(*(pick(pictures, index) for index in SHARDS[rank]))
    save_score(uneven, folder / f"uneven{rank}.npz")
    lonely = score(*([pick(pictures, [5, 2])] if rank == 0 else []))
    save_score(lonely, folder / f"lonely{rank}.npz")
    torch.distributed.destroy_process_group()


def save_score(metric: DepthMetrics, path: Path) -> None:
    averages = {key: value.numpy() for key, value in metric.compute().items()}
    with metric.sync_context():
        index, rows = metric.sums()
    np.savez(path, index=index.numpy(), rows=rows.numpy(), **averages)


@pytest.fixture(scope="module")
def shard_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where two real processes left their results."""
    if sys.platform != "linux":
        pytest.skip("forks two processes, which is safe on Linux only")
    folder = tmp_path_factory.mktemp("shards")
    # Forked, because importing torch twice takes longer than all other tests together.
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=score_shard, args=(rank, folder)) for rank in range(NUM_PROCESSES)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(timeout=300)
        process.kill()
    return folder


@pytest.mark.parametrize("name, whole", [("uneven", list(range(9))), ("lonely", [2, 5])])
@pytest.mark.parametrize("rank", range(NUM_PROCESSES))
def test_two_processes_score_exactly_as_one(shard_folder: Path, name: str, whole: list[int], rank: int):
    one = score(pick(random_maps(7, num_pictures=9), whole))
    with np.load(shard_folder / f"{name}{rank}.npz") as found:
        assert found["index"].tolist() == whole
        np.testing.assert_array_equal(found["rows"], one.sums()[1].numpy())
        for key, value in one.compute().items():
            np.testing.assert_array_equal(found[key], value.numpy())
