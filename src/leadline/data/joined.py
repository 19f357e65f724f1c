"""One data set whose training pictures are joined by those of others, as often as wanted."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from leadline.data.catalog import open_dataset
from leadline.data.sample import FROM_FOLDER, RENDERED, DepthDataset, GroundTruth, Sample
from leadline.data.settings import DataSettings
from leadline.data.splits import Splits, make_splits
from leadline.data.synthetic.near_range import NearDataset
from leadline.errors import LeadlineError

RENDERED_SEED = 500
"""Of the scenes that are trained on; those that something is judged by have another."""
RENDERED_SIZE = (480, 640)


class Part(NamedTuple):
    """A data set within the joined one."""

    prefix: str  # of its ids, so that they stay unique
    dataset: DepthDataset
    indices: list[int]


class JoinedDataset:
    """The main data set whole, then pictures that are for training alone."""

    def __init__(self, parts: Sequence[Part], official: Splits) -> None:
        """Join parts.

        Args:
            parts: the main data set, then others.
            official: how the main one is divided; all others are for training.
        """
        self._parts, self._official = list(parts), official
        self._places = [(part, index) for part in self._parts for index in part.indices]

    @property
    def ids(self) -> list[str]:
        """The id of every picture, in order."""
        return [part.prefix + name for part in self._parts for name in _chosen(part.dataset.ids, part)]

    @property
    def scenes(self) -> list[str]:
        """The scene of every picture, in order; scenes of one name in two data sets are two."""
        return [
            part.prefix + name if name else "" for part in self._parts for name in _chosen(part.dataset.scenes, part)
        ]

    @property
    def official_splits(self) -> list[str]:
        """The official part of every picture, in order."""
        name_of = {index: name for name, indices in self._official.items() for index in indices}
        main, *others = self._parts
        return [*(name_of.get(index, "") for index in main.indices), *("train" for it in others for _ in it.indices)]

    def __len__(self) -> int:
        """Number of pictures."""
        return len(self._places)

    def __getitem__(self, index: int) -> Sample:
        """Decode one picture and its depth."""
        part, inner = self._places[index]
        sample = part.dataset[inner]
        return sample._replace(id=part.prefix + sample.id, scene=part.prefix + sample.scene if sample.scene else "")

    def ground_truth(self, index: int) -> GroundTruth:
        """Decode the depth of one image alone."""
        part, inner = self._places[index]
        return part.dataset.ground_truth(inner)


def is_from_beside(name: str) -> bool:
    """Whether the id of a picture says that it was joined from another data set or rendered."""
    return name.startswith(RENDERED) or FROM_FOLDER.match(name) is not None


def _chosen(values: Sequence[str], part: Part) -> list[str]:
    return [values[index] for index in part.indices]


def joins(settings: DataSettings) -> bool:
    """Whether pictures are to be joined to a data set.

    Raises:
        LeadlineError: if they are, and its split is not official.
    """
    wanted = bool(settings.beside or settings.rendered or settings.repeat > 1)
    if wanted and settings.split != "official":
        raise LeadlineError(
            "--data.beside, --data.repeat and --data.rendered want the official split, got "
            f"{settings.split!r}; a recipe's are left out by --data.repeat 1 --data.rendered 0"
        )
    return wanted


def with_pictures_beside(main: DepthDataset, settings: DataSettings) -> DepthDataset:
    """Join to a data set what is trained on beside it; its own pictures keep their indices.

    Args:
        main: the data set that is divided into train, val and test.
        settings: `beside`, `repeat` and `rendered`.

    Raises:
        LeadlineError: if a path holds no data set, pictures are to be joined to a split that is not official, or the
            number after a path's `*` is none.
    """
    if not joins(settings):
        return main
    official = make_splits(main, settings.split, settings.split_seed, settings.validation)
    parts = [Part("", main, list(range(len(main))))]
    parts += [Part(f"again{time}/", main, official["train"]) for time in range(1, settings.repeat)]
    for number, text in enumerate(settings.beside, start=1):
        folder, times = _path_and_times(text)
        other = open_dataset(Path(folder))
        parts += [Part(f"beside{number}.{time}/", other, list(range(len(other)))) for time in range(times)]
    if settings.rendered:
        near = NearDataset(settings.rendered, RENDERED_SEED, *RENDERED_SIZE)
        parts.append(Part(RENDERED, near, list(range(len(near)))))
    return JoinedDataset(parts, official)


def _path_and_times(text: str) -> tuple[str, int]:
    folder, star, times = text.rpartition("*")
    if not star:
        return text, 1
    if not times.isdigit() or int(times) < 1:
        raise LeadlineError(f"--data.beside: wanted PATH or PATH*TIMES, got {text!r}")
    return folder, int(times)
