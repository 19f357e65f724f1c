"""How far the same rendered rooms are through lenses of 50, 63 and 80 degrees, the focal length being known.

    python scripts/field_of_view.py base

Prints the median ratio, over eight rooms, of the predicted depth of their middle to that through 63 degrees: once with
metres multiplied by the ratio of focal lengths, as leadline does, and once with the picture resized until its focal
length is the training pictures'.
"""

import argparse
from collections.abc import Callable

import torch
from torch import Tensor

from leadline.camera import focal_px_from_fov
from leadline.checkpoint import load_model
from leadline.data.synthetic import PICTURES_PER_SCENE, SyntheticDataset
from leadline.device import autocast
from leadline.image import resize, resize_depth
from leadline.models.model import DepthModel

HEIGHT, WIDTH = 480, 640
FIELDS_DEG = (50.0, 63.0, 80.0)
NUM_ROOMS, SEED = 8, 11

Way = Callable[[DepthModel, Tensor, float], Tensor]


def multiplied(model: DepthModel, image: Tensor, focal_px: float) -> Tensor:
    """Depth in metres, scaled by the focal length."""
    return model(image) * model.focal_scale(torch.tensor([focal_px]), HEIGHT, WIDTH)


def resized(model: DepthModel, image: Tensor, focal_px: float) -> Tensor:
    """Depth in metres of the picture at the size at which it has the training pictures' focal length."""
    assert model.settings.focal_px is not None
    scale = model.settings.focal_px / focal_px
    depth_m = model.at_working_scale(resize(image, round(HEIGHT * scale), round(WIDTH * scale)))
    return resize_depth(depth_m, HEIGHT, WIDTH)


WAYS: dict[str, Way] = {"metres multiplied": multiplied, "picture resized": resized}


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
    found: dict[str, list[list[float]]] = {name: [] for name in WAYS}
    for room in range(NUM_ROOMS):
        for name, way in WAYS.items():
            row = []
            for fov_deg in FIELDS_DEG:
                dataset = SyntheticDataset(PICTURES_PER_SCENE * NUM_ROOMS, SEED, HEIGHT, WIDTH, fov_deg)
                focal_px = focal_px_from_fov(fov_deg, WIDTH)
                with autocast(torch.device("cpu")):
                    depth_m = way(model, dataset[PICTURES_PER_SCENE * room].image[None], focal_px)
                row.append(middle_m(depth_m, focal_px))
            found[name].append(row)
    for name, rows in found.items():
        ratios = torch.tensor(rows)
        narrow, _, wide = (ratios / ratios[:, 1:2]).median(0).values.tolist()
        print(f"{name}: {narrow - 1:+.1%} at {FIELDS_DEG[0]:g}°, {wide - 1:+.1%} at {FIELDS_DEG[2]:g}°")


if __name__ == "__main__":
    main()
