"""What follows from times, with numbers worked by hand."""

from pathlib import Path

import pytest

from leadline.evaluation.speed.results import END_TO_END, PHASES, Benchmark, Entry, Spread


def entry(name: str, whole: tuple[float, ...], device: str = "cpu", batch: int = 1) -> Entry:
    seconds = {phase: (0.5, 0.25, 0.125) for phase in PHASES} | {END_TO_END: whole}
    return Entry(
        model=name, device=device, dtype="float32", batch=batch, num_parameters=1, num_multiply_adds=10**9,
        height=4, width=6, seconds=seconds, peak_gflops=(8.0, 10.0, 16.0),
    )  # fmt: skip


def test_the_spread_is_half_of_what_lies_between_the_quartiles() -> None:
    assert Spread.of([5, 1, 2, 4, 3]) == (3, 1)  # quartiles 2 and 4
    assert Spread.of([7.0]) == (7, 0)


def test_speed_counts_a_multiply_add_as_two_and_pairs_rounds() -> None:
    # 2 billion operations in 0.5, 0.25, 0.125 s are 4, 8, 16 a second; of peaks 8, 10, 16: 0.5, 0.8, 1.
    first = entry("a", (1.0, 2.0, 4.0))
    assert first.gflops.median == 8
    assert first.share_of_peak.median == pytest.approx(0.8)
    # 2, 4 and 2 times as fast in the three rounds: not what medians (2 and 0.5) would say, which is 4.
    assert entry("b", (0.5, 0.5, 2.0)).speed_against(first).median == 2


def test_the_first_model_is_sought_on_the_same_device_and_batch() -> None:
    entries = [
        entry(name, (1.0,) * 3, device, batch) for batch in (1, 4) for device in ("cpu", "cuda") for name in "ab"
    ]
    result = Benchmark(
        leadline="0", torch="0", machine="m", num_threads=1, num_images=1, entries=tuple(entries)
    )  # fmt: skip
    assert [result.first_like(it) for it in entries[-2:]] == [entries[-2]] * 2


def test_json_comes_back_as_it_went(tmp_path: Path) -> None:
    result = Benchmark(
        leadline="0", torch="0", machine="m", num_threads=1, num_images=3, entries=(entry("a", (0.1, 0.2, 1 / 3)),)
    )
    result.save(tmp_path / "bench.json")
    assert Benchmark.model_validate_json((tmp_path / "bench.json").read_text(encoding="utf-8")) == result


def test_json_of_earlier_releases_is_read() -> None:
    words = '{"leadline": "0", "torch": "0", "machine": "m", "num_threads": 1, "num_pictures": 3, "entries": []}'
    assert Benchmark.model_validate_json(words).num_images == 3
