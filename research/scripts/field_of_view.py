"""How far the same rendered rooms are through lenses of 50, 63 and 80 degrees, the focal length being known.

    python research/scripts/field_of_view.py base

Prints the median ratio, over eight rooms, of the predicted depth of their middle to that through 63 degrees: for each
share of the ratio of focal lengths that goes into the picture's size, from 0 (metres multiplied only) to 1 (picture
resized only); see `DepthModel.look`.
"""

import argparse

import torch
from torch import Tensor

from leadline.data.synthetic.dataset import PICTURES_PER_SCENE, SyntheticDataset
from leadline.geometry.camera import focal_px_from_fov
from leadline.models.checkpoint import load_model
from leadline.models.device import autocast

HEIGHT, WIDTH = 480, 640
FIELDS_DEG = (50.0, 63.0, 80.0)
NUM_ROOMS, SEED = 8, 11

SHARES = (0.0, 0.1, 0.15, 0.2, 0.25, 0.3, 1.0)


def middle_m(depth_m: Tensor, focal_px: float) -> float:
    """Median depth of what the middle half of the narrowest view shows."""
    share = focal_px / focal_px_from_fov(FIELDS_DEG[0], WIDTH) / 2
    rows, columns = round(HEIGHT * share / 2), round(WIDTH * share / 2)
    top, left = HEIGHT // 2 - rows, WIDTH // 2 - columns
    return depth_m[..., top : top + 2 * rows, left : left + 2 * columns].median().item()


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    model = load_model(parser.parse_args().model)
    dataset_of = {
        fov_deg: SyntheticDataset(PICTURES_PER_SCENE * NUM_ROOMS, SEED, HEIGHT, WIDTH, fov_deg)
        for fov_deg in FIELDS_DEG
    }
    trained = model.settings
    for share in SHARES:
        model.settings = trained.model_copy(update={"focal_share": share})
        rows = []
        for room in range(NUM_ROOMS):
            row = []
            for fov_deg, dataset in dataset_of.items():
                focal_px = focal_px_from_fov(fov_deg, WIDTH)
                image = dataset[PICTURES_PER_SCENE * room].image[None]
                with autocast(torch.device("cpu")):
                    depth_m = model.estimate(image, torch.tensor([focal_px])).depth_m
                row.append(middle_m(depth_m, focal_px))
            rows.append(row)
        metres = torch.tensor(rows)
        narrow, _, wide = (metres / metres[:, 1:2]).median(0).values.tolist()
        print(
            f"share {share:g}: {narrow - 1:+.1%} at {FIELDS_DEG[0]:g}°, {wide - 1:+.1%} at {FIELDS_DEG[2]:g}°",
            flush=True,
        )


if __name__ == "__main__":
    main()
