#!/usr/bin/env bash
# A video marked as mirrored arrives upside down through OpenCV, and PyAV calls it turned by 180 degrees.
#
# Guess:  players and readers obey the container's display matrix; OpenCV turns frames by it by default, PyAV gives the
#         angle as frame.rotation for the caller to apply.
# Fact:   both reduce the matrix to an angle. A left-right mirror has a matrix whose angle reads 180, so OpenCV turns
#         the frame (top and bottom swapped) and PyAV says -180; an up-down mirror reads 0 and nothing is done. FFmpeg's
#         program shows all of them right.
# Harm:   mirrored recordings go to a depth network upside down, where what it learnt of floors and ceilings fails, or
#         their points are a mirror world.
# Remedy: read the matrix itself (side data), its determinant too: negative means a mirror; or let FFmpeg's filter graph
#         turn the frames.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q numpy==2.4.6 av==18.1.0 imageio-ffmpeg==0.8.1 opencv-python-headless==5.0.0.93
cd "$folder"
venv/bin/python - <<'PYTHON'
import subprocess
import sys

import av
import cv2
import imageio_ffmpeg
import numpy as np

ffmpeg = [imageio_ffmpeg.get_ffmpeg_exe(), "-y", "-v", "error"]
print("OpenCV", cv2.__version__, "PyAV", av.__version__, "FFmpeg", imageio_ffmpeg.get_ffmpeg_version())
picture = np.zeros((64, 96, 3), np.uint8)
picture[:, :48], picture[:, 48:] = (255, 0, 0), (0, 0, 255)  # red left, blue right
picture[:32] //= 4  # dark above
raw = ["-f", "rawvideo", "-pix_fmt", "rgb24"]
coded = ["-c:v", "mpeg4", "-q:v", "2", "plain.mp4"]
subprocess.run([*ffmpeg, *raw, "-s", "96x64", "-r", "5", "-i", "-", *coded], input=picture.tobytes() * 5, check=True)


def layout(frame):
    """Where red and the dark half lie."""
    red_left = frame[..., 0].astype(int)[:, :48].sum() > frame[..., 0].astype(int)[:, 48:].sum()
    dark_above = frame[:32].astype(int).sum() < frame[32:].astype(int).sum()
    return f"red {'left' if red_left else 'right'}, dark {'above' if dark_above else 'below'}"


seen = {}
for name, option in (
    ("plain", []),
    ("left-right mirror", ["-display_hflip:v:0"]),
    ("up-down mirror", ["-display_vflip:v:0"]),
):
    subprocess.run([*ffmpeg, *option, "-i", "plain.mp4", "-c", "copy", "marked.mp4"], check=True)
    shown = subprocess.run([*ffmpeg, "-i", "marked.mp4", "-frames:v", "1", *raw, "-"], check=True, capture_output=True)
    opencv = cv2.VideoCapture("marked.mp4").read()[1][..., ::-1]
    with av.open("marked.mp4") as container:
        rotation = next(container.decode(video=0)).rotation
    seen[name] = (layout(np.frombuffer(shown.stdout, np.uint8).reshape(64, 96, 3)), layout(opencv), abs(rotation))
    print(f"{name}: FFmpeg {seen[name][0]} | OpenCV {seen[name][1]} | PyAV's rotation {rotation}")
holds = seen == {
    "plain": ("red left, dark above", "red left, dark above", 0),
    "left-right mirror": ("red right, dark above", "red right, dark below", 180),
    "up-down mirror": ("red left, dark below", "red left, dark above", 0),
}
sys.exit(0 if holds else 1)
PYTHON
