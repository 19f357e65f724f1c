"""Train on a folder of your own images with depth, and score the model on scenes that it has not seen.

python examples/own_data.py OUT [--data FOLDER] [--max-steps N]

Without --data, rendered rooms stand in for your folder, which has an index.csv and the files that it names:

    index.csv    id,rgb,depth,scene,fx,fy,cx,cy
    rgb/…        images
    depth/…      16-bit PNG in millimetres, or .npy in metres, aligned to the images
"""

import argparse
import subprocess
import sys
from pathlib import Path

import leadline

RECIPE = "report-cae"  # the smallest network, from random weights; densenet-nyu is the one to begin with in earnest


def run(*arguments: object) -> None:
    """Run a leadline command; the same as typing it after `leadline` in a terminal."""
    subprocess.run([sys.executable, "-m", "leadline", *map(str, arguments)], check=True)


def main(out: Path, data: Path | None, max_steps: int) -> None:
    if data is None:
        data = out / "rooms"
        run("data", "synthesize", "--out", data, "--count", 16, "--height", 96, "--width", 128)
    run("data", "check", data)

    dataset = leadline.open_dataset(data)
    sample = dataset[0]
    shown = sample.depth_m[sample.valid]
    print(f"{len(dataset)} images; {sample.id} has depths from {shown.min():.2f} m to {shown.max():.2f} m")

    # By scene: images of one place are in one part, so that the test shows places that are new to the model.
    settings = ["--data.split", "scene", "--data.workers", 0, "--max-steps", max_steps]
    run("train", RECIPE, "--data", data, "--out", out / "run", *settings)

    scores = leadline.evaluate(out / "run", data=data, split="scene/test", protocol="metric")
    print(f"abs_rel on {len(scores.ids)} test images: {scores.per_image['abs_rel']:.3f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--max-steps", type=int, default=-1)
    options = parser.parse_args()
    main(options.out, options.data, options.max_steps)
