"""The edges of arrays are those of tensors, which tests/models/test_edge_sharpening.py has on known scenes."""

import numpy as np
import pytest
import torch
from scipy.ndimage import uniform_filter

from leadline.geometry.edges import sharpen_edges
from leadline.models import edge_sharpening


@pytest.mark.parametrize("size", [(30, 40), (97, 61), (240, 320)])
def test_arrays_are_sharpened_as_tensors_are(size: tuple[int, int]) -> None:
    random = np.random.default_rng(0)
    steps = np.kron(random.uniform(1, 5, (6, 8)), np.ones((size[0] // 6 + 1, size[1] // 8 + 1)))[: size[0], : size[1]]
    depth_m = uniform_filter(steps, 5).astype(np.float32)
    image = (np.stack([steps / 5] * 3, axis=-1) + random.uniform(-0.1, 0, (*size, 3))).clip(0, 1).astype(np.float32)
    wanted = edge_sharpening.sharpen_edges(
        torch.from_numpy(depth_m)[None, None], torch.from_numpy(image).permute(2, 0, 1)[None], 20.0
    )
    found = sharpen_edges(depth_m, image, 20.0)
    assert (found != depth_m).mean() > 0.05
    np.testing.assert_allclose(found, wanted[0, 0], rtol=1e-5)


def test_a_slide_becomes_a_step_where_the_shades_have_it() -> None:
    columns = np.arange(40) + 0.5
    share = ((columns - 20) / 3 + 0.5).clip(0, 1)
    soft_m = np.tile(1 / (1 + share * (1 / 3 - 1)), (30, 1)).astype(np.float32)
    image = np.where(np.arange(40) < 21, 0.2, 0.8)[None, :, None] * np.ones((30, 1, 3))
    sharp_m = sharpen_edges(soft_m, image.astype(np.float32), 48.0)
    np.testing.assert_allclose(sharp_m, np.tile(np.where(columns < 21, 1.0, 3.0), (30, 1)), rtol=1e-5)
