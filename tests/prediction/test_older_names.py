import numpy as np
import pytest

import leadline
from leadline.errors import LeadlineError
from leadline.models.model import DepthModel

MATRIX = np.array([[200.0, 0, 15.5], [0, 200.0, 11.5], [0, 0, 1]])


def test_intrinsics_are_the_camera(flat_model: DepthModel) -> None:
    image = np.zeros((24, 32, 3), np.uint8)
    found = leadline.predict(image, flat_model, intrinsics=MATRIX)  # type: ignore[call-arg]
    assert (
        found.focal_px == 200
        and found.depth_m[0, 0] == leadline.predict(image, flat_model, camera=MATRIX).depth_m[0, 0]
    )
    with pytest.raises(LeadlineError, match="two names of one thing"):
        leadline.predict(image, flat_model, intrinsics=MATRIX, camera=MATRIX)  # type: ignore[call-arg]
