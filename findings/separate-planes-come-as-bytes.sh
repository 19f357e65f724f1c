#!/usr/bin/env bash
# Pillow reads a plain 16-bit TIFF whose bands lie one after the other as if it were of 8 bits.
#
# Guess:  a TIFF either opens with its picture in it, or is refused; whether its bands are interleaved, and whether they
#         are packed, changes nothing but the file.
# Fact:   the same RGB of 16 bits comes right interleaved, and by bands where it is compressed. By bands and plain, each
#         byte counts as a number: the left half alone, twice as wide, with the size and the mode of the right picture
#         and no warning. Bands of 8 bits come right. OpenCV and tifffile read all of it.
# Harm:   GDAL's INTERLEAVE=BAND and tifffile's planarconfig="separate" write such files of aerial, infrared and
#         multispectral cameras; a depth network sees another, striped scene and answers metres of it, while checks of
#         size, mode and number of channels pass.
# Remedy: look at tag 284 (2: apart) where tag 258 says 16 bits, and read with tifffile or OpenCV; or write interleaved
#         or compressed.
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
shade = np.linspace(20, 240, 64).astype(np.uint8)
picture = np.stack([np.tile(shade, (48, 1)), np.tile(shade[::-1], (48, 1)), np.full((48, 64), 90, np.uint8)], axis=-1)


def error(name, dtype, apart, **options):
    """Largest differences, of 255, of what Pillow, OpenCV and tifffile read."""
    stored = picture.astype(dtype) * dtype(np.iinfo(dtype).max // 255)
    bands = np.ascontiguousarray(stored.transpose(2, 0, 1)) if apart else stored
    tifffile.imwrite(name, bands, photometric="rgb", planarconfig="separate" if apart else "contig", **options)
    read = tifffile.imread(name)
    seen = {
        "Pillow": np.asarray(Image.open(name)).astype(int),
        "OpenCV": cv2.imread(name, cv2.IMREAD_COLOR)[..., ::-1].astype(int),
        "tifffile": (read.transpose(1, 2, 0) if apart else read) // (np.iinfo(dtype).max // 255),
    }
    assert all(array.shape == picture.shape for array in seen.values())
    found = {reader: int(np.abs(array - picture).max()) for reader, array in seen.items()}
    print(f"{name}: off by at most {found}")
    return found


right = [
    error("interleaved_16_bits.tif", np.uint16, apart=False),
    error("bands_8_bits.tif", np.uint8, apart=True),
    error("bands_16_bits_deflate.tif", np.uint16, apart=True, compression="zlib"),
]
wrong = error("bands_16_bits.tif", np.uint16, apart=True)
rest_is_right = all(value <= 1 for found in right for value in found.values())
others_are_right = wrong["OpenCV"] <= 1 and wrong["tifffile"] <= 1
print("Pillow's first row of red:", np.asarray(Image.open("bands_16_bits.tif"))[0, :8, 0], "of", picture[0, :8, 0])
sys.exit(0 if rest_is_right and others_are_right and wrong["Pillow"] > 50 else 1)
PYTHON
