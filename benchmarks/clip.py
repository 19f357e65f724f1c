r"""Frames a second of `leadline predict CLIP`, beside another checkout of leadline.

    python benchmarks/clip.py --against ../leadline-before --model fast --rounds 3

The clip is made here: a texture that drifts, 640×480, with noise as a camera's. Both checkouts write image beside depth
(H.264) and depth in millimetres (FFV1), each as a process of its own; they take turns, and each round begins with the
other. Times are of whole processes, opening the model included. Run it on a quiet machine: beside other work, threads
that share one image wait for each other in a loop, which takes wall time and CPU seconds alike (ten times as many have
been seen), and the ratio then says nothing. Last, the depth of both is compared frame by frame.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from statistics import median
from typing import NamedTuple

import av
import numpy as np

HERE = Path(__file__).parent.parent
RATE = 30


class Cost(NamedTuple):
    """What one run took."""

    wall_s: float
    cpu_s: float
    peak_mb: float


def write_clip(path: Path, num_frames: int, height: int, width: int) -> None:
    """A smooth random texture that drifts to the left by two pixels a frame, with noise."""
    random = np.random.default_rng(0)
    coarse = random.integers(0, 255, (height // 40, (width + 2 * num_frames) // 40, 3), dtype=np.uint8)
    whole = av.VideoFrame.from_ndarray(coarse, format="rgb24").reformat(width + 2 * num_frames, height).to_ndarray()
    with av.open(str(path), "w") as out:
        video = out.add_stream("libx264", rate=RATE)
        video.width, video.height, video.pix_fmt = width, height, "yuv420p"
        for number in range(num_frames):
            noisy = whole[:, 2 * number : 2 * number + width] + random.normal(0, 3, (height, width, 1))
            frame = av.VideoFrame.from_ndarray(noisy.clip(0, 255).astype(np.uint8), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            out.mux(video.encode(frame))
        out.mux(video.encode())


def predict(checkout: Path, clip: Path, out: Path, model: str) -> Cost:
    """Run a checkout's `leadline predict`."""
    command = [sys.executable, "-m", "leadline", "predict", str(clip), "--model", model, "--out", str(out)]
    environment = os.environ | {"PYTHONPATH": str(checkout / "src")}
    with (out.parent / "log.txt").open("w+") as log:
        start = time.perf_counter()
        child = subprocess.Popen(
            [*command, "--format", "color,depth"], env=environment, cwd=out.parent, stdout=log, stderr=log
        )
        _, status, usage = os.wait4(child.pid, 0)
        wall_s = time.perf_counter() - start
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            log.seek(0)
            raise SystemExit(f"{checkout} ended with {child.returncode}: {log.read()[-500:]}")
    per_mb = 1024**2 if sys.platform == "darwin" else 1024
    return Cost(wall_s, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / per_mb)


def depths_mm(out: Path) -> Iterator[np.ndarray]:
    """The depth clip's frames."""
    with av.open(str(next(out.glob("*_depth.mkv")))) as container:
        for frame in container.decode(video=0):
            yield frame.to_ndarray().astype(np.float64)


def compare(ours: Path, theirs: Path) -> str:
    """How far apart two depth clips are."""
    apart, most_mm = [], 0.0
    for here, there in zip(depths_mm(ours), depths_mm(theirs), strict=True):
        apart.append(np.mean(np.abs(here - there) / np.maximum(there, 1)))
        most_mm = max(most_mm, float(np.abs(here - there).max()))
    return f"depth of {len(apart)} frames differs by {np.mean(apart):.4%} on average, by {most_mm:g} mm at most"


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--against", type=Path, required=True, help="folder of the other checkout")
    parser.add_argument("--model", default="fast")
    parser.add_argument("--frames", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--size", type=int, nargs=2, default=(480, 640), metavar=("HEIGHT", "WIDTH"))
    arguments = parser.parse_args(words)
    checkouts = {"this": HERE.resolve(), "other": arguments.against.resolve()}
    costs: dict[str, list[Cost]] = {name: [] for name in checkouts}
    with tempfile.TemporaryDirectory() as name:
        clip = Path(name, "clip.mp4")
        write_clip(clip, arguments.frames, *arguments.size)
        for number in range(arguments.rounds):
            for which in sorted(checkouts, reverse=bool(number % 2)):
                cost = predict(checkouts[which], clip, Path(name, which), arguments.model)
                costs[which].append(cost)
                print(f"round {number + 1} {which:6} {arguments.frames / cost.wall_s:6.2f} frames/s, "
                      f"{cost.cpu_s:6.1f} CPU s, peak {cost.peak_mb:.0f} MB", flush=True)  # fmt: skip
        for ratio, part in (("frames a second, this / other", 0), ("CPU seconds, other / this", 1),
                             ("peak memory, other / this", 2)):  # fmt: skip
            each = [there[part] / here[part] for here, there in zip(costs["this"], costs["other"], strict=True)]
            print(f"{ratio}: {median(each):.2f}, from {min(each):.2f} to {max(each):.2f}")
        print(compare(Path(name, "this"), Path(name, "other")))


if __name__ == "__main__":
    main()
