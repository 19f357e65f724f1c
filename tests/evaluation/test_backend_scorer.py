from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from leadline.backends.base import Estimate, Image
from leadline.data.catalog import open_dataset
from leadline.data.sample import Sample
from leadline.errors import LeadlineError
from leadline.evaluation.backend_scorer import BackendScorer, open_scorer
from leadline.evaluation.prediction_files import FilesScorer
from leadline.geometry.camera import Camera
from leadline.geometry.depth import Output


class Columns:
    """Column 0 is 1 m, column 1 is 2 m and so on; twice that where the left of the image is darker than its right."""

    name, runtime = "columns", "numpy float32"
    output, working_size, concurrency = Output.METRES, None, 1

    def __init__(self, knows_error: bool = True) -> None:
        self.knows_error = knows_error
        self.cameras: list[Camera | None] = []

    def assumed_camera(self, height: int, width: int) -> Camera | None:
        return None

    def estimate(self, images: Sequence[Image], cameras: Sequence[Camera | None]) -> Estimate:
        (image,), (camera,) = images, cameras
        self.cameras.append(camera)
        assert image.dtype == np.float32 and image.shape[2] == 3
        half = image.shape[1] // 2
        times = 2 if image[:, :half].mean() < image[:, half:].mean() else 1
        values = np.broadcast_to(times * np.arange(1, image.shape[1] + 1, dtype=np.float32), (1, *image.shape[:2]))
        return Estimate(values.copy(), np.full_like(values, 0.1 * times) if self.knows_error else None)


@pytest.fixture
def left_is_bright(rooms: Path) -> bool:
    image = open_dataset(rooms)[0].image
    return bool(image[..., :48].mean() > image[..., 48:].mean())


@pytest.mark.parametrize("knows_error", [True, False])
def test_the_mirror_image_is_turned_back_before_the_mean(rooms: Path, left_is_bright: bool, knows_error: bool) -> None:
    backend, dataset = Columns(knows_error), open_dataset(rooms)
    image = BackendScorer(backend).open_image(dataset, 0)
    values, uncertainty = image.estimate(True)
    columns = torch.arange(1.0, 97)
    once, twice = (columns, 2 * columns.flip(0)) if left_is_bright else (2 * columns, columns.flip(0))
    assert torch.equal(values, ((once + twice) / 2).expand(1, 1, 72, 96))
    assert (uncertainty is not None) == knows_error
    if uncertainty is not None:  # relative errors of 0.1 and 0.2
        torch.testing.assert_close(uncertainty, 0.15 * values)
    assert torch.equal(image.truth.depth_m, dataset[0].depth_m)


def test_the_camera_is_the_data_sets_and_mirrored_with_the_image(rooms: Path) -> None:
    backend, dataset = Columns(), open_dataset(rooms)
    BackendScorer(backend).open_image(dataset, 0).estimate(True)
    camera, mirrored = backend.cameras
    assert camera is not None and mirrored is not None
    np.testing.assert_allclose(camera.matrix, dataset[0].intrinsics)
    assert (mirrored.cx, mirrored.fx) == pytest.approx((95 - camera.cx, camera.fx))


def test_the_prefix_tells_folders_from_models(rooms: Path, tmp_path: Path) -> None:
    dataset = open_dataset(rooms)
    assert isinstance(open_scorer(f"files:{tmp_path}", dataset), FilesScorer)
    with pytest.raises(LeadlineError, match="unknown model 'nowhere'"):
        open_scorer("nowhere", dataset)


def test_estimates_are_brought_to_the_size_of_their_ground_truth(rooms: Path) -> None:
    dataset = open_dataset(rooms)

    class HalfTheDepth:
        def __getitem__(self, index: int) -> Sample:
            sample = dataset[index]
            return sample._replace(depth_m=sample.depth_m[:, ::2, ::2], valid=sample.valid[:, ::2, ::2])

    image = BackendScorer(Columns()).open_image(HalfTheDepth(), 0)  # type: ignore[arg-type]
    values, uncertainty = image.estimate(False)
    assert image.truth.depth_m.shape == (1, 36, 48)
    # A pixel of the half lies between two columns: between 1 and 2 m, 3 and 4 m, and so on; or twice that.
    halfway = torch.arange(1.5, 97, 2).expand(1, 1, 36, 48)
    assert torch.equal(values, halfway * (values[0, 0, 0, 0] / 1.5)) and uncertainty is not None
    torch.testing.assert_close(
        uncertainty / values, torch.full_like(values, float(uncertainty[0, 0, 0, 0] / values[0, 0, 0, 0]))
    )
