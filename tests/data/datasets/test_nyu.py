import csv
import pickle
import tomllib
from collections import Counter
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io
import torch
from nyu_files import SCENES, pictures, write_mat, write_splits
from PIL import Image
from torch.utils.data import DataLoader

from leadline.data.datasets.folder import FolderDataset
from leadline.data.datasets.nyu import NyuDataset, prepare_nyu, read_nyu_splits
from leadline.data.sample import collate
from leadline.errors import LeadlineError

REAL = Path(__file__).parents[3] / ".." / "shared" / "data" / "nyu-v2-labelled"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("official")
    write_mat(folder / "labeled.mat", pictures())
    write_splits(folder / "splits.mat")
    return folder


@pytest.fixture(scope="module")
def mat(folder):
    return folder / "labeled.mat"


@pytest.fixture(scope="module")
def splits(folder):
    return folder / "splits.mat"


@pytest.fixture(scope="module")
def prepared(mat, splits, tmp_path_factory):
    out = tmp_path_factory.mktemp("prepared") / "nyu"
    assert prepare_nyu(mat, splits, out) == 6
    return out


def broken_mat(path, change):
    """A file of one picture, changed by `change(arrays)`."""
    arrays = pictures(1)
    change(arrays)
    return write_mat(path, arrays, scenes=("kitchen_0004",))


def one_line(caught):
    text = str(caught.value)
    assert "\n" not in text
    return text


def test_ids_scenes_and_splits_are_the_makers(mat, splits):
    dataset = NyuDataset(mat, splits)
    assert len(dataset) == 6
    assert dataset.ids == ["1", "2", "3", "4", "5", "6"]
    assert dataset.scenes == list(SCENES)
    assert dataset.official_splits == ["test", "test", "train", "test", "train", "train"]


def test_without_a_split_file_the_splits_are_unknown(mat):
    assert NyuDataset(mat).official_splits == [""] * 6


def test_a_sample_has_its_axes_right(mat, splits):
    sample = NyuDataset(mat, splits)[4]
    assert sample.image.shape == (3, 480, 640)
    assert sample.depth_m.shape == sample.valid.shape == (1, 480, 640)
    assert (sample.id, sample.scene) == ("5", "study_room_0005b")
    # row 300, column 33 of the fifth picture: red 150, green 11, blue 4, depth 1 + 4 + 3 + 0.033
    assert (sample.image[:, 300, 33] * 255).round().tolist() == [150, 11, 4]
    assert sample.depth_m[0, 300, 33].item() == pytest.approx(8.033)
    assert sample.depth_m[0, 33, 300].item() == pytest.approx(5.63)


def test_a_sample_has_the_types_that_every_data_set_has(mat):
    sample = NyuDataset(mat)[0]
    assert (sample.image.dtype, sample.depth_m.dtype, sample.valid.dtype) == (
        torch.float32,
        torch.float32,
        torch.bool,
    )
    assert sample.image.is_contiguous() and sample.depth_m.is_contiguous()
    assert sample.image.min() >= 0 and sample.image.max() <= 1
    expected = torch.tensor([[518.8579, 0, 325.5824], [0, 519.4696, 253.7362], [0, 0, 1]])
    assert torch.equal(sample.intrinsics, expected)


def test_depth_is_the_inpainted_one(mat):
    sample = NyuDataset(mat)[0]
    assert sample.valid.all()
    assert sample.depth_m[0, 110, 520].item() == pytest.approx(1 + 1.1 + 0.52)


def test_only_finite_positive_depth_is_valid(tmp_path):
    def spoil(arrays):
        arrays["depths"][0, 7, 0:4] = (np.nan, np.inf, 0, -1)

    sample = NyuDataset(broken_mat(tmp_path / "a.mat", spoil))[0]
    assert not sample.valid[0, 7, 0:4].any()
    assert sample.valid.sum() == 480 * 640 - 4
    assert sample.depth_m[0, 7, 0:4].tolist() == [0, 0, 0, 0]


def test_indices_behave_as_a_sequence(mat):
    dataset = NyuDataset(mat)
    assert dataset[-1].id == "6"
    with pytest.raises(IndexError):
        dataset[6]


def test_survives_pickle_after_reading(mat, splits):
    dataset = NyuDataset(mat, splits)
    before = dataset[2]
    copy = pickle.loads(pickle.dumps(dataset))
    assert copy.official_splits == dataset.official_splits
    assert torch.equal(copy[2].depth_m, before.depth_m)


def test_forked_workers_read_what_the_parent_reads(mat, splits):
    dataset = NyuDataset(mat, splits)
    alone = [dataset[index] for index in range(6)]  # read first, so that a shared handle would show
    loader = DataLoader(dataset, batch_size=2, num_workers=2, collate_fn=collate, multiprocessing_context="fork")
    batches = list(loader)
    assert [name for batch in batches for name in batch.id] == dataset.ids
    together = torch.cat([batch.depth_m for batch in batches])
    assert torch.equal(together, torch.stack([sample.depth_m for sample in alone]))


def test_prepared_pictures_are_lossless(prepared):
    assert np.array_equal(np.asarray(Image.open(prepared / "rgb" / "0005.png")), pictures()["images"][4])


def test_prepared_depth_is_in_millimetres(prepared):
    depth = np.asarray(Image.open(prepared / "depth" / "0002.png"))
    raw = np.asarray(Image.open(prepared / "raw_depth" / "0002.png"))
    assert depth.dtype == raw.dtype == np.uint16
    assert depth.shape == raw.shape == (480, 640)
    row, column = np.indices((480, 640))
    assert np.array_equal(depth, 2000 + 10 * row + column)
    hole = np.zeros((480, 640), dtype=bool)
    hole[100:120, 500:540] = True
    assert np.array_equal(raw == 0, hole)
    assert np.array_equal(raw[~hole], depth[~hole])


def test_depth_that_16_bits_cannot_hold_becomes_none(tmp_path):
    def spoil(arrays):
        arrays["rawDepths"][0, 3, 0:6] = (np.nan, np.inf, -1, 70.0, 65.535, 0.0014)

    mat = broken_mat(tmp_path / "a.mat", spoil)
    prepare_nyu(mat, write_splits(tmp_path / "s.mat", [1], []), tmp_path / "out")
    raw = np.asarray(Image.open(tmp_path / "out" / "raw_depth" / "0001.png"))
    assert raw[3, 0:6].tolist() == [0, 0, 0, 0, 65535, 1]


def test_prepared_index_and_settings(prepared):
    assert sorted(path.name for path in prepared.iterdir()) == [
        "dataset.toml",
        "depth",
        "index.csv",
        "raw_depth",
        "rgb",
    ]
    with (prepared / "index.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["id", "rgb", "depth", "raw_depth", "scene", "official_split"]
    assert list(rows[2].values()) == [
        "3",
        "rgb/0003.png",
        "depth/0003.png",
        "raw_depth/0003.png",
        "office_0021",
        "train",
    ]
    assert len(rows) == 6
    assert tomllib.loads((prepared / "dataset.toml").read_text()) == {
        "name": "nyu-depth-v2",
        "depth_scale": 0.001,
        "depth_offset": 0.0,
        "depth_invalid": 0,
        "depth_kind": "in-painted",
        "intrinsics": [518.8579, 519.4696, 325.5824, 253.7362],
    }


def test_prepared_folder_says_what_the_files_say(mat, splits, prepared):
    official, folder = NyuDataset(mat, splits), FolderDataset(prepared)
    assert (folder.ids, folder.scenes) == (official.ids, official.scenes)
    assert folder.official_splits == official.official_splits
    a, b = official[3], folder[3]
    assert torch.equal(a.intrinsics, b.intrinsics)
    assert torch.allclose(a.image, b.image, atol=1e-6)
    assert (a.depth_m - b.depth_m).abs().max() <= 0.0005 + 1e-5


def test_preparing_again_replaces_the_earlier_folder(tmp_path, mat, splits):
    one = broken_mat(tmp_path / "a.mat", lambda arrays: None)
    out = tmp_path / "out"
    prepare_nyu(mat, splits, out)
    prepare_nyu(one, write_splits(tmp_path / "s.mat", [1], []), out)
    assert [path.name for path in (out / "depth").iterdir()] == ["0001.png"]


def test_preparing_refuses_a_folder_with_other_things(tmp_path, mat, splits):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(LeadlineError, match="holds 'thesis.txt', which would be lost") as caught:
        prepare_nyu(mat, splits, tmp_path)
    assert "choose a new or an empty folder" in one_line(caught)
    assert (tmp_path / "thesis.txt").exists()


def test_preparing_refuses_a_file_as_folder(tmp_path, mat, splits):
    (tmp_path / "out").write_text("")
    with pytest.raises(LeadlineError, match="must be a folder, got a file"):
        prepare_nyu(mat, splits, tmp_path / "out")


def test_a_failed_preparation_leaves_nothing(tmp_path):
    mat = broken_mat(tmp_path / "a.mat", lambda arrays: None)
    with h5py.File(mat) as file:
        chunk = file["rawDepths"].id.get_chunk_info(0)
    with mat.open("r+b") as raw:
        raw.seek(chunk.byte_offset + 600)
        raw.write(b"\0" * 64)
    with pytest.raises(LeadlineError, match="picture 1 of rawDepths cannot be read") as caught:
        prepare_nyu(mat, write_splits(tmp_path / "s.mat", [1], []), tmp_path / "out")
    assert "leadline data download" in one_line(caught)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mat", "s.mat"]


def test_missing_mat(tmp_path):
    with pytest.raises(LeadlineError, match="no file at .*nowhere.mat; wanted the makers'") as caught:
        NyuDataset(tmp_path / "nowhere.mat")
    assert "nyu_depth_v2_labeled.mat" in one_line(caught)


def test_mat_of_another_kind(tmp_path, splits):
    (tmp_path / "empty.mat").write_bytes(b"")
    for path in (splits, tmp_path / "empty.mat"):
        with pytest.raises(LeadlineError, match=r"is no MATLAB 7.3 \(HDF5\) file") as caught:
            NyuDataset(path)
        one_line(caught)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_truncated_mat(tmp_path, mat, share):
    content = mat.read_bytes()
    short = tmp_path / "short.mat"
    short.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(LeadlineError, match="is broken: its beginning cannot be read .*truncated file") as caught:
        NyuDataset(short)
    assert "leadline data download" in one_line(caught)


def test_missing_arrays_are_named(tmp_path):
    mat = broken_mat(tmp_path / "a.mat", lambda arrays: arrays.pop("depths"))
    with pytest.raises(LeadlineError, match=r"lacks depths \(it holds images, rawDepths, scenes\)") as caught:
        NyuDataset(mat)
    one_line(caught)


def test_raw_depth_is_wanted_only_for_preparing(tmp_path):
    mat = broken_mat(tmp_path / "a.mat", lambda arrays: arrays.pop("rawDepths"))
    assert len(NyuDataset(mat)) == 1
    with pytest.raises(LeadlineError, match="lacks rawDepths"):
        prepare_nyu(mat, write_splits(tmp_path / "s.mat", [1], []), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_transposed_arrays_are_refused(tmp_path):
    def turn(arrays):
        arrays["images"] = arrays["images"].transpose(0, 2, 1, 3)

    with pytest.raises(LeadlineError, match=r"images must be uint8 of shape \(1, 3, 640, 480\), got uint8 of shape"):
        NyuDataset(broken_mat(tmp_path / "a.mat", turn))


def test_another_number_type_is_refused(tmp_path):
    def widen(arrays):
        arrays["depths"] = arrays["depths"].astype(np.float64)

    with pytest.raises(LeadlineError, match="depths must be float32 of shape .*got float64 of shape"):
        NyuDataset(broken_mat(tmp_path / "a.mat", widen))


def test_scenes_that_are_no_references_are_refused(tmp_path):
    mat = broken_mat(tmp_path / "a.mat", lambda arrays: None)
    with h5py.File(mat, "r+") as file:
        del file["scenes"]
        file["scenes"] = np.zeros((1, 1))
    with pytest.raises(LeadlineError, match="is broken: its list of arrays cannot be read") as caught:
        NyuDataset(mat)
    one_line(caught)


@pytest.mark.skipif(not REAL.is_dir(), reason="needs the labelled pictures of NYU Depth V2 in ../shared")
def test_real_splits_are_795_and_654_with_no_scene_in_both():
    parts = read_nyu_splits(REAL / "splits.mat", 1449)
    assert Counter(parts) == {"train": 795, "test": 654}
    with (REAL / "index.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["official_split"] for row in rows] == parts
    scenes = {
        part: {row["scene"] for row, at in zip(rows, parts, strict=True) if at == part} for part in ("train", "test")
    }
    assert not scenes["train"] & scenes["test"]


def test_pictures_in_no_split_have_none(tmp_path):
    assert read_nyu_splits(write_splits(tmp_path / "s.mat", [2], [4]), 4) == ["", "train", "", "test"]


@pytest.mark.parametrize("number", [0, 7, -1, 2.5, float("nan")])
def test_split_numbers_that_no_picture_has(tmp_path, mat, number):
    splits = write_splits(tmp_path / "s.mat", [1, number], [3])
    with pytest.raises(LeadlineError, match=f"train names picture {number}, wanted whole numbers from 1 to 6"):
        NyuDataset(mat, splits)


def test_split_overlap(tmp_path):
    splits = write_splits(tmp_path / "s.mat", [1, 2], [3, 2])
    with pytest.raises(LeadlineError, match="test names picture 2, which train has named already") as caught:
        read_nyu_splits(splits, 3)
    assert "leadline data download" in one_line(caught)


def test_split_repetition(tmp_path):
    with pytest.raises(LeadlineError, match="train names picture 1, which train has named already"):
        read_nyu_splits(write_splits(tmp_path / "s.mat", [1, 1], [3]), 3)


def test_missing_splits(tmp_path):
    with pytest.raises(LeadlineError, match="no file at .*s.mat; wanted the makers' splits.mat"):
        read_nyu_splits(tmp_path / "s.mat", 3)


def test_splits_of_another_kind(tmp_path, mat, splits):
    (tmp_path / "text.mat").write_text("trainNdxs = 1, 2, 3\n" * 20)
    (tmp_path / "empty.mat").write_bytes(b"")
    (tmp_path / "short.mat").write_bytes(splits.read_bytes()[:150])
    for path in (mat, *tmp_path.iterdir()):
        with pytest.raises(LeadlineError, match="is no MATLAB 5 file|lacks trainNdxs") as caught:
            read_nyu_splits(path, 3)
        assert "leadline data download" in one_line(caught)


def test_splits_without_a_part(tmp_path):
    scipy.io.savemat(tmp_path / "s.mat", {"trainNdxs": np.array([[1]])})
    with pytest.raises(LeadlineError, match="lacks testNdxs"):
        read_nyu_splits(tmp_path / "s.mat", 3)


def test_splits_that_hold_no_numbers(tmp_path):
    scipy.io.savemat(tmp_path / "s.mat", {"trainNdxs": ["one"], "testNdxs": [[2]]})
    with pytest.raises(LeadlineError, match="train must hold numbers, got <U3"):
        read_nyu_splits(tmp_path / "s.mat", 3)
