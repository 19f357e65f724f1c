#!/usr/bin/env bash
# Three equal 16-bit channels, asked of PyAV as 16-bit grey, come back as other numbers.
#
# Guess:  depth stored as R = G = B (renderers and lossless RGB videos do so) converts to grey exactly: the weights of
#         the channels sum to 1.
# Fact:   the conversion does not keep them: 20000 comes back as 20078, four thousandths too far. 10-bit grey asked for
#         as 16-bit is stretched by 64 to 64.06, so that dividing by 64 gives 1023.98 for 1023.
# Harm:   depth with a bias of its own, larger than a good sensor's, that no error tells of; found only by comparing
#         with the file that was written.
# Remedy: ask for the frame's own format (to_ndarray() without one) and take one channel.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q numpy==2.4.6 av==18.1.0
cd "$folder"
venv/bin/python - <<'PYTHON'
import sys

import av
import numpy as np

print("PyAV", av.__version__)
depth_mm = np.linspace(0, 20000, 48 * 64).astype(np.uint16).reshape(48, 64)
off = {}
for name in ("rgb48le", "gbrp16le"):
    frame = av.VideoFrame.from_ndarray(np.dstack([depth_mm] * 3), format=name)
    own, grey = frame.to_ndarray(), frame.to_ndarray(format="gray16le")
    assert np.array_equal(own[..., 0], depth_mm)
    off[name] = int(np.abs(grey.astype(int) - depth_mm).max())
    print(f"{name}: largest {depth_mm.max()}, as gray16le {grey.max()}, off by up to {off[name]} mm")

ten_bits = (np.arange(48 * 64) % 1024).astype(np.uint16).reshape(48, 64)
frame = av.VideoFrame(64, 48, "gray10le")
plane = np.zeros((48, frame.planes[0].line_size // 2), np.uint16)
plane[:, :64] = ten_bits
frame.planes[0].update(plane.tobytes())
wide = frame.to_ndarray(format="gray16le")
ratio = wide[ten_bits > 0] / ten_bits[ten_bits > 0]
print(f"gray10le as gray16le: {ratio.min()} to {ratio.max()} times; 1023 becomes {wide.max()}")
sys.exit(0 if min(off.values()) > 50 and ratio.min() < ratio.max() else 1)
PYTHON
