#!/usr/bin/env bash
# The scale in a PFM's header is a divisor in OpenCV, nothing in Pillow, and its sign is all that most people know of.
#
# Guess:  a PFM's third line tells the byte order by its sign; its size is 1, or is ignored, or multiplied in, by
#         everyone alike.
# Fact:   OpenCV divides the stored floats by the size of the scale; Pillow gives the stored floats and puts the scale
#         into info. Both turn the rows the right way up, so the two arrays look alike.
# Harm:   a disparity or depth file with scale 0.5 is twice as large in OpenCV as in Pillow; one with 1/255 (a scale
#         which stereo tools write) 255 times. Error measures between the two are then a matter of the reader.
# Remedy: read the header oneself, take the stored floats, and state the scale instead of applying it.
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
depth_m = np.array([[1, 2, 3], [4, 5, 6]], np.float32)
divided = kept = True
for scale in (-1.0, 1.0, -0.5, 2.0, -0.003922):
    order = "<f4" if scale < 0 else ">f4"
    with open("depth.pfm", "wb") as file:
        file.write(f"Pf\n3 2\n{scale:.6f}\n".encode() + depth_m[::-1].astype(order).tobytes())  # rows from below
    opencv = cv2.imread("depth.pfm", cv2.IMREAD_UNCHANGED)
    image = Image.open("depth.pfm")
    pillow = np.asarray(image)
    print(f"scale {scale:.6f}: stored {depth_m[0]}, OpenCV {opencv[0]}, Pillow {pillow[0]} with {image.info}")
    divided &= np.allclose(opencv, depth_m / abs(scale), rtol=1e-5)
    kept &= np.array_equal(pillow, depth_m)
sys.exit(0 if divided and kept else 1)
PYTHON
