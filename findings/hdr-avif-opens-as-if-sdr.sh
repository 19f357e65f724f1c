#!/usr/bin/env bash
# An AVIF with HDR (PQ) opens in Pillow and OpenCV as 8-bit numbers that nothing tells from sRGB.
#
# Guess:  a reader that answers RGB either brings HDR to sRGB or says which curve the file names, as pillow-heif does for
#         a HEIC with the same code points.
# Fact:   Pillow answers mode RGB with the curve's numbers as they are, and its `info` holds times alone; OpenCV's array has no place for
#         it. The code points (H.273: 9, 16) stand in the file's `colr` box, where imagecodecs wrote them.
# Harm:   a phone's HDR photo is flat and pale, and a network that was taught on sRGB answers other metres, without a word:
#         a wall of half the light of diffuse white has 130 of 255 where sRGB has 188.
# Remedy: look for `colr` of type nclx in the file oneself (item of the primary picture) and undo PQ or HLG, or refuse.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q numpy==2.4.6 Pillow==12.3.0 pillow-heif==1.8.1 imagecodecs==2026.3.6 opencv-python-headless==5.0.0.93
cd "$folder"
venv/bin/python - <<'PYTHON'
import sys

import cv2
import imagecodecs
import numpy as np
import PIL
import pillow_heif
from PIL import Image

pillow_heif.register_heif_opener()
print("Pillow", PIL.__version__, "OpenCV", cv2.__version__, "pillow-heif", pillow_heif.__version__)
white = 203.0  # cd/m², of a diffuse white in HDR (BT.2408)
y = (0.5 * white / 10000) ** 0.1593017578125  # SMPTE ST 2084, of half of that
pq = round(255 * ((0.8359375 + 18.8515625 * y) / (1 + 18.6875 * y)) ** 78.84375)
srgb = round(255 * (1.055 * 0.5 ** (1 / 2.4) - 0.055))
print("half of diffuse white: PQ", pq, "sRGB", srgb, "of 255")
wall = np.full((64, 64, 3), pq, np.uint8)
with open("wall.avif", "wb") as file:
    file.write(imagecodecs.avif_encode(wall, level=100, primaries=9, transfer=16, matrix=9, pixelformat="444"))
content = open("wall.avif", "rb").read()
at = content.index(b"colrnclx") + 8
codes = [int.from_bytes(content[at + 2 * k : at + 2 * k + 2], "big") for k in range(3)]
Image.fromarray(wall).save("wall.heic", quality=-1, color_primaries=9, transfer_characteristics=16, matrix_coefficients=9)
avif, heic = Image.open("wall.avif"), Image.open("wall.heic")
seen = {"Pillow": int(np.asarray(avif)[..., 1].mean().round()), "OpenCV": int(cv2.imread("wall.avif")[..., 1].mean().round())}
said = heic.info["nclx_profile"]["transfer_characteristics"]
print("in the AVIF's colr box", codes, "; read", seen, "; Pillow's mode and info", avif.mode, avif.info, "; pillow-heif says", said)
says_nothing = set(avif.info) <= {"timestamp", "duration"}
holds = codes[:2] == [9, 16] and all(abs(value - pq) <= 2 for value in seen.values()) and says_nothing and said == 16
sys.exit(0 if holds else 1)
PYTHON
