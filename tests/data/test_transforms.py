from collections.abc import Callable
from math import cos, radians, sin

import pytest
import torch
from torch import Tensor

from leadline.data import transforms
from leadline.data.sample import UNKNOWN_INTRINSICS, Sample
from leadline.data.settings import AugmentSettings
from leadline.data.synthetic.dataset import SyntheticDataset
from leadline.data.transforms import CHANNEL_ORDERS, at_most, mirror, rotate, to_working_size
from leadline.geometry import vertices_of

NOTHING = AugmentSettings(mirror=0, permute_channels=0)
EVERYTHING = AugmentSettings(mirror=0.5, permute_channels=0.5, colour=1, zoom=1.5, rotate_deg=20)
# Another focal length for each axis, and an axis that does not meet the middle.
SQUARE = torch.tensor([[70.0, 0.0, 20.0], [0.0, 70.0, 11.0], [0.0, 0.0, 1.0]])
CAMERA = torch.tensor([[70.0, 0.0, 20.0], [0.0, 60.0, 11.0], [0.0, 0.0, 1.0]])


@pytest.fixture(scope="module")
def room() -> Sample:
    """A rendered room of 48×63 pixels (multiples of three), with a hole in its depth."""
    sample = SyntheticDataset(1, 5, 48, 63)[0]
    valid = sample.valid.clone()
    valid[:, 9:14, 20:28] = False
    return sample._replace(depth_m=sample.depth_m * valid, valid=valid)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def augment(sample: Sample, settings: AugmentSettings, generator: torch.Generator) -> Sample:
    """Augmented at its own size."""
    return transforms.augment(sample, settings, generator, sample.image[0].numel())


def zoom(sample: Sample, factor: float, top: int, left: int) -> Sample:
    """Enlarged at its own size."""
    return transforms.zoom(sample, factor, top, left, (sample.image.shape[1], sample.image.shape[2]))


def zoom_out(sample: Sample, factor: float) -> Sample:
    """Reduced at its own size."""
    return transforms.zoom_out(sample, factor, (sample.image.shape[1], sample.image.shape[2]))


def points_m(sample: Sample) -> Tensor:
    """Where each pixel is in camera space, (3, H, W)."""
    return torch.from_numpy(vertices_of(sample.depth_m[0].numpy(), sample.intrinsics.numpy())).permute(2, 0, 1)


def wall(height: int, width: int, intrinsics: Tensor = CAMERA) -> tuple[Sample, Tensor]:
    """A slanting wall, normal · point = 1, and its normal."""
    normal = torch.tensor([0.15, -0.1, 0.4])
    rays = points_m(Sample(torch.empty(0), torch.ones(1, height, width), torch.empty(0), intrinsics, "", ""))
    depth_m = 1 / (normal @ rays.flatten(1)).reshape(1, height, width)
    image = torch.rand(3, height, width, generator=seeded(0))
    return Sample(image, depth_m, torch.ones_like(depth_m, dtype=torch.bool), intrinsics, "a", "hall"), normal


def assert_same(first: Sample, second: Sample, rtol: float = 1e-6, atol: float = 1e-6) -> None:
    for one, other in zip(first[:4], second[:4], strict=True):
        torch.testing.assert_close(one, other, rtol=rtol, atol=atol, equal_nan=True)
    assert first[4:] == second[4:]


CHANGES: dict[str, Callable[[Sample], Sample]] = {
    "mirror": mirror,
    "zoom": lambda sample: zoom(sample, 1.3, 4, 9),
    "zoom out": lambda sample: zoom_out(sample, 1.3),
    "rotate": lambda sample: rotate(sample, 12),
    "smaller": lambda sample: to_working_size(sample, 40 * 50),
    "larger": lambda sample: to_working_size(sample, 60 * 80),
    "augment": lambda sample: augment(sample, EVERYTHING, seeded(0)),
}
every_change = pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)


# What holds for all


@every_change
def test_a_changed_sample_keeps_the_contract(change: Callable[[Sample], Sample], room: Sample) -> None:
    changed = change(room)
    assert changed.image.dtype == changed.depth_m.dtype == changed.intrinsics.dtype == torch.float32
    assert changed.valid.dtype == torch.bool
    assert changed.image.shape[-2:] == changed.depth_m.shape[-2:] == changed.valid.shape[-2:]
    assert changed.image.shape[0] == 3 and len(changed.depth_m) == len(changed.valid) == 1
    assert changed.image.min() >= 0 and changed.image.max() <= 1
    assert changed.valid.any() and not changed.valid.all()
    assert (changed.depth_m[changed.valid] > 0).all() and not changed.depth_m[~changed.valid].any()
    assert (changed.id, changed.scene) == (room.id, room.scene)


@every_change
def test_the_given_sample_is_left_as_it_is(change: Callable[[Sample], Sample], room: Sample) -> None:
    before = room._replace(**{name: getattr(room, name).clone() for name in room._fields[:4]})
    change(room)
    assert_same(room, before, rtol=0, atol=0)


@every_change
def test_an_unknown_camera_stays_unknown(change: Callable[[Sample], Sample], room: Sample) -> None:
    changed = change(room._replace(intrinsics=UNKNOWN_INTRINSICS.clone()))
    assert changed.intrinsics.isnan().all()
    assert UNKNOWN_INTRINSICS.isnan().all()


@every_change
def test_colour_and_depth_stay_on_the_same_pixels(change: Callable[[Sample], Sample]) -> None:
    """Two halves, bright and far against dark and near, stay that but for a pixel along their border."""
    far = (torch.arange(48)[:, None] + torch.arange(64) < 50)[None]
    depth_m = torch.where(far, 8.0, 2.0)
    image = torch.where(far, 0.9, 0.3).repeat(3, 1, 1)
    changed = change(Sample(image, depth_m, torch.ones_like(far), UNKNOWN_INTRINSICS, "", ""))
    near_m = changed.depth_m[changed.valid].min()
    now_far = changed.depth_m > 2 * near_m
    level = changed.image.mean(dim=0, keepdim=True)
    near_level, far_level = (level[changed.valid & part].median() for part in (~now_far, now_far))
    assert far_level > near_level
    assert (now_far == (level > (near_level + far_level) / 2))[changed.valid].float().mean() > 0.96
    depths_m = changed.depth_m[changed.valid & now_far]
    torch.testing.assert_close(depths_m, (4 * near_m).expand_as(depths_m))


# Working size


def test_a_third_of_the_size_keeps_every_third_point(room: Sample) -> None:
    large = SyntheticDataset(1, 5, 144, 189)[0]
    small = to_working_size(large, 48 * 63)
    assert small.image.shape == (3, 48, 63)
    torch.testing.assert_close(points_m(small), points_m(large)[:, 1::3, 1::3], rtol=1e-5, atol=1e-5)


def test_a_third_of_the_size_is_the_room_rendered_at_that_size() -> None:
    small, fresh = to_working_size(SyntheticDataset(1, 5, 144, 189)[0], 48 * 63), SyntheticDataset(1, 5, 48, 63)[0]
    torch.testing.assert_close(small.intrinsics, fresh.intrinsics)
    torch.testing.assert_close(small.depth_m, fresh.depth_m, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(points_m(small), points_m(fresh), rtol=1e-4, atol=1e-4)
    assert (small.image - fresh.image).abs().mean() < 0.05


@pytest.mark.parametrize("height", [50, 64, 120])
def test_any_size_is_nearly_the_room_rendered_at_that_size(height: int) -> None:
    """Depth takes the nearest pixel's, so that it can be half a pixel's slope off, and more at edges."""
    dataset = SyntheticDataset(1, 5, 72, 96)
    resized = to_working_size(dataset[0], height * height * 96 // 72)
    new_height, new_width = resized.image.shape[-2:]
    assert abs(new_height - height) <= 1
    fresh = SyntheticDataset(1, 5, new_height, new_width)[0]
    # Sides are whole pixels, so that the aspect is kept to half a pixel.
    torch.testing.assert_close(resized.intrinsics, fresh.intrinsics, rtol=0.01, atol=0.01)
    off_m = (points_m(resized) - points_m(fresh)).norm(dim=0) / fresh.depth_m[0]
    assert off_m.median() < 0.006 and off_m.quantile(0.9) < 0.03


def points_sample(height: int, width: int, values: dict[tuple[int, int], float], image: tuple[int, int]) -> Sample:
    """Depth that is valid at a few pixels, beside an image of a size of its own."""
    depth_m = torch.zeros(1, height, width)
    for (row, column), value in values.items():
        depth_m[0, row, column] = value
    return Sample(torch.rand(3, *image, generator=seeded(0)), depth_m, depth_m > 0, SQUARE, "a", "hall")


def test_sparse_depth_is_pooled_when_it_is_made_smaller() -> None:
    # Cells of 4×4: two points in the first (the one nearer to its middle counts), one at the edge of the last.
    points = {(0, 0): 9.0, (2, 1): 3.0, (127, 127): 5.0, (64, 4): 7.0}
    small = to_working_size(points_sample(128, 128, points, (128, 128)), 32 * 32)
    assert {tuple(place[1:].tolist()): float(small.depth_m[tuple(place)]) for place in small.valid.nonzero()} == {
        (0, 0): 3.0,
        (31, 31): 5.0,
        (16, 1): 7.0,
    }
    assert torch.equal(small.depth_m > 0, small.valid)


def test_of_two_points_as_near_to_the_middle_the_one_in_front_counts() -> None:
    small = to_working_size(points_sample(64, 64, {(0, 1): 4.0, (1, 0): 2.0}, (64, 64)), 32 * 32)
    assert small.depth_m[0, 0, 0] == 2 and small.valid.sum() == 1


def test_sparse_lidar_keeps_all_its_cells() -> None:
    keep = torch.rand(1, 352, 1216, generator=seeded(1)) < 0.05
    depth_m = torch.rand(1, 352, 1216, generator=seeded(2)) * keep
    sample = Sample(torch.rand(3, 352, 1216), depth_m, keep, SQUARE, "a", "street")
    small = to_working_size(sample, 88 * 304)
    cells = keep.view(1, 88, 4, 304, 4).any(4).any(2)
    assert torch.equal(small.valid, cells)
    assert torch.isin(small.depth_m[small.valid], depth_m[keep]).all()


def test_pooled_depth_without_holes_is_that_of_the_nearest_pixel(room: Sample) -> None:
    whole = room._replace(valid=torch.ones_like(room.valid))
    small = to_working_size(whole, 32 * 42)
    assert torch.equal(small.depth_m, transforms._nearest(whole.depth_m, (32, 42))) and small.valid.all()


def test_depth_of_less_resolution_than_its_image_is_not_enlarged() -> None:
    depth_m = torch.arange(1.0, 1 + 24 * 32).view(1, 24, 32)
    sample = Sample(torch.rand(3, 96, 128), depth_m, depth_m > 0, SQUARE, "a", "hall")
    for seen in (at_most(sample, 1e6), to_working_size(sample, 48 * 64), augment(sample, NOTHING, seeded(0))):
        assert seen.depth_m.shape == seen.valid.shape == (1, *seen.image.shape[1:])
        assert torch.equal(seen.depth_m[seen.valid].sort().values, depth_m.flatten())
    # 48×64 pixels have the middle of a depth's pixel at their corner: the one behind it has its value.
    at_double = to_working_size(sample, 48 * 64)
    assert torch.equal(at_double.depth_m[:, 1::2, 1::2], depth_m)


def test_depth_of_less_resolution_is_pooled_to_a_smaller_working_size() -> None:
    depth_m = torch.rand(1, 64, 64, generator=seeded(3)) + 1
    sample = Sample(torch.rand(3, 256, 256), depth_m, torch.ones_like(depth_m, dtype=torch.bool), SQUARE, "a", "hall")
    small = to_working_size(sample, 32 * 32)
    assert small.valid.all() and torch.isin(small.depth_m, depth_m).all()


def test_a_wall_stays_a_wall_at_any_size() -> None:
    sample, normal = wall(45, 60)
    for area_px in (40 * 53, 90 * 120, 61 * 83):
        resized = to_working_size(sample, area_px)
        distance = torch.einsum("c,chw->hw", normal, points_m(resized))
        torch.testing.assert_close(distance, torch.ones_like(distance), rtol=0.01, atol=0)
        assert distance.mean().item() == pytest.approx(1, abs=5e-4)  # nowhere shifted to one side


def test_sides_are_multiples_where_the_network_wants_them(room: Sample) -> None:
    resized = to_working_size(room, 48 * 63, multiple_px=14)
    assert resized.image.shape == (3, 42, 70)  # 3.4 and 4.5 steps
    torch.testing.assert_close(resized.intrinsics[0, 0], room.intrinsics[0, 0] * 70 / 63)
    augmented = transforms.augment(room, EVERYTHING, seeded(0), 48 * 63, 14)
    assert augmented.image.shape == augmented.depth_m.expand(3, -1, -1).shape == (3, 42, 70)


def test_a_sample_of_the_working_size_is_returned_as_it_is(room: Sample) -> None:
    assert to_working_size(room, 48 * 63) is room


# Mirror


def test_a_mirrored_room_has_its_points_on_the_other_side() -> None:
    sample, _ = wall(24, 41)
    expected = points_m(sample).flip(2) * torch.tensor([-1.0, 1, 1])[:, None, None]
    torch.testing.assert_close(points_m(mirror(sample)), expected)
    assert torch.equal(mirror(sample).image[:, :, 0], sample.image[:, :, -1])


def test_mirrored_twice_is_as_before(room: Sample) -> None:
    assert_same(mirror(mirror(room)), room)
    sample, _ = wall(24, 41)
    assert_same(mirror(mirror(sample)), sample)


# Zoom


def test_zoom_brings_every_point_nearer_and_leaves_it_beside_the_axis_where_it_was() -> None:
    """Of an enlargement by three, every third pixel is one of the old: (X, Y, Z) becomes (X, Y, Z/3)."""
    sample, _ = wall(30, 42)
    zoomed = zoom(sample, 3, 7, 11)
    window = points_m(sample)[:, 7:17, 11:25]
    torch.testing.assert_close(points_m(zoomed)[:, 1::3, 1::3], window * torch.tensor([1, 1, 1 / 3])[:, None, None])
    torch.testing.assert_close(zoomed.image[:, 1::3, 1::3], sample.image[:, 7:17, 11:25])
    assert zoomed.image.shape == sample.image.shape
    assert torch.equal(zoomed.intrinsics[:2, :2], sample.intrinsics[:2, :2])


def test_zoom_moves_the_principal_point_with_the_window() -> None:
    # 20 is 9 columns into a window from 11 on: at (9 + 0.5) · 3 - 0.5 of the enlarged one.
    zoomed = zoom(wall(30, 42)[0], 3, 7, 11)
    assert zoomed.intrinsics[:2, 2].tolist() == [28.0, 13.0]


def test_a_zoomed_wall_stays_a_wall() -> None:
    sample, normal = wall(40, 60)
    zoomed = zoom(sample, 1.25, 3, 10)
    nearer = normal * torch.tensor([1, 1, 1.25])
    distance = torch.einsum("c,chw->hw", nearer, points_m(zoomed))
    torch.testing.assert_close(distance, torch.ones_like(distance), rtol=0.008, atol=0)
    assert distance.mean().item() == pytest.approx(1, abs=5e-4)


def test_zoom_by_one_changes_nothing(room: Sample) -> None:
    assert_same(zoom(room, 1, 0, 0), room)


def test_a_window_of_rounded_sides_keeps_the_vertical_angle() -> None:
    sample, _ = wall(30, 42)  # by 2.8: a window of 11×15, enlarged by 30/11 and 42/15
    zoomed = zoom(sample, 2.8, 7, 11)
    rows = (torch.arange(30) + 0.5) * 11 / 30 - 0.5 + 7
    y_m = (rows - CAMERA[1, 2]) / CAMERA[1, 1] * zoomed.depth_m[0, :, 5] * 2.8
    torch.testing.assert_close(points_m(zoomed)[1, :, 5], y_m, rtol=1e-4, atol=1e-5)


def test_a_window_of_a_larger_picture_keeps_its_detail_and_is_the_room_seen_nearer() -> None:
    """A third of each side of a room rendered three times as large needs no resizing, and its points are nearer."""
    large = SyntheticDataset(1, 5, 144, 189)[0]
    near = transforms.zoom(large, 3, 40, 60, (48, 63))
    assert torch.equal(near.image, large.image[:, 40:88, 60:123])
    window = points_m(large)[:, 40:88, 60:123]
    torch.testing.assert_close(points_m(near), window * torch.tensor([1, 1, 1 / 3])[:, None, None])
    torch.testing.assert_close(near.intrinsics[:2, :2], to_working_size(large, 48 * 63).intrinsics[:2, :2])


def test_at_most_makes_smaller_and_never_larger(room: Sample) -> None:
    assert at_most(room, 48 * 63) is room and at_most(room, 1e6) is room
    assert_same(at_most(room, 24 * 32.9), to_working_size(room, 24 * 32))


# Rotation


def test_no_rotation_changes_nothing(room: Sample) -> None:
    assert_same(rotate(room, 0), room, rtol=0, atol=1e-5)


def test_a_quarter_turn_is_counter_clockwise() -> None:
    sample, _ = wall(32, 32)
    turned = rotate(sample, 90)
    torch.testing.assert_close(turned.image, sample.image.rot90(1, (1, 2)), rtol=0, atol=1e-4)
    assert torch.equal(turned.depth_m, sample.depth_m.rot90(1, (1, 2)))


def test_a_quarter_turn_is_a_roll_of_the_camera() -> None:
    sample = SyntheticDataset(1, 5, 48, 48)[0]
    rolled = points_m(sample).rot90(1, (1, 2))[[1, 0, 2]] * torch.tensor([1.0, -1, 1])[:, None, None]
    torch.testing.assert_close(points_m(rotate(sample, 90)), rolled)


@pytest.mark.parametrize("angle_deg", [-10.0, 10.0])
def test_a_turned_wall_stays_a_wall(angle_deg: float) -> None:
    centred = torch.tensor([[60.0, 0.0, 29.5], [0.0, 60.0, 23.5], [0.0, 0.0, 1.0]])
    sample, (right, down, ahead) = wall(48, 60, centred)
    turned = rotate(sample, angle_deg)
    # Counter-clockwise on the screen, where y points down: x towards -y.
    cosine, sine = cos(radians(angle_deg)), sin(radians(angle_deg))
    normal = torch.stack((cosine * right + sine * down, cosine * down - sine * right, ahead))
    distance = torch.einsum("c,chw->hw", normal, points_m(turned))[turned.valid[0]]
    torch.testing.assert_close(distance, torch.ones_like(distance), rtol=0.01, atol=0)
    assert distance.mean().item() == pytest.approx(1, abs=5e-4)


def test_corners_from_outside_are_black_and_invalid() -> None:
    sample, _ = wall(40, 60)
    turned = rotate(sample, 10)
    for row, column in ((0, 0), (0, -1), (-1, 0), (-1, -1)):
        assert not turned.valid[0, row, column] and turned.depth_m[0, row, column] == 0
        assert not turned.image[:, row, column].any()
    assert turned.valid[0, 15:25, 20:40].all()
    # The corners that a turn of 10 degrees cuts off a rectangle of 40×60, by area.
    assert 0.05 < 1 - turned.valid.float().mean() < 0.15


def test_the_principal_point_turns_with_the_picture() -> None:
    turned = rotate(wall(30, 42)[0], 180)
    torch.testing.assert_close(turned.intrinsics[:2, 2], torch.tensor([41.0 - 20, 29.0 - 11]))


# Augmentation


@pytest.mark.parametrize("large", [(144, 189), (97, 131), (51, 66), (40, 53)])
def test_whatever_is_drawn_all_samples_of_one_size_come_out_at_one_working_size(large: tuple[int, int]) -> None:
    settings = EVERYTHING.model_copy(update={"zoom": 2.3, "zoom_out": 1.7})
    sample = SyntheticDataset(1, 5, *large)[0]
    changed = [transforms.augment(sample, settings, seeded(seed), 48 * 63) for seed in range(30)]
    sizes = {part.shape[-2:] for one in changed for part in one[:3]}
    assert sizes == {to_working_size(sample, 48 * 63).image.shape[-2:]}
    focal_px = to_working_size(sample, 48 * 63).intrinsics[0, 0].item()
    assert all(one.intrinsics[0, 0].item() == pytest.approx(focal_px, rel=1e-4) for one in changed)


def test_augmentation_depends_on_the_generators_state_alone(room: Sample) -> None:
    again = seeded(3)
    first = augment(room, EVERYTHING, again)
    assert_same(first, augment(room, EVERYTHING, seeded(3)), rtol=0, atol=0)
    assert not torch.equal(first.image, augment(room, EVERYTHING, again).image)  # the state has moved on
    others = [augment(room, EVERYTHING, seeded(seed)) for seed in range(10, 14)]
    assert all(not torch.equal(first.image, other.image) for other in others)
    assert all(not torch.equal(first.depth_m, other.depth_m) for other in others)


def test_augmentation_leaves_the_global_chance_alone(room: Sample) -> None:
    torch.manual_seed(1)
    wanted = torch.rand(1)
    torch.manual_seed(1)
    augment(room, EVERYTHING, seeded(0))
    assert torch.equal(torch.rand(1), wanted)


def test_without_probabilities_and_strengths_nothing_changes(room: Sample) -> None:
    for seed in range(20):
        assert_same(augment(room, NOTHING, seeded(seed)), room, rtol=0, atol=0)


def test_a_certain_mirror_is_always_a_mirror(room: Sample) -> None:
    settings = NOTHING.model_copy(update={"mirror": 1.0})
    for seed in range(20):
        assert_same(augment(room, settings, seeded(seed)), mirror(room), rtol=0, atol=0)


def test_half_of_the_samples_are_mirrored(room: Sample) -> None:
    settings = NOTHING.model_copy(update={"mirror": 0.5})
    flipped = sum(torch.equal(augment(room, settings, seeded(seed)).image, mirror(room).image) for seed in range(100))
    assert 35 < flipped < 65


def test_channel_permutation_only_permutes_and_reaches_every_order(room: Sample) -> None:
    settings = NOTHING.model_copy(update={"permute_channels": 1.0})
    seen = set()
    for seed in range(30):
        changed = augment(room, settings, seeded(seed))
        seen.add(next(order for order in CHANNEL_ORDERS if torch.equal(changed.image, room.image[list(order)])))
        assert_same(changed._replace(image=room.image), room, rtol=0, atol=0)
    assert seen == set(CHANNEL_ORDERS) and len(seen) == 6


def test_colour_changes_only_colours_and_no_more_than_it_may(room: Sample) -> None:
    grey = room._replace(image=torch.full_like(room.image, 0.5))
    settings = NOTHING.model_copy(update={"colour": 0.2})
    levels = []
    for seed in range(40):
        changed = augment(grey, settings, seeded(seed))
        levels.append(changed.image.mean().item())  # of an even grey, brightness alone changes
        assert_same(changed._replace(image=grey.image), grey, rtol=0, atol=0)
    assert 0.4 - 1e-4 <= min(levels) < 0.43 and 0.57 < max(levels) <= 0.6 + 1e-4


def test_zoom_and_rotation_stay_within_their_bounds() -> None:
    sample, _ = wall(60, 80)
    sample = sample._replace(depth_m=torch.full_like(sample.depth_m, 6.0))
    zooming = NOTHING.model_copy(update={"zoom": 1.5})
    factors = [6 / augment(sample, zooming, seeded(seed)).depth_m.max().item() for seed in range(20)]
    assert 1 <= min(factors) < 1.1 and 1.4 < max(factors) <= 1.52  # whole columns: 80/53
    turning = NOTHING.model_copy(update={"rotate_deg": 5.0})
    cut_off = [(~augment(sample, turning, seeded(seed)).valid).float().mean() for seed in range(20)]
    assert max(cut_off) <= (~rotate(sample, 5).valid).float().mean() and min(cut_off) < 0.01


def test_only_the_given_share_of_samples_is_zoomed() -> None:
    sample = wall(30, 42)[0]._replace(depth_m=torch.full((1, 30, 42), 6.0))
    zooming = NOTHING.model_copy(update={"zoom": 1.5, "zoom_share": 0.3})
    nearer = [augment(sample, zooming, seeded(seed)).depth_m.max().item() < 6 for seed in range(400)]
    assert 0.2 < sum(nearer) / 400 < 0.4  # more than four standard deviations to either side


@pytest.mark.parametrize(
    ("name", "is_zoomed"), [("7", False), ("beside-the-door/7", False), ("rendered/7", False), ("beside2.0/7", True)]
)
def test_images_from_beside_have_a_share_of_their_own(name: str, is_zoomed: bool) -> None:
    sample = wall(30, 42)[0]._replace(id=name)
    zooming = NOTHING.model_copy(update={"zoom": 1.5, "zoom_share": 0.0, "beside_zoom_share": 1.0})
    assert (augment(sample, zooming, seeded(0)).depth_m.max() < sample.depth_m.max()) == is_zoomed


def test_zoom_out_moves_every_point_away_and_leaves_it_beside_the_axis_where_it_was() -> None:
    sample = wall(30, 42)[0]
    far = zoom_out(sample, 2)
    # The middle half of the picture is the old one, every second point of it, twice as far away.
    assert far.image.shape == sample.image.shape
    assert torch.equal(far.intrinsics[:2, :2], sample.intrinsics[:2, :2])
    inside = far.valid[0].nonzero()
    rows, columns = inside[:, 0], inside[:, 1]
    assert abs(len(inside) - 30 * 42 / 4) <= 15 + 21
    points = points_m(far)[:, rows, columns]
    # A wall stays a wall: all points lie on one plane, and so do they twice as far from the camera along z.
    normal = torch.linalg.lstsq(points.T.double(), torch.ones(len(inside), 1, dtype=torch.float64)).solution
    torch.testing.assert_close(
        points.T.double() @ normal, torch.ones(len(inside), 1, dtype=torch.float64), atol=0.02, rtol=0
    )
    assert far.depth_m[far.valid].median() == pytest.approx(2 * sample.depth_m.median().item(), rel=0.03)


def test_zoom_out_undoes_zoom_of_the_middle(room: Sample) -> None:
    height, width = room.image.shape[-2:]
    there = zoom(room, 1.5, (height - round(height / 1.5)) // 2, (width - round(width / 1.5)) // 2)
    back = zoom_out(there, 1.5)
    off = (back.depth_m - room.depth_m).abs()[back.valid] / room.depth_m[back.valid]
    assert back.valid.float().mean() == pytest.approx(1 / 1.5**2, abs=0.05)
    assert off.median() < 0.01
    torch.testing.assert_close(back.intrinsics, room.intrinsics, atol=1.0, rtol=0.02)


def test_the_margin_of_a_reduced_picture_is_mirrored_and_invalid() -> None:
    far = zoom_out(wall(30, 42)[0]._replace(image=torch.full((3, 30, 42), 0.7)), 1.5)
    torch.testing.assert_close(far.image, torch.full((3, 30, 42), 0.7))
    assert not far.valid[0, 0].any() and not far.valid[0, :, 0].any()


def test_half_of_the_changes_of_size_are_reductions_where_both_are_on() -> None:
    sample = wall(30, 42)[0]._replace(depth_m=torch.full((1, 30, 42), 6.0))
    both = NOTHING.model_copy(update={"zoom": 1.5, "zoom_out": 1.5})
    far = [augment(sample, both, seeded(seed)).depth_m.max().item() for seed in range(200)]
    assert 70 < sum(value > 6 for value in far) < 130
    assert min(far) >= 4 and max(far) <= 9.2
    only = NOTHING.model_copy(update={"zoom_out": 1.5})
    assert all(augment(sample, only, seeded(seed)).depth_m.max() >= 6 for seed in range(20))


def test_a_squeezed_sample_gets_square_pixels(room: Sample) -> None:
    height, width = room.image.shape[-2:]
    squeezed = transforms._resized(room, (height // 2, width))
    for square in (at_most(squeezed, 10**9), to_working_size(squeezed, height * width)):
        assert square.image.shape == room.image.shape and square.depth_m.shape == room.depth_m.shape
        torch.testing.assert_close(square.intrinsics, room.intrinsics)
