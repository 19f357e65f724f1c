"""Data sets: the table of kinds, and how a path becomes one.

Nothing heavy is imported until a data set is opened, so that the command line can answer at once.
"""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from leadline.errors import LeadlineError, brief
from leadline.geometry import checked
from leadline.io import or_nearest, restore_folder

if TYPE_CHECKING:
    from leadline.data.sample import DepthDataset


class Kind(NamedTuple):
    """A kind of data set on disk."""

    wanted: str  # what a path of this kind holds, for the error
    is_at: Callable[[Path], bool]  # whether a path is of this kind; looks at few names and opens no file
    opener: str  # "module:callable" of `leadline.data.datasets`, imported when a data set of this kind is opened

    def open(self, path: Path) -> "DepthDataset":
        """Open the data set at a path of this kind."""
        module, _, name = self.opener.partition(":")
        dataset: DepthDataset = getattr(import_module(f"leadline.data.datasets.{module}"), name)(path)
        return dataset


def _holds(*patterns: str) -> Callable[[Path], bool]:
    """A recogniser of folders in which at least one of the patterns is found."""
    return lambda path: path.is_dir() and any(any(True for _ in path.glob(pattern)) for pattern in patterns)


def _is_nyu(path: Path) -> bool:
    return (path.is_file() and path.suffix == ".mat") or (path / "nyu_depth_v2_labeled.mat").exists()


_SCANNET_EXPORT = ("color", "depth", "pose")


def _ends_with(*endings: str) -> Callable[[Path], bool]:
    """A recogniser of files by their ending."""
    return lambda path: path.suffix.lower() in endings and path.is_file()


def _is_record3d(path: Path) -> bool:
    exported = any(path.glob("depth/0.exr")) or any(path.glob("depth/1.exr"))
    return (
        _ends_with(".r3d")(path)
        or (path / "EXR_RGBD").is_dir()
        or ((path / "metadata").is_file() and (path / "rgbd").is_dir())
        or ((path / "metadata.json").is_file() and exported)
    )


_is_arkitscenes = _holds(
    *(above + name for above in ("", "*_frames/", "*/", "*/*/", "*/*/*/") for name in ("lowres_depth", "highres_depth"))
)


def _is_rosbag(path: Path) -> bool:
    return _ends_with(".bag")(path) or (
        (path / "metadata.yaml").is_file() and (any(path.glob("*.db3*")) or any(path.glob("*.mcap*")))
    )


def _is_scannet(path: Path) -> bool:
    exported = any(all((scene / name).is_dir() for name in _SCANNET_EXPORT) for scene in (path, *path.glob("*")))
    return exported or _ends_with(".sens")(path) or any(path.glob("*.sens"))


DATASETS: dict[str, Kind] = {
    "folder": Kind("index.csv", _holds("index.csv"), "folder:FolderDataset"),
    "nyu": Kind("nyu_depth_v2_labeled.mat", _is_nyu, "nyu:open_nyu"),
    "kitti": Kind(
        "train/*_sync/proj_depth",
        _holds("train/*_sync/proj_depth", "val/*_sync/proj_depth"),
        "kitti:KittiDataset",
    ),
    "kitti-selection": Kind("groundtruth_depth", _holds("groundtruth_depth"), "kitti:KittiSelectionDataset"),
    "sunrgbd": Kind("kv1, kv2, realsense, xtion", _holds("kv1", "kv2", "realsense", "xtion"), "sunrgbd:SunRgbdDataset"),
    "diode": Kind(
        "val/indoors/scene_*",
        _holds(*(f"{part}/{where}/scene_*" for part in ("train", "val") for where in ("indoors", "outdoor"))),
        "diode:DiodeDataset",
    ),
    "ibims": Kind("mask_invalid, mask_transp", _holds("mask_transp"), "ibims:IbimsDataset"),
    "tum": Kind("rgb.txt, depth.txt", _holds("rgb.txt", "*/rgb.txt"), "tum:TumDataset"),
    "seven-scenes": Kind(
        "seq-*, TrainSplit.txt",
        _holds("TrainSplit.txt", "TestSplit.txt", "*/TrainSplit.txt", "*/TestSplit.txt"),
        "seven_scenes:SevenScenesDataset",
    ),
    "record3d": Kind(".r3d, EXR_RGBD, metadata and rgbd", _is_record3d, "record3d:Record3dDataset"),
    "stray": Kind("rgb.mp4, odometry.csv", _holds("odometry.csv", "*/odometry.csv"), "stray:StrayDataset"),
    "arkitscenes": Kind("lowres_depth, highres_depth", _is_arkitscenes, "arkitscenes:ArkitScenesDataset"),
    "polycam": Kind("keyframes/depth", _holds("keyframes/depth"), "polycam:PolycamDataset"),
    "3d-scanner-app": Kind(
        "frame_00000.json, depth_00000.png", _holds("depth_[0-9]*.png"), "scanner3d:ScannerAppDataset"
    ),
    "nerfstudio": Kind("transforms.json", _holds("transforms.json"), "nerfstudio:NerfstudioDataset"),
    "colmap": Kind(
        "stereo/depth_maps of COLMAP", _holds("stereo/depth_maps", "dense/stereo/depth_maps"), "colmap:ColmapDataset"
    ),
    "hypersim": Kind(
        "images/scene_cam_00_geometry_hdf5",
        _holds("images/scene_cam_*_geometry_hdf5", "ai_*/images/scene_cam_*_geometry_hdf5"),
        "hypersim:HypersimDataset",
    ),
    "replica": Kind(
        "results, traj.txt", _holds("results/depth*.png", "*/results/depth*.png"), "replica:ReplicaDataset"
    ),
    "rosbag": Kind("a .bag file, or metadata.yaml of ROS 2", _is_rosbag, "rosbag:RosbagDataset"),
    "scannet": Kind("color, depth, pose, or a .sens file", _is_scannet, "scannet:open_scannet"),
}
"""Every kind of data set (docs/reference/data-sets.md), in the order in which a path is compared with them."""


@checked
def open_dataset(path: Path) -> "DepthDataset":
    """Open the data set at a path: a folder with an `index.csv`, or a public data set in its makers' layout.

    Args:
        path: folder, or NYU's .mat file.

    Raises:
        LeadlineError: if there is no data set of a known kind, or it is broken.
    """
    restore_folder(path)
    try:
        kind = next((kind for kind in DATASETS.values() if kind.is_at(path)), None)
    except OSError as error:  # a folder below may not be read, or is gone meanwhile
        raise LeadlineError(f"{path} cannot be looked through ({brief(error)}): name the data set's folder") from error
    if kind:
        return kind.open(path)
    if not path.exists():
        raise LeadlineError(f"no data set at {path}: nothing is there{or_nearest(path)}")
    known = "; ".join(f"{kind.wanted} ({name})" for name, kind in DATASETS.items())
    raise LeadlineError(f"no data set at {path}: wanted a folder that holds {known}")
