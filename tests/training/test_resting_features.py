from pathlib import Path

import torch

from leadline.models.heads import Features
from leadline.training.resting_features import RestingFeatures


def features_of(num: int, height: int = 2) -> Features:
    """Maps of two sizes, different for each image; 0.1 is no float16."""
    finest = torch.arange(num, dtype=torch.float32).view(-1, 1, 1, 1).expand(-1, 3, height, 4) + 0.1
    return Features(finest, finest[:, :2, :1])


def never() -> Features:
    raise AssertionError("the network was asked again")


def test_a_network_is_asked_once_for_an_image(tmp_path: Path) -> None:
    resting = RestingFeatures(tmp_path / "features")
    first = resting.of(["a", "beside1.0/a", "b"], lambda: features_of(3))
    again = resting.of(["b", "a"], never)
    for one, other, exact in zip(first, again, features_of(3), strict=True):
        assert one.dtype == torch.float32
        torch.testing.assert_close(one, exact, atol=1e-3, rtol=0)
        assert torch.equal(other, one[[2, 0]])  # what is kept and what is computed are the same, bit by bit
    after_a_stop = RestingFeatures(tmp_path / "features")
    assert torch.equal(after_a_stop.of(["beside1.0/a"], never).finest, first.finest[1:2])


def test_a_batch_with_a_new_image_is_asked_for_as_a_whole(tmp_path: Path) -> None:
    resting = RestingFeatures(tmp_path)
    resting.of(["a"], lambda: features_of(1))
    both = resting.of(["a", "b"], lambda: features_of(2))
    assert len(both.finest) == 2 and torch.equal(resting.of(["b"], never).deepest, both.deepest[1:])


def test_images_of_two_sizes_are_asked_for_together(tmp_path: Path) -> None:
    """In a batch the smaller has a margin, which its own features do not show."""
    resting = RestingFeatures(tmp_path)
    resting.of(["a"], lambda: features_of(1, height=2))
    resting.of(["b"], lambda: features_of(1, height=3))
    assert resting.of(["a", "b"], lambda: features_of(2, height=3)).finest.shape == (2, 3, 3, 4)
