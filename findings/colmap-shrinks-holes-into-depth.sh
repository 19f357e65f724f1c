#!/usr/bin/env bash
# COLMAP's DepthMap, made smaller, mixes its holes (0) into the depths beside them.
#
# Guess:  the depth class of a stereo program, which knows 0 as "no depth" and carries depth_min and depth_max, leaves
#         holes out when it resizes, or samples.
# Fact:   pycolmap's DepthMap.downsize and rescale filter the numbers as a picture: beside a hole next to a wall at 2 m
#         stand depths of 1.89 and 0.11 m, both within the map's own depth range. The file keeps no range either: after
#         write and read it is -1 to -1.
# Harm:   each hole and each missing background wraps its objects in points that float towards the camera, and they pass
#         for valid because they are not 0.
# Remedy: take to_array(), shrink with the mask (divide the shrunk depth by the shrunk mask, or sample), build a new
#         map.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q numpy==2.4.6 pycolmap==4.2.1
cd "$folder"
venv/bin/python - <<'PYTHON'
import sys

import numpy as np
import pycolmap

print("pycolmap", pycolmap.__version__)
depth_m = np.full((8, 8), 2, np.float32)
depth_m[:, 4:] = 0  # no depth on the right half
found = {}
for name in ("downsize", "rescale"):
    smaller = pycolmap.DepthMap.from_array(depth_m, 0.1, 10.0)
    smaller.downsize(4, 4) if name == "downsize" else smaller.rescale(0.5)
    pixels = smaller.to_array()
    found[name] = pixels[(pixels > smaller.depth_min) & (pixels < 1.99)]
    print(f"{name}: a row of 2, 2, 2, 2, 0, 0, 0, 0 m becomes {pixels[0]}")
    print("  invented depths in range:", found[name].size)
whole = pycolmap.DepthMap.from_array(depth_m, 0.1, 10.0)
whole.write("depth.bin")
again = pycolmap.DepthMap()
again.read("depth.bin")
print("range set:", whole.depth_min, whole.depth_max, "after a file:", again.depth_min, again.depth_max)
kept = np.array_equal(again.to_array(), depth_m)
sys.exit(0 if kept and all(values.size for values in found.values()) and again.depth_max < 0 else 1)
PYTHON
