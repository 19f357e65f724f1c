import math

import pytest
import torch

from leadline.errors import LeadlineError
from leadline.evaluation.protocols import PROTOCOLS, Protocol, get_protocol, scored_pixels, scored_prediction
from leadline.geometry.depth import Output

SIZE = (480, 640)

# crop (top, bottom, left, right), truth's range, ends scored, clamp, averaging, mirror
TABLE = {
    "report": (None, (0, math.inf), False, None, "pooled", False),
    "report-in-range": (None, (0.5, 4), True, None, "pooled", False),
    "nyu-eigen": ((45, 471, 41, 601), (1e-3, 10), False, (1e-3, 10), "per_image", False),
    "nyu-eigen-flip": ((45, 471, 41, 601), (1e-3, 10), False, (1e-3, 10), "per_image", True),
    "nyu-densedepth": ((20, 460, 24, 616), (0, math.inf), False, (0.1, 10), "pooled", True),
    "nyu-multitask": (None, (0, math.inf), False, (1e-9, math.inf), "pooled", False),
    "metric": (None, (0, 10), True, None, "per_image", False),
    "relative": ((45, 471, 41, 601), (1e-3, 10), False, (1e-3, 10), "per_image", False),
    "kitti-eigen": (None, (1e-3, 80), False, (1e-3, 80), "per_image", False),
    "median": (None, (0, math.inf), False, None, "per_image", False),
}
ALIGNED = {"relative": "scale-shift", "median": "median"}


def scored_depths(name: str, depths_m: list[float]) -> list[float]:
    """Which of some depths the protocol scores, each put in the middle of a picture of 2 m."""
    target_m = torch.full((1, 1, *SIZE), 2.0)
    place = (0, 0, 240, slice(300, 300 + len(depths_m)))
    target_m[place] = torch.tensor(depths_m)
    scored = scored_pixels(get_protocol(name), target_m, torch.ones_like(target_m).bool())
    return target_m[place][scored[place]].tolist()


def after(depth_m: float) -> float:
    """The next float32 above."""
    return torch.nextafter(torch.tensor(depth_m), torch.tensor(math.inf)).item()


def before(depth_m: float) -> float:
    """The next float32 below."""
    return torch.nextafter(torch.tensor(depth_m), torch.tensor(-math.inf)).item()


def float32(depth_m: float) -> float:
    return torch.tensor(depth_m).item()


@pytest.mark.parametrize("name", TABLE)
def test_each_protocol_is_as_published(name: str):
    rules = get_protocol(name)
    found = (rules.crop, rules.valid_range_m, rules.includes_ends, rules.clamp_m, rules.averaging, rules.flip)
    assert found == TABLE[name]
    assert rules.name == name and rules.used_by
    assert rules.alignment == ALIGNED.get(name, "none")


def test_every_protocol_is_in_the_table():
    assert list(PROTOCOLS) == list(TABLE)


@pytest.mark.parametrize(
    "name, num_scored",
    [
        ("report", 480 * 640),
        ("report-in-range", 480 * 640),
        ("nyu-eigen", 426 * 560),
        ("nyu-eigen-flip", 426 * 560),
        ("nyu-densedepth", 440 * 592),
        ("nyu-multitask", 480 * 640),
    ],
)
def test_the_number_of_scored_pixels(name: str, num_scored: int):
    target_m = torch.full((2, 1, *SIZE), 2.0)
    scored = scored_pixels(get_protocol(name), target_m, torch.ones_like(target_m).bool())
    assert scored.shape == target_m.shape and scored.dtype == torch.bool
    assert scored.flatten(1).sum(1).tolist() == [num_scored, num_scored]


@pytest.mark.parametrize("name", [name for name, (crop, *_) in TABLE.items() if crop])
def test_the_corners_of_the_crop_are_inside_and_their_neighbours_outside(name: str):
    target_m = torch.full((1, 1, *SIZE), 2.0)
    scored = scored_pixels(get_protocol(name), target_m, torch.ones_like(target_m).bool())[0, 0]
    top, bottom, left, right = TABLE[name][0]
    assert scored[top, left] and scored[bottom - 1, right - 1]
    assert not scored[top - 1].any() and not scored[bottom].any()
    assert not scored[:, left - 1].any() and not scored[:, right].any()


@pytest.mark.parametrize("name", ["nyu-eigen", "nyu-eigen-flip"])
def test_eigens_ends_are_not_scored(name: str):
    depths_m = [0.0, before(1e-3), 1e-3, after(1e-3), 5.0, before(10.0), 10.0, after(10.0)]
    assert scored_depths(name, depths_m) == [after(1e-3), 5.0, before(10.0)]


def test_the_ends_of_the_reports_range_are_scored():
    depths_m = [before(0.5), 0.5, 2.0, 4.0, after(4.0)]
    assert scored_depths("report-in-range", depths_m) == [0.5, 2.0, 4.0]


@pytest.mark.parametrize("name", ["report", "nyu-densedepth", "nyu-multitask"])
def test_all_means_every_depth_that_can_be_one(name: str):
    assert scored_depths(name, [1e-4, 0.4, 80.0, 0.0, -1.0, math.inf, math.nan]) == [float32(1e-4), float32(0.4), 80.0]


@pytest.mark.parametrize("name", TABLE)
def test_what_is_unknown_is_never_scored(name: str):
    target_m = torch.full((1, 1, *SIZE), 2.0)
    valid = torch.ones_like(target_m).bool()
    everywhere = scored_pixels(get_protocol(name), target_m, valid)
    valid[..., ::3] = False
    scored = scored_pixels(get_protocol(name), target_m, valid)
    assert torch.equal(scored, everywhere & valid)
    assert scored.any()


@pytest.mark.parametrize("name", TABLE)
def test_scoring_leaves_its_arguments_alone(name: str):
    target_m, valid = torch.full((1, 1, *SIZE), 2.0), torch.ones(1, 1, *SIZE).bool()
    scored_pixels(get_protocol(name), target_m, valid).fill_(False)
    assert valid.all() and (target_m == 2).all()


def prediction(name: str, pred_m: torch.Tensor) -> torch.Tensor:
    target_m = torch.ones_like(pred_m)
    return scored_prediction(get_protocol(name), pred_m, Output.METRES, target_m, target_m.bool())


@pytest.mark.parametrize("name", [name for name in TABLE if name not in ALIGNED])
def test_predictions_are_clamped_as_published(name: str):
    near_m, far_m = TABLE[name][3] or (-math.inf, math.inf)
    pred_m = torch.tensor([-1.0, 0.0, 1e-10, 1e-4, 0.05, 2.0, 9.99, 10.5, 1e6])[None, None, None]
    expected = [float32(min(max(value, near_m), far_m)) for value in pred_m.flatten().tolist()]
    clamped = prediction(name, pred_m)
    assert clamped.flatten().tolist() == expected
    assert clamped.shape == pred_m.shape


@pytest.mark.parametrize("name", [name for name, (crop, *_) in TABLE.items() if crop])
@pytest.mark.parametrize("size", [(640, 480), (240, 320), (427, 561)])
def test_a_crop_needs_the_size_it_was_made_for(name: str, size: tuple[int, int]):
    target_m = torch.ones(1, 1, *size)
    expected = f"protocol '{name}' crops 480×640 depth maps, got {size[0]}×{size[1]}; use one without a crop"
    with pytest.raises(LeadlineError, match=expected):
        scored_pixels(get_protocol(name), target_m, target_m.bool())


@pytest.mark.parametrize(("name", "output"), [("relative", Output.DISPARITY), ("nyu-eigen", Output.METRES)])
def test_the_protocol_without_a_crop_that_is_named_takes_what_the_other_took(name: str, output: Output):
    target_m = torch.full((1, 1, 8, 9), 2.0)
    with pytest.raises(LeadlineError, match=r"use one without a crop, such as '(\w+)'") as refused:
        scored_pixels(get_protocol(name), target_m, target_m.bool())
    other = get_protocol(str(refused.value).split("'")[-2])
    scored = scored_pixels(other, target_m, target_m.bool())
    assert scored_prediction(other, target_m, output, target_m, scored).shape == target_m.shape


def test_gargs_crop_follows_the_size_of_the_map():
    # The rows 153 to 370 and columns 44 to 1196 of a 375×1242 map that the evaluation scripts of BTS and others name.
    target_m = torch.ones(1, 1, 375, 1242)
    scored = scored_pixels(get_protocol("kitti-eigen"), target_m, target_m.bool())
    rows, columns = scored[0, 0].any(1).nonzero(), scored[0, 0].any(0).nonzero()
    assert (rows.min(), rows.max() + 1, columns.min(), columns.max() + 1) == (153, 371, 44, 1197)
    assert scored.sum() == (371 - 153) * (1197 - 44)


@pytest.mark.parametrize("name", [name for name, (crop, *_) in TABLE.items() if not crop and name != "kitti-eigen"])
def test_any_size_will_do_without_a_crop(name: str):
    target_m = torch.ones(1, 1, 37, 53)
    assert scored_pixels(get_protocol(name), target_m, target_m.bool()).all()


@pytest.mark.parametrize(
    "typed, near", [("nyu-eigen-filp", "nyu-eigen-flip"), ("reports", "report"), ("nyu_multitask", "nyu-multitask")]
)
def test_an_unknown_name_is_answered_with_the_nearest(typed: str, near: str):
    with pytest.raises(LeadlineError, match=f"unknown protocol '{typed}': did you mean '{near}'"):
        get_protocol(typed)


def test_a_name_like_no_other_is_answered_with_all():
    with pytest.raises(LeadlineError, match=f"choose from {', '.join(PROTOCOLS)}"):
        get_protocol("zzz")


def test_a_protocol_does_not_change():
    with pytest.raises(ValueError, match="frozen"):
        get_protocol("report").flip = True  # type: ignore[misc]


def test_a_protocol_of_ones_own_scores_strictly_within_its_range():
    rules = Protocol(name="near", used_by="nobody", averaging="pooled", valid_range_m=(1.0, 2.0))
    target_m = torch.tensor([0.5, 1.0, 1.5, 2.0])[None, None, None]
    scored = scored_pixels(rules, target_m, torch.ones_like(target_m).bool())
    assert scored.flatten().tolist() == [False, False, True, False]
    everywhere = torch.ones_like(target_m).bool()
    assert scored_prediction(rules, target_m, Output.METRES, target_m, everywhere) is target_m


# Four pixels whose truth is 1, 2, 4 and 8 m; the last is not scored.
TRUTH_M = torch.tensor([1.0, 2.0, 4.0, 8.0]).view(1, 1, 1, 4)
SCORED = torch.tensor([True, True, True, False]).view(1, 1, 1, 4)


def aligned(name: str, values: torch.Tensor, output: Output) -> list[float]:
    rules = Protocol(name=name, alignment=name, clamp_m=(1e-3, 10.0))
    return scored_prediction(rules, values.view(1, 1, 1, 4), output, TRUTH_M, SCORED).flatten().tolist()


def test_scale_and_shift_are_undone_in_the_space_that_was_answered():
    depth = 3 * TRUTH_M + 5
    assert aligned("scale-shift", depth, Output.DEPTH) == pytest.approx([1, 2, 4, 8])
    disparity = 0.2 / TRUTH_M + 0.7
    assert aligned("scale-shift", disparity, Output.DISPARITY) == pytest.approx([1, 2, 4, 8], rel=1e-4)


def test_a_disparity_that_falls_below_zero_is_far_and_not_near():
    disparity = torch.tensor([1.0, 0.5, 0.25, -0.5])
    assert aligned("scale-shift", disparity, Output.DISPARITY) == pytest.approx([1, 2, 4, 10], rel=1e-4)


def test_the_median_alignment_multiplies_depth():
    # Depths 2, 4, 6 have the median 4, the truths' is 2: everything is halved.
    assert aligned("median", torch.tensor([2.0, 4.0, 6.0, 100.0]), Output.METRES) == pytest.approx([1, 2, 3, 10])
    # As disparity 1, 1/2 and 1/4 are 1, 2 and 4 m already.
    assert aligned("median", 10 / TRUTH_M, Output.DISPARITY) == pytest.approx([1, 2, 4, 8])


def test_values_without_a_unit_need_a_protocol_that_aligns():
    with pytest.raises(LeadlineError, match="wants metres, got depth up to scale and shift; use one that aligns"):
        aligned("none", TRUTH_M, Output.DEPTH)


def test_the_digest_follows_the_rules_and_nothing_else():
    rules = get_protocol("nyu-eigen")
    assert rules.digest == Protocol(**{**rules.model_dump(), "name": "mine", "used_by": "me"}).digest
    digests = {it.digest for it in PROTOCOLS.values()}
    assert len(digests) == len(PROTOCOLS)
    assert rules.digest != rules.model_copy(update={"clamp_m": (1e-3, 9.0)}).digest


def test_a_protocol_can_be_written_in_toml(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('size = [480, 640]\ncrop = [0, 240, 0, 640]\nvalid_range_m = [0.5, 5]\nalignment = "median"\n')
    rules = get_protocol(str(path))
    assert (rules.name, rules.crop, rules.valid_range_m, rules.alignment) == (
        "mine",
        (0, 240, 0, 640),
        (0.5, 5),
        "median",
    )
    assert rules.averaging == "per_image" and rules.clamp_m is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("crop = [0, 1, 0, 1]", "a crop needs the size"),
        ("clamp_m = [2, 1]", r"clamp_m must ascend, got \[2.0, 1.0\]"),
        ("size = [9, 9]\ncrop = [0, 1, 0, 1]\ncrop_share = [0, 1, 0, 1]", "give crop or crop_share, not both"),
        ("croop = 1", "croop: Extra inputs are not permitted; known keys: name, used_by"),
        ('alignment = "mean"', "alignment: Input should be 'none', 'median' or 'scale-shift'"),
        ("= 1", "is not valid TOML"),
    ],
)
def test_a_mistake_in_a_protocol_file_is_one_line(tmp_path, text: str, message: str):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(LeadlineError, match=message):
        get_protocol(str(path))


def test_a_missing_protocol_file_is_named(tmp_path):
    with pytest.raises(LeadlineError, match="no protocol at .*the named ones: report, "):
        get_protocol(str(tmp_path / "none.toml"))


@pytest.mark.parametrize(
    "rules",
    [
        "size = [48, 64]\ncrop = [10, 40, 600, 41]",
        "size = [480, 640]\ncrop = [41, 601, 45, 471]",
        "crop_share = [0.4, 1.2, 0.9, 0.1]",
    ],
)
def test_a_window_must_lie_within_the_map(tmp_path, rules: str):
    (tmp_path / "mine.toml").write_text(rules, encoding="utf-8-sig")  # a mark as Windows' editors write is no mistake
    with pytest.raises(LeadlineError, match="is top, bottom, left, right within the map"):
        get_protocol(str(tmp_path / "mine.toml"))
