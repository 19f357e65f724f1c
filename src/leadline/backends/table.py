"""Anything that answers depth and can be scored: the table of kinds, and how a name becomes one.

Nothing heavy is imported until a predictor is opened.
"""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from leadline.backends.base import Backend
from leadline.errors import LeadlineError
from leadline.geometry import Output

if TYPE_CHECKING:
    from leadline.backends.base import Predictor
    from leadline.data import DepthDataset


class Kind(NamedTuple):
    """A kind of model."""

    opener: str  # "module:callable" of `leadline.backends`, imported when a model of this kind is opened
    suffix: str = ""  # of a model that is a file


BACKENDS: dict[str, Kind] = {
    "hf": Kind("hf:open_hf_backend"),
    "onnx": Kind("onnx:open_onnx_backend", ".onnx"),
    "openvino": Kind("openvino:open_openvino_backend", ".xml"),
    "leadline": Kind("torch_model:open_torch"),
}
"""What opens "KIND:NAME"; without "KIND:" the suffix tells, else it is leadline's."""


def open_backend(model: Any) -> Backend:
    """Open whatever answers depth.

    Args:
        model: "default", the name of a bundled model, a checkpoint's folder or a run's; an .onnx file; an .xml file of
            OpenVINO's; "hf:NAME" (a Hugging Face model or its folder; "#metres", "#depth" or "#disparity" behind it
            says what it answers where its configuration does not); what `load_model` returns; or a backend.

    Raises:
        LeadlineError: if there is no such model, or it cannot be opened.
    """
    if hasattr(model, "estimate") and hasattr(model, "assumed_camera"):
        return cast(Backend, model)
    if not isinstance(model, str | Path):
        return cast(Backend, _opener("torch_model:TorchBackend")(model, "model"))
    kind, colon, name = str(model).partition(":")
    if not colon or kind not in BACKENDS:
        suffix = Path(model).suffix.lower()
        kind = next((kind for kind, its in BACKENDS.items() if suffix and its.suffix == suffix), "leadline")
        name = str(model)
    return cast(Backend, _opener(BACKENDS[kind].opener)(name))


def require_metres(backend: Backend) -> None:
    """Refuse a model without a unit where metres are promised.

    Raises:
        LeadlineError: if it answers depth or disparity up to scale and shift; it names the way out.
    """
    if backend.output is not Output.METRES:
        raise LeadlineError(
            f"{backend.name} answers {backend.output} without a unit, wanted metres: fit it to known distances by "
            f"leadline calibrate IMAGE points.csv --model {backend.name} --out DIR, and give --model DIR"
        )


def _opener(place: str) -> Callable[..., Any]:
    module, _, name = place.partition(":")
    opener: Callable[..., Any] = getattr(import_module(f"leadline.backends.{module}"), name)
    return opener


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
