import itertools
from math import atan, degrees
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from leadline.data.datasets.folder import FolderDataset
from leadline.data.synthetic import dataset as synthetic
from leadline.data.synthetic.dataset import SyntheticDataset, synthesize
from leadline.data.synthetic.raycast import Look, Pose, Room, Solid, camera_rays, cast_rays, look_at, solid_windows
from leadline.data.synthetic.shading import light_map, render
from leadline.errors import LeadlineError
from leadline.geometry.camera import focal_px_from_fov

GREY = Look("plain", (0.5, 0.5, 0.5), (0.4, 0.4, 0.4), 0.5)
STRAIGHT = Pose(np.array([2.0, -1.0, 0.5], np.float32), np.eye(3, dtype=np.float32))


def room_with(*solids: Solid) -> Room:
    return Room((4.0, 3.0, 6.0), (GREY,) * 6, solids, ((2, -2.5, 3), (1, -1.5, 1)), ((1, 1, 1), (1, 1, 1)))


def points_m(dataset: SyntheticDataset, depth_m: np.ndarray) -> np.ndarray:
    """Unprojection as the docstring of `synthetic` states it, (H, W, 3)."""
    (fx, _, cx), (_, fy, cy), _ = dataset.intrinsics.double().tolist()
    y, x = np.mgrid[: dataset.height, : dataset.width]
    return np.stack(((x - cx) / fx * depth_m, (y - cy) / fy * depth_m, depth_m.astype(float)), -1)


def plane(points: np.ndarray) -> tuple[np.ndarray, float]:
    """The unit normal of the best plane through points (N, 3), and how far the worst of them is from it."""
    centred = points - points.mean(axis=0)
    normal = np.linalg.svd(centred, full_matrices=False)[2][2]
    return normal, np.abs(centred @ normal).max()


def test_a_sample_has_the_shapes_types_and_ranges_of_the_contract():
    dataset = SyntheticDataset(count=6, height=24, width=32)
    sample = dataset[5]
    assert sample.image.shape == (3, 24, 32) and sample.image.dtype == torch.float32
    assert 0 <= sample.image.min() < 0.3 < sample.image.max() <= 1
    assert sample.depth_m.shape == (1, 24, 32) and sample.depth_m.dtype == torch.float32
    assert sample.valid.shape == (1, 24, 32) and sample.valid.dtype == torch.bool and sample.valid.all()
    assert (sample.id, sample.scene) == ("00006", "room_0001") == (dataset.ids[5], dataset.scenes[5])
    assert len(dataset) == len(dataset.ids) == len(dataset.scenes) == len(dataset.official_splits) == 6


def test_intrinsics_are_those_of_the_field_of_view():
    # tan(45 degrees) = 1: half of 160 pixels
    expected = torch.tensor([[80.0, 0.0, 79.5], [0.0, 80.0, 59.5], [0.0, 0.0, 1.0]])
    torch.testing.assert_close(SyntheticDataset(fov_deg=90.0)[0].intrinsics, expected)


def test_a_sample_depends_on_seed_and_index_but_not_on_the_count():
    first, second = (
        SyntheticDataset(3, seed=4, height=16, width=20),
        SyntheticDataset(9, seed=4, height=16, width=20),
    )
    assert torch.equal(first[2].image, second[2].image) and torch.equal(first[2].depth_m, second[2].depth_m)
    other = SyntheticDataset(3, seed=5, height=16, width=20)
    assert not torch.allclose(first[2].depth_m, other[2].depth_m)


def test_the_cache_of_rooms_changes_nothing():
    dataset = SyntheticDataset(2, seed=11, height=16, width=20)
    before = dataset[1]
    synthetic._room.cache_clear(), synthetic._pose.cache_clear(), light_map.cache_clear()
    assert torch.equal(before.image, dataset[1].image)


def test_the_four_pictures_of_a_room_differ():
    dataset = SyntheticDataset(8, height=16, width=20)
    depths = [dataset[index].depth_m for index in range(8)]
    for one, other in itertools.combinations(depths, 2):
        assert (one - other).abs().mean() > 0.05
    assert dataset.scenes == ["room_0000"] * 4 + ["room_0001"] * 4


@pytest.mark.parametrize(("count", "num_test"), [(32, 8), (16, 4), (6, 2), (4, 0), (1, 0), (18, 6)])
def test_the_last_quarter_of_the_rooms_is_the_test_set(count: int, num_test: int):
    dataset = SyntheticDataset(count)
    assert dataset.official_splits == ["train"] * (count - num_test) + ["test"] * num_test
    pairs = set(zip(dataset.scenes, dataset.official_splits, strict=True))
    assert len(pairs) == len(set(dataset.scenes))  # no room in both


def test_negative_indices_count_from_the_end_and_others_end_iteration():
    dataset = SyntheticDataset(2, height=8, width=8)
    assert dataset[-1].id == "00002"
    assert [sample.id for sample in dataset] == ["00001", "00002"]
    with pytest.raises(IndexError):
        dataset[2]


@pytest.mark.parametrize("index", [0, 5, 10])
def test_the_centre_pixel_has_one_depth_whatever_the_field_of_view_and_size(index: int):
    sizes = [(61, 81, 50.0), (61, 81, 63.0), (61, 81, 80.0), (33, 121, 63.0)]
    depths = [SyntheticDataset(16, 2, h, w, fov)[index].depth_m[0, h // 2, w // 2] for h, w, fov in sizes]
    assert max(depths) - min(depths) < 1e-3


def test_twice_the_size_at_twice_the_focal_length_is_the_same_scene_and_pose():
    focal = focal_px_from_fov(63.0, 81)
    large = SyntheticDataset(4, 3, 121, 161, degrees(2 * atan(161 / 2 / (2 * focal))))[2].depth_m[0]
    small = SyntheticDataset(4, 3, 61, 81, 63.0)[2].depth_m[0]
    assert ((large[::2, ::2] - small).abs() > 1e-3).float().mean() < 1e-3  # rays on a silhouette may fall either way


@pytest.mark.parametrize("fov_deg", [50.0, 63.0, 80.0])
def test_walls_are_planes_at_right_angles_after_unprojection(fov_deg: float):
    dataset = SyntheticDataset(8, 1, 60, 80, fov_deg)
    for index in range(8):
        picture = dataset.rendering(index)
        points = points_m(dataset, picture.depth_m)
        sides = {side: points[picture.surface == side] for side in range(6)}
        normals = {}
        for side, places in sides.items():
            if len(places) >= 100:
                normals[side], deviation_m = plane(places)
                assert deviation_m < 1e-3
        assert normals
        for one, other in itertools.combinations(normals, 2):
            expected = 1.0 if one // 2 == other // 2 else 0.0
            assert abs(normals[one] @ normals[other]) == pytest.approx(expected, abs=2e-3)


def test_depth_of_a_box_a_ball_and_a_column_by_hand():
    box = Solid("box", (2.0, -1.0, 3.5), (0.5, 0.5, 1.0), 0.0, GREY)
    ball = Solid("ellipsoid", (2.0, -1.0, 3.5), (0.5, 0.5, 0.25), 0.0, GREY)
    column = Solid("cylinder", (2.0, -1.0, 3.5), (0.4, 1.0, 0.4), 0.0, GREY)
    # the camera stands at z = 0.5 and looks along z: the middle of each front is seen straight on
    for solids, expected_m in (
        ((), 5.5),
        ((box,), 2.0),
        ((ball,), 2.75),
        ((column,), 2.6),
        ((ball, box), 2.0),
    ):
        depth_m = render(room_with(*solids), STRAIGHT, 31, 41, 60.0, np.random.default_rng(0)).depth_m
        assert depth_m[15, 20] == pytest.approx(expected_m, abs=1e-5)


def test_depth_is_along_the_axis_and_not_the_length_of_the_ray():
    depth_m = render(room_with(), STRAIGHT, 31, 41, 20.0, np.random.default_rng(0)).depth_m
    np.testing.assert_allclose(depth_m, 5.5, atol=1e-5)  # the far wall fills a narrow view


def test_a_turned_box_shows_its_edge():
    box = Solid("box", (2.0, -1.0, 3.5), (1.0, 1.0, 1.0), np.pi / 4, GREY)
    depth_m = render(room_with(box), STRAIGHT, 31, 41, 60.0, np.random.default_rng(0)).depth_m
    assert depth_m[15, 20] == pytest.approx(3.0 - 2**0.5, abs=1e-5)


def test_every_point_is_on_the_body_that_it_is_said_to_be_on():
    dataset = SyntheticDataset(12, 6, 60, 80)
    shapes = set()
    for index in range(12):
        scene, view = divmod(index, 4)
        room, pose = synthetic._room(6, scene), synthetic._pose(6, scene, view)
        picture = dataset.rendering(index)
        points = points_m(dataset, picture.depth_m) @ pose.rotation.T + pose.position_m
        for number, solid in enumerate(room.solids, start=6):
            offset = points[picture.surface == number] - solid.centre_m
            c, s = np.cos(solid.yaw_rad), np.sin(solid.yaw_rad)
            local = offset @ [[c, 0, s], [0, 1, 0], [-s, 0, c]]
            scaled = np.abs(local / solid.half_m)
            gauge = {
                "box": scaled.max(axis=1),
                "ellipsoid": np.sqrt((scaled**2).sum(axis=1)),
                "cylinder": np.maximum(np.hypot(scaled[:, 0], scaled[:, 2]), scaled[:, 1]),
            }[solid.shape]
            if len(gauge):
                shapes.add(solid.shape)
                assert (np.abs(gauge - 1) * min(solid.half_m)).max() < 1e-3
    assert shapes == {"box", "ellipsoid", "cylinder"}


def test_looking_only_where_a_solid_can_be_seen_changes_nothing():
    for scene, fov_deg in itertools.product(range(3), (40.0, 63.0, 120.0)):
        room, pose = synthetic._room(8, scene), synthetic._pose(8, scene, 0)
        rays = np.tensordot(pose.rotation, camera_rays(45, 60, fov_deg), 1)
        windows = solid_windows(room, pose, 45, 60, fov_deg)
        origin = pose.position_m.reshape(3, 1, 1)
        fast, full = cast_rays(room, origin, rays, windows), cast_rays(room, origin, rays)
        np.testing.assert_array_equal(fast.depth_m, full.depth_m)
        np.testing.assert_array_equal(fast.surface, full.surface)


def test_a_ray_that_starts_inside_a_solid_has_no_length():
    box = Solid("box", (2.0, -1.0, 0.5), (0.2, 0.2, 0.2), 0.3, GREY)
    hits = cast_rays(room_with(box), STRAIGHT.position_m.reshape(3, 1, 1), camera_rays(8, 8, 60.0))
    assert (hits.depth_m == 0).all()


def test_look_at_puts_the_target_ahead_and_keeps_the_picture_upright():
    pose = look_at((1.0, -1.5, 1.0), (3.0, -1.0, 4.0), 0.0)
    seen = pose.rotation.T @ (np.array([3.0, -1.0, 4.0]) - pose.position_m)
    np.testing.assert_allclose(seen, [0, 0, np.sqrt(4 + 0.25 + 9)], atol=1e-5)
    assert pose.rotation[1, 0] == pytest.approx(0, abs=1e-6) and pose.rotation[1, 1] > 0.9
    assert np.linalg.det(pose.rotation) == pytest.approx(1, abs=1e-5)


def test_cameras_stand_in_free_air_and_see_some_of_the_room():
    dataset = SyntheticDataset(40, 7, 30, 40)
    depth_m = torch.stack([dataset[index].depth_m for index in range(40)])
    assert depth_m.min() > 0.3 and depth_m.max() < 9.5
    assert depth_m.flatten(1).median(dim=1).values.min() > 1.5


def test_furniture_takes_light_from_the_floor_under_it():
    table = Solid("box", (2.0, -0.8, 3.0), (0.8, 0.02, 0.8), 0.0, GREY)
    floor, bare_floor = light_map(room_with(table))[3], light_map(room_with())[3]
    assert floor[10, 10] < 0.6 * bare_floor[10, 10]  # the lamp is hidden, the window is not
    assert floor[1, 1] == pytest.approx(bare_floor[1, 1])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"count": 0}, "count must be at least 1, got 0"),
        ({"seed": -1}, "seed must be at least 0, got -1"),
        ({"height": 7}, "height must be at least 8, got 7"),
        ({"width": 0}, "width must be at least 8, got 0"),
        ({"fov_deg": 180.0}, "fov_deg must be from 10 to 130 degrees, got 180"),
        ({"fov_deg": float("nan")}, "fov_deg must be from 10 to 130 degrees, got nan"),
    ],
)
def test_impossible_settings_are_refused(settings: dict[str, float], message: str):
    with pytest.raises(LeadlineError, match=message):
        SyntheticDataset(**settings)


def test_a_written_set_reads_back_as_the_same_samples(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert synthesize(tmp_path / "rooms", 9, 3, 24, 32, 70.0) == 9
    written, rendered = FolderDataset(tmp_path / "rooms"), SyntheticDataset(9, 3, 24, 32, 70.0)
    assert (written.ids, written.scenes, written.official_splits) == (
        rendered.ids,
        rendered.scenes,
        rendered.official_splits,
    )
    assert (written.info.depth_kind, written.info.name, written.info.depth_scale) == (
        "rendered",
        "rooms",
        0.001,
    )
    for one, other in zip(written, rendered, strict=False):
        torch.testing.assert_close(one.image, other.image, atol=1e-6, rtol=0)
        torch.testing.assert_close(one.depth_m, other.depth_m, atol=0.00051, rtol=0)
        torch.testing.assert_close(one.intrinsics, other.intrinsics)
        assert one.valid.all()
    with Image.open(tmp_path / "rooms" / "depth" / "00001.png") as depth:
        assert depth.mode == "I;16" and depth.size == (32, 24)
    assert capsys.readouterr().err == ""


def test_writing_replaces_the_folder_only_when_the_new_one_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    out = tmp_path / "rooms"
    synthesize(out, 2, 0, 8, 8)
    synthesize(out, 1, 0, 8, 8)
    assert FolderDataset(out).ids == ["00001"] and not (out / "rgb" / "00002.png").exists()

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(synthetic, "_write_index", fail)
    with pytest.raises(OSError, match="disk full"):
        synthesize(out, 3, 0, 8, 8)
    assert FolderDataset(out).ids == ["00001"]
    assert list(tmp_path.iterdir()) == [out]


def test_nothing_but_rendered_rooms_is_ever_replaced(tmp_path: Path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").write_text("years of work")
    (tmp_path / "file").write_text("")
    with pytest.raises(
        LeadlineError, match="holds 'chapter.txt', which would be lost; choose a new or an empty folder"
    ):
        synthesize(tmp_path / "thesis", 1, 0, 8, 8)
    with pytest.raises(LeadlineError, match="must be a folder, got a file"):
        synthesize(tmp_path / "file", 1, 0, 8, 8)
    assert (tmp_path / "thesis" / "chapter.txt").read_text() == "years of work"
    (tmp_path / "empty").mkdir()
    assert synthesize(tmp_path / "empty", 1, 0, 8, 8) == 1
    (tmp_path / "empty" / "runs").mkdir()
    with pytest.raises(LeadlineError, match="holds 'runs', which would be lost"):
        synthesize(tmp_path / "empty", 1, 0, 8, 8)
