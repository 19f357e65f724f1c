#!/usr/bin/env bash
# What imageio reads from a PFM or EXR depth file hangs on whether PyAV happens to be installed.
#
# Guess:  imread of a float image gives floats or an error; installing a video library changes nothing for still images.
# Fact:   imageio asks its plugins in turn, and which there are hangs on the packages beside it. With PyAV installed,
#         both formats go through FFmpeg and come back as 8-bit RGB, cut at 255, with a leading frame axis. Without PyAV
#         the same call gives the PFM's floats and refuses the EXR. No warning tells of the loss.
# Harm:   every metre from 1 up becomes 255, in an array that is uint8 and three channels wide; code that takes a
#         channel and divides by a scale goes on. It begins the day somebody adds video to the environment.
# Remedy: name the plugin in every call, and check dtype float32 and two dimensions after reading depth.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q numpy==2.4.6 Pillow==13.0.0 imageio==2.38.1 OpenEXR==3.5.3
cd "$folder"
venv/bin/python - <<'PYTHON'
import subprocess
import sys

import numpy as np
import OpenEXR

depth_m = np.array([[0.25, 1.0, 2.5], [4.0, 8.0, 16.0]], np.float32)
with open("depth.pfm", "wb") as file:
    file.write(b"Pf\n3 2\n-1.0\n" + depth_m[::-1].astype("<f4").tobytes())
OpenEXR.File({}, {"Y": depth_m}).write("depth.exr")

READ = """
import imageio, imageio.v3 as iio, importlib.util
print("imageio", imageio.__version__, "PyAV", importlib.util.find_spec("av") is not None)
for name in ("depth.pfm", "depth.exr"):
    try:
        array = iio.imread(name)
        print(name, array.dtype, array.shape, array.ravel()[:3].tolist(), array.max())
    except Exception as error:
        print(name, "refused:", type(error).__name__)
"""


def seen():
    lines = subprocess.run([sys.executable, "-c", READ], check=True, capture_output=True, text=True).stdout
    print(lines, end="")
    return lines


print("stored:", depth_m.tolist())
before = seen()
subprocess.run([sys.executable, "-m", "pip", "install", "-q", "av==18.1.0"], check=True)
after = seen()
sys.exit(0 if "uint8" not in before and after.count("uint8") == 2 else 1)
PYTHON
