"""Anything that answers depth and can be scored: the table of kinds, and how a name becomes one.

Nothing heavy is imported until a predictor is opened.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from leadline.backends.base import Predictor
    from leadline.data import DepthDataset

__all__ = ["KINDS", "open_predictor"]


def _open_hf(name: str, dataset: "DepthDataset") -> "Predictor":
    from leadline.backends.hf import open_hf

    return open_hf(name)


def _open_files(name: str, dataset: "DepthDataset") -> "Predictor":
    from leadline.evaluation import FilesPredictor

    return FilesPredictor(Path(name), dataset)


def _open_onnx(name: str, dataset: "DepthDataset") -> "Predictor":
    from leadline.backends.onnx import open_onnx

    return open_onnx(Path(name))


def _open_openvino(name: str, dataset: "DepthDataset") -> "Predictor":
    from leadline.backends.openvino import open_openvino

    return open_openvino(Path(name))


def _open_leadline(name: str, dataset: "DepthDataset") -> "Predictor":
    from leadline.backends.torch_model import open_native

    return open_native(name)


KINDS: dict[str, Callable[[str, "DepthDataset"], "Predictor"]] = {
    "hf": _open_hf,
    "files": _open_files,
    "onnx": _open_onnx,
    "openvino": _open_openvino,
    "leadline": _open_leadline,
}
"""What opens "KIND:NAME"."""

KIND_OF_FILE = {".onnx": "onnx", ".xml": "openvino"}
"""Which kind a file is, by its ending."""


def open_predictor(model: str | Path, dataset: "DepthDataset") -> "Predictor":
    """Open whatever is to be scored.

    Args:
        model: "hf:NAME" (a Hugging Face model or its folder; "#metres", "#depth" or "#disparity" behind it says
            what it answers where its configuration does not), "files:DIR" (predictions made elsewhere), an .onnx
            file, an .xml file of OpenVINO's, or a leadline model: "default", a bundled one's name, a checkpoint's
            folder, or a run's.
        dataset: the pictures that it will be asked about; "files" looks up their names.

    Raises:
        LeadlineError: if there is no such thing, or it cannot be opened.
    """
    kind, colon, name = str(model).partition(":")
    if not colon or kind not in KINDS:
        kind, name = KIND_OF_FILE.get(Path(model).suffix, "leadline"), str(model)
    return KINDS[kind](name, dataset)
