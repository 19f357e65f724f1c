#!/usr/bin/env bash
# trimesh writes picture colours into glTF's linear COLOR_0 unchanged, so a cloud shows washed out.
#
# Guess:  colours taken from a photo look like the photo in a GLB; the library that writes the format converts to what
#         the format wants.
# Fact:   glTF reads vertex colours as linear light, while textures are sRGB. trimesh stores the bytes as given, for
#         points and for meshes, and reads them back as such: a round trip proves nothing. A photo's 64 of 255 (linear
#         0.05) is stored as linear 0.25, which a viewer shows as 137.
# Harm:   dark parts of coloured clouds come out grey; the same photo as a texture beside them comes out right, so that
#         the fault is sought in the light.
# Remedy: linearise before export (((c + 0.055) / 1.055) ** 2.4 above 0.04045, c / 12.92 below), in 16 bits or float
#         where dark steps matter, and for GLB alone: PLY wants the bytes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q numpy==2.4.6 trimesh==5.2.0
cd "$folder"
venv/bin/python - <<'PYTHON'
import io
import json
import struct
import sys

import numpy as np
import trimesh

print("trimesh", trimesh.__version__)
points, shade = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0.0]]), 64
colours = np.full((3, 4), shade, np.uint8)
colours[:, 3] = 255


def stored_colour(scene):
    """First COLOR_0 byte of the first primitive in the exported GLB."""
    glb = scene.export(file_type="glb")
    length = struct.unpack("<I", glb[12:16])[0]
    tree = json.loads(glb[20 : 20 + length])
    accessor = tree["accessors"][tree["meshes"][0]["primitives"][0]["attributes"]["COLOR_0"]]
    assert accessor["componentType"] == 5121 and accessor["normalized"]
    view = tree["bufferViews"][accessor["bufferView"]]
    back = next(iter(trimesh.load(io.BytesIO(glb), file_type="glb", force="scene").geometry.values()))
    again = back.colors if isinstance(back, trimesh.PointCloud) else back.visual.vertex_colors
    return glb[28 + length + view.get("byteOffset", 0) + accessor.get("byteOffset", 0)], int(again[0, 0])


def shown(linear):
    """What a viewer puts on the screen for a linear value of 0 to 1, in bytes of sRGB."""
    return round(255 * (12.92 * linear if linear <= 0.0031308 else 1.055 * linear ** (1 / 2.4) - 0.055))


kinds = {
    "points": trimesh.PointCloud(points, colors=colours),
    "mesh": trimesh.Trimesh(points, [[0, 1, 2]], vertex_colors=colours, process=False),
}
holds = True
for name, geometry in kinds.items():
    stored, back = stored_colour(trimesh.Scene(geometry))
    print(f"{name}: photo {shade}, stored {stored}, so shown as {shown(stored / 255)}; trimesh itself reads {back}")
    holds &= stored == shade and back == shade
print("right would be", round(255 * ((shade / 255 + 0.055) / 1.055) ** 2.4))
sys.exit(0 if holds else 1)
PYTHON
