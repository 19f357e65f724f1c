"""A model as bytes, for machines that do not have its files."""

from collections.abc import Callable
from glob import escape
from math import inf
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from leadline.backends.base import Backend
from leadline.backends.table import CALIBRATION, find_kind, open_backend


class PackedModel(NamedTuple):
    """What `open_packed` opens on another machine."""

    kind: str  # of `leadline.backends.table.KINDS`
    name: str  # what it opens: a path below the folder of the files, or a name where there are none
    files: dict[str, bytes]  # by their paths below that folder


def pack_model(model: str | Path) -> PackedModel:
    """Read the files of a model.

    Args:
        model: a name or a path, as `open_backend`; a model of the Hugging Face Hub is packed as its name.

    Raises:
        LeadlineError: if there is no such model.
        OSError: if a file cannot be read.
    """
    kind, name = find_kind(model)
    return _PACK[kind](kind, name)


def open_packed(packed: PackedModel) -> Backend:
    """Open a model that `pack_model` has read, perhaps on another machine, for many images.

    Raises:
        LeadlineError: if it cannot be opened here.
    """
    if not packed.files:
        return open_backend(f"{packed.kind}:{packed.name}", inf)
    with TemporaryDirectory(prefix="leadline-") as folder:
        for name, content in packed.files.items():
            path = Path(folder, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return open_backend(f"{packed.kind}:{Path(folder, packed.name)}", inf)


def _pack_file(kind: str, name: str) -> PackedModel:
    """The file, its weights where they are apart, and the TOML file beside it."""
    path = Path(name)
    apart = path.parent.glob(f"{escape(path.name)}[._]data*")  # PyTorch's .onnx.data, Optimum's .onnx_data and _data_1
    beside = [path.with_suffix(".bin"), path.with_suffix(".toml"), *apart]
    return PackedModel(kind, path.name, {it.name: it.read_bytes() for it in (path, *beside) if it.is_file()})


def _pack_checkpoint(kind: str, name: str) -> PackedModel:
    from leadline.models import find_checkpoint

    return PackedModel(kind, "model", _files_of(find_checkpoint(name)))


def _pack_hf(kind: str, name: str) -> PackedModel:
    place, mark, output = (name, "", "") if Path(name).is_dir() else name.partition("#")
    if not Path(place).is_dir():
        return PackedModel(kind, name, {})
    return PackedModel(kind, f"model{mark}{output}", _files_of(Path(place)))


def _pack_calibrated(kind: str, name: str) -> PackedModel:
    """Its own file, and below it the model that it refers to."""
    from leadline.backends.calibrated import located, read_calibration

    calibration = read_calibration(Path(name))
    inner = pack_model(located(calibration.model, Path(name)))
    place = f"inner/{inner.name}" if inner.files else inner.name
    moved = calibration.model_copy(update={"model": f"{inner.kind}:{place}"})
    files = {f"model/inner/{path}": content for path, content in inner.files.items()}
    return PackedModel(kind, "model", {f"model/{CALIBRATION}": moved.model_dump_json().encode(), **files})


def _files_of(folder: Path) -> dict[str, bytes]:
    return {f"model/{path.name}": path.read_bytes() for path in folder.iterdir() if path.is_file()}


_PACK: dict[str, Callable[[str, str], PackedModel]] = {
    "leadline": _pack_checkpoint,
    "onnxruntime": _pack_checkpoint,
    "onnxruntime-float32": _pack_checkpoint,
    "onnxruntime-int8": _pack_checkpoint,
    "torch": _pack_checkpoint,
    "onnx": _pack_file,
    "openvino": _pack_file,
    "hf": _pack_hf,
    "calibrated": _pack_calibrated,
}
