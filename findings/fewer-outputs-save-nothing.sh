#!/usr/bin/env bash
# Asked for one of its outputs, onnxruntime works out all of them.
#
# Guess:  run(["depth"], ...) leaves out what only the other outputs need, as TensorFlow's sessions did: names of
#         outputs are there to be chosen from.
# Fact:   every node of the file runs whatever the names; they choose what is handed over. Nodes run even where the file
#         names no output that needs them: no optimisation at loading, not even the highest, takes dead branches out.
# Harm:   a model with heads for depth, normals and confidence costs as much where the depth alone is wanted, as in a
#         video, and the caller who names one output believes to have saved the others.
#         Deleting the entry from graph.output, the usual recipe, changes nothing either.
# Remedy: cut the file with onnx.utils.Extractor, which takes along what the wanted outputs need and no more, or export
#         one for each set of outputs; count the kernels in a profile, not the names in the call.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q numpy==2.4.6 onnx==1.23.2 onnxruntime==1.32.0
cd "$folder"
venv/bin/python - <<'PYTHON'
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import onnx.utils
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

print("onnxruntime", ort.__version__)
steps = ["x", "m0", "m1", "m2", "confidence"]
nodes = [helper.make_node("Relu", ["x"], ["depth"])]
nodes += [helper.make_node("MatMul", [before, "w"], [after]) for before, after in zip(steps, steps[1:])]
outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [64, 64]) for name in ("depth", "confidence")]
graph = helper.make_graph(
    nodes,
    "g",
    [helper.make_tensor_value_info("x", TensorProto.FLOAT, [64, 64])],
    outputs,
    [numpy_helper.from_array(np.random.default_rng(0).normal(size=(64, 64)).astype(np.float32), "w")],
)
both = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
unnamed = onnx.ModelProto()
unnamed.CopyFrom(both)
del unnamed.graph.output[1]
cut = onnx.utils.Extractor(both).extract_model(["x"], ["depth"])


def kernels(model: onnx.ModelProto, names: Sequence[str] | None) -> int:
    """How many products one call works out."""
    options = ort.SessionOptions()
    options.enable_profiling = True
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    session.run(names, {"x": np.ones((64, 64), np.float32)})
    events = json.loads(Path(session.end_profiling()).read_text())
    return sum(event.get("args", {}).get("op_name") == "MatMul" and "kernel" in event["name"] for event in events)


counts = {
    "both outputs, both asked for": kernels(both, None),
    "both outputs, depth asked for": kernels(both, ["depth"]),
    "the other output taken from the list": kernels(unnamed, None),
    "the file cut to the depth": kernels(cut, None),
}
for what, number in counts.items():
    print(f"{what}: {number} products of the confidence's branch")
sys.exit(0 if list(counts.values()) == [4, 4, 4, 0] else 1)
PYTHON
