"""The table of backends, and which of them a model is for. Nothing heavy is imported until one is opened."""

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from leadline.errors import TORCH_EXTRA, LeadlineError, missing_package
from leadline.geometry import require_possible
from leadline.io import read_json

if TYPE_CHECKING:
    from leadline.backends.base import Backend

KINDS = {
    "leadline": "leadline.backends.table:open_leadline",
    "onnxruntime": "leadline.backends.graph_model:open_graph",
    "onnxruntime-float32": "leadline.backends.graph_model:open_float32",
    "onnxruntime-int8": "leadline.backends.graph_model:open_int8",
    "torch": "leadline.backends.torch_model:open_torch",
    "onnx": "leadline.backends.onnx:open_onnx",
    "openvino": "leadline.backends.openvino:open_openvino",
    "hf": "leadline.backends.hf:open_hf",
    "calibrated": "leadline.backends.calibrated:open_calibrated",
}
"""What opens "KIND:NAME", as MODULE:FUNCTION."""

KIND_OF_FILE = {".onnx": "onnx", ".xml": "openvino"}
"""Which kind a file is, by its ending."""

EXTRAS = {"hf": "hf"}
"""Of `KINDS`: which extra brings what a kind needs; that of the others is "torch", if any."""

CHECKPOINT_KINDS = ("leadline", "onnxruntime", "onnxruntime-float32", "onnxruntime-int8", "torch")
"""Of `KINDS`: what opens a checkpoint of leadline's."""
COUNTED = (*CHECKPOINT_KINDS[:-1], "calibrated")
"""Of `KINDS`: which of them take how many images they shall answer."""

MANY_IMAGES = 100
"""From so many on it pays to load PyTorch, which takes seconds, where it is installed and the quicker."""

CPU_INFO, DEVICES = Path("/proc/cpuinfo"), Path("/dev")
GPU_DEVICES = ("nvidia[0-9]*", "nvhost*", "nvgpu*", "nvmap", "kfd", "dxg")
"""What Linux has below /dev where PyTorch can find a GPU: NVIDIA's, Jetson's, AMD's, and those of Windows below it."""

CALIBRATION = "calibrated.json"
"""What a calibrated model's folder is known by."""


def open_backend(model: "str | Path | Backend | Any", num_images: float = 1) -> "Backend":
    """Open whatever predicts depth.

    Args:
        model: a leadline model ("default", the name of a bundled one, a checkpoint's folder, or a run's;
            a kind of `KINDS` before it, as in "torch:fast", says what runs it, see `open_leadline`), an .onnx
            file, an .xml file of OpenVINO's, "hf:NAME" (a Hugging Face model; "#metres", "#depth" or "#disparity"
            behind it says what it predicts where its configuration does not), a Hugging Face model's folder, a
            folder that `save_calibrated` wrote, what `load_model` returned, or a backend, which is returned.
        num_images: about how many it shall answer.

    Raises:
        LeadlineError: if there is no such model, or it cannot be opened.
    """
    if hasattr(model, "assumed_camera"):
        return cast("Backend", model)
    if not isinstance(model, str | Path):
        return cast("Backend", _opener("leadline.backends.torch_model:wrap_model")(model))
    kind, name = find_kind(require_possible(model))
    _require_runs(kind, name)
    options = {"num_images": num_images} if kind in COUNTED else {}
    return cast("Backend", _opener(KINDS[kind], EXTRAS.get(kind, "torch"))(name, **options))


def _require_runs(kind: str, name: str) -> None:
    """Refuse to run by onnxruntime or PyTorch what is no checkpoint and has a program of its own.

    Raises:
        LeadlineError: if a kind for checkpoints is asked to open a model of another kind.
    """
    of = find_kind(name)[0]
    if kind in CHECKPOINT_KINDS and of not in CHECKPOINT_KINDS:
        raise LeadlineError(
            f"{kind} runs leadline's own models, and {name} is of another kind ({of}), which one program runs: leave "
            f"--backend, or {kind!r} before the name, out"
        )


def open_leadline(name: str, num_images: float = 1) -> "Backend":
    """Open a leadline model in whatever answers soonest.

    That is onnxruntime where the checkpoint has a graph, as the bundled ones do. For `MANY_IMAGES` it is PyTorch, where
    it is installed and has a GPU, or a processor that multiplies bfloat16 in tiles (AMX).

    Args:
        name: as `leadline.backends.torch_model.open_torch`.
        num_images: about how many it shall answer.

    Raises:
        LeadlineError: if there is no such model, its checkpoint is broken, or PyTorch is needed and not installed.
    """
    from leadline.models import GRAPH, find_checkpoint, read_config

    try:
        folder = find_checkpoint(name)
    except LeadlineError as error:
        raise LeadlineError(
            f"{error}; a checkpoint's or run's folder, FILE.onnx, FILE.xml (OpenVINO) and hf:NAME (Hugging Face) will "
            "do too"
        ) from error
    read_config(folder)  # a folder of something else is told before PyTorch is missed
    if (folder / GRAPH).is_file() and not (num_images >= MANY_IMAGES and _torch_is_quick()):
        return cast("Backend", _opener(KINDS["onnxruntime"])(name, num_images))
    return cast("Backend", _opener(KINDS["torch"])(name))


def _torch_is_quick() -> bool:
    if find_spec("torch") is None or not _may_have_gpu_or_tiles():
        return False
    from leadline.models import has_tiles, pick_device

    return pick_device().type != "cpu" or has_tiles()


def _may_have_gpu_or_tiles() -> bool:
    """Whether PyTorch is to be asked, which takes a second and half a gigabyte to load: on Linux files tell."""
    try:
        flags = CPU_INFO.read_text(encoding="utf-8")
    except OSError:  # another system
        return True
    return " amx_bf16" in flags or any(any(DEVICES.glob(name)) for name in GPU_DEVICES)


def find_kind(model: str | Path) -> tuple[str, str]:
    """Which of `KINDS` a model is of, and its name or path there."""
    kind, colon, name = str(model).partition(":")
    if colon and kind in KINDS:
        return kind, name
    path = Path(model)
    return KIND_OF_FILE.get(path.suffix.lower()) or _kind_of_folder(path), str(model)


def _kind_of_folder(folder: Path) -> str:
    from leadline.io import restore_folder

    restore_folder(folder)
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


def _opener(place: str, extra: str = "torch") -> Any:
    """What MODULE:FUNCTION names.

    Raises:
        LeadlineError: if it needs PyTorch, or what comes with that, and this is not installed.
    """
    module, _, function = place.partition(":")
    try:
        return getattr(import_module(module), function)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in TORCH_EXTRA:
            raise
        raise missing_package(error.name, extra) from error
