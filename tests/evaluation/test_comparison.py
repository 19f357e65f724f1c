import json
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import bootstrap

from leadline.data.synthetic.dataset import SyntheticDataset
from leadline.errors import LeadlineError
from leadline.evaluation import comparison
from leadline.evaluation.comparison import Change, Difference, Scores, compare_scores, mean_intervals, read_scores
from leadline.evaluation.evaluation import Evaluation
from leadline.evaluation.metrics import METRICS

NAN = float("nan")


def scores(model: str, abs_rel: list[float], delta1: list[float] | None = None, **changes: object) -> Scores:
    """Pictures p0, p1, ...; the metrics that are not given are a constant."""
    rows = [dict.fromkeys(METRICS, 0.5) | {"abs_rel": value} for value in abs_rel]
    for row, value in zip(rows, delta1 or [], strict=False):
        row["delta1"] = value
    ids = [f"p{number}" for number in range(len(rows))]
    made = Scores(model=model, data="rooms", split="official/test", protocol="report", ids=ids, rows=rows)
    return replace(made, **changes)


def difference(first: Scores, other: Scores, metric: str = "abs_rel") -> Difference:
    (found,) = compare_scores(first, other)
    return found.differences[list(METRICS).index(metric)]


def report(model: str = "tiny", num: int = 4, seed: int = 0) -> Evaluation:
    """Sums over 100 pixels of each picture."""
    sums = torch.rand(num, 10, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)) * 50
    sums[:, 0] = 100
    return Evaluation(
        model=model, data="rooms", split="official/test", protocol="report",
        ids=[f"{number:05d}" for number in range(num)], indices=list(range(num)), sums=sums,
    )  # fmt: skip


def test_scores_of_other_truth_or_rules_are_not_compared() -> None:
    before, after = scores("a", [0.1, 0.2]), scores("b", [0.2, 0.1])
    for key, what in {"data_digest": "true depth", "protocol_digest": "rules of the protocol"}.items():
        with pytest.raises(LeadlineError, match=f"the {what} of a and b differ, by their hashes"):
            compare_scores(replace(before, **{key: "1"}), replace(after, **{key: "2"}))
        compare_scores(replace(before, **{key: "1"}), after)  # an older evaluation has no hashes


# Differences


def test_means_differences_and_wins_are_those_worked_by_hand() -> None:
    before = scores("a", [0.1, 0.2, 0.3, 0.4], [0.9, 0.8, 0.7, 0.6])
    after = scores("b", [0.2, 0.1, 0.1, 0.4], [0.8, 0.9, 0.9, 0.6])
    (found,) = compare_scores(before, after)
    assert (found.first, found.other, found.data, found.split, found.protocol) == (
        "a", "b", "rooms", "official/test", "report",
    )  # fmt: skip
    assert [it.metric for it in found.differences] == list(METRICS)
    abs_rel = difference(before, after)
    assert (abs_rel.first, abs_rel.other, abs_rel.difference) == pytest.approx((0.25, 0.2, -0.05))
    delta1 = difference(before, after, "delta1")
    assert (delta1.first, delta1.other, delta1.difference) == pytest.approx((0.75, 0.8, 0.05))
    # Better on p1 and p2, worse on p0, and p3 is a tie that counts half.
    assert abs_rel.won == delta1.won == 2.5 / 4
    # A metric on which nothing differs.
    rms = difference(before, after, "rms")
    assert rms == Difference("rms", 0.5, 0.5, 0.0, 0.0, 0.5) and rms.verdict == "unclear"


def test_changes_run_from_the_largest_improvement_to_the_largest_worsening() -> None:
    (found,) = compare_scores(scores("a", [0.1, 0.2, 0.3, 0.4]), scores("b", [0.2, 0.1, 0.1, 0.4]))
    assert [change.id for change in found.changes] == ["p2", "p1", "p3", "p0"]
    assert found.changes[0] == Change("p2", 0.3, 0.1)
    assert [change.difference for change in found.changes] == pytest.approx([-0.2, -0.1, 0.0, 0.1])


@pytest.mark.parametrize(
    ("metric", "low", "high", "verdict"),
    [
        ("abs_rel", -0.2, -0.1, "better"),
        ("abs_rel", 0.1, 0.2, "worse"),
        ("delta1", -0.2, -0.1, "worse"),
        ("delta1", 0.1, 0.2, "better"),
        ("delta1", -0.1, 0.2, "unclear"),
        ("rms", 0.0, 0.2, "unclear"),
    ],
)
def test_the_verdict_follows_the_direction_and_whether_the_interval_holds_0(
    metric: str, low: float, high: float, verdict: str
) -> None:
    assert Difference(metric, 1.0, 1.0, low, high, 0.5).verdict == verdict


def test_every_other_model_is_compared_with_the_first() -> None:
    one, two, three = scores("a", [0.1, 0.2]), scores("b", [0.2, 0.4]), scores("c", [0.1, 0.1])
    found = compare_scores(one, two, three)
    assert [(it.first, it.other) for it in found] == [("a", "b"), ("a", "c")]
    assert [it.differences[3].difference for it in found] == pytest.approx([0.15, -0.05])


def test_pictures_are_paired_by_id_whatever_their_order() -> None:
    values = np.random.default_rng(0).uniform(0.1, 0.5, (2, 12)).tolist()
    first, other = scores("a", values[0]), scores("b", values[1])
    shuffled = replace(other, ids=other.ids[::-1], rows=other.rows[::-1])
    assert compare_scores(first, shuffled) == compare_scores(first, other)


def test_swapping_the_models_mirrors_everything() -> None:
    generator = np.random.default_rng(1)
    values, changed = generator.uniform(0.1, 0.5, 40), generator.normal(0, 0.05, 40)
    first = scores("a", values.tolist(), (1 - values).tolist())
    other = scores("b", (values + changed).tolist(), (1 - values - changed).tolist())
    (there,), (back,) = compare_scores(first, other), compare_scores(other, first)
    for one, two in zip(there.differences, back.differences, strict=True):
        assert (one.difference, one.low, one.high) == pytest.approx((-two.difference, -two.high, -two.low), abs=1e-12)
        assert one.won == 1 - two.won
        assert {one.verdict, two.verdict} in ({"unclear"}, {"better", "worse"})
    assert [change.id for change in there.changes] == [change.id for change in back.changes[::-1]]


def test_pictures_without_a_score_are_left_out_of_both_and_counted() -> None:
    first = scores("a", [0.1, NAN, 0.3, 0.4, NAN], [0.9, 0.8, 0.7, 0.6, 0.5])
    other = scores("b", [0.2, 0.1, 0.1, float("inf"), NAN], [0.9, 0.9, 0.9, 0.9, 0.9])
    (found,) = compare_scores(first, other)
    assert found.left_out == ["p1", "p3", "p4"]
    assert found.num_unscored == (2, 2)
    assert {change.id for change in found.changes} == {"p0", "p2"}
    # All metrics are of the same pictures, those that are finite where abs_rel is not too.
    assert difference(first, other, "delta1").first == pytest.approx((0.9 + 0.7) / 2)
    assert difference(first, other).difference == pytest.approx((0.1 - 0.2) / 2)


# Intervals


def test_the_interval_is_scipys_percentile_bootstrap() -> None:
    values = np.random.default_rng(2).gamma(2.0, 0.1, (60, 2))
    ours = mean_intervals(values, [f"{number}" for number in range(60)])
    theirs = [
        bootstrap((column,), np.mean, n_resamples=10_000, method="percentile", rng=3).confidence_interval
        for column in values.T
    ]
    # An end drawn 10,000 times is off by 0.03 standard errors or so.
    np.testing.assert_allclose(ours.T, theirs, atol=0.12 * values.std() / np.sqrt(60))


def test_of_two_pictures_the_interval_goes_from_one_to_the_other() -> None:
    np.testing.assert_array_equal(mean_intervals(np.array([[1.0], [3.0]]), ["a", "b"]), [[1.0], [3.0]])


def test_scenes_are_drawn_whole_and_weigh_as_many_pictures_as_they_have() -> None:
    values, scenes = np.array([[1.0], [1.0], [1.0], [5.0]]), ["hall", "hall", "hall", "attic"]
    # Draws of two scenes: hall twice (1), one of each (8 / 4 = 2), attic twice (5).
    np.testing.assert_array_equal(mean_intervals(values, scenes), [[1.0], [5.0]])
    means = mean_intervals(np.repeat(values, 2, axis=1) * [[1, -1]], scenes)
    np.testing.assert_array_equal(means, [[1.0, -5.0], [5.0, -1.0]])


def test_intervals_are_repeatable_and_do_not_depend_on_the_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    values, units = np.random.default_rng(4).normal(size=(30, 3)), [f"{number % 11}" for number in range(30)]
    whole = mean_intervals(values, units)
    np.testing.assert_array_equal(whole, mean_intervals(values, units))
    monkeypatch.setattr(comparison, "_CHUNK_CELLS", 77)
    np.testing.assert_allclose(mean_intervals(values, units), whole, rtol=1e-12)


def test_memory_stays_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparison, "NUM_RESAMPLES", 1000)
    values = np.random.default_rng(5).normal(size=(5000, 9))
    units = [f"{number}" for number in range(5000)]
    tracemalloc.start()
    mean_intervals(values, units)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak_bytes < 60e6  # all draws at once would be 1000 × 5000 × 8 bytes, several times


def coverage(monkeypatch: pytest.MonkeyPatch, scene_spread: float, by_scene: bool) -> float:
    """How often the interval of 30 scenes of 5 pictures holds the true mean, 0."""
    monkeypatch.setattr(comparison, "NUM_RESAMPLES", 1000)
    generator = np.random.default_rng(6)
    # Each column is a data set of its own.
    scene = generator.normal(0, scene_spread, (30, 400)).repeat(5, axis=0)
    values = scene + generator.normal(0, 1, (150, 400))
    units = [f"{number // 5 if by_scene else number}" for number in range(150)]
    low, high = mean_intervals(values, units)
    return float(((low <= 0) & (high >= 0)).mean())


def test_intervals_cover_the_truth_about_as_often_as_they_say(monkeypatch: pytest.MonkeyPatch) -> None:
    assert 0.91 < coverage(monkeypatch, scene_spread=0.0, by_scene=False) < 0.98


def test_where_pictures_of_a_scene_are_alike_only_drawing_scenes_covers_the_truth(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert 0.90 < coverage(monkeypatch, scene_spread=1.0, by_scene=True) < 0.98
    assert coverage(monkeypatch, scene_spread=1.0, by_scene=False) < 0.85


# What is resampled


def with_scene_effects(scenes: list[str]) -> tuple[Scores, Scores]:
    generator = np.random.default_rng(7)
    values = generator.uniform(0.1, 0.5, 60)
    changed = generator.normal(0, 0.05, 12).repeat(5) + generator.normal(0, 0.01, 60)
    return scores("a", values.tolist(), scenes=scenes), scores("b", (values + changed).tolist())


KNOWN = [f"room {number // 5}" for number in range(60)]


def test_known_scenes_are_resampled_and_widen_the_interval() -> None:
    (by_scene,), (by_picture,) = compare_scores(*with_scene_effects(KNOWN)), compare_scores(*with_scene_effects([]))
    assert (by_scene.resampled, by_scene.num_resampled) == ("scenes", 12)
    assert (by_picture.resampled, by_picture.num_resampled) == ("pictures", 60)
    wide, narrow = by_scene.differences[3], by_picture.differences[3]
    assert wide.difference == narrow.difference
    # √5 if pictures of a scene were the same.
    assert 1.5 < (wide.high - wide.low) / (narrow.high - narrow.low) < 2.5


def test_it_is_enough_that_the_other_model_knows_the_scenes() -> None:
    first, other = with_scene_effects(KNOWN)
    shuffled = replace(other, ids=other.ids[::-1], rows=other.rows[::-1], scenes=KNOWN[::-1])
    assert compare_scores(replace(first, scenes=[]), shuffled) == compare_scores(first, other)


@pytest.mark.parametrize(
    ("scenes", "resampled"),
    [([*KNOWN[:-1], ""], "pictures"), (["cellar"] * 60, "pictures of one scene")],
    ids=["one unknown", "one alone"],
)
def test_pictures_are_resampled_where_scenes_cannot_be(scenes: list[str], resampled: str) -> None:
    (found,), (plain,) = compare_scores(*with_scene_effects(scenes)), compare_scores(*with_scene_effects([]))
    assert (found.resampled, found.num_resampled) == (resampled, 60)
    assert found.differences == plain.differences


def test_a_scene_whose_pictures_are_left_out_is_not_drawn() -> None:
    first = scores("a", [0.1, 0.2, NAN, 0.4], scenes=["x", "y", "z", "x"])
    (found,) = compare_scores(first, scores("b", [0.2] * 4))
    assert (found.resampled, found.num_resampled) == ("scenes", 2)


def test_scenes_come_from_the_data_set_by_id() -> None:
    dataset = SyntheticDataset(8, 2, 24, 32)
    chosen = scores("a", [0.1, 0.2], ids=[dataset.ids[5], "unheard of"]).with_scenes(dataset)
    assert chosen.scenes == [dataset.scenes[5], ""]


# From reports and folders


def test_scores_of_a_report_hold_its_rows() -> None:
    source = report()
    made = Scores.of_report(source)
    assert (made.model, made.data, made.split, made.protocol) == ("tiny", "rooms", "official/test", "report")
    assert made.ids == source.ids and made.rows == source.rows() and made.scenes == []


def test_a_saved_evaluation_reads_back_as_it_was(tmp_path: Path) -> None:
    source = report()
    source.sums[2] = 0  # no scored pixel: NaN
    source.save(tmp_path)
    back, made = read_scores(tmp_path), Scores.of_report(source)
    assert replace(back, rows=made.rows) == made
    np.testing.assert_array_equal([list(row.values()) for row in back.rows], [list(row.values()) for row in made.rows])
    (found,) = compare_scores(back, Scores.of_report(report("other", seed=1)))
    assert found.left_out == ["00002"] and found.num_unscored == (1, 0)


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        ("metrics.json", "{", "", "is broken"),
        ("metrics.json", '"protocol"', '"protocols"', "lacks 'protocol'; evaluate again"),
        ("metrics.json", '"num_images": 4', '"num_images": 5', "metrics.json is of 5 pictures, per_image.csv of 4"),
        ("per_image.csv", "rms_log", "rms_lg", "lacks 'rms_log'; evaluate again"),
        ("per_image.csv", "00002,", "00002,x", "could not convert string to float: 'x"),
        ("per_image.csv", "00002,", "00001,", "hold the picture '00001' twice"),
    ],
)
def test_a_broken_evaluation_is_named(tmp_path: Path, name: str, old: str, new: str, message: str) -> None:
    report().save(tmp_path)
    text = (tmp_path / name).read_text()
    assert old in text
    (tmp_path / name).write_text(text.replace(old, new, 1))
    with pytest.raises(LeadlineError, match=message):
        read_scores(tmp_path)


def test_a_cut_line_and_a_file_of_something_else_are_named(tmp_path: Path) -> None:
    report().save(tmp_path)
    path = tmp_path / "per_image.csv"
    path.write_text(path.read_text().rpartition(",")[0])
    with pytest.raises(LeadlineError, match="is broken"):
        read_scores(tmp_path)
    (tmp_path / "metrics.json").write_text(json.dumps([1, 2]))
    with pytest.raises(LeadlineError, match="is broken"):
        read_scores(tmp_path)


@pytest.mark.parametrize("missing", ["metrics.json", "per_image.csv", ""])
def test_a_folder_without_an_evaluation_is_named(tmp_path: Path, missing: str) -> None:
    folder = tmp_path / "scores"
    if missing:
        report().save(folder)
        (folder / missing).unlink()
    with pytest.raises(LeadlineError, match="no evaluation at .*scores: wanted metrics.json and per_image.csv"):
        read_scores(folder)


# Mistakes


def test_what_one_of_three_could_not_be_scored_on_is_left_out_of_all():
    first, third = scores("base", [0.1, 0.2, 0.9]), scores("third", [0.1, 0.4, 0.1])
    second = scores("second", [0.3, 0.2], unread={"p2": "p2 is no picture"})
    for models in ([first, second, third], [first, third, second], [second, first, third]):
        for found in compare_scores(*models):
            assert [change.id for change in sorted(found.changes)] == ["p0", "p1"]
            assert found.unread == {"p2": "p2 is no picture"}
    _, found = compare_scores(first, second, third)
    abs_rel = found.differences[list(METRICS).index("abs_rel")]
    assert (abs_rel.first, abs_rel.other) == (pytest.approx(0.15), pytest.approx(0.25))


def test_one_model_alone_is_no_comparison() -> None:
    with pytest.raises(LeadlineError, match="needs at least 2 models, got only a; name another"):
        compare_scores(scores("a", [0.1, 0.2]))


@pytest.mark.parametrize(
    ("first", "other"), [([0.1], [0.2]), ([], []), ([0.1, NAN, 0.3], [NAN, 0.2, 0.3])], ids=["one", "none", "no pair"]
)
def test_fewer_than_two_pictures_are_refused(first: list[float], other: list[float]) -> None:
    with pytest.raises(LeadlineError, match=f"at least 2 pictures scored by both a and b, got {min(len(first), 1)}"):
        compare_scores(scores("a", first), scores("b", other))


@pytest.mark.parametrize("key", ["data", "split", "protocol"])
def test_scores_that_were_not_made_alike_are_refused(key: str) -> None:
    first, other = scores("a", [0.1, 0.2]), scores("b", [0.1, 0.2], **{key: "else"})
    message = f"a has the {key} {getattr(first, key)!r}, b 'else'; evaluate both alike"
    with pytest.raises(LeadlineError, match=message):
        compare_scores(first, other)


def test_names_do_not_matter_where_hashes_tell() -> None:
    known = {"data_digest": "1", "protocol_digest": "2"}
    first = scores("a", [0.1, 0.2, 0.3], **known)
    other = scores("b", [0.1, 0.2, 0.4], **known, data="else", split="else", protocol="else")
    assert compare_scores(first, other)


def test_other_pictures_are_refused_with_their_number_and_one_name() -> None:
    first, other = scores("a", [0.1, 0.2, 0.3, 0.4]), scores("b", [0.1, 0.2])
    message = "the scores of b lack 2 of the 4 pictures of a, such as 'p2'; evaluate both on the same pictures"
    for pair in ((first, other), (other, first)):
        with pytest.raises(LeadlineError, match=message):
            compare_scores(*pair)


def test_lists_that_do_not_fit_are_refused() -> None:
    made = scores("a", [0.1, 0.2])
    with pytest.raises(ValueError, match="got 2 ids, 2 rows and 1 scenes"):
        replace(made, scenes=["x"])
    with pytest.raises(LeadlineError, match="the scores of a hold the picture 'p0' twice"):
        replace(made, ids=["p0", "p0"])
