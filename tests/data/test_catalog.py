import subprocess
import sys
from pathlib import Path

import pytest
from layout_files import refusal, write
from nyu_files import SCENES, pictures, write_mat, write_splits

from leadline.data.catalog import DATASETS, open_dataset
from leadline.data.datasets.folder import FolderDataset
from leadline.data.datasets.nyu import NyuDataset
from leadline.data.synthetic.dataset import synthesize

MAT = "nyu_depth_v2_labeled.mat"

MAKERS_FILES = {
    "folder": ["index.csv"],
    "nyu": [MAT],
    "kitti": [
        "2011_09_26/calib_cam_to_cam.txt",
        "2011_09_26/2011_09_26_drive_0001_sync/image_02/data/0000000005.png",
        "train/2011_09_26_drive_0001_sync/proj_depth/groundtruth/image_02/0000000005.png",
    ],
    "kitti-selection": [
        "image/2011_09_26_drive_0002_sync_image_0000000005_image_02.png",
        "groundtruth_depth/2011_09_26_drive_0002_sync_groundtruth_depth_0000000005_image_02.png",
        "intrinsics/2011_09_26_drive_0002_sync_image_0000000005_image_02.txt",
    ],
    "sunrgbd": [f"kv1/NYUdata/NYU0001/{name}" for name in ("image/NYU0001.jpg", "depth/1.png", "intrinsics.txt")],
    "diode": [f"val/outdoor/scene_00022/scan_00193/00022_00193_outdoor_000_010{end}" for end in (".png", "_depth.npy")],
    "ibims": [f"{name}/corridor_01.png" for name in ("rgb", "depth", "mask_invalid", "mask_transp")],
    "tum": [f"rgbd_dataset_freiburg1_xyz/{name}" for name in ("rgb.txt", "depth.txt", "rgb/1.png", "depth/1.png")],
    "seven-scenes": [f"chess/{name}" for name in ("TrainSplit.txt", "TestSplit.txt", "seq-01/frame-000000.color.png")],
    "record3d": ["EXR_RGBD/metadata.json", "EXR_RGBD/rgb/0.jpg", "EXR_RGBD/depth/0.exr"],
    "stray": ["rgb.mp4", "odometry.csv", "camera_matrix.csv", "depth/000000.png", "confidence/000000.png"],
    "arkitscenes": [
        f"Training/40753679/40753679_frames/{name}"
        for name in ("lowres_wide/40753679_1.000.png", "lowres_depth/40753679_1.000.png", "lowres_wide.traj")
    ],
    "polycam": [f"keyframes/{name}" for name in ("images/1.jpg", "depth/1.png", "cameras/1.json", "confidence/1.png")],
    "3d-scanner-app": ["frame_00000.jpg", "frame_00000.json", "depth_00000.png", "conf_00000.png", "info.json"],
    "nerfstudio": ["transforms.json", "images/frame_00001.png", "depth/frame_00001.png"],
    "colmap": ["images/a.jpg", "sparse/cameras.bin", "stereo/depth_maps/a.jpg.geometric.bin"],
    "hypersim": ["ai_001_001/images/scene_cam_00_geometry_hdf5/frame.0000.depth_meters.hdf5"],
    "replica": ["room0/traj.txt", "room0/results/frame000000.jpg", "room0/results/depth000000.png"],
    "rosbag": ["metadata.yaml", "room_0.db3"],
    "scannet": [f"scene0000_00/{name}" for name in ("color/0.jpg", "depth/0.png", "pose/0.txt")],
    "pcd": ["frame_0.pcd", "frame_1.pcd"],
}
"""Some of the files by which a person would know each kind."""


@pytest.fixture(scope="module")
def nyu(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the makers' two files, of two pictures."""
    root = tmp_path_factory.mktemp("nyu")
    write_mat(root / MAT, pictures(2), SCENES[:2])
    write_splits(root / "splits.mat", [2], [1])
    return root


def lay_out(root: Path, kind: str) -> Path:
    for name in MAKERS_FILES[kind]:
        write(root / kind / name, "")
    return root / kind


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


@pytest.mark.parametrize("kind", DATASETS)
def test_a_layout_is_of_one_kind_only(tmp_path: Path, kind: str) -> None:
    root = lay_out(tmp_path, kind)
    assert [name for name, it in DATASETS.items() if it.is_at(root)] == [kind]


@pytest.mark.parametrize(
    ("kind", "below"), [("tum", "rgbd_dataset_freiburg1_xyz"), ("seven-scenes", "chess"), ("nyu", MAT)]
)
def test_one_sequence_scene_or_file_is_of_its_kind_too(tmp_path: Path, kind: str, below: str) -> None:
    root = lay_out(tmp_path, kind) / below
    assert [name for name, it in DATASETS.items() if it.is_at(root)] == [kind]


@pytest.mark.parametrize(
    ("kind", "ids"),
    [
        ("kitti", ["2011_09_26/2011_09_26_drive_0001_sync/image_02/data/0000000005.png"]),
        ("kitti-selection", ["2011_09_26_drive_0002_sync_image_0000000005_image_02"]),
        ("sunrgbd", ["kv1/NYUdata/NYU0001"]),
        ("diode", ["val/outdoor/scene_00022/scan_00193/00022_00193_outdoor_000_010"]),
        ("ibims", ["corridor_01"]),
        ("seven-scenes", ["chess/seq-01/frame-000000"]),
    ],
)
def test_a_makers_layout_is_opened_by_its_reader(tmp_path: Path, kind: str, ids: list[str]) -> None:
    assert open_dataset(lay_out(tmp_path, kind)).ids == ids


def test_tums_layout_is_opened_by_its_reader(tmp_path: Path) -> None:
    root = lay_out(tmp_path, "tum")
    for name in ("rgb", "depth"):
        write(root / "rgbd_dataset_freiburg1_xyz" / f"{name}.txt", f"1.5 {name}/1.png\n")
    assert open_dataset(root).ids == ["rgbd_dataset_freiburg1_xyz/1"]


def test_a_path_where_nothing_is_is_told_with_what_lies_beside_it(tmp_path: Path) -> None:
    told = f"no data set at {tmp_path / 'room'}: nothing is there"
    (tmp_path / "photos").mkdir()
    assert refusal(lambda: open_dataset(tmp_path / "room")) == told
    (tmp_path / "rooms").mkdir()
    assert refusal(lambda: open_dataset(tmp_path / "room")) == f"{told}; did you mean '{tmp_path / 'rooms'}'?"


@pytest.mark.parametrize("name", ["empty", "notes.txt"])
def test_what_is_no_set_lists_the_known_kinds(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("none")
    message = refusal(lambda: open_dataset(tmp_path / name))
    assert message.startswith(f"no data set at {tmp_path / name}: wanted a folder that holds index.csv (folder); ")
    assert all(f"{kind.wanted} ({kind_name})" in message for kind_name, kind in DATASETS.items())


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("gone.mat", "nothing is there"),
        ("scan.zip", "it is an archive; unpack it and name the folder"),
        ("scan/keyframes/depth", "but {root}/scan is one (polycam); name that"),
        ("scan/keyframes/depth/1.png", "but {root}/scan is one (polycam); name that"),
        ("beside", "but {root}/beside/index is one (folder); name that"),
    ],
)
def test_a_path_beside_a_set_is_told_what_to_name(tmp_path: Path, name: str, told: str) -> None:
    write(tmp_path / "scan.zip", "")
    write(tmp_path / "scan" / "keyframes" / "depth" / "1.png", "")
    write(tmp_path / "beside" / "index" / "index.csv", "")
    message = refusal(lambda: open_dataset(tmp_path / name))
    assert message == f"no data set at {tmp_path / name}: {told.format(root=tmp_path)}"


def test_an_index_goes_before_everything_else(tmp_path: Path) -> None:
    synthesize(tmp_path / "kitti", 2, 0, 8, 8)
    assert isinstance(open_dataset(lay_out_beside(tmp_path / "kitti")), FolderDataset)


def lay_out_beside(root: Path) -> Path:
    """The makers' files of every other kind in a folder that has an index already."""
    for kind, names in MAKERS_FILES.items():
        for name in names:
            if kind != "folder":
                write(root / name, "")
    return root


def test_importing_the_table_and_looking_at_a_path_load_no_torch(tmp_path: Path) -> None:
    code = """
import sys, pathlib, leadline.data, leadline.data.settings
found = [kind.is_at(pathlib.Path(sys.argv[1])) for kind in leadline.data.DATASETS.values()]
sys.exit('torch' in sys.modules or any(found))
"""
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False).returncode == 0
