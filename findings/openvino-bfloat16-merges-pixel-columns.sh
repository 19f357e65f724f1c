#!/usr/bin/env bash
# OpenVINO computes pixel rays in bfloat16, unasked, where the processor has it.
#
# Guess:  a float32 ONNX file is computed in float32, to about 1e-6. A lower precision is something one asks for.
# Fact:   on a processor with bfloat16 the CPU plugin's default INFERENCE_PRECISION_HINT is bfloat16. bfloat16 has eight
#         significant bits, so from 256 on it cannot count pixels: when a matrix product turns pixels into rays (inverse
#         camera matrix times pixel), neighbouring columns are rounded onto one ray.
# Harm:   networks bear that precision, geometry in the same file does not: points fall into stripes, resizing done by
#         coordinates picks wrong pixels, metres change by per cents; on the developer's older machine all is well.
# Remedy: compile with {"INFERENCE_PRECISION_HINT": "f32"}, or keep coordinates out of float arithmetic in the graph
#         (integers), and name the precision beside every number.
# Needs:  a processor with bfloat16. Without one the script says so and exits 0, having seen nothing.
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
core = ov.Core()
capabilities = core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
print("this processor:", capabilities)
if "BF16" not in capabilities:
    print("no bfloat16 on this processor: nothing to see here, nothing claimed")
    sys.exit(0)

width = 640
columns = np.arange(width, dtype=np.float32)
pixels = np.stack([columns, np.full_like(columns, 200), np.ones_like(columns)])
camera = np.array([[525, 0, 319.5], [0, 525, 239.5], [0, 0, 1]])
inverse = np.linalg.inv(camera).astype(np.float32)
graph = helper.make_graph(
    [helper.make_node("MatMul", ["inverse", "pixels"], ["rays"])],
    "rays",
    [helper.make_tensor_value_info("inverse", TensorProto.FLOAT, [3, 3])],
    [helper.make_tensor_value_info("rays", TensorProto.FLOAT, [3, width])],
    [numpy_helper.from_array(pixels, "pixels")],
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
onnx.checker.check_model(model)
onnx.save(model, "rays.onnx")

different = {}
for name, config in (("default", {}), ("f32", {"INFERENCE_PRECISION_HINT": "f32"})):
    compiled = core.compile_model("rays.onnx", "CPU", config)
    rays = compiled({"inverse": inverse})[0]
    different[name] = len(np.unique(rays[0]))
    error_px = np.abs(rays[0] * 525 + 319.5 - columns).max()
    hint = compiled.get_property("INFERENCE_PRECISION_HINT").to_string()
    print(f"{name}: computed in {hint}, {different[name]} rays for {width} columns, off by {error_px:.4f} pixels")
    print("  columns 500 to 503:", rays[0, 500:504])
sys.exit(0 if different["default"] < 0.9 * width and different["f32"] == width else 1)
PYTHON
