r"""Write the graphs of a checkpoint for onnxruntime: of a plain vision transformer that with 8-bit products too.

    python scripts/release/graphs.py src/leadline/bundled/fast --data nyu-labelled

Ranges are taken from training images, evenly over the official split's.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from leadline.data import make_splits, open_dataset
from leadline.export import add_graph, add_int8_graph
from leadline.geometry import resize
from leadline.models import read_settings

NUM_IMAGES = 32


def seen_images(folder: Path, data: Path) -> Iterator[NDArray[np.float32]]:
    """Training images at the working size, (1, 3, h, w), RGB in [0, 1]."""
    settings, dataset = read_settings(folder), open_dataset(data)
    chosen = make_splits(dataset, "official")["train"]
    for index in chosen[:: len(chosen) // NUM_IMAGES][:NUM_IMAGES]:
        sample = dataset[index]
        view = settings.view.view_size(float(sample.intrinsics[0, 0]), *sample.image.shape[-2:])
        image = resize(sample.image.permute(1, 2, 0).numpy(), view.height, view.width)
        yield np.ascontiguousarray(image.transpose(2, 0, 1)[None])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    arguments = parser.parse_args()
    add_graph(arguments.checkpoint)
    add_int8_graph(arguments.checkpoint, seen_images(arguments.checkpoint, arguments.data))


if __name__ == "__main__":
    main()
