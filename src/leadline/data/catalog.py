"""Data sets: the table of kinds, and how a path becomes one.

Nothing heavy is imported until a data set is opened, so that the command line can answer at once.
"""

import os
from collections.abc import Callable, Iterable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast

from leadline.errors import LeadlineError, brief
from leadline.geometry import checked
from leadline.io import natural_order, or_nearest, restore_folder

if TYPE_CHECKING:
    from leadline.data.datasets.base import FrameDataset
    from leadline.data.sample import DepthDataset


class Kind(NamedTuple):
    """A kind of data set on disk."""

    wanted: str  # what a path of this kind holds, for the error
    is_at: Callable[[Path], bool]  # whether a path is of this kind; looks at few names and opens no file
    opener: str  # "module:callable" of `leadline.data.datasets`, imported when a data set of this kind is opened
    is_capture: bool = False  # whether it is a place that someone went through, of which a folder may hold several

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


_CAPTURE_FILES = (".r3d", ".bag")
_ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".7z", ".rar")
_MAX_ABOVE = 3
"""How many folders above a path may be the data set that was meant."""
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
    return exported or _ends_with(".sens")(path) or _holds("*.sens", "*/*.sens")(path)


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
    "record3d": Kind(".r3d, EXR_RGBD, metadata and rgbd", _is_record3d, "record3d:Record3dDataset", is_capture=True),
    "stray": Kind(
        "rgb.mp4, odometry.csv", _holds("odometry.csv", "*/odometry.csv"), "stray:StrayDataset", is_capture=True
    ),
    "arkitscenes": Kind("lowres_depth, highres_depth", _is_arkitscenes, "arkitscenes:ArkitScenesDataset"),
    "polycam": Kind("keyframes/depth", _holds("keyframes/depth"), "polycam:PolycamDataset", is_capture=True),
    "3d-scanner-app": Kind(
        "frame_00000.json, depth_00000.png", _holds("depth_[0-9]*.png"), "scanner3d:ScannerAppDataset", is_capture=True
    ),
    "nerfstudio": Kind("transforms.json", _holds("transforms.json"), "nerfstudio:NerfstudioDataset", is_capture=True),
    "colmap": Kind(
        "stereo/depth_maps of COLMAP",
        _holds("stereo/depth_maps", "dense/stereo/depth_maps", "dense/*/stereo/depth_maps"),
        "colmap:ColmapDataset",
    ),
    "hypersim": Kind(
        "images/scene_cam_00_geometry_hdf5",
        _holds("images/scene_cam_*_geometry_hdf5", "ai_*/images/scene_cam_*_geometry_hdf5"),
        "hypersim:HypersimDataset",
    ),
    "replica": Kind(
        "results, traj.txt", _holds("results/depth*.png", "*/results/depth*.png"), "replica:ReplicaDataset"
    ),
    "rosbag": Kind("a .bag file, or metadata.yaml of ROS 2", _is_rosbag, "rosbag:RosbagDataset", is_capture=True),
    "scannet": Kind("color, depth, pose, or a .sens file", _is_scannet, "scannet:open_scannet"),
    "pcd": Kind("organised clouds, .pcd", _holds("[!.]*.pcd"), "pcd:PcdDataset", is_capture=True),
}
"""Every kind of data set (docs/reference/data-sets.md), in the order in which a path is compared with them."""


@checked
def open_dataset(path: Path) -> "DepthDataset":
    """Open the data set at a path: a folder with an `index.csv`, or a public data set in its makers' layout.

    A folder of several captures is one data set, each of them a scene.

    Args:
        path: folder, or a file where that is what the makers write (NYU's .mat, .r3d, .sens, .bag).

    Raises:
        LeadlineError: if there is no data set of a known kind, or it is broken.
    """
    restore_folder(path)
    try:
        kind = _kind_of(path, DATASETS.values())
        captures = [] if kind else _captures_below(path)
        reason = "" if kind or captures else _reason(path)
    except OSError as error:  # a folder below may not be read, or is gone meanwhile
        raise LeadlineError(f"{path} cannot be looked through ({brief(error)}): name the data set's folder") from error
    if kind:
        return kind.open(path)
    if captures:
        from leadline.data.datasets.captures import CapturesDataset

        return CapturesDataset(path, [cast("FrameDataset", kind.open(capture)) for kind, capture in captures])
    raise LeadlineError(f"no data set at {path}: {reason}")


def _kind_of(path: Path, kinds: Iterable[Kind]) -> Kind | None:
    return next((kind for kind in kinds if kind.is_at(path)), None)


def _captures_below(path: Path) -> list[tuple[Kind, Path]]:
    """The captures that a folder holds, each with its kind."""
    kinds = [kind for kind in DATASETS.values() if kind.is_capture]
    found = [(_kind_of(child, kinds), child) for child in _children(path)]
    return [(kind, child) for kind, child in found if kind]


def _children(path: Path) -> list[Path]:
    """What a folder holds that may be a capture: folders, and files of the endings that captures have."""
    if not path.is_dir():
        return []
    with os.scandir(path) as entries:  # a folder of photos holds thousands that are none
        names = [it.name for it in entries if it.name.lower().endswith(_CAPTURE_FILES) or it.is_dir()]
    return sorted((path / name for name in names if not name.startswith(".")), key=natural_order)


def _reason(path: Path) -> str:
    """Why a path is no data set, and what to name instead."""
    if not path.exists():
        return f"nothing is there{or_nearest(path)}"
    if path.suffix.lower() in _ARCHIVES:
        return "it is an archive; unpack it and name the folder"
    near = {kind: name for name, kind in DATASETS.items() if kind.is_capture or name == "folder"}
    for place in [*_children(path), *path.resolve().parents[:_MAX_ABOVE]]:
        if kind := _kind_of(place, near):
            return f"but {place} is one ({near[kind]}); name that"
    return f"wanted a folder that holds {'; '.join(f'{kind.wanted} ({name})' for name, kind in DATASETS.items())}"
