#!/usr/bin/env bash
# safetensors' NumPy side writes a transposed weight's memory under the transposed shape; its torch side refuses it.
#
# Guess:  a weight saved is the weight loaded. At most the saver complains of memory order, as safetensors.torch does
#         when a tensor is not contiguous.
# Fact:   safetensors.numpy.save and save_file hand the buffer over as it lies. An array in column-major order (a weight
#         turned by .T, as linear layers need between frameworks) is stored with the right name, shape and dtype and its
#         numbers in the wrong places. A sentence in the documentation asks for contiguous arrays; nothing checks.
# Harm:   a converted checkpoint that loads everywhere and answers nonsense; square weights betray nothing by shape,
#         statistics of a layer agree to the last digit, and the search begins in the network.
# Remedy: numpy.ascontiguousarray on every array before saving, and one comparison after loading.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q numpy==2.4.6 safetensors==0.8.0
cd "$folder"
venv/bin/python - <<'PYTHON'
import sys

import numpy as np
import safetensors
from safetensors.numpy import load, load_file, save, save_file

print("safetensors", safetensors.__version__)
weight = np.arange(12, dtype=np.float32).reshape(4, 3).T  # three rows of four, its memory by columns
save_file({"weight": weight}, "weights.safetensors")
by_file, by_bytes = load_file("weights.safetensors")["weight"], load(save({"weight": weight}))["weight"]
mended = load(save({"weight": np.ascontiguousarray(weight)}))["weight"]
print("saved:\n", weight)
print("loaded:\n", by_file)
print("same shape:", by_file.shape == weight.shape, "| same mean:", by_file.mean() == weight.mean())
print("numbers in the wrong place:", int((by_file != weight).sum()), "of", weight.size)
wrong = not np.array_equal(by_file, weight) and np.array_equal(by_file, by_bytes)
sys.exit(0 if wrong and np.array_equal(mended, weight) else 1)
PYTHON
