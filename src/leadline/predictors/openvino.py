"""OpenVINO files: NET.xml beside NET.bin, with one picture in and one depth map out."""

from pathlib import Path
from typing import Any

from leadline.errors import UserError
from leadline.predictors.onnx import (
    FOCAL,
    PREFIX,
    FileInfo,
    FilePredictor,
    Network,
    check_input,
    check_output,
    read_info,
    reason,
)


def open_openvino(path: Path) -> FilePredictor:
    """Open an OpenVINO file.

    Args:
        path: the .xml file; inputs and outputs as `leadline.predictors.onnx.open_onnx`, and `FOCAL` may be one.

    Returns:
        The network on the processor, in float32.

    Raises:
        UserError: as `leadline.predictors.onnx.open_onnx`.
    """
    model = read_network(path)
    inputs = [(it.any_name, it.element_type.to_string(), _sizes(it)) for it in model.inputs]
    pictures = [it for it in inputs if it[0] != FOCAL]
    height, width = check_input(path, pictures)
    check_output(path, [("output", _sizes(it)) for it in model.outputs])
    part = PREFIX.rstrip(".")
    told = [key for key in FileInfo.model_fields if model.has_rt_info([part, key])]
    info = read_info(path, {PREFIX + key: model.get_rt_info([part, key]).astype(str) for key in told})
    network = compile_network(model)
    takes_focal = len(inputs) > len(pictures)
    return FilePredictor(path, Network(lambda feed: network(feed)[0], pictures[0][0], takes_focal, height, width), info)


def read_network(path: Path, weights: Path | None = None) -> Any:
    """Read a network that OpenVINO knows the format of.

    Args:
        path: the .xml or .onnx file.
        weights: the .bin file, if its name is another.

    Raises:
        UserError: if openvino is not installed, or a file is missing or broken.
    """
    try:
        import openvino
    except ImportError as error:
        raise UserError('OpenVINO files need one more package: pip install "leadline[openvino]"') from error
    if not path.is_file():
        raise UserError(f"{path} is no file: wanted an OpenVINO file; check the path")
    try:
        return openvino.Core().read_model(path, *([weights] if weights else []))
    except Exception as error:  # openvino's errors have no base of their own
        raise UserError(
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


def _sizes(port: Any) -> list[int | None]:
    return [size.get_length() if size.is_static else None for size in port.partial_shape]
