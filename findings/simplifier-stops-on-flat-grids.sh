#!/usr/bin/env bash
# fast-simplification asked for 100 triangles of an exactly flat grid stops at 1752; asked again, it goes on.
#
# Guess:  a plane is the easiest surface to simplify, and target_count is a bound, the more so at a higher agg.
# Fact:   one call ends where the grid's collapsed edges are exactly in line, at a third of the triangles, whatever the
#         target and agg are; nothing says so. The same grid with noise of a thousandth of its step reaches the target.
#         A call on the result goes on.
# Harm:   a budget of triangles tried on measured depth holds, and is missed by fifteen times on rendered rooms, walls and
#         tests; a viewer in a browser gets the whole.
# Remedy: compare the count with the target, and call again while it falls.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q numpy==2.4.6 fast-simplification==0.2.0
cd "$folder"
venv/bin/python - <<'PYTHON'
import sys
from importlib.metadata import version

import fast_simplification
import numpy as np

print("fast-simplification", version("fast-simplification"))
height, width, target = 48, 64, 100
y, x = np.mgrid[:height, :width].astype(float)
number = np.arange(height * width).reshape(height, width)
corners = number[:-1, :-1], number[1:, :-1], number[:-1, 1:], number[1:, 1:]
a, b, c, d = (corner.ravel() for corner in corners)
faces = np.concatenate([np.stack([a, b, c], 1), np.stack([c, b, d], 1)]).astype(np.int32)
flat = np.stack([x, y, 100 + 0.3 * x - 0.4 * y], -1).reshape(-1, 3)
rough = flat + np.random.default_rng(0).normal(0, 1e-3, flat.shape)

found = {}
for agg in (7, 10):
    found[agg] = [len(fast_simplification.simplify(it, faces, target_count=target, agg=agg)[1]) for it in (flat, rough)]
    print(f"agg {agg}: {len(faces)} triangles, wanted {target}; flat {found[agg][0]}, rough {found[agg][1]}")
counts, points, left = [], flat, faces
for _ in range(5):
    points, left = fast_simplification.simplify(points, left.astype(np.int32), target_count=target)
    counts.append(len(left))
print("flat, asked again and again:", counts)
missed = all(is_flat > 10 * target and is_rough <= 1.05 * target for is_flat, is_rough in found.values())
sys.exit(0 if missed and counts == sorted(set(counts), reverse=True) else 1)
PYTHON
