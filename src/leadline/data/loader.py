"""Feeding a model: samples cached, augmented by a seed of their own to the working size, in resumable order."""

import shutil
import signal
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil
import torch
from pytorch_lightning import LightningDataModule
from torch.nn.functional import pad
from torch.utils.data import DataLoader, Dataset, Sampler

from leadline.data.sample import Batch, DepthDataset, Sample, collate
from leadline.data.settings import AugmentSettings, DataSettings
from leadline.data.splits import Splits
from leadline.data.transforms import at_most, augment
from leadline.errors import LeadlineError
from leadline.io import describe_error

SHARED_MEMORY = Path("/dev/shm")
BYTES_PER_CACHED_PIXEL = 3 + 4  # 8-bit RGB and float32 depth


def free_memory_bytes() -> int:
    """Memory that can still be shared between processes; containers often allow far less of it than of the rest."""
    available: int = psutil.virtual_memory().available
    return min(available, shutil.disk_usage(SHARED_MEMORY).free) if SHARED_MEMORY.is_dir() else available


class CachedSamples:
    """Samples no larger than need be, kept in memory that all worker processes share.

    A picture is stored as 8-bit colour and float32 depth when it is first asked for. Samples whose size is not
    the first one's, and all samples of a set that would fill more than half the free memory, are decoded anew.
    """

    def __init__(self, dataset: DepthDataset, area_px: float, enabled: bool) -> None:
        """Make room.

        Args:
            dataset: where samples come from.
            area_px: most pixels of a sample; a larger one is made smaller.
            enabled: whether anything is kept.
        """
        self._dataset, self._area_px = dataset, area_px
        self._ids, self._scenes = dataset.ids, dataset.scenes
        height, width = at_most(dataset[0], area_px).image.shape[-2:] if enabled else (0, 0)
        fits = len(dataset) * height * width * BYTES_PER_CACHED_PIXEL < free_memory_bytes() / 2
        count = len(dataset) if enabled and fits else 0
        self._images = torch.empty(count, 3, height, width, dtype=torch.uint8)
        self._depths = torch.empty(count, 1, height, width)
        self._intrinsics = torch.empty(count, 3, 3)
        self._stored = torch.zeros(count, dtype=torch.bool)
        for tensor in (self._images, self._depths, self._intrinsics, self._stored):
            tensor.share_memory_()  # type: ignore[no-untyped-call]

    def __getitem__(self, index: int) -> Sample:
        """One sample, from memory where it is there."""
        caching = len(self._stored) > 0
        if not caching or not self._stored[index]:
            sample = at_most(self._dataset[index], self._area_px)
            if not caching or sample.image.shape != self._images.shape[1:]:
                return sample
            self._store(index, sample)
        return self._recall(index)

    def _store(self, index: int, sample: Sample) -> None:
        self._images[index] = (sample.image * 255).round().to(torch.uint8)
        self._depths[index] = torch.where(sample.valid, sample.depth_m, 0.0)
        self._intrinsics[index] = sample.intrinsics
        self._stored[index] = True

    def _recall(self, index: int) -> Sample:
        depth_m = self._depths[index].clone()
        return Sample(
            image=self._images[index] / 255,
            depth_m=depth_m,
            valid=depth_m > 0,
            intrinsics=self._intrinsics[index].clone(),
            id=self._ids[index],
            scene=self._scenes[index],
        )


class TrainingSamples(Dataset[Sample]):
    """Augmented samples. Each draws its chance from (seed, epoch, index) alone, whichever worker makes it."""

    def __init__(
        self, samples: CachedSamples, settings: AugmentSettings, seed: int, area_px: int, multiple_px: int = 1
    ) -> None:
        """Join samples, augmentation, seed and the working size; see `augment`."""
        self._samples, self._settings, self._seed = samples, settings, seed
        self._area_px, self._multiple_px = area_px, multiple_px

    def __getitem__(self, key: tuple[int, int]) -> Sample:
        """The sample of an (epoch, index)."""
        epoch, index = (0, key[1]) if self._settings.once else key
        generator = torch.Generator().manual_seed(hash((self._seed, epoch, index)) % 2**63)
        return augment(self._samples[index], self._settings, generator, self._area_px, self._multiple_px)


class EpochSampler(Sampler[tuple[int, int]]):
    """A new order each epoch from (seed, epoch), one share a process, able to begin in the middle.

    The last few pictures of an epoch that fill no whole batch on every process wait for the next epoch.
    """

    def __init__(self, indices: Sequence[int], batch_size: int, seed: int, rank: int = 0, num_processes: int = 1):
        """Divide `indices` among processes.

        Args:
            indices: what to draw from.
            batch_size: pictures in a step of one process; at most the number of pictures.
            seed: seed of the order.
            rank: this process.
            num_processes: all processes.
        """
        self._indices, self._seed, self._rank, self._num_processes = list(indices), seed, rank, num_processes
        self._batch_size = min(batch_size, max(1, len(indices) // num_processes))
        self._epoch, self.skip_batches = 0, 0

    @property
    def batch_size(self) -> int:
        """Pictures in a step of this process."""
        return self._batch_size

    def set_epoch(self, epoch: int) -> None:
        """Choose the order; Lightning calls this before each epoch."""
        self._epoch = epoch

    def __len__(self) -> int:
        """Pictures of this process in a whole epoch."""
        step = self._batch_size * self._num_processes
        return len(self._indices) // step * self._batch_size

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """(epoch, index) pairs; the first `skip_batches` batches are left out, once."""
        generator = torch.Generator().manual_seed(hash((self._seed, self._epoch)) % 2**63)
        order = torch.randperm(len(self._indices), generator=generator).tolist()
        mine = order[self._rank :: self._num_processes][: len(self)]
        start, self.skip_batches = self.skip_batches * self._batch_size, 0
        return ((self._epoch, self._indices[place]) for place in mine[start:])


class IndexedSamples(Dataset[tuple[int, Sample]]):
    """Samples at their own size with their index, for scoring."""

    def __init__(self, dataset: DepthDataset, indices: Sequence[int]) -> None:
        """Choose `indices` of `dataset`."""
        self._dataset, self._indices = dataset, list(indices)

    def __len__(self) -> int:
        """Number of samples."""
        return len(self._indices)

    def __getitem__(self, place: int) -> tuple[int, Sample]:
        """(index in the data set, sample)."""
        index = self._indices[place]
        return index, self._dataset[index]


def collate_padded(samples: Sequence[Sample]) -> Batch:
    """Stack samples of any size: below and to the right, the smaller ones are black and invalid.

    Pictures of one area differ in size where their aspects do: cameras of a data set, or a telephone held upright.
    """
    height, width = (max(sample.image.shape[axis] for sample in samples) for axis in (-2, -1))
    return collate([_padded(sample, height, width) for sample in samples])


def _padded(sample: Sample, height: int, width: int) -> Sample:
    margin = (0, width - sample.image.shape[-1], 0, height - sample.image.shape[-2])
    if not any(margin):
        return sample
    return sample._replace(
        image=pad(sample.image, margin), depth_m=pad(sample.depth_m, margin), valid=pad(sample.valid, margin)
    )


def collate_indexed(items: Sequence[tuple[int, Sample]]) -> tuple[torch.Tensor, Batch]:
    """Stack (index, sample) pairs of one size."""
    return torch.tensor([index for index, _ in items]), collate([sample for _, sample in items])


class _ErrorAsValue(Dataset[Any]):
    """Samples; one that cannot be read is the error that says why."""

    def __init__(self, samples: Dataset[Any]) -> None:
        self._samples = samples

    def __len__(self) -> int:
        return len(self._samples)  # type: ignore[arg-type]

    def __getitem__(self, key: Any) -> Any:
        try:
            return self._samples[key]
        except LeadlineError as error:
            return error
        except Exception as error:  # of foreign libraries, or of the memory
            return LeadlineError(f"sample {key} cannot be read ({describe_error(error)})")


class _CollateUnlessError:
    """A collate function that passes the first error of a batch on in place of the batch."""

    def __init__(self, collate_fn: Callable[[Sequence[Any]], Any]) -> None:
        self._collate_fn = collate_fn

    def __call__(self, items: Sequence[Any]) -> Any:
        errors = [item for item in items if isinstance(item, LeadlineError)]
        return errors[0] if errors else self._collate_fn(items)


class SampleLoader(DataLoader[Any]):
    """A data loader that raises a `LeadlineError` of a worker process as it was raised there.

    PyTorch's own makes the worker's whole traceback the error's text. Here the error arrives as a value.
    """

    def __init__(self, samples: Dataset[Any], collate_fn: Callable[[Sequence[Any]], Any], **kwargs: Any) -> None:
        """Load `samples`; the rest as `torch.utils.data.DataLoader`."""
        super().__init__(_ErrorAsValue(samples), collate_fn=_CollateUnlessError(collate_fn), **kwargs)

    def __iter__(self) -> Any:
        """Batches.

        Raises:
            LeadlineError: if a sample of the next batch cannot be read.
        """
        return map(_raise_error, super().__iter__())


def _raise_error(batch: Any) -> Any:
    if isinstance(batch, LeadlineError):
        raise batch
    return batch


class DepthDataModule(LightningDataModule):
    """Training and validation loaders of one data set."""

    def __init__(
        self,
        dataset: DepthDataset,
        splits: Splits,
        settings: DataSettings,
        area_px: int,
        seed: int,
        multiple_px: int = 1,
    ) -> None:
        """Join data, split and settings.

        Args:
            dataset: all pictures.
            splits: indices of train and val.
            settings: batch, workers, cache, augmentation.
            area_px: the model's working number of pixels.
            seed: seed of order and augmentation.
            multiple_px: what the working sides are multiples of.
        """
        super().__init__()
        self._dataset, self._splits, self._settings, self._seed = dataset, splits, settings, seed
        self._area_px, self._multiple_px = area_px, multiple_px
        # What is enlarged most is not to be softer than the rest.
        self._samples = CachedSamples(dataset, area_px * settings.augment.zoom**2, settings.cache)
        self._skip_batches = 0

    def train_dataloader(self) -> DataLoader[Any]:
        """Augmented samples at the working size, in seeded order."""
        rank, num_processes = (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)
        sampler = EpochSampler(self._splits["train"], self._settings.batch_size, self._seed, rank, num_processes)
        sampler.skip_batches = self._skip_batches
        augment_settings = self._settings.augment
        samples = TrainingSamples(self._samples, augment_settings, self._seed, self._area_px, self._multiple_px)
        return self._loader(samples, collate_padded, batch_size=sampler.batch_size, sampler=sampler)

    def val_dataloader(self) -> DataLoader[Any]:
        """Validation samples at their own size, one at a time since sizes may differ."""
        indices = self._splits["val"]
        if self.trainer and self.trainer.world_size > 1:
            indices = indices[self.trainer.global_rank :: self.trainer.world_size]
        return self._loader(IndexedSamples(self._dataset, indices), collate_indexed, batch_size=1)

    def state_dict(self) -> dict[str, Any]:
        """How far the epoch has come."""
        assert self.trainer is not None
        done = self.trainer.fit_loop.epoch_loop.batch_progress.current.completed
        return {"batches_done": done % int(self.trainer.num_training_batches)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Leave out what the interrupted epoch has seen."""
        self._skip_batches = state_dict["batches_done"]

    def _loader(self, samples: Dataset[Any], collate_fn: Any, **kwargs: Any) -> DataLoader[Any]:
        workers = self._settings.workers
        return SampleLoader(
            samples,
            collate_fn,
            num_workers=workers,
            persistent_workers=workers > 0,
            worker_init_fn=_leave_interrupts_to_training,
            **kwargs,
        )


def _leave_interrupts_to_training(worker: int) -> None:
    """Ctrl-C reaches the workers too, and must not end them before training has saved its state."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
