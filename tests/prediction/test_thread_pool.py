import threading
import time
from collections.abc import Iterator

import pytest
import torch

from leadline.prediction.thread_pool import MemoryLimiter, ordered_map


@pytest.fixture
def eight_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(8)
    yield
    torch.set_num_threads(before)


def test_results_come_in_the_jobs_order_however_long_each_takes() -> None:
    def job(number: int) -> int:
        time.sleep(0.02 * (number % 3 == 0))
        return number

    assert list(ordered_map(((lambda number=number: job(number)) for number in range(10)), 3)) == list(range(10))


def test_jobs_are_taken_as_they_are_needed() -> None:
    taken: list[int] = []

    def jobs() -> Iterator[object]:
        for number in range(100):
            taken.append(number)
            yield int

    running = ordered_map(jobs(), 2)  # type: ignore[arg-type,var-annotated]
    next(running)
    assert len(taken) == 3
    running.close()  # type: ignore[attr-defined]
    assert len(taken) == 3


def test_a_job_that_fails_is_heard_of_in_its_turn() -> None:
    results = ordered_map([lambda: 1, lambda: 1 // 0, lambda: 3], 2)
    assert next(results) == 1
    with pytest.raises(ZeroDivisionError):
        next(results)


@pytest.mark.usefixtures("eight_threads")
def test_threads_are_shared_out_and_given_back() -> None:
    assert list(ordered_map([torch.get_num_threads] * 3, 4)) == [2, 2, 2]
    assert list(ordered_map([torch.get_num_threads], 20)) == [1]
    assert torch.get_num_threads() == 8
    later: list[int] = []
    thread = threading.Thread(target=lambda: later.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    assert later == [8]


@pytest.mark.usefixtures("eight_threads")
def test_a_large_job_is_alone_and_has_all_threads() -> None:
    gate = MemoryLimiter()
    inside: set[int] = set()
    seen: list[tuple[bool, int, int]] = []

    def job(number: int) -> None:
        large = number % 3 == 1
        with gate.entered(large):
            inside.add(number)
            time.sleep(0.02)
            seen.append((large, len(inside), torch.get_num_threads()))
            inside.remove(number)

    list(ordered_map(((lambda number=number: job(number)) for number in range(12)), 4))
    assert {it for it in seen if it[0]} == {(True, 1, 8)}
    assert {threads for large, _, threads in seen if not large} == {2}
    assert max(together for large, together, _ in seen if not large) > 1
