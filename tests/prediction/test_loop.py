"""The one loop: what is predicted when, and what reaches the sinks."""

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack

import numpy as np
import pytest

from leadline.prediction.loop import Outcome, Sink, predict_each
from leadline.prediction.result import Prediction


class Numbers:
    """Items 0, 1, … whose depth is their number plus one; the third is broken."""

    def __init__(self, concurrency: int, passes_over: bool = True) -> None:
        self.concurrency, self.passes_over = concurrency, passes_over
        self.events: list[str] = []

    def __iter__(self) -> Iterator[int]:
        for number in range(6):
            self.events.append(f"taken {number}")
            yield number

    def predict(self, number: int, stack: ExitStack) -> Prediction:
        stack.callback(self.events.append, f"left {number}")
        if number == 2:
            raise ValueError("broken")
        time.sleep(0.02 * (number % 2 == 0))
        depth_m = np.full((1, 1), number + 1, np.float32)
        return Prediction(np.zeros((1, 1, 3), np.uint8), depth_m, np.ones((1, 1), bool))

    def failure(self, number: int, error: Exception) -> str:
        if not self.passes_over:
            raise error
        return f"{number} is {error}"


class Depths(Sink[int]):
    """Keeps each item's number and depth, and who handed it over."""

    def __init__(self, source: Numbers) -> None:
        self._source = source
        self.taken: list[tuple[int, float]] = []
        self.takers: set[int] = set()

    def prepare(self, number: int, prediction: Prediction) -> tuple[int, float]:
        self._source.events.append(f"prepared {number}")
        return number, float(prediction.depth_m[0, 0])

    def take(self, prepared: tuple[int, float]) -> None:
        self.taken.append(prepared)
        self.takers.add(threading.get_ident())


@pytest.mark.parametrize("concurrency", [0, 1, 3])
def test_each_sink_takes_all_that_do_not_fail_in_order_from_the_callers_thread(concurrency: int) -> None:
    source = Numbers(concurrency)
    sinks = [Depths(source), Depths(source)]
    outcomes = list(predict_each(source, sinks))
    whole = [(number, number + 1) for number in (0, 1, 3, 4, 5)]
    assert sinks[0].taken == sinks[1].taken == whole and sinks[0].takers == {threading.get_ident()}
    assert outcomes[2] == Outcome([], "2 is broken")
    assert outcomes[:2] + outcomes[3:] == [Outcome([each, each], None) for each in whole]


def test_what_an_item_holds_is_left_after_its_sinks_have_prepared_theirs() -> None:
    source = Numbers(0)
    list(predict_each(source, [Depths(source)]))
    assert source.events[:6] == ["taken 0", "prepared 0", "left 0", "taken 1", "prepared 1", "left 1"]
    assert source.events[6:8] == ["taken 2", "left 2"]


@pytest.mark.parametrize(("concurrency", "num_taken"), [(0, 1), (2, 3)])
def test_none_that_comes_live_is_taken_before_the_last_is_done_with(concurrency: int, num_taken: int) -> None:
    source = Numbers(concurrency)
    running = predict_each(source, [])
    next(running)
    assert len([event for event in source.events if event.startswith("taken")]) == num_taken


@pytest.mark.parametrize("concurrency", [0, 2])
def test_a_source_may_end_with_the_first_that_fails(concurrency: int) -> None:
    source = Numbers(concurrency, passes_over=False)
    sink = Depths(source)
    with pytest.raises(ValueError, match="broken"):
        list(predict_each(source, [sink]))
    assert [number for number, _ in sink.taken] == [0, 1]


def test_a_sink_refuses_an_item_before_it_is_read() -> None:
    class Refusing(Depths):
        def admit(self, number: int) -> None:
            if number == 4:
                raise ValueError("refused")

    source = Numbers(0)
    sink = Refusing(source)
    assert list(predict_each(source, [sink]))[4] == Outcome([], "4 is refused")
    assert "left 4" not in source.events and [number for number, _ in sink.taken] == [0, 1, 3, 5]
