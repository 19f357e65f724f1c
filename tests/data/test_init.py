import subprocess
import sys
from pathlib import Path

import pytest
from nyu_files import SCENES, pictures, write_mat, write_splits

from leadline.data import DATASETS, open_dataset
from leadline.data.folder import FolderDataset
from leadline.data.nyu import NyuDataset
from leadline.data.synthetic import synthesize
from leadline.errors import UserError

MAT = "nyu_depth_v2_labeled.mat"


@pytest.fixture(scope="module")
def nyu(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the makers' two files, of two pictures."""
    root = tmp_path_factory.mktemp("nyu")
    write_mat(root / MAT, pictures(2), SCENES[:2])
    write_splits(root / "splits.mat", [2], [1])
    return root


def test_a_folder_with_an_index_is_a_folder_set(tmp_path: Path) -> None:
    synthesize(tmp_path / "rooms", 2, 0, 8, 8)
    dataset = open_dataset(tmp_path / "rooms")
    assert isinstance(dataset, FolderDataset) and dataset.ids == ["00001", "00002"]


@pytest.mark.parametrize("name", ["", MAT])
def test_nyu_is_found_by_its_file_or_its_folder_with_the_split_beside_it(nyu: Path, name: str) -> None:
    dataset = open_dataset(nyu / name)
    assert isinstance(dataset, NyuDataset) and dataset.official_splits == ["test", "train"]


def test_nyu_without_its_split_file_has_no_official_parts(nyu: Path, tmp_path: Path) -> None:
    (tmp_path / "other.mat").symlink_to(nyu / MAT)
    assert open_dataset(tmp_path / "other.mat").official_splits == ["", ""]


def test_what_is_not_there_says_what_was_wanted(tmp_path: Path) -> None:
    for path in (tmp_path / "gone", tmp_path / "gone.mat"):
        with pytest.raises(UserError, match="no data set at .*gone.*: wanted a folder with an index.csv, or nyu_depth"):
            open_dataset(path)


def test_an_empty_folder_is_no_set(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="wanted an index.csv with the columns id, rgb, depth"):
        open_dataset(tmp_path)


def test_a_file_of_another_kind_is_no_set(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("none")
    with pytest.raises(UserError, match="no data set at .*notes.txt: wanted an index.csv"):
        open_dataset(tmp_path / "notes.txt")


def test_both_kinds_are_in_the_table() -> None:
    assert list(DATASETS) == ["folder", "nyu"]


def test_importing_the_table_loads_no_torch() -> None:
    code = "import sys, leadline.data, leadline.data.settings; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
