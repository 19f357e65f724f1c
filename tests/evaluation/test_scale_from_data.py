import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from leadline.backends.base import Estimate, Image
from leadline.data.datasets.folder import FolderDataset
from leadline.errors import LeadlineError
from leadline.evaluation.scale_from_data import MAX_SAMPLES, measure_data, measure_images
from leadline.geometry.camera import Camera
from leadline.geometry.depth import Output


class TwoMetres:
    """2 m everywhere for a camera of 100 px, but for the first column, which is -1 m, and the second, which is NaN."""

    name, runtime, working_size, concurrency = "two metres", "numpy float32", None, 2

    def __init__(self, output: Output) -> None:
        self.output = output

    def assumed_camera(self, height: int, width: int) -> Camera | None:
        return None

    def estimate(self, images: Sequence[Image], cameras: Sequence[Camera | None]) -> Estimate:
        (image,), (camera,) = images, cameras
        assert camera is not None
        values = np.full((1, *image.shape[:2]), 2.0 * camera.focal_px / 100, np.float32)
        values[:, :, 0], values[:, :, 1] = -1, np.nan
        return Estimate(values)


def test_values_are_taken_beside_valid_depth_in_the_order_of_the_images(rooms: Path) -> None:
    dataset = FolderDataset(rooms)
    groups = measure_images(TwoMetres(Output.METRES), dataset, [0, 5])
    for index, (values, metres, _) in zip((0, 5), groups, strict=True):
        sample = dataset[index]
        depth_m = sample.depth_m[0, :, 2:]
        np.testing.assert_allclose(values, 2.0 * float(sample.intrinsics[0, 0]) / 100)
        np.testing.assert_allclose(metres, depth_m[sample.valid[0, :, 2:]].numpy())


def test_an_image_that_cannot_be_read_is_told_and_the_others_are_measured(rooms: Path, tmp_path: Path) -> None:
    dataset = FolderDataset(shutil.copytree(rooms, tmp_path / "rooms"))
    dataset.picture_file(1).write_bytes(b"x" * 100)
    told: list[str] = []
    assert len(measure_images(TwoMetres(Output.METRES), dataset, [0, 1, 2], told.append)) == 2
    (line,) = told
    assert line.startswith(f"picture {dataset.ids[1]}: ") and "is no picture that can be read" in line
    with pytest.raises(LeadlineError, match="is no picture that can be read"):
        measure_images(TwoMetres(Output.METRES), dataset, [0, 1, 2])


def test_without_a_unit_fewer_pixels_serve_and_negative_values_too(rooms: Path) -> None:
    (group,) = measure_images(TwoMetres(Output.DEPTH), FolderDataset(rooms), [0])
    # 72 rows of 95 columns (one is NaN), every 14th.
    assert len(group.values) == -(-72 * 95 // 14) <= MAX_SAMPLES[Output.DEPTH]
    assert (group.values == -1).any()


def test_a_split_is_chosen(rooms: Path) -> None:
    backend = TwoMetres(Output.METRES)
    assert len(measure_data(backend, "nothing trained", rooms, "official/test")) == 8
