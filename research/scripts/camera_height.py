"""What the camera's known height makes of a model's depth, on rendered rooms seen from several heights.

    python research/scripts/camera_height.py --model base

Each of 24 rooms is seen once from each height by a camera that looks as the room's own cameras do, at least a
twenty-fifth of the image being floor. Prints, for each height: on how many images the floor of the exact depth is
found within 3 % of the height and 1° of the tilt, then the mean abs_rel of the model without and with the height,
where a floor is found in its prediction, their ratio, and that ratio where the floor is sure (on how many).
"""

import argparse

import numpy as np
from numpy.typing import NDArray

from leadline.backends import open_backend
from leadline.data.synthetic.dataset import _pose, _room, generator
from leadline.data.synthetic.raycast import Pose
from leadline.data.synthetic.shading import Rendering, render
from leadline.errors import LeadlineError
from leadline.geometry import Camera, find_floor, vertices_of
from leadline.prediction import Prediction, scale_by_floor

HEIGHTS_M = (0.3, 0.8, 1.4)
SEED, ROOMS, VIEWS = 7, 24, 8
CAMERA = Camera.from_fov_deg(63.0, 640, 480)


def view(height_m: float, room: int) -> tuple[Rendering, NDArray[np.float64]]:
    """A room from a height, and the direction up in camera space."""
    for number in range(VIEWS):
        pose = _pose(SEED, room, number)
        place = pose.position_m.copy()
        place[1] = -height_m
        rendering = render(
            _room(SEED, room), Pose(place, pose.rotation), 480, 640, 63.0, generator(SEED, room, number, 1)
        )
        up = pose.rotation.T @ np.array([0.0, -1.0, 0.0])
        heights = vertices_of(rendering.depth_m, CAMERA.matrix) @ up + height_m
        if np.percentile(rendering.depth_m, 2) > 0.15 and (np.abs(heights) < 0.01).mean() > 0.04:
            break
    return rendering, up


def _share(errors: list[list[float]], sure: list[bool]) -> float:
    """Mean error with the height over that without, where the floor is sure."""
    without, with_height = np.mean(np.array(errors)[np.array(sure)], 0)
    return float(with_height / without)


def main() -> None:
    """Render, predict and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="base")
    backend = open_backend(parser.parse_args().model)
    print(
        "| height | height within 3 % | tilt within 1° | found | without | with | share | share where sure |\n"
        + "|---" * 8
        + "|"
    )
    for height_m in HEIGHTS_M:
        exact, errors, sure = [], [], []
        for room in range(ROOMS):
            rendering, up = view(height_m, room)
            truth_m = rendering.depth_m
            everywhere = np.ones(truth_m.shape, bool)
            try:
                floor = find_floor(truth_m, everywhere, CAMERA.matrix)
                tilt = np.degrees(np.arccos(np.clip(floor.up @ up, -1, 1)))
                exact.append((abs(floor.camera_height_m / height_m - 1) < 0.03, tilt < 1))
            except LeadlineError:
                exact.append((False, False))
            estimate = backend.estimate([rendering.rgb], [CAMERA])
            depth_m = estimate.values[0]
            expected_m = None if estimate.relative_error is None else depth_m * estimate.relative_error[0]
            predicted = Prediction(rendering.rgb, depth_m, everywhere, CAMERA, expected_m)
            try:
                scaled = scale_by_floor(predicted, height_m)
            except LeadlineError:
                continue
            errors.append([np.abs(it.depth_m / truth_m - 1).mean() for it in (predicted, scaled)])
            sure.append(scaled.anchoring.floor.sure)
        (near, level), (without, with_height) = np.mean(exact, 0), np.mean(errors, 0)
        print(
            f"| {height_m} m | {near:.0%} | {level:.0%} | {len(errors)} | {without:.3f} | {with_height:.3f} "
            f"| {with_height / without:.2f} | {_share(errors, sure):.2f} ({sum(sure)}) |"
        )


if __name__ == "__main__":
    main()
