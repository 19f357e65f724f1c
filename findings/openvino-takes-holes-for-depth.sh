#!/usr/bin/env bash
# In OpenVINO's CPU plugin NaN is greater than 0, so holes marked by NaN pass the mask that should drop them.
#
# Guess:  every comparison with NaN is false, so a mask "depth > 0" in the graph drops holes; a clamp leaves NaN alone,
#         as in onnxruntime and ONNX's reference evaluator.
# Fact:   OpenVINO (compiled in float32) says true for Greater and GreaterOrEqual when a side is NaN, false for Less and
#         LessOrEqual. Clip turns NaN into its lower end, Relu into 0, Max and Min into the other operand, Exp into
#         infinity; IsNaN is right, and so are sums and products.
# Harm:   holes of a depth map become measurements at the near end of the range, and count as valid. An input that says
#         "unknown" by NaN (a focal length) is clamped to a number. Files verified in onnxruntime hide it.
# Remedy: ask IsNaN first and choose by Where, before any comparison or clamp; or pass a mask beside the depth.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q numpy==2.4.6 onnx==1.23.2 onnxruntime==1.32.0 openvino==2026.4.1
cd "$folder"
venv/bin/python - <<'PYTHON'
import sys

import numpy as np
import onnx
import onnxruntime as ort
import openvino as ov
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

print("onnxruntime", ort.__version__, "OpenVINO", ov.__version__)
outputs = {"above": TensorProto.BOOL, "below": TensorProto.BOOL, "clamped": TensorProto.FLOAT, "hole": TensorProto.BOOL}
graph = helper.make_graph(
    [
        helper.make_node("Greater", ["depth", "zero"], ["above"]),
        helper.make_node("Less", ["depth", "zero"], ["below"]),
        helper.make_node("Clip", ["depth", "near", "far"], ["clamped"]),
        helper.make_node("IsNaN", ["depth"], ["hole"]),
    ],
    "mask",
    [helper.make_tensor_value_info("depth", TensorProto.FLOAT, [1, 16])],
    [helper.make_tensor_value_info(name, kind, [1, 16]) for name, kind in outputs.items()],
    [numpy_helper.from_array(np.float32(value), name) for name, value in (("zero", 0), ("near", 0.5), ("far", 10))],
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
onnx.checker.check_model(model)
onnx.save(model, "mask.onnx")

depth_m = np.full((1, 16), 2, np.float32)
depth_m[0, ::2] = np.nan
compiled = ov.Core().compile_model("mask.onnx", "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
answers = {
    "reference": dict(zip(outputs, ReferenceEvaluator(model).run(None, {"depth": depth_m}))),
    "onnxruntime": dict(zip(outputs, ort.InferenceSession("mask.onnx").run(None, {"depth": depth_m}))),
    "OpenVINO": {name: compiled({"depth": depth_m})[name] for name in outputs},
}
for name, answer in answers.items():
    hole = {output: answer[output][0, 0].item() for output in outputs}
    print(f"{name}: a hole is", hole)
    print("  called valid by depth > 0:", int(answer["above"].sum()), "pixels; 8 have a depth")
right = all(np.array_equal(answers["onnxruntime"][o], answers["reference"][o], equal_nan=True) for o in outputs)
openvino = answers["OpenVINO"]
wrong = openvino["above"].all() and not openvino["below"].any() and np.isclose(openvino["clamped"][0, 0], 0.5)
sys.exit(0 if right and wrong and np.array_equal(openvino["hole"], np.isnan(depth_m)) else 1)
PYTHON
