"""Binary glTF 2.0: one shape that is shown in its own colours, without light."""

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leadline.io.atomic import SOFTWARE, atomic_file

POINTS, TRIANGLES = 0, 4
_COMPONENT_TYPES = {np.dtype(np.uint16): 5123, np.dtype(np.uint32): 5125, np.dtype(np.float32): 5126}
_SHAPES = {(): "SCALAR", (2,): "VEC2", (3,): "VEC3", (4,): "VEC4"}
_VERTICES, _INDICES = 34962, 34963  # what a part of the file is for
_UNLIT = "KHR_materials_unlit"
_CLAMPED, _SMOOTH = 33071, {"magFilter": 9729, "minFilter": 9987}


def linear_16_bit(rgb: NDArray[np.uint8]) -> NDArray[np.uint16]:
    """Colours as glTF has them beside vertices, in linear light: (N, 3) of sRGB to (N, 4) whose last is opaque.

    In 16 bits, since a third of the 256 steps would be one in 8 linear bits.
    """
    shares = np.arange(256) / 255
    linear = np.where(shares <= 0.04045, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4)
    table = np.rint(65535 * linear).astype(np.uint16)
    colours = np.full((len(rgb), 4), 65535, np.uint16)
    colours[:, :3] = table[rgb]
    return colours


def write_glb(
    path: Path,
    mode: int,
    attributes: dict[str, NDArray[Any]],
    indices: NDArray[np.uint32] | None = None,
    jpeg: bytes | None = None,
) -> None:
    """Write one shape.

    Args:
        path: the file.
        mode: `POINTS` or `TRIANGLES`.
        attributes: glTF's names with an array for each, (N, …): POSITION, and COLOR_0 or TEXCOORD_0.
        indices: the corners of triangles, any shape; None for points.
        jpeg: a texture, encoded; None if the vertices have colours.

    Raises:
        OSError: if the file cannot be written; nothing of it stays.
    """
    blocks: list[bytes] = []
    tree: dict[str, Any] = {"asset": {"version": "2.0", "generator": SOFTWARE}, "accessors": [], "bufferViews": []}
    primitive: dict[str, Any] = {"mode": mode, "material": 0, "attributes": {}}
    for name, values in attributes.items():
        primitive["attributes"][name] = _add(tree, blocks, values, _VERTICES)
    if indices is not None:
        primitive["indices"] = _add(tree, blocks, indices.reshape(-1), _INDICES)
    base: dict[str, Any] = {"metallicFactor": 0.0, "roughnessFactor": 1.0}  # what viewers light who know no unlit ones
    if jpeg is not None:
        base["baseColorTexture"] = {"index": 0}
        tree |= {
            "textures": [{"source": 0, "sampler": 0}],
            "samplers": [{"wrapS": _CLAMPED, "wrapT": _CLAMPED, **_SMOOTH}],
            "images": [{"mimeType": "image/jpeg", "bufferView": _add_block(tree, blocks, jpeg)}],
        }
    tree |= {
        "extensionsUsed": [_UNLIT],
        "materials": [{"pbrMetallicRoughness": base, "doubleSided": True, "extensions": {_UNLIT: {}}}],
        "meshes": [{"primitives": [primitive]}],
        "nodes": [{"mesh": 0}],
        "scenes": [{"nodes": [0]}],
        "scene": 0,
        "buffers": [{"byteLength": sum(map(len, blocks))}],
    }
    words = json.dumps(tree, separators=(",", ":"), allow_nan=False).encode()
    words += b" " * (-len(words) % 4)
    num_bytes = tree["buffers"][0]["byteLength"]
    with atomic_file(path) as temporary, temporary.open("wb") as file:
        file.write(struct.pack("<4sII", b"glTF", 2, 12 + 8 + len(words) + 8 + num_bytes))
        file.write(struct.pack("<I4s", len(words), b"JSON") + words)
        file.write(struct.pack("<I4s", num_bytes, b"BIN\0"))
        file.writelines(blocks)


def _add(tree: dict[str, Any], blocks: list[bytes], values: NDArray[Any], use: int) -> int:
    """Take an array into the file; the number of its accessor."""
    accessor: dict[str, Any] = {
        "bufferView": _add_block(tree, blocks, np.ascontiguousarray(values).tobytes(), target=use),
        "componentType": _COMPONENT_TYPES[values.dtype],
        "count": len(values),
        "type": _SHAPES[values.shape[1:]],
    }
    if use == _VERTICES and values.dtype != np.float32:
        accessor["normalized"] = True
    if len(tree["accessors"]) == 0:  # the positions, which must say how far they reach
        accessor |= {"min": values.min(0).tolist(), "max": values.max(0).tolist()}
    tree["accessors"].append(accessor)
    return len(tree["accessors"]) - 1


def _add_block(tree: dict[str, Any], blocks: list[bytes], block: bytes, **more: int) -> int:
    """Take bytes into the file, where a number may begin; the number of their view."""
    start = sum(map(len, blocks))
    tree["bufferViews"].append({"buffer": 0, "byteOffset": start, "byteLength": len(block), **more})
    blocks.append(block + bytes(-len(block) % 4))
    return len(tree["bufferViews"]) - 1
