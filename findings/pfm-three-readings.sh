#!/usr/bin/env bash
# One PFM, three depths: OpenCV divides by the header's scale, OpenImageIO multiplies and turns the rows, Pillow does
# neither.
#
# Guess:  a PFM's third line tells the byte order by its sign; its size is 1, or is treated by everyone alike, and rows
#         run from below.
# Fact:   OpenCV divides the stored floats by the size of the scale. OpenImageIO multiplies by it and gives the rows in
#         the file's order, so that the map stands on its head beside the other two. Pillow gives the stored floats and
#         puts the scale into info.
# Harm:   a disparity or depth file with scale 0.5 is four times as large in OpenCV as in OpenImageIO; with 0.003922
#         (1/255) 65000 times. A map upside down keeps its mean, so that averages show nothing.
# Remedy: read the header oneself, take the stored floats, rows from below, and state the scale instead of applying it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q numpy==2.4.6 Pillow==13.0.0 opencv-python-headless==5.0.0.93 OpenImageIO==3.2.2.0
cd "$folder"
venv/bin/python - <<'PYTHON'
import sys

import cv2
import numpy as np
import OpenImageIO
import PIL
from PIL import Image

print("Pillow", PIL.__version__, "OpenCV", cv2.__version__, "OpenImageIO", OpenImageIO.__version__)
depth_m = np.array([[1, 2, 3], [4, 5, 6]], np.float32)
divided = kept = multiplied = True
for scale in (-1.0, 1.0, -0.5, 2.0, -0.003922):
    order = "<f4" if scale < 0 else ">f4"
    with open("depth.pfm", "wb") as file:
        file.write(f"Pf\n3 2\n{scale:.6f}\n".encode() + depth_m[::-1].astype(order).tobytes())  # rows from below
    opencv = cv2.imread("depth.pfm", cv2.IMREAD_UNCHANGED)
    image = Image.open("depth.pfm")
    pillow = np.asarray(image)
    oiio = OpenImageIO.ImageInput.open("depth.pfm").read_image("float")[..., 0]
    assert np.array_equal(oiio, OpenImageIO.ImageBuf("depth.pfm").get_pixels("float")[..., 0])
    print(f"scale {scale:.6f}: stored {depth_m.tolist()}")
    print("  OpenCV", opencv.tolist(), "\n  Pillow", pillow.tolist(), image.info, "\n  OpenImageIO", oiio.tolist())
    divided &= np.allclose(opencv, depth_m / abs(scale), rtol=1e-5)
    kept &= np.array_equal(pillow, depth_m)
    multiplied &= np.allclose(oiio, depth_m[::-1] * abs(scale), rtol=1e-5)
sys.exit(0 if divided and kept and multiplied else 1)
PYTHON
