import numpy as np
import pytest

from leadline.data.check.limits import find_left_out, limit_problems
from leadline.data.datasets.folder import FolderInfo

MM = np.array([[0, 500, 2000], [9000, 65535, 65535]], np.uint16)


def said(stored: np.ndarray, **settings: object) -> tuple[list[str], list[str]]:
    info = FolderInfo.model_validate(settings)
    return limit_problems([find_left_out(stored, info)] * 2, info)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"depth_invalid": [0, 65535]},
        {"depth_invalid": 65535, "depth_max_m": 10},
        {"depth_max_m": 60},
        {"depth_max_m": 10},
        {"depth_max_m": 0.6},
        {"depth_max_m": 200},
        {"depth_scale": 1, "depth_max_m": 10000},  # which leaves 65535 m out
        {"depth_invalid": [float("nan"), 0]},  # no depth anyway
    ],
)
def test_limits_that_leave_out_what_they_should_say_nothing(settings: dict[str, object]) -> None:
    assert said(MM, **settings) == ([], [])


@pytest.mark.parametrize(
    ("code", "shown"),
    [
        (65.535, "has the value 65.535; it is a number of the file, not metres: set depth_invalid = [0, 65535]"),
        (-1, "has the value -1, which files of uint16 cannot hold"),
        (1e10, "has the value 1e+10, which files of uint16 cannot hold"),
        (0.5001, "set depth_invalid = [0, 500]"),
        (0.7, "has the value 0.7, which files of uint16 cannot hold"),
    ],
)
def test_a_code_that_files_cannot_have_is_a_problem(code: float, shown: str) -> None:
    for listed in (code, [0, 65535, code]):
        (problem,), notes = said(MM, depth_invalid=listed)
        assert "depth_invalid in dataset.toml: no pixel of the 2 depth maps looked at" in problem and shown in problem
        assert notes == []


def test_a_code_that_files_may_have_and_none_has_is_a_note() -> None:
    for stored, code in ((MM, 65534), (MM.astype(np.float32), -1.0)):
        problems, (note,) = said(stored, depth_invalid=[0, code])
        assert problems == [] and note.endswith(f"has the value {code:g}: leave it out if none ever has")


@pytest.mark.parametrize(
    ("farthest", "shown"),
    [
        (
            10000,
            "10000 in dataset.toml leaves out nothing and looks like millimetres: give metres (depth_max_m = 10)",
        ),
        (0.01, "0.01 in dataset.toml leaves no depth, the nearest is 0.5 m: give the farthest that counts"),
    ],
)
def test_a_farthest_depth_of_another_unit_is_a_problem(farthest: float, shown: str) -> None:
    (problem,), notes = said(MM, depth_max_m=farthest)
    assert shown in problem and notes == []
