"""Lightning's view of a data set: its training and validation loaders, and how far an epoch has come."""

import signal
from typing import Any

from pytorch_lightning import LightningDataModule
from torch.utils.data import DataLoader, Dataset

from leadline.data.feeding import (
    CachedSamples,
    EpochSampler,
    IndexedSamples,
    TrainingSamples,
    collate_indexed,
    collate_padded,
)
from leadline.data.sample import DepthDataset
from leadline.data.settings import DataSettings
from leadline.data.splits import Splits


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
        return DataLoader(
            samples,
            collate_fn=collate_fn,
            num_workers=workers,
            persistent_workers=workers > 0,
            worker_init_fn=_leave_interrupts_to_training,
            **kwargs,
        )


def _leave_interrupts_to_training(worker: int) -> None:
    """Ctrl-C reaches the workers too, and must not end them before training has saved its state."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
