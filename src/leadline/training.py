"""Training: settings and a data set become a run, which can be stopped at any step and resumed exactly."""

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import LightningModule, seed_everything
from torch import Tensor, nn

from leadline.averaging import load_mean
from leadline.checkpoint import find_checkpoint, load_model
from leadline.data import open_dataset
from leadline.data.joined import with_pictures_beside
from leadline.data.module import DepthDataModule
from leadline.data.sample import Batch, DepthDataset
from leadline.data.splits import Splits, make_splits
from leadline.data.transforms import to_working_size
from leadline.device import is_first_process
from leadline.errors import UserError, unknown_name
from leadline.losses import error_nll, weighted_loss
from leadline.metrics import METRICS
from leadline.models import build_model
from leadline.models.heads import ERROR_LAYER, Estimate
from leadline.models.model import DepthModel
from leadline.models.settings import ModelSettings
from leadline.optimizer import build_optimizer
from leadline.run import LAST_STATE, SETTINGS_FILE, Interrupted, RunRecorder, read_splits, refuse_another_run, write_run
from leadline.running_metrics import DepthMetrics
from leadline.settings import RunSettings, parse_settings
from leadline.toml_files import read_toml
from leadline.trainer import build_trainer

logger = logging.getLogger(__name__)

# Enough pictures for a stable median of depth and of focal length.
NUM_PROBED = 64


class DepthTraining(LightningModule):
    """A depth model with its loss, optimiser and validation metrics."""

    def __init__(self, model: DepthModel, settings: RunSettings) -> None:
        """Join model and settings."""
        super().__init__()
        self.model = model
        self.settings = settings
        self.metrics = DepthMetrics()

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Keep batch norms of what is not taught as they are, and tie chance inside the network to the step.

        A run that is resumed within an epoch comes by here too, and has the same chance.
        """
        if self.settings.uncertainty_only:
            self.model.eval()
        elif self.settings.optimizer.encoder_rate == 0:
            getattr(self.model.network, "encoder", nn.Module()).eval()
        torch.manual_seed(hash((self.settings.seed, self.global_step)) % 2**63)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Loss of one batch, each picture's depth as the training pictures' usual camera would have it.

        That is the camera whose metres the network answers; `DepthModel.estimate` brings them to the picture's own.

        Raises:
            UserError: if the loss is no longer a finite number, or a batch norm sees one pixel of one picture.
        """
        pred_m, relative_error = self._estimate(batch.image)
        head = self.settings.model.head
        depth_m = batch.depth_m / self.model.focal_ratio(batch.intrinsics[:, 0, 0]).view(-1, 1, 1, 1)
        # What the head cannot answer is taught as the end of its range: beyond it, terms on slope and structure
        # would have the near side imitate what the far side does.
        target_m = depth_m.clamp(head.min_depth_m, head.max_depth_m)
        with torch.autocast(self.device.type, enabled=False):
            loss = weighted_loss(pred_m, target_m, batch.valid, self.settings.loss.model_dump(), head.max_depth_m)
            if relative_error is not None:
                loss = loss + error_nll(pred_m, relative_error, depth_m, batch.valid)
        if not torch.isfinite(loss):
            raise UserError(
                f"the loss became {loss.item()} at step {self.global_step}; lower --optimizer.learning-rate"
            )
        self.log("train_loss", loss, prog_bar=True, batch_size=len(batch.id))
        return loss

    def _estimate(self, image: Tensor) -> Estimate:
        try:
            return self.model.estimate_at_working_scale(image)
        except ValueError as error:
            if "more than 1 value per channel" not in str(error):
                raise
            raise UserError(
                f"{len(image)} picture of {image.shape[-2]}x{image.shape[-1]} leaves a batch norm a single value at "
                "the network's deepest level; raise --data.batch-size, --model.height or --model.width"
            ) from error

    def validation_step(self, batch: tuple[Tensor, Batch], batch_idx: int) -> None:
        """Score a batch at the pictures' own size and focal length."""
        index, samples = batch
        pred_m = self.model.estimate(samples.image, samples.intrinsics[:, 0, 0]).depth_m
        self.metrics.update(pred_m, samples.depth_m, samples.valid, index)

    def configure_gradient_clipping(
        self, optimizer: Any, gradient_clip_val: float | None = None, gradient_clip_algorithm: str | None = None
    ) -> None:
        """Scale gradients down to `clip_norm`, those of the error's layer apart from all others.

        Its likelihood starts far off, and a common norm would leave nothing of depth's gradient.
        """
        apart = [value for name, value in self.model.named_parameters() if name.startswith(ERROR_LAYER)]
        known = {id(value) for value in apart}
        for part in ([value for value in self.parameters() if id(value) not in known], apart):
            torch.nn.utils.clip_grad_norm_(part, self.settings.optimizer.clip_norm)

    def configure_optimizers(self) -> Any:
        """AdamW, stepped once a batch; see `leadline.optimizer`."""
        num_steps = int(self.trainer.estimated_stepping_batches)
        optimizer, schedule = build_optimizer(self.model, self.settings.optimizer, num_steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def train(settings: RunSettings, data: Path, out: Path, recipe: str = "", show_progress: bool = False) -> Path:
    """Train a model from the beginning.

    Args:
        settings: everything that decides the run.
        data: path of the data set.
        out: folder of the run, which must not hold another.
        recipe: the recipe's name, for the record.
        show_progress: draw a progress bar.

    Returns:
        The folder of the best checkpoint.

    Raises:
        UserError: if `out` holds a run, a setting does not fit the data, or the loss diverges.
        Interrupted: after Ctrl-C; the state is saved.
    """
    if is_first_process():
        refuse_another_run(out, out)
    if settings.uncertainty_only and not (settings.init and settings.model.head.uncertainty):
        raise UserError(
            "uncertainty_only wants a model to start from and a head that learns it: give --init and "
            "--model.head.uncertainty"
        )
    if settings.monitor not in METRICS:
        raise unknown_name("metric", settings.monitor, METRICS)
    main = open_dataset(data)
    dataset = with_pictures_beside(main, settings.data)
    splits = make_splits(dataset, settings.data.split, settings.data.split_seed, settings.data.validation)
    if not splits["train"]:
        raise UserError(f"split {settings.data.split!r} leaves none of the {len(dataset)} pictures to train on")
    median_m, focal_px = _probe(main, splits["train"], settings.model)
    settings = settings.model_copy(update={"model": settings.model.model_copy(update={"focal_px": focal_px})})
    seed_everything(settings.seed, verbose=False)
    model, ids = _first_model(settings, median_m), dataset.ids
    _freeze(model, settings)
    if is_first_process():
        write_run(out, settings, data, recipe, {part: [ids[index] for index in splits[part]] for part in splits})
    return _fit(model, settings, dataset, splits, out, None, show_progress)


def resume(out: Path, show_progress: bool = False) -> Path:
    """Continue a run where it stopped; it ends as if it had never been stopped.

    Args:
        out: folder of the run.
        show_progress: draw a progress bar.

    Returns:
        The folder of the best checkpoint.

    Raises:
        UserError: if there is no run to continue.
        Interrupted: after Ctrl-C; the state is saved.
    """
    if not (out / SETTINGS_FILE).is_file():
        raise UserError(f"no run at {out}: wanted a folder that 'leadline train' wrote")
    settings = parse_settings(read_toml(out / SETTINGS_FILE), str(out / SETTINGS_FILE))
    main = open_dataset(Path(json.loads((out / "run.json").read_text(encoding="utf-8"))["data"]))
    dataset = with_pictures_beside(main, settings.data)
    splits = read_splits(out, dataset)
    seed_everything(settings.seed, verbose=False)
    if (out / LAST_STATE).exists():
        state, model = out / LAST_STATE, build_model(settings.model.without_weights())
    else:
        # A run that was stopped before its first state was saved begins again, the same way.
        state, model = None, _first_model(settings, _probe(main, splits["train"], settings.model)[0])
    _freeze(model, settings)
    return _fit(model, settings, dataset, splits, out, state, show_progress)


def average(runs: Sequence[Path], settings: RunSettings, data: Path, out: Path, recipe: str = "") -> Path:
    """Keep the mean of the best weights of several runs from one start, validated; see `load_mean`.

    Args:
        runs: folders of whole runs of one shape, on the same pictures.
        settings: theirs but for the seed, for the record.
        data: path of the data set.
        out: folder of the mean, which becomes a run whose metrics.csv has one row.
        recipe: the recipe's name, for the record.

    Returns:
        The folder of its checkpoint.

    Raises:
        UserError: if one of the runs has no checkpoint.
        Interrupted: after Ctrl-C; the mean is whole.
    """
    dataset = with_pictures_beside(open_dataset(data), settings.data)
    splits, model = read_splits(runs[0], dataset), load_mean([find_checkpoint(str(run)) for run in runs])
    focal_px = model.settings.focal_px
    settings = settings.model_copy(update={"model": settings.model.model_copy(update={"focal_px": focal_px})})
    if is_first_process():
        ids = dataset.ids
        write_run(out, settings, data, recipe, {part: [ids[index] for index in splits[part]] for part in splits})
    module, pictures, recorder = _parts(model, settings, dataset, splits, out)
    trainer = build_trainer(settings.model_copy(update={"ema_decay": 0.0}), splits, out, recorder)
    with recorder.catching_interrupts():
        trainer.validate(module, pictures, verbose=False)
        best = recorder.finish(trainer, module)
    trainer.strategy.barrier()
    recorder.stop_if_asked()
    return best


def _first_model(settings: RunSettings, median_m: float) -> DepthModel:
    """The model before the first step: from another's weights, or answering the training median."""
    model = build_model(settings.model)
    if not settings.init:
        model.head.start_at(median_m)
        return model
    weights = load_model(settings.init).state_dict()
    # What depth starts from need not have judged itself.
    own = {name: value for name, value in model.state_dict().items() if name.startswith(ERROR_LAYER)}
    try:
        model.load_state_dict(own | weights)
    except RuntimeError as error:
        raise UserError(f"{settings.init} is of another shape than the recipe; give its own recipe") from error
    return model


def _freeze(model: DepthModel, settings: RunSettings) -> None:
    """Take the gradient from what is not taught."""
    for name, parameter in model.named_parameters():
        if settings.uncertainty_only:
            parameter.requires_grad_(name.startswith(ERROR_LAYER))
        elif settings.optimizer.encoder_rate == 0:
            parameter.requires_grad_(".encoder." not in name)


def _fit(
    model: DepthModel,
    settings: RunSettings,
    dataset: DepthDataset,
    splits: Splits,
    out: Path,
    state: Path | None,
    show_progress: bool,
) -> Path:
    module, data, recorder = _parts(model, settings, dataset, splits, out)
    trainer = build_trainer(settings, splits, out, recorder, show_progress)
    with recorder.catching_interrupts():
        trainer.fit(module, data, ckpt_path=state, weights_only=True)
        best = recorder.finish(trainer, module)
    trainer.strategy.barrier()  # what comes next may read what the first process has written
    recorder.stop_if_asked()
    return best


def _parts(
    model: DepthModel, settings: RunSettings, dataset: DepthDataset, splits: Splits, out: Path
) -> tuple[DepthTraining, DepthDataModule, RunRecorder]:
    """What a trainer puts together."""
    module = DepthTraining(model.to(memory_format=torch.channels_last), settings)
    area_px = settings.model.height * settings.model.width
    data = DepthDataModule(dataset, splits, settings.data, area_px, settings.seed, settings.model.multiple_px)
    return module, data, RunRecorder(out, dataset, splits["val"])


def _probe(dataset: DepthDataset, indices: list[int], model: ModelSettings) -> tuple[float, float | None]:
    """Median depth in metres, and focal length in pixels of the working size (None if unknown), of a data set's own."""
    indices = [index for index in indices if index < len(dataset)]  # others are those of pictures beside it
    chosen = indices[:: max(1, len(indices) // NUM_PROBED)][:NUM_PROBED]
    samples = [to_working_size(dataset[index], model.height * model.width, model.multiple_px) for index in chosen]
    medians = [sample.depth_m[sample.valid].median() for sample in samples if sample.valid.any()]
    if not medians:
        raise UserError("no valid depth in the training pictures; run 'leadline data check' on the data set")
    focals_px = torch.stack([sample.intrinsics[0, 0] for sample in samples])
    num_unknown = int(focals_px.isnan().sum())
    if 0 < num_unknown < len(focals_px):
        message = "%d of %d pictures looked at tell no focal length: they are taken to have the others'"
        logger.warning(message, num_unknown, len(focals_px))
    focal_px = None if num_unknown == len(focals_px) else float(focals_px.nanmedian())
    return float(torch.stack(medians).median()), focal_px


__all__ = ["DepthTraining", "Interrupted", "average", "resume", "train"]
