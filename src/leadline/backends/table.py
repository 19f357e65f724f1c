"""The table of backends, and which of them a model is for. Nothing heavy is imported until one is opened."""

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from leadline.errors import LeadlineError
from leadline.io import read_json

if TYPE_CHECKING:
    from leadline.backends.base import Backend

KINDS = {
    "leadline": "leadline.backends.torch_model:open_torch",
    "onnx": "leadline.backends.onnx:open_onnx",
    "openvino": "leadline.backends.openvino:open_openvino",
    "hf": "leadline.backends.hf:open_hf",
    "calibrated": "leadline.backends.calibrated:open_calibrated",
}
"""What opens "KIND:NAME", as MODULE:FUNCTION."""

KIND_OF_FILE = {".onnx": "onnx", ".xml": "openvino"}
"""Which kind a file is, by its ending."""

CALIBRATION = "calibrated.json"
"""What a calibrated model's folder is known by."""


def open_backend(model: "str | Path | Backend | Any") -> "Backend":
    """Open whatever predicts depth.

    Args:
        model: a leadline model ("default", the name of a bundled one, a checkpoint's folder, or a run's), an .onnx
            file, an .xml file of OpenVINO's, "hf:NAME" (a Hugging Face model; "#metres", "#depth" or "#disparity"
            behind it says what it predicts where its configuration does not), a Hugging Face model's folder, a
            folder that `save_calibrated` wrote, what `load_model` returned, or a backend, which is returned.

    Raises:
        LeadlineError: if there is no such model, or it cannot be opened.
    """
    if hasattr(model, "assumed_camera"):
        return cast("Backend", model)
    if not isinstance(model, str | Path):
        return cast("Backend", _opener("leadline.backends.torch_model:wrap_model")(model))
    kind, name = find_kind(model)
    return cast("Backend", _opener(KINDS[kind])(name))


def find_kind(model: str | Path) -> tuple[str, str]:
    """Which of `KINDS` a model is of, and its name or path there."""
    kind, colon, name = str(model).partition(":")
    if colon and kind in KINDS:
        return kind, name
    path = Path(model)
    return KIND_OF_FILE.get(path.suffix.lower()) or _kind_of_folder(path), str(model)


def _kind_of_folder(folder: Path) -> str:
    if not folder.is_dir() or bundled_name(str(folder)):
        return "leadline"
    if (folder / CALIBRATION).is_file():
        return "calibrated"
    try:
        config = read_json(folder / "config.json")
    except (OSError, LeadlineError):  # none, or a damaged one
        return "leadline"
    is_hf = isinstance(config, dict) and "model_type" in config and "format" not in config
    return "hf" if is_hf else "leadline"


def bundled_name(name: str) -> str | None:
    """The name of a bundled model, of "default" too; None if there is none."""
    from leadline.models import DEFAULT, bundled_models

    name = DEFAULT if name == "default" else name
    return name if name in bundled_models() else None


def _opener(place: str) -> Any:
    module, _, function = place.partition(":")
    return getattr(import_module(module), function)
