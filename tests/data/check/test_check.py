import csv
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image

from depth_writers import WRITERS
from leadline.data.check import check
from leadline.data.check.check import check_folder
from leadline.data.check.depths import likely_units, mixed_units_note
from leadline.data.synthetic.dataset import SyntheticDataset, synthesize
from leadline.errors import LeadlineError
from leadline.io.images import Picture, read_image

NYU = Path(__file__).parents[3] / ".." / "shared" / "data" / "nyu-v2-labelled"
EXAMPLES = Path(__file__).parents[3] / "examples"
NUM = 20


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("check") / "sound"
    synthesize(root, NUM, 0, 120, 160)
    return root


@pytest.fixture
def root(sound: Path, tmp_path: Path) -> Path:
    """A copy of the sound set, to be spoilt."""
    return Path(shutil.copytree(sound, tmp_path / "set"))


def read_rows(root: Path) -> list[dict[str, str]]:
    with (root / "index.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def write_rows(root: Path, rows: list[dict[str, str]]) -> None:
    with (root / "index.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def change_depths(root: Path, change: Callable[[np.ndarray], np.ndarray]) -> None:
    for path in sorted((root / "depth").iterdir()):
        with Image.open(path) as file:
            values = np.asarray(file)
        Image.fromarray(np.ascontiguousarray(change(values))).save(path)


def set_scale(root: Path, scale: float) -> None:
    text = (root / "dataset.toml").read_text()
    (root / "dataset.toml").write_text(text.replace("depth_scale = 0.001", f"depth_scale = {scale!r}"))


def test_a_sound_set_has_no_problems_and_true_numbers(sound: Path):
    report = check_folder(sound)
    dataset = SyntheticDataset(NUM, 0, 120, 160)
    depths = np.stack([dataset[index].depth_m[0].numpy() for index in range(NUM)])
    assert report.problems == () and report.notes == ()
    assert (report.num_pictures, report.num_sampled, report.num_scenes) == (NUM, NUM, 5)
    assert report.picture_sizes == report.depth_sizes == {(160, 120): NUM}
    assert report.splits == {"train": 12, "test": 8}
    assert report.cameras.focals_px == pytest.approx([130.55] * report.num_pictures, abs=0.01)  # 80 / tan(31.5 degrees)
    assert report.depth and report.depth.valid_share == 1
    assert report.depth.median_m == pytest.approx(np.median(depths), abs=0.02)
    assert report.depth.min_m == pytest.approx(depths.min(), abs=0.2)
    assert sum(report.depth.shares) == pytest.approx(1)


def test_depth_of_every_kind_has_a_size_and_metres(root: Path):
    rows = read_rows(root)
    floats = [ending for ending in WRITERS if ending not in (".png", ".pgm")]  # as the whole set's, by the first file
    for row, ending in zip(rows, floats * NUM, strict=False):
        with Image.open(root / row["depth"]) as file:
            metres = np.asarray(file).astype(np.float32) / 1000
        row["depth"] = f"depth/{row['id']}{ending}"
        WRITERS[ending](root / row["depth"], metres)
    (root / "dataset.toml").unlink()
    write_rows(root, rows)
    report = check_folder(root)
    assert report.problems == () and report.depth_sizes == {(160, 120): NUM} and report.num_sampled == NUM


def test_the_text_has_a_histogram_in_metres_whose_bars_are_the_shares(root: Path):
    half = np.zeros((120, 160), np.uint16)
    half[:, :80], half[:, 80:120], half[:30, 120:] = 1100, 2300, 3900  # 1/2, 1/4, 1/16 of the pixels
    change_depths(root, lambda _: half)
    lines = check_folder(root).lines()
    first = next(k for k, line in enumerate(lines) if line.startswith("depth  "))
    assert lines[first] == "depth         1.1 m to 3.9 m, median 1.1 m; 81.2 % of pixels valid"
    assert lines[first + 1] == "       1 to 1.2 m    61.5 %  " + "#" * 40
    assert lines[first + 7] == "     2.2 to 2.4 m    30.8 %  " + "#" * 20
    assert lines[first + 15] == "     3.8 m or more    7.7 %  " + "#" * 5
    assert lines[:6] == [
        "pictures      20 (20 of them decoded for what follows)",
        "picture size  160x120 (20)",
        "depth size    160x120 (20)",
        "focal length  130.5 px: 63.0 degrees from side to side",
        "scenes        5",
        "splits        train 12, test 8",
    ]


def test_a_set_without_toml_scenes_or_splits_is_sound_too(root: Path):
    (root / "dataset.toml").unlink()
    write_rows(root, [{key: row[key] for key in ("id", "rgb", "depth")} for row in read_rows(root)])
    report = check_folder(root)
    assert report.problems == () and report.cameras.focals_px == ()
    assert {"focal length  not given", "scenes        not given", "splits        not given"} < set(report.lines())
    assert report.lines()[-1] == "problem       none found"


def test_missing_files_are_named_and_the_rest_is_looked_at(root: Path):
    for name in ("rgb/00003.png", "rgb/00004.png", "depth/00004.png", "depth/00007.png", "rgb/00009.png"):
        (root / name).unlink()
    report = check_folder(root)
    assert report.problems == ("missing file: rgb/00003.png, rgb/00004.png, depth/00004.png and 2 more",)
    assert report.num_sampled == NUM - 4
    assert f"problem       {report.problems[0]}" in report.lines()


def test_broken_heads_are_found(root: Path):
    (root / "rgb" / "00001.png").write_bytes(b"not a picture")
    (root / "depth" / "00002.png").write_bytes(b"")
    assert check_folder(root).problems == ("unreadable file: rgb/00001.png, depth/00002.png",)


def test_files_cut_short_are_found(root: Path):
    for name in ("rgb/00001.png", "depth/00002.png"):
        data = (root / name).read_bytes()
        (root / name).write_bytes(data[: len(data) // 2])
    problems = check_folder(root).problems
    assert len(problems) == 2
    assert "00001.png" in problems[0] and "00002.png" in problems[1]


def test_arrays_are_depth_maps_too(root: Path):
    rows = read_rows(root)
    with Image.open(root / rows[0]["depth"]) as file:
        np.save(root / "depth" / "a.npy", np.asarray(file))
    np.save(root / "depth" / "b.npy", np.zeros((120, 160, 3), np.uint16))
    rows[0]["depth"], rows[1]["depth"] = "depth/a.npy", "depth/b.npy"
    write_rows(root, rows)
    report = check_folder(root)
    assert report.problems == ("depth map of more than one channel: depth/b.npy",)
    assert report.depth_sizes == {(160, 120): NUM - 1}


def test_a_coloured_depth_map_is_refused(root: Path):
    shutil.copy(root / "rgb" / "00001.png", root / "depth" / "00001.png")
    assert check_folder(root).problems == ("depth map of more than one channel: depth/00001.png",)


def test_a_depth_map_of_another_size_is_found(root: Path):
    Image.fromarray(np.full((60, 90), 2000, np.uint16)).save(root / "depth" / "00005.png")
    report = check_folder(root)
    assert report.problems == ("depth map of another size than its picture: depth/00005.png",)
    assert "depth size    160x120 (19), 90x60 (1)" in report.lines()


def test_a_turned_photograph_has_the_size_that_it_is_looked_at_in(root: Path):
    rows = read_rows(root)
    exif = Image.Exif()
    exif[0x0112] = 6  # Orientation: the left side of the file is the top
    with Image.open(root / rows[0]["rgb"]) as file:
        file.transpose(Image.Transpose.ROTATE_90).save(root / "rgb" / "turned.jpg", exif=exif)
    rows[0]["rgb"] = "rgb/turned.jpg"
    write_rows(root, rows)
    report = check_folder(root)
    assert report.problems == () and report.picture_sizes == {(160, 120): NUM}


def test_empty_and_constant_depth_maps_are_found(root: Path):
    Image.fromarray(np.zeros((120, 160), np.uint16)).save(root / "depth" / "00001.png")
    Image.fromarray(np.full((120, 160), 1500, np.uint16)).save(root / "depth" / "00002.png")
    assert check_folder(root).problems == (
        "depth map without a valid pixel (1 of 20 looked at): 00001",
        "depth map of one value only (1 of 20 looked at): 00002",
    )


def test_a_set_without_any_depth_says_so(root: Path):
    change_depths(root, np.zeros_like)
    report = check_folder(root)
    assert report.depth is None
    assert report.problems == ("depth map without a valid pixel (20 of 20 looked at): 00001, 00002, 00003 and 17 more",)
    assert "depth         none could be read" in report.lines()


def test_duplicate_ids_are_all_named(root: Path):
    rows = read_rows(root)
    rows[3]["id"], rows[6]["id"] = rows[2]["id"], rows[5]["id"]
    write_rows(root, rows)
    report = check_folder(root)
    assert report.problems == ("duplicate id: 00003, 00006",)
    assert report.num_pictures == NUM


def test_a_file_of_several_rows_is_told(root: Path):
    rows = read_rows(root)
    write_rows(root, [rows[0], {**rows[1], "depth": rows[0]["depth"]}, *rows[2:]])
    assert f"depth map that stands in several rows of the index: {rows[0]['depth']}" in check_folder(root).notes
    write_rows(root, [rows[0], {**rows[0], "id": "again"}, *rows[2:]])
    assert f"picture that stands in several rows of the index: {rows[0]['rgb']}" in check_folder(root).notes


def test_an_index_of_other_delimiters_is_looked_through_past_a_duplicate(root: Path):
    text = (root / "index.csv").read_text()
    (root / "index.csv").write_text((text + text.splitlines()[1] + "\n").replace(",", "; "))
    report = check_folder(root)
    assert report.problems[0].startswith("duplicate id") and report.num_pictures == NUM + 1


@pytest.mark.parametrize("times", [5, 1 / 39.2])
def test_pictures_of_another_unit_than_the_others_get_a_note(root: Path, times: float):
    odd = {path.name for path in sorted((root / "depth").iterdir())[::4]}
    for name in odd:
        with Image.open(root / "depth" / name) as file:
            values = np.asarray(file)
        kind = np.uint16 if times > 1 else np.uint8
        Image.fromarray(np.rint(values * times).clip(0, 65535).astype(kind)).save(root / "depth" / name)
    (note,) = (note for note in check_folder(root).notes if "if their units differ" in note)
    found = re.match(r"depths of (\d+) pictures, such as (\w+), are ([\d.]+) times those of the other (\d+)", note)
    assert found and {int(found[1]), int(found[4])} == {5, 15}
    assert float(found[3]) == pytest.approx(max(times, 1 / times), rel=0.6)


def test_two_groups_of_depths_are_told_where_nothing_lies_between():
    def note(**medians_m: float) -> str | None:
        return mixed_units_note({name: np.array([0.1, median_m, 99.0]) for name, median_m in medians_m.items()})

    assert note(d=6.0, e=9.0, a=1.0, b=1.5, c=2.0) == (
        "depths of 2 pictures, such as e, are 5 times those of the other 3, such as a, and none is between: if their "
        "units differ, make each a data set with a depth_scale of its own"
    )
    assert note() is note(a=1.0) is note(a=1.0, b=2.0, d=6.0) is note(a=1.0, b=2.0, d=5.9, e=9.0) is None
    assert mixed_units_note({"a": np.empty(0)}) is None


def test_floats_beside_whole_numbers_are_each_read_as_what_they_are(root: Path):
    rows = read_rows(root)
    for row in rows[::2]:
        with Image.open(root / row["depth"]) as file:
            np.save((root / row["depth"]).with_suffix(".npy"), np.asarray(file).astype(np.float32) / 1000)
        row["depth"] = row["depth"].replace(".png", ".npy")
    median_m = check_folder(root).depth.median_m
    write_rows(root, rows)
    (root / "dataset.toml").unlink()
    report = check_folder(root)
    assert report.depth.median_m == pytest.approx(median_m, rel=1e-3) and report.problems == report.notes == ()


def test_an_incomplete_row_is_a_problem_of_its_own(root: Path):
    rows = read_rows(root)
    rows[4]["depth"] = ""
    write_rows(root, rows)
    report = check_folder(root)
    assert len(report.problems) == 1 and "line 6: id, rgb and depth must all be given" in report.problems[0]
    assert report.num_pictures == NUM - 1


def test_a_bad_toml_is_a_problem_but_not_the_end(root: Path):
    (root / "dataset.toml").write_text("depth_skale = 0.001")
    report = check_folder(root)
    assert len(report.problems) == 1 and "depth_skale" in report.problems[0]
    assert report.depth and report.depth.median_m > 1


@pytest.mark.parametrize("index", [None, "id,rgb,depth\n", "id,rgb\n1,a.png\n"])
def test_without_an_index_there_is_nothing_to_check(tmp_path: Path, index: str | None):
    if index:
        (tmp_path / "index.csv").write_text(index)
    with pytest.raises(LeadlineError, match="index.csv"):
        check_folder(tmp_path)


@pytest.mark.parametrize(
    ("set_to", "stored_per_m", "said"),
    [
        (1.0, 1000, "values look like millimetres: set depth_scale = 0.001 "),
        (1.0, 5000, "values look like 5000 per metre, as TUM's: set depth_scale = 0.0002 "),
        (0.00001, 100, "values look like centimetres: set depth_scale = 0.01 "),
        (0.001, 1, "values look like metres: set depth_scale = 1 "),
        (0.0001, 256, "values look like 256 per metre, as KITTI's: set depth_scale = 0.00390625 "),
    ],
)
def test_a_wrong_unit_is_named_with_the_scale_to_set(root: Path, set_to: float, stored_per_m: int, said: str):
    change_depths(root, lambda mm: np.maximum(mm.astype(float) / 1000 * stored_per_m, 1).round().astype(np.uint16))
    set_scale(root, set_to)
    problems = [problem for problem in check_folder(root).problems if "depth_scale" in problem]
    assert len(problems) == 1 and said in problems[0]


def test_relative_depth_gets_no_unit_guessed(root: Path):
    rows = read_rows(root)
    for row in rows:
        with Image.open(root / row["depth"]) as file:
            np.save(root / f"{row['id']}.npy", np.asarray(file) / 65535)
        row["depth"] = f"{row['id']}.npy"
    write_rows(root, rows)
    problems = check_folder(root).problems
    assert len(problems) == 1
    assert problems[0].endswith("hardly right: set depth_scale (metres per stored unit) in dataset.toml, now 0.001")


def test_rooms_in_tums_unit_that_look_like_a_street_get_a_note(root: Path):
    change_depths(root, lambda mm: (mm.astype(int) * 5).clip(0, 65535).astype(np.uint16))
    report = check_folder(root)
    assert report.problems == ()
    assert len(report.notes) == 1 and "with depth_scale = 0.0002 (TUM's) it is" in report.notes[0]
    assert f"note          {report.notes[0]}" in report.lines()


def test_near_rooms_in_tums_unit_are_told_by_its_step(root: Path):
    change_depths(root, lambda mm: np.minimum(mm, 1500) * 5)
    (note,) = check_folder(root).notes
    assert note.startswith("all values are multiples of 5") and "with depth_scale = 0.0002 the median is" in note


@pytest.mark.parametrize("per_m", [4000, 6553.5, 10000])
def test_other_units_of_rooms_are_named_too(root: Path, per_m: float):
    change_depths(root, lambda mm: np.rint(np.minimum(mm, 6000) * (per_m / 1000)).astype(np.uint16))
    (note,) = check_folder(root).notes
    assert "is far for a room" in note and f"{1 / per_m:.6g} ({per_m:g} per metre" in note


@pytest.mark.parametrize(
    ("stored", "unit"),
    [(768, "256 per metre, as KITTI's"), (3, "metres"), (300, "centimetres"), (12000, "5000 per metre, as TUM's")],
)
def test_the_likeliest_unit_is_the_commonest_that_fits(stored: float, unit: str):
    assert likely_units(stored, 1, (0.2, 100.0))[0][0].name == unit


def test_a_step_tells_the_unit():
    assert [likely_units(12000, step, (0.5, 8.0))[0][0].scale for step in (1, 4, 5, 10)] == [2e-4, 1 / 4000, 2e-4, 1e-4]


# Far values


@pytest.mark.parametrize(
    ("far", "dtype", "shown"),
    [
        (65535, np.uint16, "65535"),
        (1e10, np.float32, "1e+10"),
        (65504, np.float16, "65504"),
        (5e6, np.float64, "5000000"),
    ],
)
def test_a_far_value_that_means_none_is_a_problem_until_it_is_left_out(root: Path, far: float, dtype: type, shown: str):
    rows = read_rows(root)
    for row in rows:
        with Image.open(root / row["depth"]) as file:
            values = np.asarray(file) / (1 if dtype is np.uint16 else 1000)
        values[:12] = far
        np.save(root / f"{row['id']}.npy", values.astype(dtype))
        row["depth"] = f"{row['id']}.npy"
    write_rows(root, rows)
    toml = (root / "dataset.toml").read_text().replace("depth_scale = 0.001\n", "")
    (root / "dataset.toml").write_text(toml)
    (problem,) = check_folder(root).problems
    assert problem.startswith(f"10.0% of the valid pixels have the value {shown}")
    assert f"set depth_invalid = [0, {shown}] in dataset.toml, or depth_max_m = " in problem
    for remedy in (f"depth_invalid = [0, {shown}]", "depth_invalid = 0\ndepth_max_m = 12.5"):
        (root / "dataset.toml").write_text(toml.replace("depth_invalid = 0", remedy))
        report = check_folder(root)
        assert report.problems == () and report.depth and report.depth.valid_share == pytest.approx(0.9)


def test_a_value_that_stands_alone_gets_a_note(root: Path):
    change_depths(
        root, lambda mm: np.where(np.arange(120)[:, None] < 12, 60000, np.minimum(mm, 9000)).astype(np.uint16)
    )
    report = check_folder(root)
    assert report.problems == () and "have the value 60000 (60 m)" in report.notes[0]


def test_distances_to_a_far_plane_are_beyond_everything(root: Path):
    rows = read_rows(root)
    for row in rows:
        with Image.open(root / row["depth"]) as file:
            values = np.asarray(file) / 1000
        values[:12] = np.linspace(1e10, 1.2e10, 160)
        np.save(root / f"{row['id']}.npy", values)
        row["depth"] = f"{row['id']}.npy"
    write_rows(root, rows)
    (root / "dataset.toml").write_text("")
    (problem,) = check_folder(root).problems
    assert problem == "10.0% of the valid pixels are beyond 1000 m, up to 1.2e+10 m: set depth_max_m"


def test_infinite_depth_is_told(root: Path):
    rows = read_rows(root)
    for row in rows:
        with Image.open(root / row["depth"]) as file:
            values = np.asarray(file) / 1000
        values[:12] = np.inf
        np.save(root / f"{row['id']}.npy", values)
        row["depth"] = f"{row['id']}.npy"
    write_rows(root, rows)
    (root / "dataset.toml").write_text("")
    report = check_folder(root)
    assert report.problems == () and report.notes == ("10.0% of the pixels are infinite, which is no depth",)


def test_numbers_that_32_bits_cannot_hold_are_told_until_they_are_named(root: Path):
    rows = read_rows(root)
    for row in rows:
        with Image.open(root / row["depth"]) as file:
            values = np.asarray(file) / 1000
        values[:6], values[6:12] = 1e300, np.inf
        np.save(root / f"{row['id']}.npy", values)
        row["depth"] = f"{row['id']}.npy"
    write_rows(root, rows)
    (root / "dataset.toml").write_text("")
    told = "10.0% of the pixels are infinite or too large for 32-bit floats (up to 1e+300), which is no depth"
    assert check_folder(root).notes == (told,)
    (root / "dataset.toml").write_text("depth_invalid = [0, 1e300]")
    assert check_folder(root).notes == ("5.0% of the pixels are infinite, which is no depth",)
    for known in ("depth_invalid = [0, 1e300, inf]", "depth_max_m = 20"):
        (root / "dataset.toml").write_text(known)
        report = check_folder(root)
        assert report.problems == () and report.notes == ()


def test_confidence_above_millimetres_is_found(root: Path):
    rng = np.random.default_rng(0)
    change_depths(root, lambda mm: np.minimum(mm, 8000) | (rng.choice([0, 1, 7], mm.shape).astype(np.uint16) << 13))
    assert any("Android's DEPTH16, 13 bits" in problem for problem in check_folder(root).problems)


def test_a_street_in_millimetres_has_no_confidence_bits(root: Path):
    change_depths(root, lambda mm: np.minimum(mm.astype(int) * 6, 60000).astype(np.uint16))
    assert check_folder(root).problems == ()


# Views


def test_a_camera_that_stands_still_is_no_problem(root: Path):
    rng = np.random.default_rng(0)
    with Image.open(root / "rgb" / "00001.png") as rgb, Image.open(root / "depth" / "00001.png") as depth:
        picture, millimetres = np.asarray(rgb).astype(float), np.asarray(depth)
    for path in sorted((root / "rgb").iterdir()):
        noisy = (picture + rng.normal(0, 4, picture.shape)).clip(0, 255).astype(np.uint8)
        Image.fromarray(noisy).save(path)
        Image.fromarray(np.rint(millimetres * (1 + rng.normal(0, 0.004, millimetres.shape))).astype(np.uint16)).save(
            root / "depth" / path.name
        )
    assert check_folder(root).problems == ()


@pytest.mark.parametrize("ending", ["png", "webp", "tiff"])
def test_an_oriented_picture_of_any_format_is_looked_at_upright(root: Path, ending: str):
    rows = read_rows(root)
    exif = Image.Exif()
    exif[0x0112] = 6
    with Image.open(root / rows[0]["rgb"]) as file:
        file.transpose(Image.Transpose.ROTATE_90).save(root / f"rgb/turned.{ending}", exif=exif)
    rows[0]["rgb"] = f"rgb/turned.{ending}"
    write_rows(root, rows)
    report = check_folder(root)
    assert report.problems == () and report.picture_sizes == {(160, 120): NUM}


def test_depth_of_half_the_size_lies_on_its_pictures(root: Path):
    change_depths(root, lambda depth: depth[::2, ::2])
    report = check_folder(root)
    assert report.problems == () and report.depth_sizes == {(80, 60): NUM}


def test_depth_of_half_the_size_that_is_mirrored_is_found(root: Path):
    change_depths(root, lambda depth: np.fliplr(depth[::2, ::2]))
    (problem,) = check_folder(root).problems
    assert "fit their pictures better mirrored" in problem


def test_distances_along_rays_want_a_camera_here_too(root: Path):
    (root / "dataset.toml").write_text('depth_along = "ray"\n')
    *named, more = check_folder(root).problems
    assert len(named) == 3 and all("needs the camera" in problem for problem in named)
    assert more == f"and {NUM - 3} more pictures of which the like is true"


def test_intrinsics_of_another_size_are_found(root: Path):
    text = (root / "dataset.toml").read_text().replace("79.5", "319.5").replace("59.5", "239.5")
    (root / "dataset.toml").write_text(text)
    problems = check_folder(root).problems
    assert (
        len(problems) == 1
        and "axis at (319.5, 239.5) is not within the middle half of an image of 160×120" in problems[0]
    )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (np.fliplr, "fit their pictures better mirrored: "),
        (np.flipud, "fit their pictures better upside down: "),
        (lambda depth: np.rot90(depth, 2), "fit their pictures better turned by 180 degrees: "),
        (lambda depth: np.roll(depth, 10, axis=1), "better as they are, moved -10 px right and 0 px down: "),
        (lambda depth: np.roll(depth, -8, axis=0), "better as they are, moved 0 px right and 8 px down: "),
    ],
    ids=["mirrored", "upside down", "turned", "right", "up"],
)
def test_depth_that_does_not_lie_on_its_pictures_is_found(
    root: Path, change: Callable[[np.ndarray], np.ndarray], said: str
):
    change_depths(root, change)
    problems = check_folder(root).problems
    assert len(problems) == 1 and said in problems[0]


def test_pictures_paired_with_the_depth_of_others_are_found(root: Path):
    rows = read_rows(root)
    depths = [row["depth"] for row in rows]
    for row, depth in zip(rows, depths[7:] + depths[:7], strict=True):
        row["depth"] = depth
    write_rows(root, rows)
    problems = check_folder(root).problems
    assert len(problems) == 1 and "no better than others: is the order of the pairs right?" in problems[0]


def test_a_shift_of_two_pixels_is_not_reported(root: Path):
    change_depths(root, lambda depth: np.roll(depth, 2, axis=1))
    assert check_folder(root).problems == ()


def test_sparse_depth_says_nothing_about_alignment(root: Path):
    keep = np.random.default_rng(0).random((120, 160)) < 0.05
    change_depths(root, lambda depth: np.fliplr(depth) * keep)
    report = check_folder(root)
    assert report.problems == ()
    assert report.depth and report.depth.valid_share == pytest.approx(keep.mean())


def test_the_example_set_is_sound():
    report = check_folder(EXAMPLES / "motorcycle")
    assert report.problems == () and report.picture_sizes == {(741, 500): 1}
    assert report.depth and report.depth.valid_share == pytest.approx(0.9265, abs=1e-4)
    # disparities of 7.2 to 60 pixels: 994.978 * 0.193001 / (disparity + 31.086)
    assert 2.1 < report.depth.min_m < report.depth.median_m < report.depth.max_m < 5.02


@pytest.mark.skipif(not NYU.is_dir(), reason="needs shared/data/nyu-v2-labelled beside the repository")
@pytest.mark.parametrize(("num", "mirrored"), [(100, False), (24, True)])
def test_alignment_of_pictures_of_nyu(tmp_path: Path, num: int, mirrored: bool):
    rows = read_rows(NYU)[:: 1449 // num][:num]
    for row in rows:
        row["rgb"] = str((NYU / row["rgb"]).resolve())
        depth = (NYU / row["depth"]).resolve()
        row["depth"] = str(depth)
        if mirrored:
            row["depth"] = str(tmp_path / f"{row['id']}.png")
            with Image.open(depth) as file:
                file.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(row["depth"], compress_level=1)
    write_rows(tmp_path, rows)
    shutil.copy(NYU / "dataset.toml", tmp_path)
    report = check_folder(tmp_path)
    assert report.num_sampled == num
    assert [("mirrored" in problem) for problem in report.problems] == [True] * mirrored


def test_every_pictures_camera_is_looked_at(root: Path):
    rows = [row | {"fx": "100", "fy": "100", "cx": "80", "cy": "60"} for row in read_rows(root)]
    rows[1]["fx"], rows[2]["fx"], rows[3]["fy"] = "200", "", "0"
    write_rows(root, rows)
    report = check_folder(root)
    assert sorted(set(report.cameras.focals_px)) == [100, 200]
    (problem,) = report.problems
    assert "fx, fy, cx, cy must be numbers or all be left out (got 3 of the four); and 1 more such" in problem
    assert "100.0 to 200.0 px: 43.6 to 77.3 degrees" in "\n".join(report.lines())


def test_a_depth_map_for_its_own_picture_is_found(root: Path):
    rows = read_rows(root)
    rows[2]["rgb"] = rows[2]["depth"]
    write_rows(root, rows)
    assert f"picture that is its own depth map: {rows[2]['depth']}" in check_folder(root).problems


def test_one_camera_for_pictures_of_two_sizes_is_found(root: Path):
    name = root / read_rows(root)[1]["rgb"]
    with Image.open(name) as picture:
        picture.resize((200, 150)).save(name)
    (problem,) = check_folder(root).problems
    assert "one camera for pictures of several sizes (160×120 and 200×150) is right for one at most" in problem


@pytest.mark.parametrize("ending", ["jpg", "png"])
def test_cameras_from_exif_are_counted(root: Path, ending: str):
    (root / "dataset.toml").write_text("depth_scale = 0.001\n")
    rows = read_rows(root)
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "Acme"  # Pillow writes no PNG block that has nothing but what stands below
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.FocalLengthIn35mmFilm] = 36
    for row in rows[:3]:
        with Image.open(root / row["rgb"]) as file:
            row["rgb"] = f"{row['id']}.{ending}"
            file.save(root / row["rgb"], exif=exif)
    write_rows(root, rows)
    cameras = check_folder(root).cameras
    # The diagonal of 160×120 is 200 px, that of 36×24 mm 43.27 mm.
    assert cameras.focals_px == pytest.approx([200 * 36 / 43.2666153] * 3)
    assert (cameras.num_exif, cameras.num_unknown) == (3, NUM - 3)
    line = "focal length  166.4 px: 51.4 degrees from side to side; of 3 pictures from EXIF; of 17 pictures not given"
    assert line in check_folder(root).lines()


def test_rooms_in_centimetres_that_look_like_a_box_get_a_note(root: Path):
    change_depths(root, lambda depth: (depth.astype(float) / np.median(depth) * 240).astype(np.uint16))
    (note,) = [each for each in check_folder(root).notes if "depth cameras" in each]
    assert re.search(
        r"a median of 0.2\d* m is nearer than most .*depth_scale = 0.01 \(centimetres\) it is 2.\d* m", note
    )


def test_a_depth_map_without_a_pixel_is_one_problem(root: Path):
    rows = read_rows(root)
    np.save(root / "empty.npy", np.zeros((0, 0), np.float32))
    rows[3]["depth"] = "empty.npy"
    write_rows(root, rows)
    report = check_folder(root)
    assert report.problems == ("depth map without a pixel: empty.npy",)
    assert report.num_sampled == NUM - 1


def test_whatever_fails_one_picture_the_others_are_looked_at(root: Path, monkeypatch: pytest.MonkeyPatch):
    def fail(path: Path) -> Picture:
        if path.name == Path(read_rows(root)[2]["rgb"]).name:
            raise MemoryError
        return read_image(path)

    monkeypatch.setattr(check, "read_image", fail)
    report = check_folder(root)
    (problem,) = report.problems
    assert Path(read_rows(root)[2]["depth"]).name in problem and "MemoryError" in problem
    assert report.num_sampled == NUM - 1


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("depth_invalid = [0, 65.535]", "depth_invalid in dataset.toml: no pixel of the 20 depth maps looked at"),
        ("depth_max_m = 10000", "depth_max_m = 10000 in dataset.toml leaves out nothing"),
        ("depth_max_m = 0.01", "depth_max_m = 0.01 in dataset.toml leaves no depth"),
    ],
)
def test_limits_of_another_unit_are_a_problem(root: Path, line: str, shown: str):
    before = [each for each in (root / "dataset.toml").read_text().splitlines() if "depth_invalid" not in each]
    (root / "dataset.toml").write_text("\n".join([*before, line]))
    assert [shown in problem for problem in check_folder(root).problems].count(True) == 1
