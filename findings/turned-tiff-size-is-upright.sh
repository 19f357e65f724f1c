#!/usr/bin/env bash
# Pillow's size of a turned TIFF is the upright one before a pixel is read, and the tag is still there.
#
# Guess:  Image.size is the size of the stored pixels, and EXIF's Orientation says whether it must be swapped: one rule
#         for all formats, by the header alone.
# Fact:   JPEG and WebP give the stored size and the tag. A TIFF gives the size already turned, the tag says 6 all
#         the same, and only load() turns the pixels and drops the tag.
# Harm:   a check of headers (sizes of images against those of their depth maps, cameras in pixels) that swaps by the tag
#         swaps TIFF twice: portrait images count as landscape, right pairs are refused, and cx, cy change places.
# Remedy: do not swap the size of a TIFF that is not loaded; or load it first and read tag and size then.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q Pillow==12.3.0
cd "$folder"
venv/bin/python - <<'PYTHON'
import sys

import PIL
from PIL import Image

print("Pillow", PIL.__version__)
exif = Image.Exif()
exif[0x0112] = 6  # on its side: upright it is 4 wide and 6 high
seen = {}
for ending in ("jpg", "webp", "tiff"):
    Image.new("RGB", (6, 4)).save(f"turned.{ending}", exif=exif)
    with Image.open(f"turned.{ending}") as image:
        before = (image.size, image.getexif().get(0x0112))
        image.load()
        seen[ending] = (*before, image.size, image.getexif().get(0x0112))
    size, tag, *after = seen[ending]
    print(f"{ending}: size {size} and orientation {tag} by the header, {after[0]} and {after[1]} after load()")
stored = ((6, 4), 6, (6, 4), 6)
sys.exit(0 if seen == {"jpg": stored, "webp": stored, "tiff": ((4, 6), 6, (4, 6), None)} else 1)
PYTHON
