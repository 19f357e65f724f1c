"""The trainer of a run: Lightning's, told where, in which precision and for how long, and kept quiet."""

import logging
import warnings
from collections.abc import Sequence
from errno import EINVAL
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from pytorch_lightning import Trainer
from pytorch_lightning.callbacks import Callback, EMAWeightAveraging, ModelCheckpoint
from pytorch_lightning.loggers import TensorBoardLogger
from pytorch_lightning.plugins.io import TorchCheckpointIO

from leadline.data import Splits
from leadline.errors import LeadlineError
from leadline.io import atomic_file
from leadline.models import has_native_bf16, pick_device
from leadline.training.distributed import trainer_processes
from leadline.training.run import Run
from leadline.training.settings import RunSettings

_LIGHTNING = "pytorch-lightning_version"
"""What each of Lightning's states has, and it asks for without a check."""


class WholeStates(TorchCheckpointIO):
    """States of a run that are whole or not there, wherever the system keeps its temporary files.

    Lightning writes a state among those and moves it, which from one disk to another is a copy that a kill can cut.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write a state beside its target and rename it."""
        with atomic_file(Path(path)) as temporary:
            torch.save(checkpoint, temporary)

    def load_checkpoint(self, path: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Read a state.

        Raises:
            LeadlineError: if it is not whole.
        """
        try:
            state = super().load_checkpoint(path, *args, **kwargs)
            if not isinstance(state, dict) or _LIGHTNING not in state:
                raise ValueError("it holds something else")
            return state
        except (EOFError, RuntimeError, ValueError, KeyError, UnpicklingError, OSError) as error:
            if isinstance(error, OSError) and error.errno != EINVAL:  # a seek to where a longer file would go on
                raise
            reason = " ".join(str(error).split())[:160] or "it is cut short"
            raise LeadlineError(
                f"{path} is no whole state of a run ({reason}); delete it, and --resume begins the run again"
            ) from error


def build_trainer(settings: RunSettings, splits: Splits, run: Run, callbacks: Sequence[Callback]) -> Trainer:
    """A trainer that follows a run's settings, in as many processes as `torchrun` has started.

    Args:
        settings: the run's.
        splits: its pictures, which decide whether it is validated.
        run: its folder.
        callbacks: what writes that folder and tells how far it has come.
    """
    _quiet_lightning()
    return Trainer(
        default_root_dir=run.folder,
        accelerator={"cuda": "gpu"}.get(_device().type, "cpu"),
        **trainer_processes(),
        precision=_precision(settings),
        max_epochs=settings.epochs,
        max_steps=settings.max_steps,
        callbacks=_callbacks(settings, run, callbacks),
        plugins=[WholeStates()],
        logger=TensorBoardLogger(run.folder, name="", version="tensorboard"),
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        # A run of fewer steps than an epoch is one short epoch, so that it too is validated.
        limit_train_batches=_batches_per_epoch(settings, len(splits["train"])),
        limit_val_batches=1.0 if splits["val"] else 0,
        use_distributed_sampler=False,  # ours shares out the pictures, without padding
        log_every_n_steps=10,
    )


def _callbacks(settings: RunSettings, run: Run, own: Sequence[Callback]) -> list[Callback]:
    # Ours stand before the averaging, which takes the averaged weights back after each validation.
    callbacks = list(own)
    if settings.ema_decay:
        callbacks.append(EMAWeightAveraging(decay=settings.ema_decay))
    state = run.state_file
    saver = ModelCheckpoint(
        state.parent, filename=state.stem, save_on_train_epoch_end=True, enable_version_counter=False
    )
    return [*callbacks, saver]


def _batches_per_epoch(settings: RunSettings, num_pictures: int) -> int | float:
    whole_epoch = max(1, num_pictures // settings.data.batch_size)
    return settings.max_steps if 0 < settings.max_steps < whole_epoch else 1.0


def _device() -> torch.device:
    """CUDA or the processor: Apple's GPUs know no float64, in which the metrics are added up."""
    return pick_device() if pick_device().type == "cuda" else torch.device("cpu")


def _precision(settings: RunSettings) -> Any:
    bf16 = has_native_bf16(_device()) if settings.precision == "auto" else settings.precision == "bf16"
    return "bf16-mixed" if bf16 else "32-true"


def _quiet_lightning() -> None:
    """Lightning's notes on hardware and workers are not for our users; its errors are."""
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="pytorch_lightning")
    warnings.filterwarnings("ignore", message=".*lr_scheduler.step.*")
    warnings.filterwarnings("ignore", message=".*worker processes in total.*")
