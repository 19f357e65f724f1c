#!/usr/bin/env bash
# Pillow and OpenCV obey a TIFF's WhiteIsZero in 8 bits and ignore it in 16.
#
# Guess:  a reader either inverts pictures whose photometric tag says that 0 is white, or never does.
# Fact:   of the same picture with the same tag, both invert the 8-bit file and give the 16-bit one as stored, a
#         negative; tifffile gives both as stored and leaves the tag to the caller.
# Harm:   16-bit scans, X-ray, thermal and near-infrared pictures come as negatives, without a word, to a network that
#         answers anyway; a test with an 8-bit file of the same program shows all well.
# Remedy: read the tag (262) and invert, or refuse, oneself for more than 8 bits.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q numpy==2.4.6 Pillow==13.0.0 tifffile==2026.3.3 opencv-python-headless==5.0.0.93
cd "$folder"
venv/bin/python - <<'PYTHON'
import sys

import cv2
import numpy as np
import PIL
import tifffile
from PIL import Image

print("Pillow", PIL.__version__, "OpenCV", cv2.__version__, "tifffile", tifffile.__version__)
inverted = {}
for dtype in (np.uint8, np.uint16):
    largest = np.iinfo(dtype).max
    stored = (np.array([[0, 0.25, 0.5, 1]]) * largest).astype(dtype)
    tifffile.imwrite("picture.tif", stored, photometric="miniswhite")
    seen = {
        "Pillow": np.asarray(Image.open("picture.tif")),
        "OpenCV": cv2.imread("picture.tif", cv2.IMREAD_UNCHANGED),
        "tifffile": tifffile.imread("picture.tif"),
    }
    for name, array in seen.items():
        inverted[name, array.dtype.itemsize] = np.array_equal(array, largest - stored)
        assert inverted[name, array.dtype.itemsize] or np.array_equal(array, stored)
        print(f"{name}, {dtype.__name__}: stored {stored[0]}, read {array[0]}")
obeys = {name: (inverted[name, 1], inverted[name, 2]) for name in ("Pillow", "OpenCV", "tifffile")}
print("inverted in 8 bits, in 16 bits:", obeys)
sys.exit(0 if obeys == {"Pillow": (True, False), "OpenCV": (True, False), "tifffile": (False, False)} else 1)
PYTHON
