"""The one loop of prediction: items of a source, several at a time, go in order into sinks."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from leadline.prediction.result import Prediction
from leadline.prediction.thread_pool import ordered_map

logger = logging.getLogger(__name__)

Item = TypeVar("Item")
"""An image file, or a frame of a clip or a stream, that is not read yet."""


class Source(Protocol[Item]):
    """Images or frames, one after the other."""

    concurrency: int
    """How many are worked on at a time, each by a thread. 0: one, by the caller's thread, and none is taken before all
    is done with the last one, as what comes live wants."""

    def __iter__(self) -> Iterator[Item]:
        """The items, in order; called once, from one thread."""
        ...

    def predict(self, item: Item, stack: ExitStack) -> Prediction:
        """Read an item and predict it, beside others.

        Args:
            item: one of them.
            stack: is left when each sink has what it wants of the prediction.
        """
        ...

    def failure(self, item: Item, error: Exception) -> Any:
        """What to tell of an item that has no result.

        Raises:
            Exception: the error, where it ends everything.
        """
        ...


class Sink(Generic[Item]):
    """What predictions become; this one lets all pass. Whoever opens a sink also finishes it."""

    def admit(self, item: Item) -> None:
        """Refuse an item before it is read; beside others."""

    def prepare(self, item: Item, prediction: Prediction) -> Any:
        """What the sink wants of them, which are kept for no other reason; beside others."""

    def take(self, prepared: Any) -> None:
        """Take what was prepared; in the items' order, from the caller's thread."""


class Outcome(NamedTuple):
    """What became of an item."""

    prepared: Sequence[Any]  # by each sink; none if it failed
    failure: Any  # what the source tells of it if it failed; None if it did not


def predict_each(source: Source[Item], sinks: Sequence[Sink[Item]]) -> Iterator[Outcome]:
    """Predict each item of a source once and hand it to the sinks.

    Args:
        source: the items.
        sinks: each has an item before the next one does.

    Yields:
        What became of each, in order.

    Raises:
        Exception: what the source does not pass over, and what fails in a sink's `take`.
    """

    def job(item: Item) -> Outcome:
        try:
            for sink in sinks:
                sink.admit(item)
            with ExitStack() as stack:
                prediction = source.predict(item, stack)
                return Outcome([sink.prepare(item, prediction) for sink in sinks], None)
        except Exception as error:  # memory, a full disk, foreign libraries
            logger.debug("%s", item, exc_info=True)
            return Outcome([], source.failure(item, error))

    jobs = (partial(job, item) for item in source)
    for outcome in ordered_map(jobs, source.concurrency) if source.concurrency else (job() for job in jobs):
        for sink, prepared in zip(sinks, outcome.prepared, strict=False):
            sink.take(prepared)
        yield outcome
