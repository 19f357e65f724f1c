"""What a benchmark found: seconds of each phase in each round, and what follows from them."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from leadline.io import atomic_file

PHASES = ("decode", "preprocess", "model", "postprocess", "write")
END_TO_END = "end to end"
PEAK_SIDE = 2048
"""Rows and columns of the matrices whose product stands for what the machine can do at best."""


class Spread(NamedTuple):
    """What rounds that differ have in common."""

    median: float
    half_iqr: float  # half of the distance between the quartiles

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """Median and spread of the rounds' values."""
        low, middle, high = np.percentile(values, (25, 50, 75)).tolist()
        return cls(middle, (high - low) / 2)


class Entry(BaseModel):
    """One model on one device at one batch size."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    """What it was opened by."""
    device: str
    """Where it ran."""
    dtype: str
    """In which precision it multiplied matrices."""
    batch: int
    """Images at a time."""
    num_parameters: int | None
    """Number of weights; None where PyTorch does not run the network."""
    num_multiply_adds: int | None
    """For one image, of convolutions and matrix products; None likewise."""
    height: int | None
    """Working height: rows of what the network sees (of the first image); None if unknown."""
    width: int | None
    """Working width; None likewise."""
    seconds: dict[str, tuple[float, ...]]
    """For each phase and `END_TO_END`, seconds per image in each round. A backend whose preprocessing and
    postprocessing cannot be timed separately has them in "model"."""
    peak_gflops: tuple[float, ...]
    """Billions of operations a second of a product of two matrices of `PEAK_SIDE`², in each round."""

    @property
    def gflops(self) -> Spread | None:
        """Billions of operations a second of the phase "model", a multiply-add being two; None if not counted."""
        each = self._gflops()
        return Spread.of(each) if each else None

    @property
    def share_of_peak(self) -> Spread | None:
        """Its share of the matrix product's, round by round; None likewise."""
        each = [ours / peak for ours, peak in zip(self._gflops(), self.peak_gflops, strict=False)]
        return Spread.of(each) if each else None

    def _gflops(self) -> list[float]:
        count = self.num_multiply_adds
        return [] if count is None else [2 * count / seconds / 1e9 for seconds in self.seconds["model"]]

    def speed_against(self, other: "Entry") -> Spread:
        """How many times as many images a second, end to end, paired round by round."""
        rounds = zip(other.seconds[END_TO_END], self.seconds[END_TO_END], strict=True)
        return Spread.of([theirs / ours for theirs, ours in rounds])


class Benchmark(BaseModel):
    """Everything that was measured in one run."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    leadline: str
    """Version."""
    torch: str
    """Version."""
    machine: str
    """CPU and, where one was used, accelerator."""
    num_threads: int
    """Threads of PyTorch on the CPU."""
    num_images: int = Field(validation_alias=AliasChoices("num_images", "num_pictures"))
    """Images in a round; fewer are repeated until they fill whole batches."""
    entries: tuple[Entry, ...]

    def first_like(self, entry: Entry) -> Entry:
        """The first model's entry on the same device and at the same batch size."""
        return next(it for it in self.entries if (it.device, it.batch) == (entry.device, entry.batch))

    def save(self, path: Path) -> None:
        """Write everything as JSON; `Benchmark.model_validate_json` reads it.

        Raises:
            OSError: if the file cannot be written.
        """
        with atomic_file(path) as temporary:
            temporary.write_text(self.model_dump_json(indent=2) + "\n", encoding="utf-8")
