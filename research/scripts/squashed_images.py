"""Does it matter that an image was resized without its aspect? abs_rel of the same images, squashed to other sizes.

    python research/scripts/squashed_images.py DATA [--model fast] [--images 36]

DATA is a folder data set with an index.csv and intrinsics in dataset.toml, such as shared/data/nyu-v2-labelled.
"""

import argparse
import csv
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image

from leadline.data.datasets.folder import read_dataset_toml, read_depth
from leadline.evaluation import evaluate

SIZES = ((640, 480), (256, 256), (320, 480), (640, 240))


def squashed(data: Path, rows: list[dict[str, str]], size: tuple[int, int], out: Path) -> None:
    """Write images, depth and cameras at a width and height."""
    info = read_dataset_toml(data)
    width, height = size
    lines = ["id,rgb,depth,fx,fy,cx,cy"]
    for row in rows:
        with Image.open(data / row["rgb"]) as file:
            image = file.convert("RGB")
        across, down = width / image.width, height / image.height
        depth_m, _ = read_depth(data / row["depth"], info)
        image.resize(size, Image.Resampling.BILINEAR, reducing_gap=3.0).save(out / f"{row['id']}.png")
        np.save(out / f"{row['id']}.npy", np.asarray(Image.fromarray(depth_m).resize(size, Image.Resampling.NEAREST)))
        fx, fy, cx, cy = info.intrinsics or ()
        camera = fx * across, fy * down, (cx + 0.5) * across - 0.5, (cy + 0.5) * down - 0.5
        lines.append(",".join([row["id"], f"{row['id']}.png", f"{row['id']}.npy", *map(str, camera)]))
    (out / "index.csv").write_text("\n".join(lines) + "\n")


def main() -> None:
    """Print a line for each size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--model", default="fast")
    parser.add_argument("--images", type=int, default=36)
    words = parser.parse_args()
    with (words.data / "index.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["official_split"] == "test"]
    rows = rows[:: len(rows) // words.images][: words.images]
    for size in SIZES:
        with TemporaryDirectory() as folder:
            squashed(words.data, rows, size, Path(folder))
            found = evaluate(words.model, data=folder, split="all", protocol="metric").per_image
        print(f"{size[0]}x{size[1]}  abs_rel {found['abs_rel']:.4f}  ({len(rows)} images)", flush=True)


if __name__ == "__main__":
    main()
