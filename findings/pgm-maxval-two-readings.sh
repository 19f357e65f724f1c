#!/usr/bin/env bash
# A 16-bit PGM whose header says maxval 10000 is other millimetres in Pillow than in OpenCV.
#
# Guess:  a depth map in PGM holds the sensor's numbers; maxval is only the largest that may occur (a sensor's range,
#         4000 or 10000 mm), and every reader gives the stored numbers.
# Fact:   Pillow stretches the samples so that maxval becomes 65535; OpenCV gives them as stored. Text (P2) and binary
#         (P5) alike. With maxval 65535 both agree.
# Harm:   1000 mm read through Pillow become 6554 mm (maxval 10000) or 16384 (4000), exit code 0: depths off by a factor
#         that hangs on each file's header. A training set read by one and an evaluation by the other do not meet.
# Remedy: read PGM depth with a reader that keeps stored numbers, or undo the stretch with the header's maxval; refuse
#         to guess.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q numpy==2.4.6 Pillow==13.0.0 opencv-python-headless==5.0.0.93
cd "$folder"
venv/bin/python - <<'PYTHON'
import sys

import cv2
import numpy as np
import PIL
from PIL import Image

print("Pillow", PIL.__version__, "OpenCV", cv2.__version__)
depth_mm = np.array([[0, 500, 1000, 4000]], np.uint16)
stretched = kept = True
for maxval in (4000, 10000, 65535):
    bodies = {"P5": depth_mm.astype(">u2").tobytes(), "P2": " ".join(map(str, depth_mm[0])).encode() + b"\n"}
    for kind, body in bodies.items():
        with open("depth.pgm", "wb") as file:
            file.write(f"{kind}\n4 1\n{maxval}\n".encode() + body)
        pillow = np.asarray(Image.open("depth.pgm"))
        opencv = cv2.imread("depth.pgm", cv2.IMREAD_UNCHANGED)
        print(kind, "maxval", maxval, "stored", depth_mm[0], "Pillow", pillow[0], "OpenCV", opencv[0])
        stretched &= np.array_equal(pillow, np.rint(depth_mm * (65535 / maxval)))
        kept &= np.array_equal(opencv, depth_mm)
sys.exit(0 if stretched and kept else 1)
PYTHON
