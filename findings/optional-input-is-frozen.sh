#!/usr/bin/env bash
# An optional input of an ONNX graph can be set in onnxruntime only; OpenVINO, OpenCV and onnxslim freeze its default.
#
# Guess:  a graph input that also has an initializer is an input with a default, as the ONNX text says; a tool that
#         reads or rewrites the file keeps it, or refuses.
# Fact:   OpenVINO's reader lists only the other inputs and takes the default as a constant, OpenCV's dnn module does
#         not know the name, and onnxslim returns a smaller file without the input. None says a word while it reads. In
#         onnxruntime the input is hidden too (get_overridable_initializers), but it works.
# Harm:   a depth model that takes the focal length as an optional input loses it on the way to another runtime, and
#         what remains answers every camera as if it were the default one: metres wrong by the ratio of focal lengths.
# Remedy: make the focal length a required input in files that are meant to travel, and look for its name among the
#         inputs after each conversion.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q numpy==2.4.6 onnx==1.23.2 onnxruntime==1.32.0 \
    openvino==2026.4.1 opencv-python-headless==5.0.0.93 onnxslim==0.1.98
cd "$folder"
venv/bin/python - <<'PYTHON'
import sys

import cv2
import numpy as np
import onnx
import onnxruntime as ort
import onnxslim
import openvino as ov
from onnx import TensorProto, helper, numpy_helper

print("onnxruntime", ort.__version__, "OpenVINO", ov.__version__)
print("OpenCV", cv2.__version__, "onnxslim", onnxslim.__version__)
ort.set_default_logger_severity(3)
graph = helper.make_graph(
    [helper.make_node("Mul", ["x", "focal"], ["depth"])],
    "optional",
    [
        helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4]),
        helper.make_tensor_value_info("focal", TensorProto.FLOAT, [1]),
    ],
    [helper.make_tensor_value_info("depth", TensorProto.FLOAT, [1, 4])],
    [numpy_helper.from_array(np.float32([1]), "focal")],
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
onnx.checker.check_model(model, full_check=True)
onnx.save(model, "optional.onnx")
x, focal = np.ones((1, 4), np.float32), np.float32([2])


def refusal(action):
    try:
        action()
    except Exception as error:  # each runtime has its own kind
        return str(error).strip().splitlines()[-1][-90:]
    return ""


session = ort.InferenceSession("optional.onnx")
by_default, doubled = session.run(None, {"x": x})[0], session.run(None, {"x": x, "focal": focal})[0]
print("onnxruntime: default", by_default[0, 0], "set to 2", doubled[0, 0])

read = ov.Core().read_model("optional.onnx")
compiled = ov.Core().compile_model(read, "CPU")
openvino_inputs = [port.any_name for port in read.inputs]
openvino_refusal = refusal(lambda: compiled({"x": x, "focal": focal}))
print("OpenVINO: inputs", openvino_inputs, "| when set:", openvino_refusal)

net = cv2.dnn.readNetFromONNX("optional.onnx")
net.setInput(x, "x")
opencv_refusal = refusal(lambda: (net.setInput(focal, "focal"), net.forward()))
print("OpenCV: when set:", opencv_refusal)

slim_inputs = [entry.name for entry in onnxslim.slim(model).graph.input]
print("onnxslim: inputs", slim_inputs)
works = by_default[0, 0] == 1 and doubled[0, 0] == 2
lost = openvino_inputs == ["x"] and openvino_refusal and opencv_refusal and slim_inputs == ["x"]
sys.exit(0 if works and lost else 1)
PYTHON
