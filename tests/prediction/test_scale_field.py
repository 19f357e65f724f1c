import numpy as np
import pytest

from leadline.prediction.scale_field import (
    Pooled,
    _extent,
    correction,
    covariance,
    enlarged,
    expected,
    fit_field,
    places_of,
    pool,
    spread_at,
)

SIZE = (60, 80)


def points(num: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows and columns of some pixels, and a map of depths from 1 to 3 m."""
    generator = np.random.default_rng(seed)
    rows, columns = generator.integers(0, SIZE[0], num), generator.integers(0, SIZE[1], num)
    log_depth = np.log(np.linspace(1, 3, SIZE[0] * SIZE[1]).reshape(SIZE)).astype(np.float32)
    return rows, columns, log_depth


def smooth(rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    return 0.2 + 0.15 * np.sin(columns / 30) + 0.1 * rows / 60


def pooled(num: int) -> tuple[Pooled, np.ndarray]:
    rows, columns, log_depth = points(num)
    places = places_of(columns, rows, log_depth[rows, columns].astype(float), SIZE)
    return Pooled(places, smooth(rows, columns)), log_depth


def test_a_smooth_correction_is_found_everywhere() -> None:
    known, log_depth = pooled(100)
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    found = correction(fit_field(known), log_depth)
    assert np.abs(found - smooth(rows, columns)).mean() < 0.01
    assert found.dtype == np.float32 and found.shape == SIZE


def test_the_map_agrees_with_the_field_at_places() -> None:
    known, log_depth = pooled(50)
    field, (rows, columns, _) = fit_field(known), points(30, seed=1)
    places = places_of(columns, rows, log_depth[rows, columns].astype(float), SIZE)
    assert correction(field, log_depth)[rows, columns] == pytest.approx(field.at(places), abs=0.01)


def test_wrong_points_lose_their_weight() -> None:
    known, log_depth = pooled(100)
    wrong = np.arange(0, 100, 5)
    known.residuals[wrong] += np.where(wrong % 2, np.log(2), -np.log(2))
    field = fit_field(known)
    assert field.trust[wrong].max() < 0.05 and np.median(np.delete(field.trust, wrong)) > 0.9
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    assert np.abs(correction(field, log_depth) - smooth(rows, columns)).mean() < 0.02


def test_what_is_left_out_is_what_a_fit_without_it_gives() -> None:
    known, _ = pooled(30)
    field = fit_field(known)
    others = fit_field(Pooled(known.places[1:], known.residuals[1:]))
    assert others.at(known.places[:1])[0] == pytest.approx(field.left_out[0], abs=0.01)


def test_a_point_far_from_all_others_gets_their_common_factor_and_a_wide_spread() -> None:
    near = places_of(np.array([0.0, 2, 4]), np.array([0.0, 3, 1]), np.zeros(3), SIZE)
    field = fit_field(Pooled(near, np.full(3, 0.3)))
    far = places_of(np.array([79.0]), np.array([59.0]), np.array([2.0]), SIZE)
    assert 0.15 < field.at(far)[0] < 0.3
    assert spread_at(field, far)[0] > 3 * spread_at(field, near).max()


def test_many_points_are_pooled_by_medians() -> None:
    generator = np.random.default_rng(0)
    places = np.stack([generator.random(50_000), generator.random(50_000), np.zeros(50_000)], axis=1)
    few = pool(places, np.where(np.arange(50_000) % 10, 0.5, 9.0), most=300)
    assert 100 < len(few.residuals) <= 300
    assert few.residuals == pytest.approx(0.5)
    assert pool(places[:300], np.zeros(300), most=300).places is not None
    assert len(pool(places[:300], np.zeros(300), most=300).residuals) == 300


def test_nodes_reach_from_edge_to_edge() -> None:
    found = enlarged(np.array([[0, 1], [2, 3]], np.float32), (3, 5))
    assert found[0].tolist() == [0, 0.25, 0.5, 0.75, 1] and found[:, 0].tolist() == [0, 1, 2]


def test_the_field_goes_farther_where_it_is_freer() -> None:
    rows, columns = np.array([30, 30]), np.array([20, 60])
    places = places_of(columns, rows, np.zeros(2), SIZE, np.array([0.5, 2.0]))
    lean = expected(places)
    field = fit_field(Pooled(places, lean + [-0.2, 0.2]))
    tight, free = np.abs(field.at(places) - lean)
    assert tight < free < 0.2
    freedom = np.where(np.arange(SIZE[1]) < 40, 0.5, 2.0).astype(np.float32) * np.ones(SIZE, np.float32)
    found = correction(field, np.zeros(SIZE, np.float32), freedom)
    assert found[rows, columns] == pytest.approx(field.at(places), abs=0.01)
    assert spread_at(field, places)[1] > spread_at(field, places)[0]


def test_the_field_goes_as_far_as_what_is_left_out_bears_out() -> None:
    said, weights = np.array([0.2, -0.2]), np.full(2, 100.0)  # two points of 1 / 100 of variance, doubt of 1 / .7²
    doubt = 1 / 0.49
    assert _extent(said, said / 2, weights) == pytest.approx((4 + doubt) / (8 + doubt))
    assert _extent(said, said, weights) == _extent(said, 3 * said, weights) == 1
    assert _extent(said, -said, weights) == 0
    assert _extent(said, -said, weights / 1e6) == pytest.approx(1, abs=1e-4)  # next to nothing is known


def test_points_that_contradict_each_other_give_next_to_no_field() -> None:
    places = places_of(np.array([10, 12, 60, 62]), np.array([10, 12, 40, 42]), np.zeros(4), SIZE)
    lean = expected(places)
    contradicting, agreeing = (
        fit_field(Pooled(places, lean + 0.1 * np.array(it))) for it in ([1, -1, 1, -1], [1, 1, 1, 1])
    )
    assert np.abs(contradicting.at(places) - lean).max() < 0.01 < 0.09 < (agreeing.at(places) - lean).min()


def test_what_is_far_or_unsure_is_expected_to_be_nearer_than_predicted() -> None:
    log_depth = np.array([-0.5, 0, 0, 1])  # from the image's middle depth
    places = places_of(np.arange(4.0), np.arange(4.0), log_depth, SIZE, np.array([0.5, 1, 2, 3]))
    assert expected(places) == pytest.approx([0, -0.02, -0.04, -0.08])
    known = Pooled(places, expected(places))  # as was expected: nothing is added
    assert fit_field(known).at(places) == pytest.approx(expected(places), abs=1e-12)
    assert fit_field(known).left_out == pytest.approx(expected(places), abs=1e-12)


def test_the_smooth_part_grows_with_the_root_of_the_freedom_and_the_rough_part_with_all_of_it() -> None:
    here, far = (places_of(np.array([x]), np.zeros(1), np.zeros(1), SIZE, 4.0) for x in (0.0, 80 * 0.29))
    at_once = 0.15**2 + 4 * 0.18**2 + 16 * 0.115**2
    assert covariance(here, here, 0.15)[0, 0] == pytest.approx(at_once)
    apart = np.sqrt(3) * 0.29 / 0.07  # one reach of the smooth part is 4.14 of the rough one
    smooth, rough = np.exp(-0.5), (1 + apart) * np.exp(-apart)
    together = 0.15**2 + 4 * 0.18**2 * smooth + 16 * 0.115**2 * rough
    assert covariance(here, far, 0.15)[0, 0] == pytest.approx(together)
