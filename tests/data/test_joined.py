from pathlib import Path

import pytest

from leadline.data import open_dataset
from leadline.data.joined import with_pictures_beside
from leadline.data.settings import DataSettings
from leadline.data.splits import make_splits
from leadline.data.synthetic.dataset import synthesize
from leadline.errors import LeadlineError


@pytest.fixture(scope="module")
def roots(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    root = tmp_path_factory.mktemp("joined")
    synthesize(root / "rooms", 12, 1, 12, 16)  # three rooms of four pictures, the last for test
    synthesize(root / "near", 3, 1, 12, 16, scenes="near")
    return root / "rooms", root / "near"


def test_pictures_beside_are_trained_on_and_nothing_else(roots: tuple[Path, Path]):
    rooms, near = roots
    settings = DataSettings(validation=0.5, repeat=2, beside=(f"{near}*2",))
    joined = with_pictures_beside(open_dataset(rooms), settings)
    splits = make_splits(joined, "official", 0, 0.5)
    # four of the eight training pictures are kept for validation, four shown twice, three twice beside them
    assert (len(splits["val"]), len(splits["test"]), len(splits["train"])) == (4, 4, 4 + 4 + 3 + 3)
    alone = make_splits(open_dataset(rooms), "official", 0, 0.5)
    assert splits["val"] == alone["val"] and splits["test"] == alone["test"]
    assert [joined.ids[index] for index in splits["train"][-6:]] == [
        f"beside1.{time}/0000{number}" for time in (0, 1) for number in (1, 2, 3)
    ]
    kept = {joined.scenes[index] for index in splits["val"]}
    assert kept.isdisjoint({joined.scenes[index].split("/")[-1] for index in splits["train"]})


def test_a_joined_sample_is_that_of_its_data_set(roots: tuple[Path, Path]):
    rooms, near = roots
    other = open_dataset(near)
    joined = with_pictures_beside(open_dataset(rooms), DataSettings(beside=(str(near),)))
    assert len(joined) == len(set(joined.ids)) == len(joined.scenes) == 15
    sample = joined[13]
    assert sample.id == joined.ids[13] == "beside1.0/00002" and sample.scene == joined.scenes[13]
    assert sample.image.equal(other[1].image) and sample.intrinsics.equal(other[1].intrinsics)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"beside": ("x*0",)}, r"wanted PATH or PATH\*TIMES, got 'x\*0'"),
        ({"repeat": 2, "split": "report"}, "want the official split, got 'report'"),
    ],
)
def test_what_cannot_be_joined_is_refused(roots: tuple[Path, Path], settings: dict[str, object], message: str):
    with pytest.raises(LeadlineError, match=message):
        with_pictures_beside(open_dataset(roots[0]), DataSettings(**settings))
