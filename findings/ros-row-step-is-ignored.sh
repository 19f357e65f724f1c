#!/usr/bin/env bash
# rosbags-image ignores the row step of a ROS image: padded rows come out sheared, with the right shape.
#
# Guess:  sensor_msgs/Image has "step", the length of a row in bytes, because rows may be padded; a reader skips the
#         padding or refuses what it cannot lay out.
# Fact:   message_to_cvimage takes the first height x width values of the buffer as they come. Every row starts later
#         than the one before it, padding zeros appear as depth 0, and the last rows are missing.
# Harm:   cameras and drivers that align rows (to 64 bytes, say, or a region cut out of a larger image) give depth maps
#         that shear, with holes, exit code 0; a width that needs no padding shows nothing.
# Remedy: lay the buffer out oneself: numpy.frombuffer(...).reshape(height, step) and then the first width x size bytes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q numpy==2.4.6 rosbags==0.11.9 rosbags-image==0.10.4 opencv-python-headless==5.0.0.93
cd "$folder"
venv/bin/python - <<'PYTHON'
import sys
from importlib.metadata import version

import numpy as np
from rosbags.image import message_to_cvimage
from rosbags.typesys import Stores, get_typestore

print("rosbags-image", version("rosbags-image"))
types = get_typestore(Stores.ROS2_HUMBLE).types
header = types["std_msgs/msg/Header"](types["builtin_interfaces/msg/Time"](0, 0), "camera")
depth_mm = 1000 + np.arange(12, dtype=np.uint16).reshape(3, 4)


def read(columns):
    """The depth map from a message whose rows are padded to so many columns."""
    rows = np.zeros((3, columns), np.uint16)
    rows[:, :4] = depth_mm
    data = rows.view(np.uint8).ravel()
    return message_to_cvimage(types["sensor_msgs/msg/Image"](header, 3, 4, "16UC1", 0, 2 * columns, data))


tight, padded = read(4), read(6)
print("step 8 bytes:\n", tight)
print("step 12 bytes, same picture:\n", padded)
sheared = padded.shape == depth_mm.shape and not np.array_equal(padded, depth_mm)
sys.exit(0 if np.array_equal(tight, depth_mm) and sheared else 1)
PYTHON
