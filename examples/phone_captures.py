"""Write a folder data set as captures of a phone with LiDAR, one a scene, in the form of the app Stray Scanner.

python examples/phone_captures.py DATA OUT

They stand in for captures of your own: a video, depth of 256×192 in millimetres, its confidence, the phone's places.
"""

import sys
from collections import defaultdict
from pathlib import Path

import av
import numpy as np
from PIL import Image

import leadline

DEPTH_PX = (256, 192)
SURE_M = 5.0
"""Beyond it a phone's depth is a guess: confidence 0."""
SECONDS_APART, METRES_APART = 0.5, 0.3
LEVEL = "1, 0, 0, 0"
"""Quaternion of a phone that is held level: x right, y down, z forward in a world whose y is up."""


def main(data: Path, out: Path) -> None:
    dataset = leadline.open_dataset(data)
    scenes = defaultdict(list)
    for sample in dataset:
        scenes[sample.scene].append(sample)
    for scene, samples in scenes.items():
        write_capture(out / scene, samples)
        print(f"wrote {out / scene}: {len(samples)} frames")


def write_capture(folder: Path, samples: list) -> None:
    for name in ("depth", "confidence"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    lines = ["timestamp, frame, x, y, z, qx, qy, qz, qw"]
    for number, sample in enumerate(samples):
        depth_m = np.where(sample.valid, sample.depth_m, 0)[0].astype(np.float32)
        small_m = np.asarray(Image.fromarray(depth_m).resize(DEPTH_PX, Image.Resampling.NEAREST))
        Image.fromarray(np.rint(small_m * 1000).astype(np.uint16)).save(folder / "depth" / f"{number:06d}.png")
        confidence = np.where(small_m < SURE_M, 2, 0).astype(np.uint8)
        Image.fromarray(confidence).save(folder / "confidence" / f"{number:06d}.png")
        lines.append(f"{SECONDS_APART * number}, {number:06d}, {METRES_APART * number}, 1.5, 0, {LEVEL}")
    (folder / "odometry.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    matrix = "\n".join(", ".join(f"{value:.4f}" for value in row) for row in samples[0].intrinsics.tolist())
    (folder / "camera_matrix.csv").write_text(matrix + "\n", encoding="utf-8")
    write_video(folder / "rgb.mp4", [sample.image for sample in samples])


def write_video(path: Path, images: list) -> None:
    _, height, width = images[0].shape
    with av.open(str(path), "w") as file:
        stream = file.add_stream("mpeg4", 60)
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = width, height, "yuv420p", 50_000_000
        for image in images:
            rgb = np.rint(np.asarray(image.permute(1, 2, 0)) * 255).astype(np.uint8)
            file.mux(stream.encode(av.VideoFrame.from_ndarray(rgb, "rgb24")))
        file.mux(stream.encode())


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
