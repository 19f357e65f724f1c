"""What a backend answers, as whoever asks sees it."""

import numpy as np
import pytest

from leadline.backends.base import Estimate, require_finite
from leadline.errors import LeadlineError

VALUES = np.full((2, 2, 4), 3, np.float32)


def test_errors_are_brought_to_the_values_size_whatever_their_own() -> None:
    coarse, fine = np.array([[0.1, 0.3]], np.float32), np.full((2, 4), 0.2, np.float32)
    error = Estimate(VALUES, [coarse, fine]).relative_error
    assert error is not None and error.dtype == np.float32
    # Between two pixels' centres, a quarter and three quarters of the way; beyond them, as they are.
    np.testing.assert_allclose(error[0], [[0.1, 0.15, 0.25, 0.3]] * 2, rtol=1e-6)
    np.testing.assert_array_equal(error[1], fine)
    assert Estimate(VALUES).relative_error is None


def test_an_error_that_is_no_number_is_refused_though_nobody_asked_for_it() -> None:
    broken = [np.full((1, 2), 0.1, np.float32), np.array([[0.1, np.nan]], np.float32)]
    with pytest.raises(LeadlineError, match="it answers numbers that are not finite"):
        require_finite(Estimate(VALUES, broken), "it")
    assert require_finite(Estimate(VALUES, broken[:1] * 2), "it").values is VALUES
