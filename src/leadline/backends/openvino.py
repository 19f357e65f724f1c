"""OpenVINO files: NET.xml beside NET.bin, with one image in and one depth map out."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from leadline.backends.onnx import FileBackend
from leadline.backends.onnx_file import FOCAL, PREFIX, FileInfo, Network, check_input, check_output, read_info
from leadline.backends.openvino_file import compile_network, read_network, sizes_of


def open_openvino(name: str | Path) -> FileBackend:
    """Open an OpenVINO file.

    Args:
        name: the .xml file; inputs and outputs as `leadline.backends.onnx.open_onnx`, and `FOCAL` may be one.

    Returns:
        The network on the CPU, in float32.

    Raises:
        LeadlineError: as `leadline.backends.onnx.open_onnx`.
    """
    path = Path(name)
    model = read_network(path)
    inputs = [(it.any_name, it.element_type.to_string(), sizes_of(it)) for it in model.inputs]
    pictures = [it for it in inputs if it[0] != FOCAL]
    height, width = check_input(path, pictures)
    outputs = [(min(it.names, default=f"output {place}"), sizes_of(it)) for place, it in enumerate(model.outputs)]
    places = [[name for name, _ in outputs].index(name) for name in check_output(path, outputs)]
    part = PREFIX.rstrip(".")
    told = [key for key in FileInfo.model_fields if model.has_rt_info([part, key])]
    info = read_info(path, {PREFIX + key: model.get_rt_info([part, key]).astype(str) for key in told})
    network = compile_network(model)
    takes_focal = len(inputs) > len(pictures)

    def run(feed: dict[str, NDArray[np.float32]]) -> list[NDArray[np.float32]]:
        answers = network(feed)
        return [answers[place] for place in places]

    return FileBackend(path, Network(run, pictures[0][0], takes_focal, height, width), info, "openvino")
