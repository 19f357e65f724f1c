#!/usr/bin/env bash
# onnxruntime's option against overflowing 8-bit products does not open a model whose weight is used twice.
#
# Guess:  session.x64quantprecision=1 trades time for exactness, nothing else: what opens without it opens with it, the
#         more so a file that onnxruntime's own quantiser has written.
# Fact:   the option stores each signed weight and its zero point once more, unsigned, under the name with "_s8_2_u8"
#         behind it. The second product that uses the same weight, or the same zero point, stores that name again, and
#         the file is refused. MatMulInteger, MatMulIntegerToFloat, DynamicQuantizeMatMul, QLinearMatMul, QGemm,
#         QLinearConv and QDQ pairs are all alike in that, from onnxruntime 1.15 (older ones were not tried) to 1.32.
# Harm:   tied weights, two towers on a left and a right picture, unrolled loops and writers that keep one zero for all
#         weights cannot be had exactly on processors with AVX2 and without VNNI, whose products of unsigned and signed
#         bytes overflow; the message speaks of replacing a tensor, not of sharing one.
# Remedy: give each product its own copy of the weight and of the zero point before such a file is opened, or quantise
#         with unsigned weights (QuantType.QUInt8), or within 7 bits (reduce_range=True), which no longer needs it.
# Needs:  an x86 processor with AVX2 (seen on one without VNNI; the source converts with VNNI as well). Without one the
#         script says so and exits 0, having seen nothing.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q numpy==2.4.6 onnx==1.23.2 onnxruntime==1.32.0
cd "$folder"
venv/bin/python - <<'PYTHON'
import logging
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic

logging.disable(logging.WARNING)  # the quantiser recommends its pre-processing
print("onnxruntime", ort.__version__)
flags = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").is_file() else ""
if " avx2" not in flags:
    print("no AVX2 that this system tells of: nothing to see here, nothing claimed")
    sys.exit(0)
print("VNNI:", any(name in flags for name in ("avx512_vnni", "avx_vnni")))
rng = np.random.default_rng(0)
left, right = (rng.uniform(0, 1, (4, 64)).astype(np.float32) for _ in range(2))


def save(nodes, values, path):
    """A checked model from "left" and "right" to "a" and "b", all (4, 64)."""
    ends = [[helper.make_tensor_value_info(name, TensorProto.FLOAT, [4, 64]) for name in pair] for pair in ("lr", "ab")]
    weights = [numpy_helper.from_array(value, name) for name, value in values.items()]
    graph = helper.make_graph(nodes, "g", *ends, weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)


def opened(path, exact):
    """How far the answers are off at most, or what the runtime says."""
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.add_session_config_entry("session.x64quantprecision", str(exact))
    try:
        session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        return f"refused: {str(error).strip().split(' : ')[-1].split('/')[-1]}"
    return session.run(None, {"l": left, "r": right})


def towers(names):
    """Both sides times a weight, by onnxruntime's quantiser; names: of each side's weight."""
    weight = rng.normal(size=(64, 64)).astype(np.float32)
    nodes = [helper.make_node("MatMul", [x, name], [y]) for x, name, y in zip("lr", names, "ab")]
    save(nodes, dict.fromkeys(names, weight), "float.onnx")
    quantize_dynamic("float.onnx", "model.onnx", weight_type=QuantType.QInt8)


def zeros(names):
    """Both sides in bytes times weights of their own; names: of each side's zero point."""
    values = {name: np.array(0, np.int8) for name in names}
    values |= {"step": np.array(1 / 255, np.float32), "none": np.array(0, np.uint8)}
    nodes = []
    for x, name, y in zip("lr", names, "ab"):
        values[f"w{x}"] = rng.integers(-127, 128, (64, 64)).astype(np.int8)
        nodes += [
            helper.make_node("QuantizeLinear", [x, "step", "none"], [f"{x}8"]),
            helper.make_node("MatMulInteger", [f"{x}8", f"w{x}", "none", name], [f"{y}32"]),
            helper.make_node("Cast", [f"{y}32"], [y], to=TensorProto.FLOAT),
        ]
    save(nodes, values, "model.onnx")


holds = True
for what, make, shared, own in (("weight", towers, ["w", "w"], ["w", "v"]), ("zero", zeros, ["z", "z"], ["z", "y"])):
    for how, names in (("shared", shared), ("copied", own)):
        make(names)
        plain, exact = opened("model.onnx", 0), opened("model.onnx", 1)
        refused = isinstance(exact, str)
        told = exact if refused else f"answers differ by up to {np.abs(np.subtract(plain, exact)).max():.4g}"
        print(f"{what} {how}: without the option {'refused' if isinstance(plain, str) else 'opens'}; with it {told}")
        holds &= not isinstance(plain, str) and refused == (how == "shared")
sys.exit(0 if holds else 1)
PYTHON
