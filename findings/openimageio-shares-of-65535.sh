#!/usr/bin/env bash
# OpenImageIO reads 16-bit depth as shares of 65535 and writes metres to 16 bits as white from 1 m on.
#
# Guess:  read_image() of a 16-bit PNG gives its numbers, as float or as integers; writing float metres to an integer
#         file rounds or refuses.
# Fact:   integers mean 0 to 1 to this library whenever types differ: read_image() has float as its default, so that
#         1000 mm arrive as 0.0153; float depth written to a uint16 file is multiplied by 65535 and cut at 1, so 1.5 m
#         and 4 m are both 65535; millimetres as uint16 written to a half EXR become 0.0153 as well. No warning.
# Harm:   it is the library that opens what others cannot (EXR, TIFF, DPX), so depth goes through it on the way from a
#         renderer: all beyond 1 m is lost in one direction, and 65.535 times too small in the other.
# Remedy: name the file's own type on reading (read_image("uint16")), hand over the same type as the file's on writing.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q numpy==2.4.6 OpenImageIO==3.2.2.0
cd "$folder"
venv/bin/python - <<'PYTHON'
import sys

import numpy as np
import OpenImageIO as oiio

print("OpenImageIO", oiio.__version__)
depth_mm = np.array([[500, 1000, 1500, 4000]], np.uint16)


def written(name, kind, pixels):
    output = oiio.ImageOutput.create(name)
    output.open(name, oiio.ImageSpec(4, 1, 1, kind))
    assert output.write_image(pixels[..., None])
    output.close()


def read(name, *kind):
    return oiio.ImageInput.open(name).read_image(*kind)[0, :, 0]


written("mm.png", "uint16", depth_mm)
default, own = read("mm.png"), read("mm.png", "uint16")
print("uint16 PNG of", depth_mm[0], "mm read by default:", default, "| as uint16:", own)
written("m.png", "uint16", (depth_mm / 1000).astype(np.float32))
metres = read("m.png", "uint16")
print("float metres written to a uint16 PNG:", metres)
written("mm.exr", "half", depth_mm)
half = read("mm.exr", "float")
print("uint16 mm written to a half EXR:", half)
holds = np.array_equal(own, depth_mm[0]) and np.allclose(default, depth_mm[0] / 65535, rtol=1e-4)
holds &= bool((metres[1:] == 65535).all()) and np.allclose(half, depth_mm[0] / 65535, rtol=1e-2)
sys.exit(0 if holds else 1)
PYTHON
