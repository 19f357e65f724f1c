import pytest
import torch

from leadline.backends import batch


def test_an_image_for_each_core_within_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)
    assert batch.concurrency_on(torch.device("cpu")) == 8
    monkeypatch.setattr(batch, "MAX_CONCURRENCY", 4)
    assert batch.concurrency_on(torch.device("cpu")) == 4
    assert batch.concurrency_on(torch.device("cuda")) == 3
