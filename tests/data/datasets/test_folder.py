import tomllib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import ExifTags, Image

from depth_writers import WRITERS
from leadline.data.check.check import check_folder
from leadline.data.datasets.base import same_view
from leadline.data.datasets.folder import (
    FolderDataset,
    FolderInfo,
    choose_intrinsics,
    read_dataset_toml,
    read_depth,
    read_index,
    stored_camera,
)
from leadline.data.splits import PARTS
from leadline.errors import LeadlineError
from leadline.io.images import Picture

NYU = Path(__file__).parents[3] / ".." / "shared" / "data" / "nyu-v2-labelled"
needs_nyu = pytest.mark.skipif(not NYU.is_dir(), reason="the labelled NYU pictures are not beside the repository")

MILLIMETRES = np.array([[0, 1000, 1500], [2500, 1, 65535]], np.uint16)
COLOURS = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255]], [[0, 0, 0], [51, 102, 153], [255, 255, 255]]], np.uint8)


def write_set(root: Path, rows: str = "a,rgb.png,depth.png", header: str = "id,rgb,depth", toml: str = "") -> Path:
    """A set of one picture of 2×3 pixels; its index and its settings as given."""
    (root / "index.csv").write_text(f"{header}\n{rows}\n", encoding="utf-8")
    if toml:
        (root / "dataset.toml").write_text(toml, encoding="utf-8")
    Image.fromarray(COLOURS).save(root / "rgb.png")
    Image.fromarray(MILLIMETRES).save(root / "depth.png")
    return root


def refusal_of_index(root: Path) -> str:
    with pytest.raises(LeadlineError) as caught:
        read_index(root)
    return str(caught.value)


def refusal_of_toml(root: Path, text: str | bytes) -> str:
    (root / "dataset.toml").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(LeadlineError) as caught:
        read_dataset_toml(root)
    assert str(root / "dataset.toml") in str(caught.value)
    assert "\n" not in str(caught.value).strip()
    return str(caught.value)


# dataset.toml


def test_without_toml_depth_is_16_bit_millimetres_and_0_is_invalid(tmp_path: Path) -> None:
    info = read_dataset_toml(tmp_path)
    assert (info.depth_scale, info.depth_offset, info.depth_invalid, info.intrinsics) == (None, 0.0, 0, None)
    assert info.metres_per_unit(np.dtype(np.uint16)) == 0.001 and info.metres_per_unit(np.dtype(np.float32)) == 1
    assert info.name == tmp_path.name


def test_toml_says_everything(tmp_path: Path) -> None:
    write_set(
        tmp_path,
        toml='name = "lab"\ndepth_scale = 0.5\ndepth_offset = 0.25\ndepth_invalid = 255\n'
        'depth_kind = "raw"\nintrinsics = [500, 501.5, 1, 0.5]\n',
    )
    assert read_dataset_toml(tmp_path) == FolderInfo(
        name="lab",
        depth_scale=0.5,
        depth_offset=0.25,
        depth_invalid=255,
        depth_kind="raw",
        intrinsics=(500.0, 501.5, 1.0, 0.5),
    )


def test_broken_toml_is_refused(tmp_path: Path) -> None:
    assert "is not valid TOML" in refusal_of_toml(tmp_path, "depth_scale = = 1")
    assert "is not valid TOML" in refusal_of_toml(tmp_path, 'name = "café"'.encode("latin-1"))


def test_unknown_key_lists_the_known_ones(tmp_path: Path) -> None:
    message = refusal_of_toml(tmp_path, "depht_scale = 0.001")
    assert "depht_scale" in message
    assert all(name in message for name in FolderInfo.model_fields)


@pytest.mark.parametrize(
    ("text", "key", "reason"),
    [
        ("depth_scale = -0.001", "depth_scale", "greater than 0"),
        ("depth_scale = 0", "depth_scale", "greater than 0"),
        ("depth_scale = nan", "depth_scale", "finite number"),
        ("depth_scale = 'mm'", "depth_scale", "valid number"),
        ("depth_scale = inf", "depth_scale", "finite number"),
        ("depth_offset = nan", "depth_offset", "finite"),
        ("depth_invalid = 'none'", "depth_invalid", "valid number"),
        ("depth_invalid = [0, 'none']", "depth_invalid", "valid number"),
        ("depth_max_m = 0", "depth_max_m", "greater than 0"),
        ("depth_along = 'z'", "depth_along", "'axis' or 'ray'"),
        ("intrinsics = [500, 500, 320]", "intrinsics", "required"),
    ],
)
def test_impossible_value_names_its_key(tmp_path: Path, text: str, key: str, reason: str) -> None:
    message = refusal_of_toml(tmp_path, text)
    assert key in message.split("known keys")[0] and reason in message


# index.csv


def test_missing_index_says_what_was_wanted(tmp_path: Path) -> None:
    assert refusal_of_index(tmp_path) == (
        f"no data set at {tmp_path}: wanted an index.csv with the columns id, rgb, depth"
    )


@pytest.mark.parametrize("text", ["", "id,rgb,depth\n", "id,rgb,depth\n\n\n"])
def test_index_without_pictures_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "index.csv").write_text(text)
    assert "lists no pictures" in refusal_of_index(tmp_path)


@pytest.mark.parametrize(("header", "lacks"), [("id,rgb", "depth"), ("name,picture,depth", "id, rgb")])
def test_missing_column_is_named(tmp_path: Path, header: str, lacks: str) -> None:
    (tmp_path / "index.csv").write_text(f"{header}\n1,2,3\n")
    assert f"lacks the column {lacks}; wanted id, rgb, depth, got " in refusal_of_index(tmp_path)


def test_a_column_that_stands_twice_is_refused(tmp_path: Path) -> None:
    write_set(tmp_path, rows="a,rgb.png,depth.png,300,600", header="id,rgb,depth,fx,fx")
    assert "has the column 'fx' 2 times" in refusal_of_index(tmp_path)


def test_one_camera_for_pictures_of_two_sizes_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rows = "a,a.png,a_d.png,,,,\nb,b.png,b_d.png,,,,\nc,b.png,b_d.png,30,30,19.5,14.5"
    write_set(tmp_path, rows=rows, header="id,rgb,depth,fx,fy,cx,cy", toml="intrinsics = [20.0, 20.0, 15.5, 11.5]\n")
    for name, size in (("a", (24, 32)), ("b", (30, 40))):
        Image.fromarray(np.full((*size, 3), 90, np.uint8)).save(tmp_path / f"{name}.png")
        Image.fromarray(np.full(size, 2000, np.uint16)).save(tmp_path / f"{name}_d.png")
    dataset = FolderDataset(tmp_path)
    for index, num_told in ((0, 0), (2, 0), (0, 0), (1, 1), (0, 1), (1, 1)):
        dataset[index]
        assert len(caplog.messages) == num_told
    assert "one camera for pictures of several sizes (32×24 and 40×30)" in caplog.messages[0]


@pytest.mark.parametrize("row", ["b,rgb.png,", ",rgb.png,depth.png", "b,rgb.png"])
def test_empty_cell_names_its_line(tmp_path: Path, row: str) -> None:
    write_set(tmp_path, rows=f"a,rgb.png,depth.png\n{row}")
    assert "index.csv, line 3: id, rgb and depth must all be given" in refusal_of_index(tmp_path)


def test_repeated_id_is_named(tmp_path: Path) -> None:
    write_set(tmp_path, rows="a,1,1\nb,2,2\nb,3,3\nc,4,4")
    assert "repeats the id 'b'" in refusal_of_index(tmp_path)


def test_index_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "index.csv").write_bytes(b"id,rgb,depth\n\xff\xfe\x00,b,c\n")
    assert "is not a CSV file" in refusal_of_index(tmp_path)


def test_spreadsheet_index_with_mark_quotes_and_other_line_ends_is_read(tmp_path: Path) -> None:
    (tmp_path / "index.csv").write_bytes(b'\xef\xbb\xbfid,rgb,depth\r\n"a, left",r.png,d.png\r\n')
    assert read_index(tmp_path) == [{"id": "a, left", "rgb": "r.png", "depth": "d.png"}]


@pytest.mark.parametrize("between", [", ", " , ", ";", " ; ", "\t"])
def test_cells_may_stand_apart_as_any_spreadsheet_or_hand_writes_them(tmp_path: Path, between: str) -> None:
    lines = [["id", "rgb", "depth", "fx"], ["a", "my rgb/0.png", '"d;e,f.png"', ""]]
    (tmp_path / "index.csv").write_text("\n".join(between.join(line) for line in lines), encoding="utf-8")
    assert read_index(tmp_path) == [{"id": "a", "rgb": "my rgb/0.png", "depth": "d;e,f.png", "fx": ""}]


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("id,rgb,depth,scenes", "index.csv: unknown column 'scenes': did you mean 'scene'?"),
        ("id,rgb,depth,focal", "index.csv: unknown column 'focal': choose from id, rgb, depth, mask,"),
    ],
)
def test_an_unknown_column_is_refused_by_name(tmp_path: Path, header: str, said: str) -> None:
    write_set(tmp_path, header=header, rows="a,rgb.png,depth.png,x")
    assert said in refusal_of_index(tmp_path)


def test_a_line_of_more_cells_than_columns_is_refused(tmp_path: Path) -> None:
    write_set(tmp_path, rows="a,left, right.png,depth.png")
    assert "line 2 has more cells than the header" in refusal_of_index(tmp_path)


# Depth


def test_default_depth_is_millimetres(tmp_path: Path) -> None:
    write_set(tmp_path)
    depth_m, valid = read_depth(tmp_path / "depth.png", FolderInfo())
    assert depth_m.dtype == np.float32 and valid.dtype == np.bool_
    np.testing.assert_allclose(depth_m, [[0, 1, 1.5], [2.5, 0.001, 65.535]], rtol=1e-6)
    np.testing.assert_array_equal(valid, [[False, True, True], [True, True, True]])


def test_scale_offset_and_invalid_value(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 1], [4, 255]], np.uint8)).save(tmp_path / "depth.png")
    info = FolderInfo(depth_scale=0.5, depth_offset=0.25, depth_invalid=255)
    depth_m, valid = read_depth(tmp_path / "depth.png", info)
    np.testing.assert_array_equal(depth_m, [[0.25, 0.75], [2.25, 0]])
    np.testing.assert_array_equal(valid, [[True, True], [True, False]])


@pytest.mark.parametrize(
    ("values", "invalid", "left"),
    [
        (np.array([[1, 65534, 65535]], np.uint16), (0, 65535), [True, True, False]),
        (np.array([[1, 254, 255]], np.uint8), 65535, [True, True, True]),  # which 8 bits would wrap to 255
        (np.array([[1, 1e10, 65504]], np.float32), (1e10, 65504), [True, False, False]),
        (np.array([[1, 65504, 60000]], np.float16), (65504, 1e10), [True, False, True]),
        (np.array([[1, 99.99, np.inf]], np.float32), (99.99,), [True, False, False]),  # no float32 is 99.99
        (np.array([[1, 2, 3]], np.uint16), (2.5, float("nan"), float("inf"), -1), [True, True, True]),
    ],
)
def test_several_values_can_mean_no_depth(tmp_path: Path, values: np.ndarray, invalid: object, left: list[bool]):
    np.save(tmp_path / "depth.npy", values)
    depth_m, valid = read_depth(tmp_path / "depth.npy", FolderInfo(depth_scale=1, depth_invalid=invalid))
    np.testing.assert_array_equal(valid, [left])
    np.testing.assert_array_equal(depth_m > 0, [left])


def test_what_is_farther_than_the_farthest_depth_is_none(tmp_path: Path) -> None:
    Image.fromarray(np.array([[1000, 5000, 5001]], np.uint16)).save(tmp_path / "depth.png")
    _, valid = read_depth(tmp_path / "depth.png", FolderInfo(depth_max_m=5))
    np.testing.assert_array_equal(valid, [[True, True, False]])


def test_depth_beyond_float32_is_none(tmp_path: Path) -> None:
    np.save(tmp_path / "depth.npy", np.array([[1.0, 1e300]]))
    _, valid = read_depth(tmp_path / "depth.npy", FolderInfo())
    np.testing.assert_array_equal(valid, [[True, False]])


def test_distances_along_rays_become_depth_along_the_axis(tmp_path: Path) -> None:
    write_set(tmp_path, toml='depth_along = "ray"\nintrinsics = [1.0, 1.0, 1.0, 0.0]\n')
    np.save(tmp_path / "depth.npy", np.sqrt(np.array([[2, 1, 2], [3, 2, 3]], np.float32)) * 5)
    (tmp_path / "index.csv").write_text("id,rgb,depth\na,rgb.png,depth.npy\n")
    dataset = FolderDataset(tmp_path)
    np.testing.assert_allclose(dataset[0].depth_m[0], np.full((2, 3), 5), rtol=1e-6)
    assert torch.equal(dataset.ground_truth(0).depth_m, dataset[0].depth_m)


def test_distances_at_half_the_size_follow_the_camera_of_the_image(tmp_path: Path) -> None:
    write_set(tmp_path, header="id,rgb,depth,fx,fy,cx,cy", rows="a,rgb.png,depth.npy,2,2,1.5,0.5")
    (tmp_path / "dataset.toml").write_text('depth_along = "ray"\n')
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(tmp_path / "rgb.png")
    np.save(tmp_path / "depth.npy", np.ones((2, 2), np.float32))
    # At half the size: focal length 1, centre (1.5 + 0.5) / 2 - 0.5 = 0.5 across and 0 down.
    expected = 1 / np.sqrt([[1.25, 1.25], [2.25, 2.25]])
    np.testing.assert_allclose(FolderDataset(tmp_path)[0].depth_m[0], expected, rtol=1e-6)


def test_the_camera_of_the_file_follows_a_picture_that_was_read_smaller() -> None:
    picture = Picture(np.zeros((24, 32, 3), np.uint8), None, full_size=(48, 64))
    row = {"id": "a", "fx": "60", "fy": "60", "cx": "31.5", "cy": "23.5"}
    matrix = choose_intrinsics(row, FolderInfo(), picture)
    assert matrix.tolist() == [[30, 0, 15.5], [0, 30, 11.5], [0, 0, 1]]


def test_distances_along_rays_without_a_camera_are_refused(tmp_path: Path) -> None:
    write_set(tmp_path, toml='depth_along = "ray"\n')
    with pytest.raises(LeadlineError, match='id a: depth_along = "ray" needs the camera: give fx, fy, cx, cy'):
        FolderDataset(tmp_path).ground_truth(0)


@pytest.mark.parametrize("bits", [1, 8])
def test_a_mask_leaves_depth_out(tmp_path: Path, bits: int) -> None:
    write_set(tmp_path, header="id,rgb,depth,mask", rows="a,rgb.png,depth.png,mask.png")
    mask = np.array([[1, 0, 1], [0, 1, 1]], bool)
    Image.fromarray(mask if bits == 1 else mask.astype(np.uint8) * 7).save(tmp_path / "mask.png")
    truth = FolderDataset(tmp_path).ground_truth(0)
    np.testing.assert_array_equal(truth.valid[0], mask & (MILLIMETRES > 0))
    np.testing.assert_array_equal(truth.depth_m[0] > 0, truth.valid[0])


def test_a_mask_may_be_an_array_and_may_be_left_out(tmp_path: Path) -> None:
    write_set(tmp_path, header="id,rgb,depth,mask", rows="a,rgb.png,depth.png,mask.npy\nb,rgb.png,depth.png,")
    np.save(tmp_path / "mask.npy", np.zeros((2, 3), bool))
    dataset = FolderDataset(tmp_path)
    assert [int(dataset.ground_truth(index).valid.sum()) for index in (0, 1)] == [0, 5]


def test_a_mask_of_another_size_is_refused(tmp_path: Path) -> None:
    write_set(tmp_path, header="id,rgb,depth,mask", rows="a,rgb.png,depth.png,mask.npy")
    np.save(tmp_path / "mask.npy", np.ones((4, 6), bool))
    with pytest.raises(LeadlineError, match=r"mask\.npy must be 2×3 as its depth map is, got 4×6"):
        FolderDataset(tmp_path).ground_truth(0)


def test_a_damaged_header_of_an_array_is_one_line(tmp_path: Path) -> None:
    np.save(tmp_path / "depth.npy", MILLIMETRES)
    whole = (tmp_path / "depth.npy").read_bytes()
    (tmp_path / "depth.npy").write_bytes(whole.replace(b"}", b" ", 1).replace(b"(2, 3)", b"(2, 3,", 1))
    with pytest.raises(LeadlineError, match="is missing or no .npy array"):
        read_depth(tmp_path / "depth.npy", FolderInfo())


def test_depth_that_the_offset_makes_negative_is_invalid(tmp_path: Path) -> None:
    Image.fromarray(np.array([[1, 2, 3]], np.uint8)).save(tmp_path / "depth.png")
    depth_m, valid = read_depth(tmp_path / "depth.png", FolderInfo(depth_scale=1, depth_offset=-2))
    np.testing.assert_array_equal(depth_m, [[0, 0, 1]])
    np.testing.assert_array_equal(valid, [[False, False, True]])


def test_npy_of_metres_leaves_out_what_is_no_depth(tmp_path: Path) -> None:
    np.save(tmp_path / "depth.npy", np.array([[2.5, np.nan, np.inf], [-1, 0, 1e-3]], np.float64))
    depth_m, valid = read_depth(tmp_path / "depth.npy", FolderInfo(depth_scale=1))
    assert depth_m.dtype == np.float32
    np.testing.assert_array_equal(valid, [[True, False, False], [False, False, True]])
    np.testing.assert_array_equal(depth_m, np.array([[2.5, 0, 0], [0, 0, 1e-3]], np.float32))


def test_all_zero_depth_is_all_invalid(tmp_path: Path) -> None:
    write_set(tmp_path)
    Image.fromarray(np.zeros((2, 3), np.uint16)).save(tmp_path / "depth.png")
    sample = FolderDataset(tmp_path)[0]
    assert not sample.valid.any() and not sample.depth_m.any()


def test_colour_picture_is_no_depth(tmp_path: Path) -> None:
    write_set(tmp_path, rows="a,rgb.png,rgb.png")
    with pytest.raises(
        LeadlineError, match=r"must have one channel, got shape \(2, 3, 3\); store depth, not its colours"
    ):
        FolderDataset(tmp_path)[0]


def test_npy_of_three_axes_is_no_depth(tmp_path: Path) -> None:
    np.save(tmp_path / "depth.npy", np.ones((2, 2, 3)))
    with pytest.raises(LeadlineError, match=r"must have one channel, got shape \(2, 2, 3\)"):
        read_depth(tmp_path / "depth.npy", FolderInfo())


@pytest.mark.parametrize("content", [None, b"", b"\x93NUMPY\x01", b"just words"])
def test_broken_npy_is_refused(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "depth.npy").write_bytes(content)
    with pytest.raises(LeadlineError, match=r"depth\.npy is missing or no \.npy array"):
        read_depth(tmp_path / "depth.npy", FolderInfo())


class Trap:
    """Remembers that it was unpickled."""

    sprung = False

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return setattr, (Trap, "sprung", True)


def test_npy_is_never_unpickled(tmp_path: Path) -> None:
    np.save(tmp_path / "depth.npy", np.array([[Trap()]], dtype=object), allow_pickle=True)
    with pytest.raises(LeadlineError, match="missing or no .npy array"):
        read_depth(tmp_path / "depth.npy", FolderInfo())
    assert not Trap.sprung


@pytest.mark.parametrize("kind", ["archive", "words"])
def test_npy_that_holds_no_numbers_is_refused(tmp_path: Path, kind: str) -> None:
    with (tmp_path / "depth.npy").open("wb") as file:
        if kind == "archive":
            np.savez(file, depth=np.ones((2, 3)))
        else:
            np.save(file, np.array([["near", "far"]]))
    try:
        read_depth(tmp_path / "depth.npy", FolderInfo())
    except LeadlineError:
        return
    pytest.fail("was read")


# Samples


def test_sample_by_hand(tmp_path: Path) -> None:
    write_set(tmp_path, header="id,rgb,depth,scene,official_split", rows="a,rgb.png,depth.png,lab,test")
    dataset = FolderDataset(tmp_path)
    sample = dataset[0]
    torch.testing.assert_close(sample.image, torch.from_numpy(COLOURS).permute(2, 0, 1) / 255)
    torch.testing.assert_close(sample.depth_m, torch.tensor([[[0, 1, 1.5], [2.5, 0.001, 65.535]]]))
    assert sample.valid.tolist() == [[[False, True, True], [True, True, True]]]
    assert sample.valid.dtype == torch.bool and sample.image.dtype == sample.depth_m.dtype == torch.float32
    assert (sample.id, sample.scene) == ("a", "lab")
    assert (dataset.ids, dataset.scenes, dataset.official_splits, len(dataset)) == (["a"], ["lab"], ["test"], 1)


def test_scene_and_split_are_empty_without_their_columns(tmp_path: Path) -> None:
    dataset = FolderDataset(write_set(tmp_path))
    assert (dataset.scenes, dataset.official_splits, dataset[0].scene) == ([""], [""], "")


def test_camera_of_the_row_goes_before_that_of_the_set(tmp_path: Path) -> None:
    rows = "a,rgb.png,depth.png,7,8,1.5,0.5\nb,rgb.png,depth.png,,,,"
    write_set(tmp_path, rows, "id,rgb,depth,fx,fy,cx,cy", "intrinsics = [5, 6, 1, 0.25]")
    dataset = FolderDataset(tmp_path)
    assert dataset[0].intrinsics.tolist() == [[7, 0, 1.5], [0, 8, 0.5], [0, 0, 1]]
    assert dataset[1].intrinsics.tolist() == [[5, 0, 1], [0, 6, 0.25], [0, 0, 1]]


def test_unknown_camera_is_nan(tmp_path: Path) -> None:
    assert FolderDataset(write_set(tmp_path))[0].intrinsics.isnan().all()


@pytest.mark.parametrize("toml", ["", "intrinsics = [5, 6, 1, 0.25]"])
def test_changing_one_sample_leaves_the_next_alone(tmp_path: Path, toml: str) -> None:
    dataset = FolderDataset(write_set(tmp_path, toml=toml))
    before = dataset[0].intrinsics.clone()
    dataset[0].intrinsics.zero_()
    torch.testing.assert_close(dataset[0].intrinsics, before, equal_nan=True)


def test_camera_that_is_no_number_names_the_picture(tmp_path: Path) -> None:
    write_set(tmp_path, "a,rgb.png,depth.png,wide,8,1.5,0.5", "id,rgb,depth,fx,fy,cx,cy")
    with pytest.raises(LeadlineError, match="id a: fx, fy, cx, cy must be numbers .*'wide'"):
        FolderDataset(tmp_path)[0]


def test_depth_of_another_size_is_refused(tmp_path: Path) -> None:
    write_set(tmp_path)
    Image.fromarray(MILLIMETRES.T).save(tmp_path / "depth.png")
    with pytest.raises(LeadlineError, match=r"depth\.png must be 2×3 as its picture is, got 3×2"):
        FolderDataset(tmp_path)[0]


@pytest.mark.parametrize("ending", WRITERS)
def test_depth_of_every_kind_is_in_metres_and_0_is_none(tmp_path: Path, ending: str) -> None:
    write_set(tmp_path, f"a,rgb.png,a{ending}")
    WRITERS[ending](tmp_path / f"a{ending}", MILLIMETRES.astype(np.float32) / 1000 * (MILLIMETRES < 5000))
    depth_m, valid = FolderDataset(tmp_path).ground_truth(0)
    assert depth_m[0].flatten().tolist() == pytest.approx([0, 1, 1.5, 2.5, 0.001, 0])
    assert valid[0].tolist() == [[False, True, True], [True, True, False]]


def test_what_our_own_npz_calls_invalid_is_none(tmp_path: Path) -> None:
    write_set(tmp_path, "a,rgb.png,a.npz", toml="depth_offset = 1.0")
    np.savez(tmp_path / "a.npz", depth_m=np.ones((2, 3), np.float32), valid=np.eye(2, 3, dtype=bool))
    _, valid = FolderDataset(tmp_path).ground_truth(0)
    assert valid[0].tolist() == [[True, False, False], [False, True, False]]


@pytest.mark.parametrize("size", [(4, 6), (1, 2), (6, 9)])
def test_depth_of_another_resolution_keeps_its_size(tmp_path: Path, size: tuple[int, int]) -> None:
    write_set(tmp_path)
    Image.fromarray(np.full(size, 1500, np.uint16)).save(tmp_path / "depth.png")
    sample = FolderDataset(tmp_path)[0]
    assert sample.image.shape == (3, 2, 3) and sample.depth_m.shape == sample.valid.shape == (1, *size)


@pytest.mark.parametrize(
    ("depth", "image", "same"),
    [
        ((192, 256), (1440, 1920), True),
        ((480, 640), (968, 1296), True),  # ScanNet
        ((480, 640), (480, 640), True),
        ((480, 640), (480, 848), False),
        ((360, 640), (480, 640), False),
        ((640, 480), (480, 640), False),
    ],
)
def test_which_sizes_can_be_of_one_view(depth: tuple[int, int], image: tuple[int, int], same: bool) -> None:
    assert same_view(depth, image) is same is same_view(image, depth)


@pytest.mark.parametrize(
    ("name", "reason"), [("rgb.png", "no picture that can be read"), ("depth.png", "no depth map that can be read")]
)
def test_text_named_png_is_refused(tmp_path: Path, name: str, reason: str) -> None:
    (write_set(tmp_path) / name).write_text("nothing to see here")
    with pytest.raises(LeadlineError, match=rf"{name} is {reason}"):
        FolderDataset(tmp_path)[0]


@pytest.mark.parametrize("name", ["rgb.png", "depth.png"])
def test_missing_file_is_named_when_it_is_needed(tmp_path: Path, name: str) -> None:
    (write_set(tmp_path) / name).unlink()
    dataset = FolderDataset(tmp_path)
    assert len(dataset) == 1
    with pytest.raises(LeadlineError, match=rf"{name} does not exist"):
        dataset[0]


# The real set


@needs_nyu
def test_real_set_is_listed_as_its_makers_divide_it() -> None:
    dataset = FolderDataset(NYU)
    assert len(dataset) == 1449 and dataset.ids == [str(number) for number in range(1, 1450)]
    assert (dataset.official_splits.count("train"), dataset.official_splits.count("test")) == (795, 654)
    scenes: dict[str, set[str]] = {"train": set(), "test": set()}
    for scene, part in zip(dataset.scenes, dataset.official_splits, strict=True):
        scenes[part].add(scene)
    assert (len(scenes["train"]), len(scenes["test"])) == (249, 215)
    assert not scenes["train"] & scenes["test"]


@needs_nyu
def test_real_picture_has_depth_of_scale_and_offset() -> None:
    info = tomllib.loads((NYU / "dataset.toml").read_text())
    with Image.open(NYU / "depth" / "0001.png") as file:
        value = np.asarray(file).astype(np.float64)
    sample = FolderDataset(NYU)[0]
    assert sample.image.shape == (3, 480, 640) and sample.valid.all()
    np.testing.assert_allclose(sample.depth_m[0], info["depth_scale"] * value + info["depth_offset"], rtol=1e-5)
    assert sample.depth_m.min() > 0.7 and sample.depth_m.max() < 10.1
    assert sample.intrinsics[0, 0].item() == pytest.approx(518.8579, abs=1e-3)


def test_numbers_with_a_fraction_are_metres_where_nothing_is_said(tmp_path: Path) -> None:
    np.save(tmp_path / "depth.npy", np.array([[2.5, 0, 1]], np.float32))
    depth_m, valid = read_depth(tmp_path / "depth.npy", FolderInfo())
    np.testing.assert_array_equal(depth_m, np.array([[2.5, 0, 1]], np.float32))
    np.testing.assert_array_equal(valid, [[True, False, True]])


def test_places_in_a_list_of_colours_are_no_depth(tmp_path: Path) -> None:
    Image.fromarray(np.array([[1, 2, 3]], np.uint8)).convert("P").save(tmp_path / "depth.png")
    with pytest.raises(LeadlineError, match="holds places in a list of colours, wanted numbers: save depth as grey"):
        read_depth(tmp_path / "depth.png", FolderInfo())


@pytest.mark.parametrize("camera", ["500,,,", "0,8,1.5,0.5", "8,-8,1.5,0.5", "8,8,inf,0.5", "nan,8,1.5,0.5"])
def test_a_camera_that_cannot_be_is_refused(tmp_path: Path, camera: str) -> None:
    write_set(tmp_path, f"a,rgb.png,depth.png,{camera}", "id,rgb,depth,fx,fy,cx,cy")
    with pytest.raises(LeadlineError, match="id a: fx, fy, cx, cy must be numbers or all be left out"):
        FolderDataset(tmp_path)[0]


def test_a_data_sets_camera_that_cannot_be_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LeadlineError, match=r"intrinsics: fx, fy, cx, cy must be finite, and fx and fy positive"):
        FolderDataset(write_set(tmp_path, toml="intrinsics = [0, 0, 32, 24]"))


@pytest.mark.parametrize(("orientation", "turns_depth"), [(3, False), (6, False), (6, True)])
def test_depth_that_lies_on_the_stored_picture_is_not_laid_on_the_turned(
    tmp_path: Path, orientation: int, turns_depth: bool
) -> None:
    write_set(tmp_path)
    exif = Image.Exif()
    exif[0x0112] = orientation
    with Image.open(tmp_path / "rgb.png") as image:
        image.save(tmp_path / "rgb.png", exif=exif)
    if turns_depth:
        Image.fromarray(np.rot90(MILLIMETRES, -1).copy()).save(tmp_path / "depth.png")
        assert FolderDataset(tmp_path)[0].depth_m.shape == (1, 3, 2)
        return
    with pytest.raises(
        LeadlineError, match=r"rgb\.png is turned by its EXIF block, and its depth says nothing of that"
    ):
        FolderDataset(tmp_path)[0]


def test_official_parts_are_read_as_they_are_meant(tmp_path: Path) -> None:
    rows = "\n".join(
        f"{name},rgb.png,depth.png,{part}" for name, part in zip("abc", ("Train", "val", " test "), strict=True)
    )
    assert FolderDataset(write_set(tmp_path, rows, "id,rgb,depth,official_split")).official_splits == list(PARTS)
    write_set(tmp_path, "a,rgb.png,depth.png,training", "id,rgb,depth,official_split")
    with pytest.raises(
        LeadlineError, match="line 2: official_split must be train, val, test or nothing, got 'training'"
    ):
        FolderDataset(tmp_path)


def test_pictures_of_several_folders_are_named_below_what_holds_them(tmp_path: Path) -> None:
    rows = "1,a/rgb/0001.png,depth.png\n2,b/rgb/0001.png,depth.png"
    assert FolderDataset(write_set(tmp_path, rows)).stems == ["a/rgb/0001", "b/rgb/0001"]


# cameras


def write_exif_set(root: Path, orientation: int = 1, **kinds: str) -> FolderDataset:
    """A picture of 400×300 pixels, whose diagonal is 500, with a 35 mm equivalent of 36 mm: see `EXIF_PX`."""
    write_set(root, **kinds)
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.FocalLengthIn35mmFilm] = 36
    Image.new("RGB", (400, 300)).save(root / "rgb.jpg", exif=exif)
    size = (300, 400) if orientation < 5 else (400, 300)
    Image.fromarray(np.full(size, 1000, np.uint16)).save(root / "depth.png")
    return FolderDataset(root)


EXIF_PX = 500 * 36 / 43.2666153  # the diagonal of 36×24 mm
JPEG_ROW = "a,rgb.jpg,depth.png"


@pytest.mark.parametrize(
    ("header", "row", "toml", "wanted"),
    [
        ("id,rgb,depth", JPEG_ROW, "", [[EXIF_PX, 0, 199.5], [0, EXIF_PX, 149.5], [0, 0, 1]]),
        ("id,rgb,depth", JPEG_ROW, "intrinsics = [300, 310, 200, 150]", [[300, 0, 200], [0, 310, 150], [0, 0, 1]]),
        (
            "id,rgb,depth,fx,fy,cx,cy",
            f"{JPEG_ROW},250,260,201,151",
            "intrinsics = [300, 310, 200, 150]",
            [[250, 0, 201], [0, 260, 151], [0, 0, 1]],
        ),
    ],
    ids=["EXIF alone", "dataset.toml before EXIF", "index before dataset.toml"],
)
def test_the_camera_is_the_indexs_else_the_tomls_else_exifs(
    tmp_path: Path, header: str, row: str, toml: str, wanted: list[list[float]]
) -> None:
    sample = write_exif_set(tmp_path, rows=row, header=header, toml=toml)[0]
    np.testing.assert_allclose(sample.intrinsics, wanted, rtol=1e-6)
    assert sample.camera is not None and (sample.camera.width, sample.camera.height) == (400, 300)


def test_exifs_camera_follows_a_picture_that_exif_turns(tmp_path: Path) -> None:
    sample = write_exif_set(tmp_path, orientation=6, rows=JPEG_ROW)[0]
    assert sample.image.shape == (3, 400, 300)
    np.testing.assert_allclose(sample.intrinsics, [[EXIF_PX, 0, 149.5], [0, EXIF_PX, 199.5], [0, 0, 1]], rtol=1e-6)


def test_a_camera_that_nothing_tells_of_is_none(tmp_path: Path) -> None:
    sample = FolderDataset(write_set(tmp_path))[0]
    assert sample.intrinsics.isnan().all() and sample.camera is None


def test_ground_truth_needs_no_picture(tmp_path: Path) -> None:
    sample = FolderDataset(write_set(tmp_path))[0]
    (tmp_path / "rgb.png").unlink()
    truth = FolderDataset(tmp_path).ground_truth(0)
    assert torch.equal(truth.depth_m, sample.depth_m) and torch.equal(truth.valid, sample.valid)


@pytest.mark.parametrize(
    ("header", "row", "toml", "said"),
    [
        ("id,rgb,depth,fx,fy,cx,cy", "4.25,4.25,200,150", "", r"index\.csv, id .*4\.25 px .*millimetres"),
        (
            "id,rgb,depth,fx,fy,cx,cy",
            "300,300,20,150",
            "",
            r"index\.csv, id .*\(20, 150\) is not within the middle half",
        ),
        (
            "id,rgb,depth",
            "",
            "intrinsics = [0.8, 1.1, 0.5, 0.5]",
            r"dataset\.toml, intrinsics: .*share of the image's sides",
        ),
    ],
)
def test_cameras_that_cannot_have_taken_the_picture_are_refused(header: str, row: str, toml: str, said: str) -> None:
    values = dict(zip(header.split(","), ["1", "a.jpg", "a.png", *row.split(",")], strict=False))
    info = FolderInfo(intrinsics=tuple(map(float, toml[14:-1].split(",")))) if toml else FolderInfo()
    with pytest.raises(LeadlineError, match=said):
        stored_camera(values, info, (400, 300))


@pytest.mark.parametrize("is_column", [False, True])
def test_a_camera_of_larger_images_is_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, is_column: bool
) -> None:
    camera = "40,40,21.5,14"  # of images of 44×29
    more = f",{camera}" if is_column else ""
    write_set(
        tmp_path,
        rows=f"a,rgb.png,depth.png{more}\nb,rgb.png,depth.png{more}",
        header="id,rgb,depth" + ",fx,fy,cx,cy" * is_column,
        toml="" if is_column else f"intrinsics = [{camera}]",
    )
    Image.new("RGB", (33, 22), "grey").save(tmp_path / "rgb.png")
    Image.fromarray(np.full((22, 33), 2000, np.uint16)).save(tmp_path / "depth.png")
    dataset = FolderDataset(tmp_path)
    assert len(dataset[0].depth_m) == len(dataset[1].depth_m) == 1
    (message,) = caplog.messages
    assert message.startswith(f"{tmp_path}: id a: the optical axis (21.5, 14) is at 66 % of both sides of 33×22")
    (note,) = [each for each in check_folder(tmp_path).notes if "optical axis" in each]
    assert "images of about 44×29, metres are 1.3 times what they should be; and 1 more such" in note


def test_paths_that_windows_wrote_are_found(tmp_path: Path) -> None:
    root = write_set(tmp_path, "a,colour\\rgb.png,.\\depth.png")
    (root / "colour").mkdir()
    (root / "rgb.png").rename(root / "colour" / "rgb.png")
    assert FolderDataset(root)[0].depth_m[0, 0, 1] == 1.0


def test_a_file_whose_name_has_a_backslash_stays_itself(tmp_path: Path) -> None:
    write_set(tmp_path, "a,a\\b.png,depth.png")
    (tmp_path / "rgb.png").rename(tmp_path / "a\\b.png")
    assert read_index(tmp_path)[0]["rgb"] == "a\\b.png"
