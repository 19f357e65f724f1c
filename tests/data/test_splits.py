from dataclasses import dataclass
from pathlib import Path

import pytest

from leadline.data.datasets.folder import FolderDataset
from leadline.data.sample import Sample
from leadline.data.splits import PARTS, RULES, Splits, make_splits, select
from leadline.errors import LeadlineError

NYU = Path(__file__).parents[2] / ".." / "shared" / "data" / "nyu-v2-labelled"


@dataclass(frozen=True)
class Listed:
    """A data set that is only its lists."""

    scenes: list[str]
    official_splits: list[str]
    prefix: str = "p"

    @property
    def ids(self) -> list[str]:
        return [f"{self.prefix}{index}" for index in range(len(self))]

    def __len__(self) -> int:
        return len(self.scenes)

    def __getitem__(self, index: int) -> Sample:
        raise AssertionError("dividing a set must decode nothing")


def rooms(num_scenes: int, each: int, num_test_scenes: int = 0) -> Listed:
    """Scenes of `each` pictures, those for testing first, the pictures of a scene far apart."""
    names = [f"room {number}" for number in range(num_scenes)] * each
    parts = ["test" if number < num_test_scenes else "train" for number in range(num_scenes)] * each
    return Listed(names, parts)


def scenes_of(dataset: Listed, splits: Splits) -> list[set[str]]:
    return [{dataset.scenes[index] for index in splits[part]} for part in PARTS]


def assert_partition(splits: Splits, num: int) -> None:
    assert list(splits) == list(PARTS)
    assert sorted(sum(splits.values(), [])) == list(range(num))
    assert all(indices == sorted(indices) for indices in splits.values())


def assert_disjoint(train: set[str], val: set[str], test: set[str]) -> None:
    assert not train & val and not train & test and not val & test


# official


@pytest.mark.parametrize("seed", range(5))
def test_official_keeps_the_makers_test_and_parts_no_scene(seed: int) -> None:
    dataset = rooms(30, 3, 10)
    splits = make_splits(dataset, "official", seed, 0.2)
    assert_partition(splits, 90)
    assert splits["test"] == [index for index, part in enumerate(dataset.official_splits) if part == "test"]
    assert_disjoint(*scenes_of(dataset, splits))


@pytest.mark.parametrize(("share", "num"), [(0.0, 0), (0.1, 6), (0.2, 12), (0.21, 15), (0.5, 30)])
def test_official_takes_whole_scenes_until_the_share_is_reached(share: float, num: int) -> None:
    # 60 training pictures in 20 scenes of 3: 0.21 asks for 13, which are 5 scenes.
    assert len(make_splits(rooms(30, 3, 10), "official", 0, share)["val"]) == num


def test_official_leaves_out_pictures_that_have_no_part() -> None:
    splits = make_splits(Listed(list("aabbcc"), ["train", "", "train", "test", "", "test"]), "official", 0, 0)
    assert splits == {"train": [0, 2], "val": [], "test": [3, 5]}


def test_official_needs_official_parts() -> None:
    with pytest.raises(LeadlineError, match="no official split: score with --split all or scene/test, train with"):
        make_splits(Listed(list("abcd"), [""] * 4), "official")


def test_validation_can_take_the_only_scene() -> None:
    dataset = Listed(["hall"] * 9 + ["yard"], ["train"] * 9 + ["test"])
    assert make_splits(dataset, "official", 0, 0.1) == {"train": [], "val": list(range(9)), "test": [9]}
    assert make_splits(dataset, "official", 0, 0)["train"] == list(range(9))


# report


def test_report_is_1049_200_200_of_1449() -> None:
    splits = make_splits(rooms(1449, 1), "report")
    assert_partition(splits, 1449)
    assert [len(splits[part]) for part in PARTS] == [1049, 200, 200]


def test_report_split_of_seed_0_is_the_published_one() -> None:
    splits = make_splits(rooms(1449, 1), "report", 0)
    assert splits["test"][:6] == [9, 23, 35, 49, 51, 58]  # numbers are quoted on it: it may never change
    assert splits["val"][:6] == [5, 11, 12, 13, 17, 55]


def test_report_shuffles() -> None:
    splits = make_splits(rooms(1449, 1), "report")
    for part in ("val", "test"):
        # The mean of 200 of 0 to 1448 lies within 4 standard errors (28) of the middle.
        assert abs(sum(splits[part]) / 200 - 724) < 112
    assert sum(index + 1 in set(splits["test"]) for index in splits["test"]) < 60


# scene


@pytest.mark.parametrize("seed", range(5))
def test_scene_parts_no_scene_and_reaches_the_reports_shares(seed: int) -> None:
    dataset = rooms(40, 4)
    splits = make_splits(dataset, "scene", seed)
    assert_partition(splits, 160)
    assert_disjoint(*scenes_of(dataset, splits))
    assert len(splits["test"]) == len(splits["val"]) == 24  # 200/1449 of 160 is 22.1: six scenes of four


def test_pictures_without_scene_stand_alone() -> None:
    splits = make_splits(Listed([""] * 29, [""] * 29), "scene")
    assert_partition(splits, 29)
    assert (len(splits["test"]), len(splits["val"])) == (4, 4)


# all rules


@pytest.mark.parametrize("rule", RULES)
def test_a_seed_fixes_the_split_and_another_changes_it(rule: str) -> None:
    dataset = rooms(60, 2, 20)
    first = make_splits(dataset, rule, 7)
    assert make_splits(dataset, rule, 7) == first
    assert all(make_splits(dataset, rule, seed)["val"] != first["val"] for seed in (0, 8, 9))


def test_unknown_rule_suggests() -> None:
    with pytest.raises(LeadlineError, match="unknown split 'offical': did you mean 'official'"):
        make_splits(rooms(4, 1), "offical")


@pytest.mark.parametrize("num", [1, 2, 3])
def test_of_a_tiny_set_everything_is_for_training(num: int) -> None:
    dataset = rooms(num, 1)
    for rule in ("report", "scene"):
        assert make_splits(dataset, rule) == {"train": list(range(num)), "val": [], "test": []}
        with pytest.raises(LeadlineError, match=f"split '{rule}/test' holds no picture of this data set"):
            select(dataset, f"{rule}/test")


def test_two_large_scenes_leave_nothing_to_train_on() -> None:
    assert make_splits(rooms(2, 10), "scene")["train"] == []


# select


def test_all_is_all() -> None:
    assert select(rooms(3, 2), "all") == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("part", PARTS)
def test_rule_and_part_are_those_of_the_split(rule: str, part: str) -> None:
    dataset = rooms(40, 2, 10)
    assert select(dataset, f"{rule}/{part}", 3) == make_splits(dataset, rule, 3)[part]


def test_ids_of_a_file_come_in_the_order_of_the_set_once_each(tmp_path: Path) -> None:
    (tmp_path / "ids.txt").write_text("p5\np0\n\np3\np5\n")
    assert select(rooms(6, 1), str(tmp_path / "ids.txt")) == [0, 3, 5]


def test_ids_with_blanks_are_one_a_line(tmp_path: Path) -> None:
    (tmp_path / "ids.txt").write_text("picture 2\npicture 0\n")
    assert select(Listed(["", "", ""], ["", "", ""], "picture "), str(tmp_path / "ids.txt")) == [0, 2]


def test_ids_that_the_set_lacks_are_named(tmp_path: Path) -> None:
    (tmp_path / "ids.txt").write_text("p0\nq7\nq8\n")
    with pytest.raises(LeadlineError, match=r"ids\.txt lists ids that the data set lacks, such as 'q7'; wanted one id"):
        select(rooms(3, 1), str(tmp_path / "ids.txt"))


def test_empty_file_of_ids_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ids.txt").write_text("\n\n")
    with pytest.raises(LeadlineError, match=r"ids\.txt lists no id"):
        select(rooms(3, 1), str(tmp_path / "ids.txt"))


@pytest.mark.parametrize(
    ("given", "meant"),
    [("offical/test", "official/test"), ("report/tset", "report/test"), ("scene/valid", "scene/val")],
)
def test_unknown_selection_suggests(given: str, meant: str) -> None:
    with pytest.raises(LeadlineError, match=f"unknown split '{given}': did you mean '{meant}'"):
        select(rooms(9, 2, 3), given)


def test_selection_like_none_lists_all() -> None:
    with pytest.raises(LeadlineError) as caught:
        select(rooms(9, 2, 3), "?")
    assert all(f"{rule}/{part}" in str(caught.value) for rule in RULES for part in PARTS)
    assert "choose from all, " in str(caught.value)


@pytest.mark.parametrize("train", [0, 9])
def test_official_test_needs_no_training_pictures(train: int) -> None:
    dataset = Listed(["hall"] * train + ["yard"] * 3, ["train"] * train + ["test"] * 3)
    assert select(dataset, "official/test") == [train, train + 1, train + 2]


@pytest.mark.skipif(not NYU.is_dir(), reason="the labelled NYU pictures are not beside the repository")
def test_real_set_is_divided_as_published() -> None:
    dataset = FolderDataset(NYU)
    test = select(dataset, "official/test")
    assert len(test) == 654 and all(dataset.official_splits[index] == "test" for index in test)
    splits = make_splits(dataset, "official")
    assert len(splits["train"]) + len(splits["val"]) == 795
    assert 80 <= len(splits["val"]) <= 95  # a tenth of 795, and the rest of the last scene
    scenes = [{dataset.scenes[index] for index in splits[part]} for part in PARTS]
    assert_disjoint(*scenes)
    assert [len(part) for part in make_splits(dataset, "report").values()] == [1049, 200, 200]


def test_makers_who_keep_pictures_for_validation_are_heeded() -> None:
    dataset = Listed(["a", "b", "c", "d"], ["train", "val", "test", "train"])
    assert make_splits(dataset, "official") == {"train": [0, 3], "val": [1], "test": [2]}
