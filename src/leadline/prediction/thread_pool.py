"""Many pictures at once: each worker takes one all the way from file to result."""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from leadline.backends import all_threads, num_threads, use_threads, use_torch_threads, using_threads

T = TypeVar("T")


def ordered_map(jobs: Iterable[Callable[[], T]], count: int) -> Iterator[T]:
    """Run jobs on several threads, the threads that networks use shared out among them.

    Args:
        jobs: what to do; taken one at a time, no more ahead than keeps the workers busy.
        count: how many run at a time.

    Yields:
        What each returns, in the jobs' order.
    """
    total = all_threads()
    share = max(1, total // count)
    waiting: deque[Future[T]] = deque()
    try:
        with ThreadPoolExecutor(count, initializer=use_threads, initargs=(share,)) as pool:
            for job in jobs:
                waiting.append(pool.submit(job))
                if len(waiting) > count:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
    finally:
        # What a worker sets for itself is also what later threads begin with.
        use_torch_threads(total)


class MemoryLimiter:
    """Lets in any number of small jobs at a time, or a single large one with all threads."""

    def __init__(self) -> None:
        """Nobody is in."""
        self._changed = threading.Condition()
        self._inside = 0
        self._large_inside = False
        self._all_threads = all_threads()

    @contextmanager
    def entered(self, large: bool) -> Iterator[None]:
        """Wait until there is room, and be inside for the block."""
        with self._changed:
            self._changed.wait_for(lambda: not self._large_inside and not (large and self._inside))
            self._inside += 1
            self._large_inside = large
        try:
            with using_threads(self._all_threads if large else num_threads()):
                yield
        finally:
            with self._changed:
                self._inside -= 1
                self._large_inside = False
                self._changed.notify_all()
