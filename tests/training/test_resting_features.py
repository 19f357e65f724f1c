from pathlib import Path

import torch

from leadline.models.heads import Features
from leadline.training.resting_features import RestingFeatures


def features_of(num: int, height: int = 2) -> Features:
    """Maps of two sizes, different for each image; 0.1 is no float16."""
    finest = torch.arange(num, dtype=torch.float32).view(-1, 1, 1, 1).expand(-1, 3, height, 4) + 0.1
    return Features(finest, finest[:, :2, :1])


SIZE = (4, 8)


def never() -> Features:
    raise AssertionError("the network was asked again")


def test_a_network_is_asked_once_for_an_image(tmp_path: Path) -> None:
    resting = RestingFeatures(tmp_path / "features")
    first = resting.of(["a", "beside1.0/a", "b"], SIZE, lambda: features_of(3))
    again = resting.of(["b", "a"], SIZE, never)
    for one, other, exact in zip(first, again, features_of(3), strict=True):
        assert one.dtype == torch.float32
        torch.testing.assert_close(one, exact, atol=1e-3, rtol=0)
        assert torch.equal(other, one[[2, 0]])  # what is kept and what is computed are the same, bit by bit
    after_a_stop = RestingFeatures(tmp_path / "features")
    assert torch.equal(after_a_stop.of(["beside1.0/a"], SIZE, never).finest, first.finest[1:2])


def test_a_batch_with_a_new_image_is_asked_for_as_a_whole(tmp_path: Path) -> None:
    resting = RestingFeatures(tmp_path)
    resting.of(["a"], SIZE, lambda: features_of(1))
    both = resting.of(["a", "b"], SIZE, lambda: features_of(2))
    assert len(both.finest) == 2 and torch.equal(resting.of(["b"], SIZE, never).deepest, both.deepest[1:])


def test_an_image_with_a_margin_is_another(tmp_path: Path) -> None:
    """In a batch the smaller has a margin, which its features show."""
    resting = RestingFeatures(tmp_path)
    alone = resting.of(["a"], SIZE, lambda: features_of(1))
    beside = resting.of(["a", "b"], (6, 8), lambda: features_of(2, height=3))
    assert beside.finest.shape == (2, 3, 3, 4)
    assert torch.equal(resting.of(["a"], SIZE, never).finest, alone.finest)
    assert torch.equal(resting.of(["b", "a"], (6, 8), never).finest, beside.finest[[1, 0]])


def test_ids_are_told_apart_whatever_they_are_made_of(tmp_path: Path) -> None:
    resting, names = RestingFeatures(tmp_path), ["room/1", "room-1", "Room-1", "é" * 300]
    features = resting.of(names, SIZE, lambda: features_of(4))
    for place, name in enumerate(names):
        assert torch.equal(resting.of([name], SIZE, never).finest[0], features.finest[place])
