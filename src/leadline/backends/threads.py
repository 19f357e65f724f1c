"""How many threads a network may use, in a loop that runs several images at a time and outside of one."""

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

MAX_CONCURRENCY = 8
"""Images at a time at most: each is in memory with the network's maps of it."""
CONCURRENCY_ELSEWHERE = 3
"""The same where the network has threads or a device of its own: one image is read, one estimated, one written."""

_local = threading.local()


def num_threads() -> int:
    """How many threads a network that is called from this thread may use."""
    count: int | None = getattr(_local, "count", None)
    return all_threads() if count is None else count


def all_threads() -> int:
    """How many threads there are for networks in all: PyTorch's where it runs, else as many as OpenMP would take."""
    torch = _torch()
    if torch is not None:
        return int(torch.get_num_threads())
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    return int(wanted) if wanted.isdecimal() and int(wanted) else _num_cores()


def use_threads(count: int) -> None:
    """Let networks that are called from this thread use so many threads."""
    _local.count = count
    use_torch_threads(count)


def use_torch_threads(count: int) -> None:
    """Let PyTorch, where it is in use, take so many threads: what this thread sets is what later threads begin with."""
    torch = _torch()
    if torch is not None:
        torch.set_num_threads(count)


@contextmanager
def using_threads(count: int) -> Iterator[None]:
    """`use_threads` for a block; afterwards all is as it was."""
    before, torch_before = getattr(_local, "count", None), all_threads()
    use_threads(count)
    try:
        yield
    finally:
        _local.count = before
        use_torch_threads(torch_before)


def _num_cores() -> int:
    affinity = getattr(os, "sched_getaffinity", None)  # what a container may use; not everywhere
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1


def _torch() -> Any:
    """PyTorch where it is in use already; it is never loaded for this."""
    return sys.modules.get("torch")
