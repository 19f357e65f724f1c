"""Every reader of files from anywhere: a whole file for it to begin with, and how it is read to its end."""

import importlib
import json
from collections.abc import Callable
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from capture_files import write_pcds
from PIL import Image

from leadline.backends.onnx_file import WORDS, FileInfo, read_info
from leadline.backends.table import open_backend
from leadline.data import open_dataset
from leadline.data.check import check_folder
from leadline.data.splits import select
from leadline.evaluation.prediction_files import FilesScorer
from leadline.evaluation.protocols import get_protocol
from leadline.io.camera_files import fit_camera, read_camera
from leadline.io.depth_files import read_depth_png, read_npz, write_npz
from leadline.io.exr import read_exr, write_exr
from leadline.io.images import exif_focal_px, read_image
from leadline.io.video import ClipReader, pyav
from leadline.models.build import build_model
from leadline.models.checkpoint import load_checkpoint, save_checkpoint
from leadline.models.settings import ModelSettings, PlainSettings
from leadline.prediction.known_distances import read_distances
from leadline.training.settings import resolve_stages

IMAGE_FORMATS = {
    **{"JPEG": ".jpg", "PNG": ".png", "WEBP": ".webp", "AVIF": ".avif", "HEIF": ".heic"},
    **{"TIFF": ".tiff", "BMP": ".bmp", "GIF": ".gif", "PPM": ".ppm"},
}
CAMERAS = {
    "txt": "50 0 31.5\n0 50 23.5\n0 0 1\n",
    "json": '{"width": 64, "height": 48, "K": [[50, 0, 31.5], [0, 50, 23.5], [0, 0, 1]]}',
    "yaml": "image_width: 64\nimage_height: 48\ncamera_matrix:\n  rows: 3\n  cols: 3\n"
    "  data: [50, 0, 31.5, 0, 50, 23.5, 0, 0, 1]\n",
    "xml": '<document><chunk><sensors><sensor type="frame"><calibration type="frame" class="adjusted">'
    '<resolution width="64" height="48"/><f>50</f><cx>0</cx><k1>0.01</k1></calibration></sensor></sensors>'
    "</chunk></document>",
    "opensfm.json": '{"v2": {"projection_type": "brown", "width": 64, "height": 48, "focal_x": 0.78, "focal_y": 0.78}}',
    "orb.yaml": "%YAML:1.0\nCamera.fx: 50\nCamera.fy: 50\nCamera.cx: 31.5\nCamera.cy: 23.5\nCamera.k1: 0.01\n",
}
RECIPE = """epochs = 1
seed = 3
monitor = "abs_rel"
[model]
network = "unet"
height = 36
width = 48
[model.plain]
width = 4
levels = 2
[data]
split = "official"
batch_size = 4
[data.augment]
zoom = 1.2
[[stages]]
epochs = 2
[stages.optimizer]
learning_rate = 0.001
"""
PROTOCOL = """used_by = "somebody"
size = [48, 64]
crop = [4, 44, 4, 60]
valid_range_m = [0.001, 10.0]
alignment = "median"
clamp_m = [0.001, 10.0]
"""
DATASET = """name = "desk"
depth_scale = 0.001
depth_offset = 0.0
depth_invalid = 0
depth_kind = "raw"
intrinsics = [50.0, 50.0, 31.5, 23.5]
"""
PREDICTIONS = 'name = "mine"\noutput = "metres"\nscale = 0.001\n'


class Reader(NamedTuple):
    """One reader, and the file that is damaged."""

    target: Path
    read: Callable[[], object]
    is_text: bool = False


def build_readers(root: Path) -> dict[str, Reader]:
    """Write a whole file for every reader below a folder.

    Returns:
        Readers by name; those of formats that this installation cannot write are left out.
    """
    torch.manual_seed(0)
    readers = _images(root / "images") | _data_set(root / "set") | _arrays(root / "arrays") | _models(root / "model")
    for kind, text in CAMERAS.items():
        path = _written(root / f"camera.{kind}", text)
        readers[f"camera.{kind}"] = Reader(path, lambda path=path: fit_camera(read_camera(path), 48, 64), True)
    points = _written(root / "points.csv", "picture,x,y,metres\na.png,3,4,1.5\na.png,10.5,20,2.25\n")
    protocol = _written(root / "mine.toml", PROTOCOL)
    recipe = _written(root / "recipe.toml", RECIPE)
    readers["points.csv"] = Reader(points, partial(read_distances, points), True)
    readers["protocol"] = Reader(protocol, partial(get_protocol, str(protocol)), True)
    readers["recipe"] = Reader(recipe, partial(resolve_stages, str(recipe)), True)
    for kind in ("ascii", "binary", "binary_compressed"):
        cloud = write_pcds(root / kind, 1, kind) / "frame_0.pcd"
        readers[f"pcd {kind}"] = Reader(cloud, lambda cloud=cloud: open_dataset(cloud.parent)[0])
    clip = _clip(root / "clip.mp4")
    readers["video"] = Reader(clip, partial(_play, clip))
    return readers


def _written(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def _picture() -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8))


def _images(folder: Path) -> dict[str, Reader]:
    folder.mkdir(parents=True)
    exif = Image.Exif()
    exif[0x0112], exif[0x8769] = 6, {0xA405: 36, 0x920A: 4.2, 0xA20E: 2000.0}
    readers = {}
    with suppress(ImportError):  # without it HEIF is left out, as every format that this Pillow cannot write
        importlib.import_module("pillow_heif").register_heif_opener()
    for name, suffix in IMAGE_FORMATS.items():
        path = folder / f"a{suffix}"
        try:
            _picture().save(path, format=name, **({} if name in ("BMP", "GIF", "PPM", "TIFF") else {"exif": exif}))
        except (KeyError, OSError):  # this Pillow cannot write it
            continue
        readers[f"image.{name}"] = Reader(path, lambda path=path: (read_image(path), exif_focal_px(path)))
    return readers


def _data_set(folder: Path) -> dict[str, Reader]:
    folder.mkdir(parents=True)
    for name in "ab":
        _picture().save(folder / f"{name}.png")
    Image.fromarray(np.full((48, 64), 1500, np.uint16)).save(folder / "a_depth.png")
    np.save(folder / "b.npy", np.full((48, 64), 1.5, np.float32))
    rows = "a,a.png,a_depth.png,desk,train,50,50,31.5,23.5\nb,b.png,b.npy,hall,test,,,,\n"
    index = _written(folder / "index.csv", f"id,rgb,depth,scene,official_split,fx,fy,cx,cy\n{rows}")
    toml = _written(folder / "dataset.toml", DATASET)
    ids = _written(folder / "ids.txt", "a\nb\n")
    whole = open_dataset(folder)
    answers = folder / "answers"
    info = _written(answers / "predictions.toml", PREDICTIONS)
    for name in "ab":
        np.save(answers / f"{name}.npy", np.full((48, 64), 1.5, np.float32))

    def read_set() -> None:
        check_folder(folder)
        dataset = open_dataset(folder)
        for place in range(len(dataset)):
            dataset[place]

    def read_answers() -> None:
        scorer = FilesScorer(answers, whole)
        for place in range(2):
            scorer.open_image(whole, place).estimate(False)

    return {
        "index.csv": Reader(index, read_set, True),
        "dataset.toml": Reader(toml, read_set, True),
        "depth.png": Reader(folder / "a_depth.png", lambda: (read_depth_png(folder / "a_depth.png"), read_set())),
        "npy": Reader(folder / "b.npy", read_set),
        "npy of predictions": Reader(answers / "a.npy", read_answers),
        "predictions.toml": Reader(info, read_answers, True),
        "split list": Reader(ids, lambda: select(whole, str(ids)), True),
    }


def _arrays(folder: Path) -> dict[str, Reader]:
    folder.mkdir(parents=True)
    depth_m, valid = np.full((48, 64), 1.5, np.float32), np.ones((48, 64), bool)
    write_npz(folder / "a.npz", depth_m, valid, np.eye(3, dtype=np.float32), depth_m)
    write_exr(folder / "a.exr", depth_m, valid)
    return {
        "npz": Reader(folder / "a.npz", partial(read_npz, folder / "a.npz")),
        "exr": Reader(folder / "a.exr", partial(read_exr, folder / "a.exr")),
    }


def _models(folder: Path) -> dict[str, Reader]:
    settings = ModelSettings(network="unet", height=36, width=48, plain=PlainSettings(width=4, levels=2), focal_px=40.0)
    save_checkpoint(folder, build_model(settings), {"recipe": "tiny"}, "card")
    metadata = _written(folder.parent / "metadata.txt", "".join(f"{key}={word}\n" for key, word in _metadata().items()))

    def read_metadata() -> None:
        lines = metadata.read_text(encoding="utf-8", errors="replace").splitlines()
        read_info(Path("model.onnx"), {key: word for key, _, word in (line.partition("=") for line in lines)})

    return {
        "config.json": Reader(folder / "config.json", lambda: (open_backend(folder), load_checkpoint(folder)), True),
        "safetensors": Reader(folder / "model.safetensors", partial(load_checkpoint, folder)),
        "onnx metadata": Reader(metadata, read_metadata, True),
    }


def _metadata() -> dict[str, str]:
    info = FileInfo(mean=(0.5, 0.5, 0.5), focal_px=100.0, working_size=(48, 64), trained_focal_px=50.0)
    values = info.model_dump(mode="json")
    return {f"leadline.{key}": value if key in WORDS else json.dumps(value) for key, value in values.items()}


def _clip(path: Path) -> Path:
    av = pyav()
    with av.open(str(path), "w") as out:
        stream = out.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for _ in range(5):
            out.mux(stream.encode(av.VideoFrame.from_image(_picture())))
        out.mux(stream.encode())
    return path


def _play(path: Path) -> None:
    with ExitStack() as stack:
        for shot in ClipReader(path, stack).shots():
            shot.rgb()
