#!/usr/bin/env bash
# trimesh keeps the low byte of 16-bit colours: white stays white, half grey becomes black.
#
# Guess:  colours of 16 bits are scaled to the 8 bits that trimesh keeps, as its float colours (0 to 1) are, or refused.
# Fact:   they are cast: the upper byte falls off. 65535 becomes 255 (right by chance), 32768 becomes 0, 40000 becomes
#         64 instead of 156. The same happens to PLY files with "ushort" colours when trimesh reads them.
# Harm:   LAS and PLY clouds with 16-bit colours (LAS has no others) turn into coloured noise, the whites kept, so that
#         a check of the brightest point or of the dtype finds nothing.
# Remedy: (colours >> 8).astype("uint8") before they are handed over, after looking whether the writer truly used 16
#         bits.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q numpy==2.4.6 trimesh==5.2.0
cd "$folder"
venv/bin/python - <<'PYTHON'
import io
import sys

import numpy as np
import trimesh

print("trimesh", trimesh.__version__)
points = np.eye(3)
sixteen = np.array([[65535, 32768, 16384], [65535, 40000, 50000], [257, 256, 255]], np.uint16)
wanted = (sixteen >> 8).astype(np.uint8)
given = trimesh.PointCloud(points, colors=sixteen).colors[:, :3]
floats = trimesh.PointCloud(points, colors=sixteen / 65535).colors[:, :3]
rows = "".join(f"{x} {y} {z} {r} {g} {b}\n" for (x, y, z), (r, g, b) in zip(points, sixteen))
axes = "".join(f"property float {axis}\n" for axis in "xyz")
channels = "".join(f"property ushort {channel}\n" for channel in ("red", "green", "blue"))
ply = f"ply\nformat ascii 1.0\nelement vertex 3\n{axes}{channels}end_header\n{rows}"
read = trimesh.load(io.BytesIO(ply.encode()), file_type="ply").colors[:, :3]
print("16 bits: ", sixteen.tolist())
print("wanted:  ", wanted.tolist())
print("given:   ", given.tolist())
print("read:    ", read.tolist())
print("as float:", floats.tolist())
low_byte = (sixteen & 255).astype(np.uint8)
near = np.abs(floats.astype(int) - wanted).max() <= 1
sys.exit(0 if np.array_equal(given, low_byte) and np.array_equal(read, low_byte) and near else 1)
PYTHON
