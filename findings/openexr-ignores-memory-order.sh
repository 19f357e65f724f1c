#!/usr/bin/env bash
# OpenEXR's own Python package writes an array's memory as it lies, whatever its strides say.
#
# Guess:  an array with the right shape, dtype and values is written as those values. NumPy users hand over views all
#         day; a package that cannot take one says so.
# Fact:   OpenEXR.File takes an array in column-major order (a transposed depth map, one from MATLAB) without a word,
#         reads its buffer from the start as if it were row-major, and stores the pixels in the wrong places. The shape
#         is right, so are minimum, maximum and mean.
# Harm:   a metric depth map whose statistics look healthy and whose pixels are shuffled; here 10 of 12 hold the depth
#         of another one.
# Remedy: numpy.ascontiguousarray on every channel before it is handed over, and one comparison after writing.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q numpy==2.4.6 OpenEXR==3.5.3
cd "$folder"
venv/bin/python - <<'PYTHON'
import sys

import numpy as np
import OpenEXR

print("OpenEXR", OpenEXR.__version__)
depth_m = np.linspace(0.5, 8.0, 12, dtype=np.float32).reshape(3, 4)
turned_m = np.asfortranarray(depth_m)  # same shape, dtype and values; only the memory lies by columns
assert np.array_equal(depth_m, turned_m)


def through_a_file(pixels):
    OpenEXR.File({}, {"Z": pixels}).write("depth.exr")
    return OpenEXR.File("depth.exr").channels()["Z"].pixels


plain, turned = through_a_file(depth_m), through_a_file(turned_m)
mended = through_a_file(np.ascontiguousarray(turned_m))
print("rows in memory, read back:\n", plain)
print("columns in memory, read back:\n", turned)
print("pixels in the wrong place:", int((turned != depth_m).sum()), "of", depth_m.size)
print("mean written and read:", depth_m.mean(), turned.mean())
holds = np.array_equal(plain, depth_m) and np.array_equal(mended, depth_m) and not np.array_equal(turned, depth_m)
sys.exit(0 if holds else 1)
PYTHON
