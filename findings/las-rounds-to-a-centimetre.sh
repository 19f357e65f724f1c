#!/usr/bin/env bash
# A point cloud written through laspy is rounded to a centimetre unless somebody sets the scale.
#
# Guess:  x, y, z go in as doubles and come out to float precision; "LAS stores integers" is the file's business, and a
#         writer picks steps that fit the data.
# Fact:   a new header has scales of 0.01, and l.x = metres or l.xyz = metres round to it silently. (Many LAS files of
#         land surveys are in metres at that step, where it is right.)
# Harm:   clouds of a room or a desk, in metres from a depth map, end on a lattice of one centimetre: planes turn into
#         steps, normals point along the axes, small objects collapse: 1000 points on a coin of 25 mm keep 9 places.
# Remedy: header.scales = [0.0001] * 3 and header.offsets before the coordinates are set; compare after reading.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q numpy==2.4.6 laspy==2.7.0
cd "$folder"
venv/bin/python - <<'PYTHON'
import sys
from importlib.metadata import version

import laspy
import numpy as np

print("laspy", version("laspy"))
rng = np.random.default_rng(0)
angle, radius_m = rng.uniform(0, 2 * np.pi, 1000), 0.0125 * np.sqrt(rng.uniform(size=1000))
coin_m = np.stack([radius_m * np.cos(angle), radius_m * np.sin(angle), np.full(1000, 0.7314)], axis=1)


def through_a_file(scale_m=None):
    las = laspy.create(point_format=2, file_version="1.2")
    if scale_m is not None:
        las.header.scales = np.full(3, scale_m)
    las.x, las.y, las.z = coin_m.T
    las.write("coin.las")
    las = laspy.read("coin.las")
    return np.stack([las.x, las.y, las.z], axis=1), las.header.scales


for name, scale_m in (("default", None), ("0.1 mm", 1e-4)):
    points_m, scales = through_a_file(scale_m)
    off_mm, places = 1e3 * np.abs(points_m - coin_m).max(), len(np.unique(points_m, axis=0))
    print(f"{name}: scales {scales}, off by {off_mm:.2f} mm, {places} places for {len(coin_m)} points")
    if scale_m is None:
        coarse = off_mm > 4 and places < 20
fine = off_mm < 0.06 and places > 900
sys.exit(0 if coarse and fine else 1)
PYTHON
