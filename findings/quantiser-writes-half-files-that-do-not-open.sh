#!/usr/bin/env bash
# onnxruntime's dynamic quantiser takes a float16 model and writes a file that onnxruntime does not open.
#
# Guess: a quantiser that returns without an error has written a model that its own runtime loads; a model whose type it
#   cannot handle is refused, or its float16 inputs are cast first.
# Fact: the 8-bit step before a product (DynamicQuantizeLinear) takes float32 alone; the quantiser puts it behind float16
#   values all the same, says nothing, and the session fails later with "Type 'tensor(float16)' ... is invalid".
# Harm: "smaller first, then 8 bits" ends on the machine that was to run the file, not where it was written.
# Remedy: quantise the float32 file; open what was written before it is handed on.
# Versions: onnxruntime 1.32.0, onnx 1.23.2. Seen: float32: opens; float16: written, refused when opened.
set -euo pipefail
here=$(mktemp -d)
trap 'rm -rf "$here"' EXIT
cd "$here"
python3 -m venv venv
venv/bin/pip install --quiet onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6 sympy==1.14.0
cat > show.py <<'PYTHON'
import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import quantize_dynamic

seen = {}
for kind, dtype in ((TensorProto.FLOAT, np.float32), (TensorProto.FLOAT16, np.float16)):
    name = np.dtype(dtype).name
    weights = numpy_helper.from_array(np.eye(64, dtype=dtype), "weights")
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "weights"], ["y"])],
        "product",
        [helper.make_tensor_value_info("x", kind, ["n", 64])],
        [helper.make_tensor_value_info("y", kind, ["n", 64])],
        [weights],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, f"{name}.onnx")
    onnxruntime.InferenceSession(f"{name}.onnx", providers=["CPUExecutionProvider"])  # as it is it opens
    quantize_dynamic(f"{name}.onnx", f"{name}-int8.onnx")
    try:
        onnxruntime.InferenceSession(f"{name}-int8.onnx", providers=["CPUExecutionProvider"])
        seen[name] = "opens"
    except Exception as error:
        assert "tensor(float16)" in str(error), error
        seen[name] = "is written and refused when opened"
print(onnxruntime.__version__, seen)
raise SystemExit(seen != {"float32": "opens", "float16": "is written and refused when opened"})
PYTHON
venv/bin/python show.py 2>/dev/null
