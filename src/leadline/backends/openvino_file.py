"""OpenVINO files: reading, compiling and writing networks."""

from pathlib import Path
from typing import Any

from leadline.backends.onnx_file import reason
from leadline.errors import LeadlineError


def read_network(path: Path, weights: Path | None = None) -> Any:
    """Read a network that OpenVINO knows the format of.

    Args:
        path: the .xml or .onnx file.
        weights: the .bin file, if its name is another.

    Raises:
        LeadlineError: if openvino is not installed, or a file is missing or broken.
    """
    try:
        import openvino
    except ImportError as error:
        raise LeadlineError('OpenVINO files need one more package: pip install "leadline[openvino]"') from error
    if not path.is_file():
        raise LeadlineError(f"{path} is no file: wanted an OpenVINO file; check the path")
    try:
        return openvino.Core().read_model(path, *([weights] if weights else []))
    except Exception as error:  # openvino's errors have no base of their own
        raise LeadlineError(
            f"{path} is no OpenVINO file that can be read ({reason(error)}): export or copy it again, with its .bin"
        ) from error


def compile_network(model: Any) -> Any:
    """Make a network ready to run on the processor, in float32 even where it has bfloat16."""
    import openvino

    return openvino.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})


def save_network(model: Any, path: Path, weights: Path) -> None:
    """Write a network as an .xml and a .bin file, in float32."""
    from openvino import serialize

    serialize(model, path, weights)


def sizes_of(port: Any) -> list[int | None]:
    """The sizes of an input or output, None where they are free."""
    return [size.get_length() if size.is_static else None for size in port.partial_shape]
