#!/usr/bin/env bash
# Three readers give a lossless 16-bit depth video in 8 bits, and none says so.
#
# Guess:  FFV1 with gray16 keeps every value, and a reader that opens it gives 16 bits or says that it cannot.
# Fact:   imageio (its PyAV plugin and its FFmpeg plugin) and OpenCV's VideoCapture convert each frame to 8-bit colour
#         by default: 3071 mm becomes 12. The values are all in the file: PyAV itself gives them, as does OpenCV with
#         CAP_PROP_CONVERT_RGB switched off.
# Harm:   depth in steps of 256 mm, three equal channels, plausible as a picture; RGB-D recordings (Kinect's depth
#         track) are mistaken for broken or, worse, trained on.
# Remedy: read depth video with PyAV's frame.to_ndarray() and no format, check uint16; with imageio name
#         format="gray16le", with OpenCV switch the conversion off.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q numpy==2.4.6 Pillow==13.0.0 av==18.1.0 \
    imageio==2.38.1 imageio-ffmpeg==0.8.1 opencv-python-headless==5.0.0.93
cd "$folder"
venv/bin/python - <<'PYTHON'
import sys

import av
import cv2
import imageio
import imageio.v3 as iio
import numpy as np

print("PyAV", av.__version__, "imageio", imageio.__version__, "OpenCV", cv2.__version__)
depth_mm = np.arange(48 * 64, dtype=np.uint16).reshape(48, 64)
with av.open("depth.mkv", "w") as container:
    stream = container.add_stream("ffv1", rate=10)
    stream.width, stream.height, stream.pix_fmt = 64, 48, "gray16le"
    for frame in (av.VideoFrame.from_ndarray(depth_mm, format="gray16le"), None):
        for packet in stream.encode(frame):
            container.mux(packet)


def by_pyav():
    with av.open("depth.mkv") as container:
        return next(container.decode(video=0)).to_ndarray()


def by_opencv(convert):
    capture = cv2.VideoCapture("depth.mkv")
    capture.set(cv2.CAP_PROP_CONVERT_RGB, convert)
    return capture.read()[1]


readers = {
    "PyAV": by_pyav,
    "OpenCV, conversion off": lambda: by_opencv(0),
    "imageio, PyAV plugin, gray16le": lambda: iio.imread("depth.mkv", index=0, plugin="pyav", format="gray16le"),
    "imageio, PyAV plugin": lambda: iio.imread("depth.mkv", index=0, plugin="pyav"),
    "imageio, FFmpeg plugin": lambda: iio.imread("depth.mkv", index=0, plugin="FFMPEG"),
    "OpenCV": lambda: by_opencv(1),
}
frames = {name: read() for name, read in readers.items()}
for name, frame in frames.items():
    print(f"{name}: {frame.dtype} {frame.shape}, largest {frame.max()} of {depth_mm.max()}")
whole = all(np.array_equal(frame, depth_mm) for frame in list(frames.values())[:3])
lost = all(frame.dtype == np.uint8 and frame.max() == 12 for frame in list(frames.values())[3:])
sys.exit(0 if whole and lost else 1)
PYTHON
