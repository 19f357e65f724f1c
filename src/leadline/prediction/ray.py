"""Ray, as both prediction and evaluation use it: which cluster, and how many can work there at a time."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from leadline.errors import LeadlineError


class Cluster(NamedTuple):
    """A cluster that Ray is connected to."""

    ray: Any  # the package
    num_workers: int  # how many can work at a time
    share: dict[str, int]  # what each of them needs, as Ray's options: a GPU where there are any, else a core


@contextmanager
def ray_cluster() -> Iterator[Cluster]:
    """Connect to the cluster of the environment variable RAY_ADDRESS, or make one of this machine, for the block.

    Raises:
        LeadlineError: if Ray is not installed.
        OSError: if the cluster cannot be reached, or fails.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # Ray would tell its makers of each start
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # it calls each worker that has arguments an error
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise LeadlineError('a cluster needs Ray: pip install "leadline[ray]"') from error
    try:
        ray.init(include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    except (ValueError, RuntimeError, OSError) as error:
        raise OSError(f"there is no cluster at {os.environ.get('RAY_ADDRESS', 'this machine')}: {error}") from error
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
    ray.data.DataContext.get_current().enable_progress_bars = False
    try:
        resources = ray.cluster_resources()
        unit = "GPU" if resources.get("GPU", 0) >= 1 else "CPU"
        # A cluster that grows with its work may have none yet.
        yield Cluster(ray, max(1, int(resources.get(unit, 1))), {f"num_{unit.lower()}s": 1})
    except ray.exceptions.RayError as error:
        cause = getattr(error, "cause", None)
        if isinstance(cause, LeadlineError | OSError):
            raise cause from error
        # Below pages of what every process was doing stands what went wrong.
        raise OSError(f"the cluster failed: {str(error).strip().splitlines()[-1]}") from error
    finally:
        ray.shutdown()
