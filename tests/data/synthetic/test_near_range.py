from pathlib import Path

import numpy as np
import pytest
import torch

from leadline.data.datasets.folder import FolderDataset
from leadline.data.synthetic import near_range
from leadline.data.synthetic.dataset import synthesize
from leadline.data.synthetic.near import SCENES, draw_near_scene
from leadline.data.synthetic.near_range import NearDataset
from leadline.data.synthetic.objects import DESK_THINGS, VESSELS
from leadline.data.synthetic.placing import Surface, assemble_at, scatter
from leadline.data.synthetic.raycast import (
    Hits,
    Look,
    Pose,
    Room,
    Solid,
    camera_rays,
    cast_rays,
    look_at,
    solid_windows,
)
from leadline.data.synthetic.shading import render
from leadline.data.synthetic.soft_light import render_soft
from leadline.errors import LeadlineError

GREY = Look("plain", (0.5, 0.5, 0.5), (0.4, 0.4, 0.4), 0.5)
STRAIGHT = Pose(np.array([2.0, -1.0, 0.5], np.float32), np.eye(3, dtype=np.float32))
SIZE = (30, 40)


def room_with(*solids: Solid) -> Room:
    return Room((4.0, 3.0, 6.0), (GREY,) * 6, solids, ((2, -2.5, 3), (1, -1.5, 1)), ((1, 1, 1), (1, 1, 1)))


def rotation(axis: str, angle_rad: float) -> np.ndarray:
    c, s = np.cos(angle_rad), np.sin(angle_rad)
    rows = {
        "x": [[1, 0, 0], [0, c, -s], [0, s, c]],
        "y": [[c, 0, s], [0, 1, 0], [-s, 0, c]],
        "z": [[c, -s, 0], [s, c, 0], [0, 0, 1]],
    }
    return np.array(rows[axis])


def depth_of(*solids: Solid) -> np.ndarray:
    return render(room_with(*solids), STRAIGHT, 31, 41, 60.0, np.random.default_rng(0)).depth_m


def test_a_tilted_box_shows_its_edge():
    # half its diagonal, sqrt(2), lies before its middle, 3 m away
    box = Solid("box", (2.0, -1.0, 3.5), (1.0, 1.0, 1.0), 0.0, GREY, (np.pi / 4, 0.0))
    assert depth_of(box)[15, 20] == pytest.approx(3.0 - 2**0.5, abs=1e-5)


def test_an_overturned_column_lies_across():
    standing = Solid("cylinder", (2.0, -1.0, 3.5), (0.4, 1.0, 0.4), 0.0, GREY)
    lying = standing._replace(tilt_rad=(0.0, np.pi / 2))
    # the focal length is 41 / (2 tan 30°) = 35.5 px: 0.8 m to the right at 2.6 m is 11 px
    assert depth_of(standing)[15, 31] == pytest.approx(5.5, abs=1e-5)
    assert depth_of(lying)[15, 31] == pytest.approx(2.6, abs=1e-5)
    assert depth_of(lying)[4, 20] == pytest.approx(5.5, abs=1e-5)


def test_every_point_of_a_near_scene_is_on_the_body_that_it_is_said_to_be_on():
    tilted = 0
    for seed in range(12):
        scene = draw_near_scene(np.random.default_rng(seed))
        hits = cast_view(scene.room, scene.pose, scene.fov_deg)
        rays = np.tensordot(scene.pose.rotation, camera_rays(*SIZE, scene.fov_deg), 1)
        points = np.moveaxis(hits.depth_m * rays + scene.pose.position_m[:, None, None], 0, -1)
        for number, solid in enumerate(scene.room.solids, start=6):
            offset = points[hits.surface == number] - solid.centre_m
            pitch, roll = solid.tilt_rad
            turn = rotation("y", solid.yaw_rad) @ rotation("x", pitch) @ rotation("z", roll)
            scaled = np.abs(offset @ turn / solid.half_m)
            gauge = {
                "box": scaled.max(axis=1, initial=1),
                "ellipsoid": np.sqrt((scaled**2).sum(axis=1)),
                "cylinder": np.maximum(np.hypot(scaled[:, 0], scaled[:, 2]), scaled[:, 1]),
            }[solid.shape]
            if len(gauge):
                tilted += solid.tilt_rad != (0.0, 0.0)
                assert (np.abs(gauge - 1) * min(solid.half_m)).max() < 1e-3
    assert tilted > 5


def cast_view(room: Room, pose: Pose, fov_deg: float, windows: bool = True) -> Hits:
    rays = np.tensordot(pose.rotation, camera_rays(*SIZE, fov_deg), 1)
    seen = solid_windows(room, pose, *SIZE, fov_deg) if windows else None
    return cast_rays(room, pose.position_m.reshape(3, 1, 1), rays, seen)


def test_looking_only_where_a_tilted_solid_can_be_seen_changes_nothing():
    for seed in range(6):
        room, pose, fov_deg = draw_near_scene(np.random.default_rng(seed))
        fast, full = cast_view(room, pose, fov_deg), cast_view(room, pose, fov_deg, windows=False)
        np.testing.assert_array_equal(fast.depth_m, full.depth_m)
        np.testing.assert_array_equal(fast.surface, full.surface)


@pytest.mark.parametrize("kind", list(SCENES))
def test_each_kind_of_scene_can_be_drawn_and_holds_what_stands_in_it(kind: str):
    for seed in range(4):
        room, subject = SCENES[kind][0](np.random.default_rng(seed))
        width, height, depth = room.size_m
        centres = np.array([solid.centre_m for solid in room.solids])
        assert (centres > (-0.1, -height - 0.1, -0.1)).all() and (centres < (width + 0.1, 0.1, depth + 0.1)).all()
        assert 0 <= subject.surface.height_m < height


def test_cameras_see_near_and_far_from_free_air_through_many_lenses():
    dataset = NearDataset(60, 3, 18, 24)
    depths = torch.stack([sample.depth_m for sample in dataset]).flatten(1)
    medians = depths.median(dim=1).values
    assert depths.min() > 0.03 and medians.min() < 0.6 and medians.max() > 2
    assert 0.5 < medians.median() < 1.6
    focals = torch.stack([dataset.camera(index)[0, 0] for index in range(60)])
    # half of 24 px over the tangent of half of 98° and of 38°
    assert 10.4 <= focals.min() < 15 and 25 < focals.max() <= 34.9
    heights_m = np.array([-near_range._near_scene(3, index).pose.position_m[1] for index in range(60)])
    assert heights_m.min() < 0.4 and heights_m.max() > 1.5


def test_a_near_sample_depends_on_seed_and_index_but_not_on_the_count():
    first, second = NearDataset(2, seed=4, height=16, width=20), NearDataset(9, seed=4, height=16, width=20)
    assert torch.equal(first[1].image, second[1].image) and torch.equal(first[1].depth_m, second[1].depth_m)
    near_range._near_scene.cache_clear()
    assert torch.equal(first[1].image, second[1].image)
    assert not torch.equal(first[1].depth_m, NearDataset(2, seed=5, height=16, width=20)[1].depth_m)
    with pytest.raises(IndexError):
        first[2]


@pytest.mark.parametrize(("count", "num_test"), [(8, 2), (4, 1), (1, 0), (2, 1)])
def test_the_last_quarter_of_the_scenes_is_the_test_set(count: int, num_test: int):
    assert NearDataset(count).official_splits == ["train"] * (count - num_test) + ["test"] * num_test


def test_a_thing_is_as_large_as_its_extent_however_it_is_turned():
    extent = np.array([0.2, 0.1, 0.3])
    for tilt in ((0.0, 0.0), (0.4, 1.2)):
        (box,) = assemble_at(np.random.default_rng(0), DESK_THINGS["stack"], extent, (1.0, -0.5, 2.0), 0.7, tilt)
        assert box.half_m == pytest.approx((0.1, 0.05, 0.15)) and box.centre_m == pytest.approx((1.0, -0.5, 2.0))


def test_scattered_things_stand_on_their_surface_and_within_it():
    table = Surface(2.0, 3.0, 0.5, 0.75, 0.6, 0.4)
    solids = scatter(np.random.default_rng(1), table, VESSELS, 30)
    assert len(solids) > 8
    for solid in solids:
        right, back = rotation("y", -0.5)[::2, ::2] @ (solid.centre_m[0] - 2.0, solid.centre_m[2] - 3.0)
        assert abs(right) < 0.6 and abs(back) < 0.4
        assert solid.centre_m[1] < -0.75


def test_what_stands_on_a_floor_shades_it():
    above = look_at((2.0, -2.0, 1.5), (2.0, 0.0, 2.5), 0.0)
    here, behind = (Solid("box", (2.0, -0.4, z_m), (0.5, 0.01, 0.5), 0.0, GREY) for z_m in (2.5, 5.4))
    shaded, bare = (
        render_soft(room_with(roof), above, 60, 80, 60.0, np.random.default_rng(0)) for roof in (here, behind)
    )
    floor = (shaded.surface == 3) & (bare.surface == 3)
    ratio = shaded.rgb.mean(axis=2)[floor] / bare.rgb.mean(axis=2)[floor]
    assert np.percentile(ratio, 5) < 0.94 < 0.99 < np.percentile(ratio, 50)


def test_a_written_set_of_near_scenes_has_each_cameras_focal_length(tmp_path: Path):
    assert synthesize(tmp_path / "near", 5, 3, 24, 32, scenes="near") == 5
    written, rendered = FolderDataset(tmp_path / "near"), NearDataset(5, 3, 24, 32)
    assert (written.ids, written.scenes, written.official_splits) == (
        rendered.ids,
        rendered.scenes,
        rendered.official_splits,
    )
    for one, other in zip(written, rendered, strict=False):
        torch.testing.assert_close(one.depth_m, other.depth_m, atol=0.00051, rtol=0)
        torch.testing.assert_close(one.intrinsics, other.intrinsics)
    assert synthesize(tmp_path / "near", 2, 0, 8, 8) == 2  # rendered too: it may be replaced


def test_another_kind_of_scenes_is_refused(tmp_path: Path):
    with pytest.raises(LeadlineError, match="unknown kind of scenes 'nera': .*near"):
        synthesize(tmp_path / "x", 1, 0, 8, 8, scenes="nera")
