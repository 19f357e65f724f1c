#!/usr/bin/env bash
# A render region in EXR has two sizes: OpenEXR's package gives the cut alone, FFmpeg the whole frame padded with 0.
#
# Guess:  the depth of a rendered frame has the frame's size; a region rendered alone is either cut everywhere or whole
#         everywhere.
# Fact:   EXR keeps a data window (what is stored) inside a display window (the frame). OpenEXR.File gives pixels of the
#         data window and leaves its place to two header entries; OpenImageIO's pixels do likewise. FFmpeg (so PyAV)
#         gives the display window with depth 0 around.
# Harm:   depth of a cropped render is laid over the colour picture from the upper left corner, or is resized to it:
#         every object stands at the wrong place, at plausible depths. Read the other way, 0 m is taken for a
#         measurement.
# Remedy: read dataWindow and displayWindow; put the pixels into the frame at their offset, the rest invalid.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q numpy==2.4.6 OpenEXR==3.5.3 av==18.1.0 OpenImageIO==3.2.2.0
cd "$folder"
venv/bin/python - <<'PYTHON'
import sys

import av
import numpy as np
import OpenEXR
import OpenImageIO

print("OpenEXR", OpenEXR.__version__, "PyAV", av.__version__, "OpenImageIO", OpenImageIO.__version__)
frame_size, (left, top) = (8, 6), (2, 1)
region_m = np.linspace(1, 3, 12, dtype=np.float32).reshape(3, 4)
bottom, right = top + region_m.shape[0] - 1, left + region_m.shape[1] - 1
windows = {
    "dataWindow": (np.array([left, top], np.int32), np.array([right, bottom], np.int32)),
    "displayWindow": (np.zeros(2, np.int32), np.array(frame_size, np.int32) - 1),
}
OpenEXR.File(windows, {"Y": region_m}).write("region.exr")

cut = OpenEXR.File("region.exr").channels()["Y"].pixels
other = OpenImageIO.ImageInput.open("region.exr").read_image("float")[..., 0]
with av.open("region.exr") as container:
    padded = next(container.decode(video=0)).to_ndarray()
wanted = np.zeros((frame_size[1], frame_size[0]), np.float32)
wanted[top : bottom + 1, left : right + 1] = region_m
for name, pixels in (("OpenEXR", cut), ("OpenImageIO", other), ("PyAV", padded)):
    print(f"{name}: {pixels.shape}, first pixel {pixels[0, 0]} m, zeros {int((pixels == 0).sum())}")
holds = np.array_equal(cut, region_m) and np.array_equal(other, region_m) and np.array_equal(padded, wanted)
sys.exit(0 if holds else 1)
PYTHON
