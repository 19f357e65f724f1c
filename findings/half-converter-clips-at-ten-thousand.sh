#!/usr/bin/env bash
# One float16 converter clips constants at 10000, though a half holds 65504; its copy in onnxruntime does not.
#
# Guess:  converting a file to half precision rounds its constants; what a half can hold (up to 65504) stays, and the
#         two converters, one a copy of the other under the same name, do the same.
# Fact:   onnxconverter_common.float16 has max_finite_val=1e4 as its default: constants of 12000 and 40000 both become
#         10000. One warning names the largest number of an array, not the others and not which array.
#         onnxruntime.transformers.float16 keeps both values.
# Harm:   depth models carry such constants: millimetres, disparity scales, the far code of invalid pixels, products of
#         focal lengths. 40 m in millimetres becomes 10 m; a test on small numbers sees nothing.
# Remedy: pass max_finite_val=65504.0, or use the copy in onnxruntime; compare initializers before and after.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q numpy==2.4.6 onnx==1.23.2 onnxruntime==1.32.0 onnxconverter-common==1.16.0
cd "$folder"
venv/bin/python - <<'PYTHON'
import sys
import warnings
from importlib.metadata import version

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper
from onnxconverter_common import float16 as common
from onnxruntime.transformers import float16 as copied

print("onnxconverter-common", version("onnxconverter-common"), "onnxruntime", ort.__version__)
far_mm = np.float32([9000, 12000, 40000])
graph = helper.make_graph(
    [helper.make_node("Mul", ["x", "far"], ["y"])],
    "g",
    [helper.make_tensor_value_info("x", TensorProto.FLOAT, [3])],
    [helper.make_tensor_value_info("y", TensorProto.FLOAT, [3])],
    [numpy_helper.from_array(far_mm, "far")],
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
onnx.checker.check_model(model)


def answer(converter, **options):
    """The converted file's answer to ones, and how many warnings the converter gave."""
    with warnings.catch_warnings(record=True) as given:
        warnings.simplefilter("always")
        half = converter(onnx.ModelProto.FromString(model.SerializeToString()), keep_io_types=True, **options)
    result = ort.InferenceSession(half.SerializeToString()).run(None, {"x": np.ones(3, np.float32)})[0]
    return result, [str(entry.message) for entry in given if "truncated" in str(entry.message)]


print("constants:", far_mm)
clipped, told = answer(common.convert_float_to_float16)
print("onnxconverter-common:", clipped, "warnings", told)
asked, _ = answer(common.convert_float_to_float16, max_finite_val=65504.0)
print("the same with max_finite_val=65504:", asked)
kept, _ = answer(copied.convert_float_to_float16)
print("onnxruntime's copy:", kept)
holds = clipped.tolist() == [9000, 10000, 10000] and np.array_equal(kept, far_mm) and np.array_equal(asked, far_mm)
sys.exit(0 if holds else 1)
PYTHON
