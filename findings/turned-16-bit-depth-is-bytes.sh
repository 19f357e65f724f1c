#!/usr/bin/env bash
# Pillow turns and warps 16-bit depth as if it were bytes: bilinear gives numbers below 256.
#
# Guess:  an image that opens as "I;16" and can be resized in every filter can be rotated and warped in them too, as can
#         float images; what is not supported raises, as reduce() does.
# Fact:   rotate() and transform() with NEAREST are right; with BILINEAR or BICUBIC they give values of 0 to 255,
#         whatever the depth: 4000 and 4200 mm come back as 18 to 156, size and mode right, no warning. Float images
#         ("F") of the same numbers come back right.
# Harm:   augmentation of RGB-D data turns the ground truth to noise below 0.26 m wherever bilinear is chosen for both
#         pictures; training goes on, and the loss is blamed.
# Remedy: convert to mode "F" first, or NEAREST, which ground truth with holes wants anyway.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q numpy==2.4.6 Pillow==13.0.0
cd "$folder"
venv/bin/python - <<'PYTHON'
import sys

import numpy as np
import PIL
from PIL import Image

print("Pillow", PIL.__version__)
depth_mm = np.full((16, 16), 4000, np.uint16)
depth_mm[:, 8:] = 4200
images = {"I;16": Image.fromarray(depth_mm), "F": Image.fromarray(depth_mm.astype(np.float32))}
HALF_A_PIXEL = (1, 0, 0.5, 0, 1, 0.5)
middle = {}
for name, image in images.items():
    assert image.mode == name
    for filter_ in (Image.Resampling.NEAREST, Image.Resampling.BILINEAR, Image.Resampling.BICUBIC):
        turned = np.asarray(image.rotate(5, filter_))[6:10, 2:14]
        warped = np.asarray(image.transform((16, 16), Image.Transform.AFFINE, HALF_A_PIXEL, filter_))[6:10, 2:14]
        resized = np.asarray(image.resize((24, 24), filter_))[8:16, 4:20]
        middle[name, filter_.name] = [(int(part.min()), int(part.max())) for part in (turned, warped, resized)]
        print(f"{name} {filter_.name}: rotated, warped, resized lie in", middle[name, filter_.name])


def right(ranges):
    return all(3900 <= low and high <= 4300 for low, high in ranges)


bad = [middle["I;16", name] for name in ("BILINEAR", "BICUBIC")]
good = [middle["F", name] for name in ("NEAREST", "BILINEAR", "BICUBIC")] + [middle["I;16", "NEAREST"]]
as_bytes = all(high < 256 for ranges in bad for _, high in ranges[:2]) and all(right(ranges[2:]) for ranges in bad)
sys.exit(0 if as_bytes and all(right(ranges) for ranges in good) else 1)
PYTHON
