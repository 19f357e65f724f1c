#!/usr/bin/env bash
# Asked for ROS's float depth, rosbags-image gives millimetres as floats; asked for its integer depth, metres cut to 0.
#
# Guess:  in ROS a depth image is 16UC1 in millimetres or 32FC1 in metres; a conversion between the two that offers
#         itself by these names (and scales 8 to 16 bits between mono8 and mono16) converts the unit.
# Fact:   between 16UC1 and 32FC1 only the number type changes. 1500 mm become 1500.0, and 1.5 m become 1; everything
#         nearer than 1 m becomes 0, which is ROS's code for "no measurement".
# Harm:   a reader that asks for one encoding to be safe gets depths a thousand times too large from one camera, and
#         holes and whole metres from another; both look like a bad sensor.
# Remedy: take the message in its own encoding and scale by that encoding's unit; never ask for another one.
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


def converted(array, encoding, wanted):
    height, width = array.shape
    data = array.view(np.uint8).ravel()
    message = types["sensor_msgs/msg/Image"](header, height, width, encoding, 0, array.strides[0], data)
    return message_to_cvimage(message, wanted)


depth_mm = np.array([[0, 400, 900, 1500, 3999]], np.uint16)
depth_m = (depth_mm / 1000).astype(np.float32)
floats = converted(depth_mm, "16UC1", "32FC1")
whole = converted(depth_m, "32FC1", "16UC1")
bytes_as_16 = converted(np.array([[0, 128, 255]], np.uint8), "mono8", "mono16")
print("16UC1 (mm)", depth_mm[0], "asked for as 32FC1 (m):", floats[0])
print("32FC1 (m)", depth_m[0], "asked for as 16UC1 (mm):", whole[0])
print("mono8 0, 128, 255 asked for as mono16:", bytes_as_16[0])
holds = np.array_equal(floats, depth_mm) and whole.max() < 5 and (whole[depth_m < 1] == 0).all()
sys.exit(0 if holds and bytes_as_16[0, 2] > 255 else 1)
PYTHON
