#!/usr/bin/env bash
# OpenVINO's save_model rounds pixel coordinates and focal lengths to half precision.
#
# Guess:  converting a model and saving it keeps its constants; the saved file answers what the model in memory answers.
# Fact:   save_model(model, path) has compress_to_fp16=True as its default and rounds float32 constants to 16 bits. Half
#         floats count whole numbers up to 2048 only, so pixel centres (2049.5) and focal lengths (2897.3) in the graph
#         move by half a pixel and more. It is not the runtime's precision: the file stays wrong when it is compiled
#         with INFERENCE_PRECISION_HINT f32. Constants of one element are kept exact, so a single focal length survives
#         and a pair (fx, fy) does not.
# Harm:   geometry in an exported depth model (rays, focal scaling, resizing by coordinates) is quietly rounded: columns
#         two by two at one place, beside a network that lost nothing visible.
# Remedy: save_model(model, path, compress_to_fp16=False), or compute coordinates from the shape in the graph.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q numpy==2.4.6 onnx==1.23.2 openvino==2026.4.1
cd "$folder"
venv/bin/python - <<'PYTHON'
import sys

import numpy as np
import onnx
import openvino as ov
from onnx import TensorProto, helper, numpy_helper

print("OpenVINO", ov.__version__)
width, focal_px = 4000, 2897.3  # two focal lengths, across and down
centres = (np.arange(width) + 0.5).astype(np.float32)
graph = helper.make_graph(
    [
        helper.make_node("Mul", ["depth", "centres"], ["x"]),
        helper.make_node("Mul", ["depth", "focal"], ["f"]),
    ],
    "geometry",
    [helper.make_tensor_value_info("depth", TensorProto.FLOAT, [1])],
    [
        helper.make_tensor_value_info("x", TensorProto.FLOAT, [width]),
        helper.make_tensor_value_info("f", TensorProto.FLOAT, [2]),
    ],
    [numpy_helper.from_array(centres, "centres"), numpy_helper.from_array(np.float32([focal_px, focal_px]), "focal")],
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
onnx.checker.check_model(model)
onnx.save(model, "geometry.onnx")
core = ov.Core()


def answers(path):
    """The two outputs at depth 1, computed in float32."""
    compiled = core.compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    result = compiled({"depth": np.ones(1, np.float32)})
    return result["x"], result["f"][0]


ov.save_model(ov.convert_model("geometry.onnx"), "default.xml")
ov.save_model(ov.convert_model("geometry.onnx"), "full.xml", compress_to_fp16=False)
different = {}
for path in ("geometry.onnx", "default.xml", "full.xml"):
    x, f = answers(path)
    different[path] = len(np.unique(x))
    off_px = np.abs(x - centres).max()
    print(f"{path}: {different[path]} different centres of {width}, off by {off_px} pixels, focal length {f}")
    print("  centres 3000 to 3003:", x[3000:3004])
holds = different["geometry.onnx"] == different["full.xml"] == width and different["default.xml"] < width
sys.exit(0 if holds else 1)
PYTHON
