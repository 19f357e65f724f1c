import pytest
import torch

from leadline.data.sample import UNKNOWN_INTRINSICS, Sample, collate
from leadline.data.synthetic.dataset import SyntheticDataset


def test_a_batch_holds_the_samples_in_the_order_given() -> None:
    dataset = SyntheticDataset(6, 0, 24, 32)
    samples = [dataset[index] for index in (5, 0, 3)]
    batch = collate(samples)
    assert batch.image.shape == (3, 3, 24, 32) and batch.intrinsics.shape == (3, 3, 3)
    assert batch.depth_m.shape == batch.valid.shape == (3, 1, 24, 32)
    assert batch.valid.dtype == torch.bool
    assert (batch.id, batch.scene) == (["00006", "00001", "00004"], ["room_0001", "room_0000", "room_0000"])
    for place, sample in enumerate(samples):
        for name in ("image", "depth_m", "valid", "intrinsics"):
            assert torch.equal(getattr(batch, name)[place], getattr(sample, name))


def test_one_sample_is_a_batch_of_one() -> None:
    assert collate([SyntheticDataset(1, 0, 24, 32)[0]]).image.shape == (1, 3, 24, 32)


def test_samples_of_two_sizes_are_refused() -> None:
    with pytest.raises(RuntimeError, match="size"):
        collate([SyntheticDataset(1, 0, 24, 32)[0], SyntheticDataset(1, 0, 24, 40)[0]])


def test_a_sample_and_a_batch_name_the_same_things_in_the_same_order() -> None:
    assert collate([SyntheticDataset(1, 0, 8, 8)[0]])._fields == Sample._fields


def test_unknown_intrinsics_are_nan() -> None:
    assert UNKNOWN_INTRINSICS.shape == (3, 3) and UNKNOWN_INTRINSICS.isnan().all()
