import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader, get_worker_info

from leadline.data import loader as module
from leadline.data.loader import CachedSamples, DepthDataModule, EpochSampler, TrainingSamples, collate_padded
from leadline.data.sample import Batch, Sample, collate
from leadline.data.settings import AugmentSettings, DataSettings
from leadline.data.synthetic.dataset import SyntheticDataset
from leadline.data.transforms import to_working_size
from leadline.errors import LeadlineError

COUNT, HEIGHT, WIDTH = 6, 48, 64
AREA_PX = 36 * 48
NO_CHANGE = AugmentSettings(mirror=0, permute_channels=0)
EVERYTHING = AugmentSettings(colour=0.5, zoom=1.5, rotate_deg=10)


@cache
def rendered(index: int, width: int) -> Sample:
    return SyntheticDataset(COUNT, 0, HEIGHT, width)[index]


def shared_zeros() -> Tensor:
    zeros = torch.zeros(COUNT, dtype=torch.int64)
    zeros.share_memory_()  # type: ignore[no-untyped-call]
    return zeros


@dataclass(frozen=True)
class Counting:
    """Rooms with a hole in their depth, which counts how often each is decoded, in whichever process.

    The pictures that are named `wide` are of another shape.
    """

    wide: frozenset[int] = frozenset()
    decoded: Tensor = field(default_factory=shared_zeros)

    @property
    def ids(self) -> list[str]:
        return SyntheticDataset(COUNT).ids

    @property
    def scenes(self) -> list[str]:
        return SyntheticDataset(COUNT).scenes

    @property
    def official_splits(self) -> list[str]:
        return ["train"] * COUNT

    def __len__(self) -> int:
        return COUNT

    def __getitem__(self, index: int) -> Sample:
        self.decoded[index] += 1
        sample = rendered(index, WIDTH + 20 * (index in self.wide))
        valid = sample.valid.clone()
        valid[:, 10:20, 5 * index : 5 * index + 10] = False  # the depth below is left for the cache to clear
        return sample._replace(valid=valid)


@pytest.fixture(autouse=True)
def enough_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """What else runs on this machine must not decide a test."""
    monkeypatch.setattr(module, "free_memory_bytes", lambda: 1 << 40)


def assert_equal(first: Sample | Batch, second: Sample | Batch) -> None:
    assert all(torch.equal(one, other) for one, other in zip(first[:4], second[:4], strict=True))
    assert first[4:] == second[4:]


# CachedSamples


def test_a_cached_sample_is_the_decoded_one_to_half_a_grey_level() -> None:
    dataset = Counting()
    cached = CachedSamples(dataset, AREA_PX, enabled=True)
    for index in (3, 0, 5, 3):
        got, wanted = cached[index], to_working_size(dataset[index], AREA_PX)
        torch.testing.assert_close(got.image, wanted.image, rtol=0, atol=0.501 / 255)
        assert torch.equal(got.valid, wanted.valid) and not got.valid.all()
        assert torch.equal(got.depth_m, wanted.depth_m * wanted.valid)
        assert torch.equal(got.intrinsics, wanted.intrinsics)
        assert (got.id, got.scene) == (wanted.id, wanted.scene)
        assert got.image.dtype == got.depth_m.dtype == torch.float32 and got.valid.dtype == torch.bool


def test_the_first_answer_is_the_same_as_all_later_ones_and_decodes_once() -> None:
    dataset = Counting()
    cached = CachedSamples(dataset, AREA_PX, enabled=True)
    dataset.decoded.zero_()  # one was looked at for its size
    first = [cached[index] for index in range(COUNT)]
    for index in range(COUNT):
        assert_equal(cached[index], first[index])
    assert dataset.decoded.tolist() == [1] * COUNT


def test_changing_an_answer_leaves_the_cache_alone() -> None:
    cached = CachedSamples(Counting(), AREA_PX, enabled=True)
    before = cached[2]
    for part in cached[2][:4]:
        part.zero_()
    assert_equal(cached[2], before)


def test_a_sample_is_kept_as_it_is_where_more_pixels_are_allowed() -> None:
    dataset = Counting()
    cached = CachedSamples(dataset, 1e6, enabled=True)
    assert torch.equal(cached[3].intrinsics, dataset[3].intrinsics)
    assert cached[3].image.shape == dataset[3].image.shape != to_working_size(dataset[3], AREA_PX).image.shape


def test_an_unknown_camera_is_kept_as_unknown() -> None:
    class Uncalibrated(Counting):
        def __getitem__(self, index: int) -> Sample:
            return super().__getitem__(index)._replace(intrinsics=torch.full((3, 3), torch.nan))

    cached = CachedSamples(Uncalibrated(), AREA_PX, enabled=True)
    assert cached[1].intrinsics.isnan().all() and cached[1].intrinsics.isnan().all()  # stored, and recalled


def test_samples_of_another_size_are_decoded_anew() -> None:
    dataset = Counting(wide=frozenset({2, 4}))
    cached = CachedSamples(dataset, AREA_PX, enabled=True)
    dataset.decoded.zero_()
    for _ in range(3):
        for index in range(COUNT):
            assert cached[index].id == dataset.ids[index]
    assert dataset.decoded.tolist() == [1, 1, 3, 1, 3, 1]
    assert_equal(cached[2], to_working_size(dataset[2], AREA_PX))


def test_without_a_cache_every_answer_is_decoded() -> None:
    dataset = Counting()
    uncached = CachedSamples(dataset, AREA_PX, enabled=False)
    assert not dataset.decoded.any()
    assert_equal(uncached[1], to_working_size(dataset[1], AREA_PX))
    assert_equal(uncached[1], to_working_size(dataset[1], AREA_PX))
    assert dataset.decoded.tolist() == [0, 4, 0, 0, 0, 0]


@pytest.mark.parametrize(("spare_bytes", "num_decoded"), [(2, 1), (0, 2)])
def test_a_set_that_fills_more_than_half_the_memory_is_not_kept(
    monkeypatch: pytest.MonkeyPatch, spare_bytes: int, num_decoded: int
) -> None:
    needed_bytes = COUNT * AREA_PX * 7  # three of colour, four of depth
    monkeypatch.setattr(module, "free_memory_bytes", lambda: 2 * needed_bytes + spare_bytes)
    dataset = Counting()
    cached = CachedSamples(dataset, AREA_PX, enabled=True)
    dataset.decoded.zero_()
    assert_equal(cached[1], cached[1])
    assert dataset.decoded[1] == num_decoded


def test_free_memory_is_a_plausible_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert 1 << 20 < module.free_memory_bytes() < 1 << 50


def test_what_a_worker_decodes_all_processes_have() -> None:
    dataset = Counting()
    cached = CachedSamples(dataset, AREA_PX, enabled=True)
    dataset.decoded.zero_()
    samples = TrainingSamples(cached, NO_CHANGE, 0, AREA_PX)
    loader = DataLoader(
        samples,
        batch_size=1,
        sampler=EpochSampler(range(COUNT), 1, 0),
        num_workers=2,
        collate_fn=collate,
        multiprocessing_context="spawn",
    )
    from_workers = {batch.id[0]: batch for batch in loader}
    assert dataset.decoded.tolist() == [1] * COUNT
    for index in range(COUNT):
        assert_equal(collate([cached[index]]), from_workers[dataset.ids[index]])
    assert dataset.decoded.tolist() == [1] * COUNT


def test_images_that_change_once_are_the_same_in_every_epoch() -> None:
    cached = CachedSamples(Counting(), AREA_PX, enabled=True)
    changing = NO_CHANGE.model_copy(update={"colour": 0.5})
    anew, once = (
        TrainingSamples(cached, changing.model_copy(update={"once": once}), 0, AREA_PX) for once in (False, True)
    )
    assert not torch.equal(anew[0, 1].image, anew[1, 1].image)
    assert_equal(once[0, 1], once[1, 1])
    assert_equal(once[1, 1], anew[0, 1])


# EpochSampler


def drawn(sampler: EpochSampler, epoch: int) -> list[int]:
    """The indices of an epoch."""
    sampler.set_epoch(epoch)
    pairs = list(sampler)
    assert {of for of, _ in pairs} <= {epoch}
    return [index for _, index in pairs]


@pytest.mark.parametrize(("num", "batch_size", "num_drawn"), [(12, 4, 12), (10, 4, 8), (5, 8, 5), (1, 8, 1), (0, 8, 0)])
def test_an_epoch_has_whole_batches_of_pictures_at_most_once(num: int, batch_size: int, num_drawn: int) -> None:
    indices = range(100, 100 + num)
    sampler = EpochSampler(indices, batch_size, 0)
    assert len(sampler) == num_drawn and num_drawn % sampler.batch_size == 0
    for epoch in range(3):
        order = drawn(sampler, epoch)
        assert len(order) == len(set(order)) == num_drawn and set(order) <= set(indices)


def test_pictures_that_wait_are_not_always_the_same() -> None:
    sampler = EpochSampler(range(10), 4, 0)
    assert set().union(*(drawn(sampler, epoch) for epoch in range(8))) == set(range(10))
    assert len({frozenset(drawn(sampler, epoch)) for epoch in range(8)}) > 1


def test_order_depends_on_seed_and_epoch_alone() -> None:
    orders = [drawn(EpochSampler(range(20), 4, seed), epoch) for seed in (0, 1) for epoch in (0, 1, 2)]
    assert len({tuple(order) for order in orders}) == 6
    torch.manual_seed(99)
    sampler = EpochSampler(range(20), 4, 1)
    assert [drawn(sampler, epoch) for epoch in (2, 0, 1)] == [orders[5], orders[3], orders[4]]
    assert drawn(sampler, 1) == drawn(sampler, 1)


def test_order_mixes() -> None:
    order = drawn(EpochSampler(range(100), 1, 0), 0)
    assert order != sorted(order) and abs(sum(order[:50]) / 50 - 49.5) < 16  # four standard errors


@pytest.mark.parametrize("num_processes", [2, 3])
def test_processes_share_an_epoch_evenly_without_overlap(num_processes: int) -> None:
    samplers = [EpochSampler(range(31), 4, 0, rank, num_processes) for rank in range(num_processes)]
    for epoch in range(3):
        shares = [drawn(sampler, epoch) for sampler in samplers]
        together = sum(shares, [])
        assert len(together) == len(set(together)) == 31 // (4 * num_processes) * 4 * num_processes
        assert {len(share) for share in shares} == {len(samplers[0])}


def test_a_batch_is_no_larger_than_the_share_of_a_process() -> None:
    samplers = [EpochSampler(range(5), 8, 0, rank, 2) for rank in range(2)]
    assert [sampler.batch_size for sampler in samplers] == [2, 2]
    assert [len(drawn(sampler, 0)) for sampler in samplers] == [2, 2]


def test_skipped_batches_are_left_out_once() -> None:
    sampler = EpochSampler(range(12), 4, 0)
    whole = drawn(sampler, 3)
    sampler.skip_batches = 2
    assert drawn(sampler, 3) == whole[8:]
    assert drawn(sampler, 3) == whole


# DepthDataModule


def feed(workers: int = 0, **settings: Any) -> DepthDataModule:
    splits = {"train": [0, 1, 2, 3, 5], "val": [1, 4, 2], "test": []}
    defaults = {"batch_size": 2, "augment": EVERYTHING}
    return DepthDataModule(
        Counting(), splits, DataSettings(workers=workers, **{**defaults, **settings}), AREA_PX, seed=7
    )


def epochs(data: DepthDataModule, num: int = 2) -> Iterator[list[Batch]]:
    loader = data.train_dataloader()
    for epoch in range(num):
        assert isinstance(loader.sampler, EpochSampler)
        loader.sampler.set_epoch(epoch)
        yield list(loader)


def test_batches_have_sides_that_the_network_wants() -> None:
    splits = {"train": [0, 1], "val": [2], "test": []}
    data = DepthDataModule(Counting(), splits, DataSettings(workers=0, batch_size=2), 48 * 64, 7, multiple_px=14)
    ((batch,),) = epochs(data, 1)
    assert batch.image.shape == (2, 3, 42, 70)


def test_batches_do_not_depend_on_workers_or_cache() -> None:
    torch.manual_seed(0)
    alone = [batch for batches in epochs(feed(workers=0)) for batch in batches]
    torch.manual_seed(1)
    beside = [batch for batches in epochs(feed(workers=2)) for batch in batches]
    assert len(alone) == len(beside) == 4
    for one, other in zip(alone, beside, strict=True):
        assert_equal(one, other)


class Broken(Counting):
    """One of the pictures cannot be read."""

    def __getitem__(self, index: int) -> Sample:
        if index == 4:
            raise LeadlineError("rgb/4.png is no picture; copy it again")
        return super().__getitem__(index)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_mistake_arrives_from_a_worker_as_it_was_raised(workers: int) -> None:
    splits = {"train": [0, 1, 4, 5], "val": [1, 4, 2], "test": []}
    settings = DataSettings(workers=workers, batch_size=2, cache=False)
    data = DepthDataModule(Broken(), splits, settings, AREA_PX, seed=7)
    for loader in (data.train_dataloader(), data.val_dataloader()):
        with pytest.raises(LeadlineError) as caught:
            list(loader)
        assert str(caught.value) == "rgb/4.png is no picture; copy it again"


class Interrupted(Counting):
    """Ctrl-C reaches a worker before each of its samples."""

    def __getitem__(self, index: int) -> Sample:
        if get_worker_info() is not None:
            os.kill(os.getpid(), signal.SIGINT)
        return super().__getitem__(index)


def test_ctrl_c_ends_no_worker() -> None:
    splits = {"train": [0], "val": [1, 4, 2], "test": []}
    data = DepthDataModule(Interrupted(), splits, DataSettings(workers=1, batch_size=1), AREA_PX, seed=7)
    assert len(list(data.val_dataloader())) == 3


def test_training_batches_are_augmented_anew_each_epoch() -> None:
    first, second = epochs(feed(batch_size=1))
    assert [batch.id[0] for batch in first] != [batch.id[0] for batch in second]
    assert {batch.id[0] for batch in first} == {batch.id[0] for batch in second}
    again = {batch.id[0]: batch.image for batch in second}
    assert all(not torch.equal(batch.image, again[batch.id[0]]) for batch in first)


def test_training_batches_have_the_working_size() -> None:
    for batch in feed().train_dataloader():
        assert batch.image.shape == (2, 3, 36, 48) and batch.valid.shape == (2, 1, 36, 48)


def test_what_is_enlarged_is_cut_from_the_picture_itself() -> None:
    """Enlarged after it was made small, a picture has no detail: neighbouring pixels differ less."""

    class Striped(Counting):
        def __getitem__(self, index: int) -> Sample:
            sample = super().__getitem__(index)
            stripes = (torch.arange(sample.image.shape[-1]) // 2 % 2).float()
            return sample._replace(image=stripes.expand_as(sample.image).clone())

    zoomed = AugmentSettings(mirror=0, permute_channels=0, zoom=4)
    splits = {"train": [0, 1, 2, 3, 5], "val": [], "test": []}
    settings = DataSettings(workers=0, batch_size=1, augment=zoomed)
    contrast = [
        batch.image.std().item()
        for batch in DepthDataModule(Striped(), splits, settings, AREA_PX, 7).train_dataloader()
    ]
    assert max(contrast) > 0.4  # 0.5 for stripes as they are


def test_a_batch_larger_than_the_set_is_the_set() -> None:
    (batch,) = feed(batch_size=32).train_dataloader()
    assert sorted(batch.id) == ["00001", "00002", "00003", "00004", "00006"]


@pytest.mark.parametrize("workers", [0, 2])
def test_validation_serves_every_picture_once_at_its_own_size(workers: int) -> None:
    items = list(feed(workers).val_dataloader())
    assert [index.tolist() for index, _ in items] == [[1], [4], [2]]
    for index, batch in items:
        assert_equal(batch, collate([Counting()[int(index)]]))


def test_processes_share_validation_without_padding() -> None:
    data, seen = feed(), []
    for rank in range(2):
        data.trainer = SimpleNamespace(global_rank=rank, world_size=2)  # type: ignore[assignment]
        seen.append([int(index) for index, _ in data.val_dataloader()])
    assert seen == [[1, 2], [4]]


def test_processes_share_training() -> None:
    data, seen = feed(batch_size=1), []
    for rank in range(2):
        data.trainer = SimpleNamespace(global_rank=rank, world_size=2)  # type: ignore[assignment]
        seen.append({batch.id[0] for batch in data.train_dataloader()})
    assert len(seen[0]) == len(seen[1]) == 2 and not seen[0] & seen[1]


def test_samples_of_several_sizes_are_stacked_with_an_invalid_margin() -> None:
    samples = [rendered(0, WIDTH), to_working_size(rendered(1, WIDTH), 16 * 20)]
    batch = collate_padded(samples)
    small = samples[1].image.shape[-2:]
    assert batch.image.shape[-2:] == samples[0].image.shape[-2:] and small != samples[0].image.shape[-2:]
    for name in ("image", "depth_m", "valid"):
        assert torch.equal(getattr(batch, name)[0], getattr(samples[0], name))
        assert torch.equal(getattr(batch, name)[1, :, : small[0], : small[1]], getattr(samples[1], name))
        assert not getattr(batch, name)[1, :, small[0] :].any() and not getattr(batch, name)[1, :, :, small[1] :].any()
    assert batch.valid.dtype == torch.bool


@pytest.mark.parametrize(("num_done", "num_left_out"), [(1, 1), (5, 0)])  # of five
def test_an_interrupted_epoch_goes_on_where_it_stopped(num_done: int, num_left_out: int) -> None:
    stopped, whole = feed(batch_size=1), next(epochs(feed(batch_size=1), 1))
    progress = SimpleNamespace(current=SimpleNamespace(completed=num_done))
    loops = SimpleNamespace(epoch_loop=SimpleNamespace(batch_progress=progress))
    stopped.trainer = SimpleNamespace(fit_loop=loops, num_training_batches=5)  # type: ignore[assignment]
    state = stopped.state_dict()
    assert state == {"batches_done": num_left_out}
    resumed = feed(batch_size=1)
    resumed.load_state_dict(state)
    loader = resumed.train_dataloader()
    for expected in (whole[num_left_out:], whole):  # once only
        for one, other in zip(list(loader), expected, strict=True):
            assert_equal(one, other)
