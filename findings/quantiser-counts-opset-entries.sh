#!/usr/bin/env bash
# onnxruntime runs a model that lists its operator set twice; onnxruntime's own quantiser refuses it.
#
# Guess:  the quantiser takes every file that the runtime of the same package, and ONNX's checker, take.
# Fact:   it looks for exactly one entry of the standard domain in the opset list and otherwise says that it failed to
#         find the proper domain, although it is there, twice, with one version.
# Harm:   merged or exported graphs (a network and its pre- and post-processing joined, each bringing its entry) work
#         everywhere until somebody wants int8, and the message sends him to look for a domain that is not missing.
# Remedy: write one entry per domain when a graph is put together, or delete the repeats before the quantiser sees it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q numpy==2.4.6 onnx==1.23.2 onnxruntime==1.32.0
cd "$folder"
venv/bin/python - <<'PYTHON'
import sys

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import quantize_dynamic

print("onnxruntime", ort.__version__, "onnx", onnx.__version__)
weight = np.random.default_rng(0).normal(size=(8, 8)).astype(np.float32)
graph = helper.make_graph(
    [helper.make_node("MatMul", ["x", "w"], ["y"])],
    "g",
    [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 8])],
    [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 8])],
    [numpy_helper.from_array(weight, "w")],
)


def quantised(entries):
    """What the quantiser says to a file with so many equal opset entries, after the runtime ran it."""
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)] * entries, ir_version=10)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, "model.onnx")
    ort.InferenceSession("model.onnx").run(None, {"x": np.ones((1, 8), np.float32)})
    try:
        quantize_dynamic("model.onnx", "int8.onnx")
    except ValueError as error:
        return f"refused: {error}"
    return "quantised"


once, twice = quantised(1), quantised(2)
print("one entry: checked, run,", once)
print("two equal entries: checked, run,", twice)
sys.exit(0 if once == "quantised" and twice.startswith("refused") else 1)
PYTHON
