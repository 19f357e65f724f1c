"""Dividing a data set into train, validation and test: by the makers' word, by shuffle, or by scene."""

import hashlib
import json
import random
from collections.abc import Callable
from pathlib import Path

from leadline.data.sample import DepthDataset
from leadline.errors import LeadlineError, unknown_name

PARTS = ("train", "val", "test")
Splits = dict[str, list[int]]  # part -> indices, ascending

VALIDATION = 0.1
"""Share of the official training pictures that is kept for validation unless a run says otherwise."""

# The report's 1049/200/200 of 1449, as shares for sets of another size.
REPORT_HELD_OUT = 200 / 1449


def split_official(dataset: DepthDataset, seed: int, validation: float) -> Splits:
    """The makers' split; where they keep nothing for validation, with scenes taken out of their training pictures.

    Args:
        dataset: the data set; its `official_splits` name every picture's part.
        seed: which scenes are taken.
        validation: share of the training pictures to take, at the least.

    Raises:
        LeadlineError: if the data set names no official split.
    """
    train, makers_val, test = (
        [index for index, part in enumerate(dataset.official_splits) if part == wanted] for wanted in PARTS
    )
    if not train and not test:
        raise LeadlineError(
            "this data set names no official split: score with --split all or scene/test, train with "
            "--data.split scene, or add an official_split column to its index"
        )
    val = makers_val or _take_scenes(dataset, train, seed, round(validation * len(train)))
    return {"train": sorted(set(train) - set(val)), "val": val, "test": test}


def split_report(dataset: DepthDataset, seed: int, validation: float) -> Splits:
    """The report's: all pictures shuffled, 200 of 1449 to test and as many to validation, scenes shared."""
    order = list(range(len(dataset)))
    random.Random(seed).shuffle(order)
    held_out = round(REPORT_HELD_OUT * len(dataset))
    test, val, train = order[:held_out], order[held_out : 2 * held_out], order[2 * held_out :]
    return {"train": sorted(train), "val": sorted(val), "test": sorted(test)}


def split_scene(dataset: DepthDataset, seed: int, validation: float) -> Splits:
    """The report's shares, but no scene in two parts."""
    everything = list(range(len(dataset)))
    held_out = round(REPORT_HELD_OUT * len(dataset))
    test = _take_scenes(dataset, everything, seed, held_out)
    rest = sorted(set(everything) - set(test))
    val = _take_scenes(dataset, rest, seed + 1, held_out)
    return {"train": sorted(set(rest) - set(val)), "val": val, "test": test}


RULES: dict[str, Callable[[DepthDataset, int, float], Splits]] = {
    "official": split_official,
    "report": split_report,
    "scene": split_scene,
}


def ids_digest(dataset: DepthDataset) -> str:
    """A hash of what divisions follow from: every picture's id, scene and official part, in order."""
    parts = zip(dataset.ids, dataset.scenes, dataset.official_splits, strict=True)
    return hashlib.sha256(json.dumps(list(parts)).encode()).hexdigest()[:16]


def make_splits(dataset: DepthDataset, rule: str, seed: int = 0, validation: float = VALIDATION) -> Splits:
    """Divide a data set.

    Args:
        dataset: the data set.
        rule: a key of `RULES`.
        seed: seed of the shuffle, of pictures or of scenes.
        validation: share of the official training pictures kept for validation (rule "official" alone).

    Returns:
        Indices of train, val and test, ascending.

    Raises:
        LeadlineError: if the rule is unknown or cannot be followed.
    """
    if rule not in RULES:
        raise unknown_name("split", rule, RULES)
    return RULES[rule](dataset, seed, validation)


def select(dataset: DepthDataset, selection: str, seed: int = 0, validation: float = VALIDATION) -> list[int]:
    """Choose the pictures of one part.

    Args:
        dataset: the data set.
        selection: "all"; RULE/PART such as "official/test"; or a .txt file of ids, one a line.
        seed: seed of the rule.
        validation: as `make_splits`.

    Returns:
        Indices, in the order of the data set.

    Raises:
        LeadlineError: if nothing is chosen, or the selection or an id is unknown.
    """
    if selection == "all":
        return list(range(len(dataset)))
    if selection.endswith(".txt"):
        return _indices_of_ids(dataset, Path(selection))
    rule, _, part = selection.partition("/")
    if rule not in RULES or part not in PARTS:
        known = ["all", *(f"{rule}/{part}" for rule in RULES for part in PARTS)]
        raise unknown_name("split", selection, known)
    chosen = make_splits(dataset, rule, seed, validation)[part]
    if not chosen:
        why = ": the model was trained with nothing kept for validation" if validation == 0 and part == "val" else ""
        raise LeadlineError(f"split {selection!r} holds no picture of this data set{why}")
    return chosen


def _indices_of_ids(dataset: DepthDataset, path: Path) -> list[int]:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise LeadlineError(f"{path} cannot be read as a list of ids: {error}") from error
    wanted = [line.strip() for line in lines if line.strip()]
    place = {name: index for index, name in enumerate(dataset.ids)}
    missing = [name for name in wanted if name not in place]
    if missing or not wanted:
        what = f"ids that the data set lacks, such as {missing[0]!r}" if missing else "no id"
        raise LeadlineError(f"{path} lists {what}; wanted one id of the data set a line")
    return sorted(place[name] for name in set(wanted))


def _take_scenes(dataset: DepthDataset, candidates: list[int], seed: int, wanted: int) -> list[int]:
    """Take whole scenes, in seeded order, until at least `wanted` pictures are taken."""
    scenes = dataset.scenes
    by_scene: dict[str, list[int]] = {}
    for index in candidates:
        by_scene.setdefault(scenes[index] or f"picture {index}", []).append(index)
    names = sorted(by_scene)
    random.Random(seed).shuffle(names)
    taken: list[int] = []
    for name in names:
        if len(taken) >= wanted:
            break
        taken += by_scene[name]
    return sorted(taken)
