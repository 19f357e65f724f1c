"""How far the same rendered rooms are through lenses of 50, 63 and 80 degrees, the focal length being known.

    python research/scripts/field_of_view.py base
    python research/scripts/field_of_view.py base --data nyu

Prints the median ratio, over eight rooms, of the predicted depth of their middle to that through 63 degrees: for each
share of the ratio of focal lengths that goes into the picture's size, from 0 (metres multiplied only) to 1 (picture
resized only); see `WorkingView.view_size`. With `--data`, a lens is narrowed by cutting real images instead (the
validation images of the official split, or all where there is none): the mean and the standard error, over images, of
the median logarithm of what the cut image is answered with, over what the whole one is.
"""

import argparse
from pathlib import Path

import torch
from torch import Tensor

from leadline.data.catalog import open_dataset
from leadline.data.splits import make_splits
from leadline.data.synthetic.dataset import PICTURES_PER_SCENE, SyntheticDataset
from leadline.geometry.camera import focal_px_from_fov
from leadline.models.checkpoint import load_model
from leadline.models.device import autocast
from leadline.models.model import DepthModel

HEIGHT, WIDTH = 480, 640
FIELDS_DEG = (50.0, 63.0, 80.0)
NUM_ROOMS, SEED = 8, 11
CUT_SHARES = (0.87, 0.76, 0.6)
"""Of the width that is kept: what 56, 50 and 40 degrees see of 63."""

SHARES = (0.0, 0.1, 0.15, 0.2, 0.25, 0.3, 1.0)


def middle_m(depth_m: Tensor, focal_px: float) -> float:
    """Median depth of what the middle half of the narrowest view shows."""
    share = focal_px / focal_px_from_fov(FIELDS_DEG[0], WIDTH) / 2
    rows, columns = round(HEIGHT * share / 2), round(WIDTH * share / 2)
    top, left = HEIGHT // 2 - rows, WIDTH // 2 - columns
    return depth_m[..., top : top + 2 * rows, left : left + 2 * columns].median().item()


def answer(model: DepthModel, image: Tensor, focal_px: float) -> Tensor:
    """Depth in metres of one image, (H, W)."""
    with autocast(torch.device("cpu")):
        return model.estimate(image[None], torch.tensor([focal_px])).depth_m[0, 0]


def cut_images(model: DepthModel, data: Path) -> None:
    """Print how far cut images are from what the whole ones say of the same pixels."""
    dataset = open_dataset(data)
    indices = make_splits(dataset, "official")["val"] if any(dataset.official_splits) else range(len(dataset))
    rows = []
    for index in indices:
        sample = dataset[index]
        height, width = sample.image.shape[-2:]
        camera = sample.camera
        focal_px = focal_px_from_fov(FIELDS_DEG[1], width) if camera is None else camera.fx
        whole = answer(model, sample.image, focal_px)
        row = []
        for share in CUT_SHARES:
            rows_kept, columns_kept = round(height * share), round(width * share)
            top, left = (height - rows_kept) // 2, (width - columns_kept) // 2
            window = (..., slice(top, top + rows_kept), slice(left, left + columns_kept))
            row.append((answer(model, sample.image[window].contiguous(), focal_px) / whole[window]).log().median())
        rows.append(row)
    logs = torch.tensor(rows)
    for share, mean, spread in zip(CUT_SHARES, logs.mean(0).tolist(), logs.std(0).tolist(), strict=True):
        print(f"{share:.0%} of the width: {mean:+.3f} ± {spread / len(rows) ** 0.5:.3f} ({len(rows)} images)")


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--data", type=Path, help="real images to cut instead of rendered rooms")
    arguments = parser.parse_args()
    model = load_model(arguments.model)
    if arguments.data is None:
        rendered_rooms(model)
    else:
        cut_images(model, arguments.data)


def rendered_rooms(model: DepthModel) -> None:
    """Print how far rooms are through each lens, for each share."""
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
                image = dataset[PICTURES_PER_SCENE * room].image
                row.append(middle_m(answer(model, image, focal_px), focal_px))
            rows.append(row)
        metres = torch.tensor(rows)
        narrow, _, wide = (metres / metres[:, 1:2]).median(0).values.tolist()
        print(
            f"share {share:g}: {narrow - 1:+.1%} at {FIELDS_DEG[0]:g}°, {wide - 1:+.1%} at {FIELDS_DEG[2]:g}°",
            flush=True,
        )


if __name__ == "__main__":
    main()
