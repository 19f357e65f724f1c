#!/usr/bin/env bash
# A damaged chunk of depth that h5py stored with its filter "lzf" is read without an error, and ends in another array.
#
# Guess:  HDF5 raises for a chunk that does not unpack to its size, whichever filter packed it, as it does with gzip.
# Fact:   LZF has no checksum, and h5py's filter does not compare the size: it answers the buffer, of which the rest was
#         never written. What stands there is what this process has freed before, such as the depth of another frame.
# Harm:   a file that was cut, or in which one byte changed, is trained on and scored: plausible metres, no warning.
# Remedy: fletcher32=True beside compression="lzf", which does raise, or gzip. To unpack LZF by this filter, pack a few
#         bytes that nobody can know behind the others and look for them at the end.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q numpy==2.4.6 h5py==3.16.0
cd "$folder"
venv/bin/python - <<'PYTHON'
import io
import sys

import h5py
import numpy as np

print("h5py", h5py.version.version, "HDF5", h5py.version.hdf5_version)
NUM = 1 << 20
depth_mm = (1000 + np.arange(NUM) % 64 + np.random.default_rng(0).integers(0, 30, NUM)).astype(np.uint16)


def outcome(compression, damage, **more):
    """What reading a damaged chunk answers: the error, or which share is right and which is of another array."""
    with h5py.File(io.BytesIO(), "w") as file:
        data = file.create_dataset("depth", data=depth_mm, chunks=(NUM,), compression=compression, **more)
        file.flush()
        packed = bytes(data.id.read_direct_chunk((0,))[1])
        data.id.write_direct_chunk((0,), damage(packed))
        file.flush()
        others = [np.full(NUM, 4242, np.uint16) for _ in range(4)]  # frames that were read before, and are gone
        del others
        try:
            read = data[:]
        except OSError:
            return "refused"
        return f"read: {(read == depth_mm).mean():.0%} are right, {(read == 4242).mean():.0%} are another array's 4242"


def cut(packed):
    return packed[: len(packed) // 2]


def changed(packed):
    middle = len(packed) // 2
    return packed[:middle] + bytes([packed[middle] ^ 0x3F]) + packed[middle + 1 :]


seen = {}
for name, more in {"gzip": {}, "lzf": {}, "lzf with fletcher32": {"fletcher32": True}}.items():
    for damage in (cut, changed):
        seen[name, damage.__name__] = outcome(name.split()[0], damage, **more)
        print(f"{name}, {damage.__name__}: {seen[name, damage.__name__]}")
hidden = all("read: 5" in seen["lzf", damage] for damage in ("cut", "changed"))
told = all(seen[name, damage] == "refused" for name in ("gzip", "lzf with fletcher32") for damage in ("cut", "changed"))
sys.exit(0 if hidden and told else 1)
PYTHON
