"""Mutated files for every reader: no exception but leadline's own may come out.

From the repository's root: python -m tests.robustness.fuzz --seed 0 --count 200 [--only NAME ...]
"""

import argparse
import logging
import resource
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(1, str(Path(__file__).parents[1] / "data"))

from leadline.errors import LeadlineError
from robustness.mutation import mutate
from robustness.readers import Reader, build_readers

MOST_MEMORY_BYTES = 16 << 30
"""Of addresses: what asks for more is told that there is none, on any machine."""


class Outcome(NamedTuple):
    """What a reader made of its mutated files."""

    num_read: int
    num_refused: int
    foreign: list[tuple[str, str]]  # seed and the end of the traceback


def fuzz(name: str, reader: Reader, seed: int, count: int) -> Outcome:
    """Read so many mutated files; the whole one is put back.

    Args:
        name: of the reader; with the seed and a number it decides the damage.
        reader: what reads.
        seed: of all.
        count: how many files.
    """
    whole = reader.target.read_bytes()
    num_read, num_refused, foreign = 0, 0, []
    try:
        reader.read()  # the whole file is right
        for number in range(count):
            place = f"{seed} {name} {number}"
            reader.target.write_bytes(mutate(whole, place, reader.is_text))
            try:
                reader.read()
                num_read += 1
            except LeadlineError:
                num_refused += 1
            except Exception:
                foreign.append((place, " | ".join(traceback.format_exc().strip().splitlines()[-3:])[-400:]))
    finally:
        reader.target.write_bytes(whole)
    return Outcome(num_read, num_refused, foreign)


def main() -> int:
    """Print a line a reader and what came out of it; 1 if anything was not leadline's own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--only", nargs="*")
    arguments = parser.parse_args()
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY_BYTES, resource.RLIM_INFINITY))
    num_foreign = 0
    with tempfile.TemporaryDirectory() as folder:
        for name, reader in build_readers(Path(folder)).items():
            if arguments.only and name not in arguments.only:
                continue
            began = time.monotonic()
            outcome = fuzz(name, reader, arguments.seed, arguments.count)
            num_foreign += len(outcome.foreign)
            seconds = time.monotonic() - began
            told = f"{outcome.num_read} read, {outcome.num_refused} refused, {len(outcome.foreign)} foreign"
            print(f"{name:20} {told}, {seconds:.1f} s", flush=True)
            for place, error in outcome.foreign[:5]:
                print(f"    [{place}] {error}", flush=True)
    print(f"{num_foreign} exceptions that are not leadline's own")
    return 1 if num_foreign else 0


if __name__ == "__main__":
    raise SystemExit(main())
