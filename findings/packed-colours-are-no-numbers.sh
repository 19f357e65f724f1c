#!/usr/bin/env bash
# The colours of a point cloud are bits in a float: written as a number they are black, widened they are redder.
#
# Guess:  rgb of a .pcd file is a field of TYPE F as x, y and z are; what keeps floats keeps it: text with ten decimals,
#         or an array of float64, which holds every float32 exactly.
# Fact:   the field holds the bits 0xAARRGGBB. With alpha 0 they are a float below 1e-37, and pypcd4 saves text with ten
#         decimals: every colour is read back as black, by itself and by everyone else. With alpha 255 (pcl::PointXYZRGB's
#         own) and a red of 128 or more they are a NaN: text has "nan", and float64, which PointCloud.numpy() answers as
#         soon as there is a label or another whole number among the fields, sets a NaN's quiet bit: a red of 128 to 191
#         comes back as 192 to 255.
# Harm:   organised clouds of a Kinect or RealSense are images with depth; a quarter of all reds is brightened by 64, or
#         the image is black, while the geometry beside it is right to the last digit. Nothing is raised.
# Remedy: view the column as uint32 before anything else touches it; never print, widen, average or multiply it; write
#         TYPE U, as PCL's and Open3D's text does.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q numpy==2.4.6 pypcd4==1.5.1
cd "$folder"
venv/bin/python -W ignore - <<'PYTHON'
import sys
from importlib.metadata import version

import numpy as np
from pypcd4 import Encoding, MetaData, PointCloud

print("pypcd4", version("pypcd4"), "NumPy", np.__version__)
FIELDS = ["label", "x", "y", "z", "rgb"]
reds = np.arange(256)


def saved_and_read(alpha, encoding):
    points = np.zeros(256, [("label", "<u4"), *((name, "<f4") for name in FIELDS[1:])])
    points["rgb"] = (np.uint32(alpha << 24) | (reds.astype("<u4") << 16) | np.uint32(0x1234)).view("<f4")
    metadata = MetaData.model_validate(
        {"fields": FIELDS, "size": [4] * 5, "type": list("UFFFF"), "count": [1] * 5, "width": 256, "points": 256}
        | {"data": encoding.value}
    )
    PointCloud(metadata, points).save("cloud.pcd", encoding=encoding)
    return PointCloud.from_path("cloud.pcd")


text = saved_and_read(0, Encoding.ASCII)
black = not PointCloud.decode_rgb(text.pc_data["rgb"]).any()
print("text, alpha 0:", open("cloud.pcd").read().splitlines()[-1], "| all colours are black:", black)

saved_and_read(255, Encoding.ASCII)
words = [line.split()[-1] for line in open("cloud.pcd").read().splitlines()[-256:]]
lost = [int(red) for red in reds[[word == "nan" for word in words]]]
print("text, alpha 255: nan for red", lost[0], "to", lost[-1])

binary = saved_and_read(255, Encoding.BINARY)
kept = PointCloud.decode_rgb(binary.pc_data["rgb"])[:, 0].astype(int)
array = binary.numpy()
widened = PointCloud.decode_rgb(np.ascontiguousarray(array[:, 4].astype(np.float32)))[:, 0].astype(int)
for red in (100, 128, 150, 191, 192):
    print(f"binary, alpha 255: red {red} is {kept[red]} as it is stored, {widened[red]} out of numpy() ({array.dtype})")
redder = np.array_equal(widened - kept, np.where((reds >= 128) & (reds < 192), 64, 0)) and np.array_equal(kept, reds)

sys.exit(0 if black and lost == list(range(128, 256)) and redder else 1)
PYTHON
