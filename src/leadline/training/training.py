"""Training: settings and a data set become a run, which can be stopped at any step and resumed exactly."""

import logging
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from pytorch_lightning import Trainer, seed_everything
from pytorch_lightning.callbacks import Callback

from leadline.data import (
    DepthDataModule,
    DepthDataset,
    Splits,
    make_splits,
    open_dataset,
    to_working_size,
    with_pictures_beside,
)
from leadline.errors import LeadlineError, unknown_name
from leadline.evaluation import METRICS
from leadline.models import (
    ERROR_LAYER,
    NO_WEIGHTS,
    SCALE_LAYERS,
    DepthModel,
    ModelSettings,
    build_model,
    find_checkpoint,
    load_model,
)
from leadline.training.callbacks import BestCheckpoint, InterruptHandler, MetricsRecorder
from leadline.training.distributed import is_first_process
from leadline.training.lightning_module import DepthTraining
from leadline.training.progress import ALONE, Stage, TrainingProgress
from leadline.training.resting_features import RestingFeatures
from leadline.training.run import Run
from leadline.training.settings import RunSettings
from leadline.training.trainer import build_trainer
from leadline.training.weight_averaging import load_weight_average, restore_encoder

logger = logging.getLogger(__name__)

# Enough pictures for a stable median of depth and of focal length.
NUM_PROBED = 64
RESTING = "features"
"""Folder within a run's, until it is done, of what a resting network hands to its head."""
LOOKING_ON = (SCALE_LAYERS, ERROR_LAYER)
"""Layers that what the network learns is the same with and without."""


def train(
    settings: RunSettings, data: Path, run: Run, recipe: str = "", show_progress: bool = False, stage: Stage = ALONE
) -> Path:
    """Train a model from the beginning.

    Args:
        settings: everything that decides the run.
        data: path of the data set.
        run: the run, which must be new.
        recipe: the recipe's name, for the record.
        show_progress: draw a progress bar.
        stage: which of a run's it is, for the progress.

    Returns:
        The folder of the best checkpoint.

    Raises:
        LeadlineError: if there is a run already, a setting does not fit the data, or the loss diverges.
        Interrupted: after Ctrl-C; the state is saved.
    """
    if is_first_process() and run.has_begun:
        raise run.already_there()
    _check(settings)
    main = open_dataset(data)
    dataset = with_pictures_beside(main, settings.data)
    splits = make_splits(dataset, settings.data.split, settings.data.split_seed, settings.data.validation)
    if not splits["train"]:
        raise LeadlineError(
            f"split {settings.data.split!r} leaves none of the {len(dataset)} pictures to train on: add some, of other "
            "scenes, or give --data.split report, which shares out single pictures"
        )
    median_m, focal_px = _probe(main, splits["train"], settings.model)
    settings = _with_focal_px(settings, focal_px)
    seed_everything(settings.seed, verbose=False)
    model, ids = _first_model(settings, median_m), dataset.ids
    _freeze(model, settings)
    if is_first_process():
        run.begin(settings, data, recipe, {part: [ids[index] for index in splits[part]] for part in splits})
    return _fit(model, settings, dataset, splits, run, None, show_progress, stage)


def resume(run: Run, show_progress: bool = False, stage: Stage = ALONE) -> Path:
    """Continue a run where it stopped; it ends as if it had never been stopped.

    Args:
        run: a run that has begun.
        show_progress: draw a progress bar.
        stage: which of a run's it is, for the progress.

    Returns:
        The folder of the best checkpoint.

    Raises:
        LeadlineError: if there is no run to continue.
        Interrupted: after Ctrl-C; the state is saved.
    """
    settings = run.read_settings()
    main = open_dataset(run.read_data())
    dataset = with_pictures_beside(main, settings.data)
    splits = run.read_splits(dataset)
    seed_everything(settings.seed, verbose=False)
    if run.state_file.exists():
        state, model = run.state_file, build_model(settings.model.without_weights())
    else:
        # A run that was stopped before its first state was saved begins again, the same way.
        state, model = None, _first_model(settings, _probe(main, splits["train"], settings.model)[0])
    _freeze(model, settings)
    return _fit(model, settings, dataset, splits, run, state, show_progress, stage)


def average(repeats: Sequence[Run], settings: RunSettings, data: Path, run: Run, recipe: str = "") -> Path:
    """Keep the average of the best weights of several runs from one start, validated; see `load_weight_average`.

    Args:
        repeats: whole runs of one shape, on the same pictures.
        settings: theirs but for the seed, for the record.
        data: path of the data set.
        run: becomes the average's: a run whose metrics.csv has one row.
        recipe: the recipe's name, for the record.

    Returns:
        The folder of its checkpoint.

    Raises:
        LeadlineError: if one of the runs has no checkpoint.
        Interrupted: after Ctrl-C; the average is whole.
    """
    dataset = with_pictures_beside(open_dataset(data), settings.data)
    splits = repeats[0].read_splits(dataset)
    model = load_weight_average([find_checkpoint(repeat.folder) for repeat in repeats])
    settings = _with_focal_px(settings, model.settings.focal_px)
    if is_first_process():
        ids = dataset.ids
        run.begin(settings, data, recipe, {part: [ids[index] for index in splits[part]] for part in splits})
    parts = _parts(model, settings, dataset, splits, run)
    trainer = build_trainer(settings.model_copy(update={"ema_decay": 0.0}), splits, run, parts.callbacks)
    with parts.interrupts.catching_interrupts():
        trainer.validate(parts.module, parts.data, verbose=False)
        parts.best.finish(trainer, parts.module)
    return _finish(trainer, run, parts)


def _check(settings: RunSettings) -> None:
    """Refuse settings that ask for what cannot be, before anything is opened."""
    head = settings.model.head
    if settings.freeze_network and not (settings.init and (head.uncertainty or head.scale_field)):
        raise LeadlineError(
            "--freeze-network wants a model to start from and a head that learns: give --init, and "
            "--model.head.uncertainty or --model.head.scale-field"
        )
    has_origin = settings.model.network == "encoder-decoder" and settings.model.encoder.weights != NO_WEIGHTS
    if settings.restore_encoder and not (settings.init and has_origin):
        raise LeadlineError(
            "--restore-encoder wants a model to start from and its encoder's pretrained weights: give --init and "
            "--model.encoder.weights"
        )
    if settings.monitor not in METRICS:
        raise unknown_name("metric", settings.monitor, METRICS)


def _with_focal_px(settings: RunSettings, focal_px: float | None) -> RunSettings:
    return settings.model_copy(update={"model": settings.model.model_copy(update={"focal_px": focal_px})})


def _first_model(settings: RunSettings, median_m: float) -> DepthModel:
    """The model before the first step: from another's weights, or answering the training median."""
    if not settings.init:
        model = build_model(settings.model)
        model.head.start_at(median_m)
        return model
    model = build_model(settings.model.without_weights())
    weights = load_model(settings.init).state_dict()
    own = {name: value for name, value in model.state_dict().items() if name.startswith(LOOKING_ON)}
    try:
        model.load_state_dict(own | weights)
    except RuntimeError as error:
        raise LeadlineError(f"{settings.init} is of another shape than the recipe; give its own recipe") from error
    if settings.restore_encoder:
        restore_encoder(model, settings.model, settings.restore_encoder)
    return model


def _freeze(model: DepthModel, settings: RunSettings) -> None:
    """Take the gradient from what is not taught."""
    for name, parameter in model.named_parameters():
        if settings.freeze_network:
            parameter.requires_grad_(name.startswith(LOOKING_ON))
        elif settings.optimizer.encoder_rate == 0:
            parameter.requires_grad_(".encoder." not in name)


class _Parts(NamedTuple):
    """What a trainer puts together."""

    module: DepthTraining
    data: DepthDataModule
    interrupts: InterruptHandler
    metrics: MetricsRecorder
    best: BestCheckpoint

    @property
    def callbacks(self) -> list[Callback]:
        """In the order in which they are called."""
        return [self.interrupts, self.metrics, self.best]


def _fit(
    model: DepthModel,
    settings: RunSettings,
    dataset: DepthDataset,
    splits: Splits,
    run: Run,
    state: Path | None,
    show_progress: bool,
    stage: Stage,
) -> Path:
    parts = _parts(model, settings, dataset, splits, run)
    progress = TrainingProgress(parts.metrics.rows, settings, show_progress, stage)
    trainer = build_trainer(settings, splits, run, [*parts.callbacks, progress])
    with parts.interrupts.catching_interrupts():
        trainer.fit(parts.module, parts.data, ckpt_path=state, weights_only=True)
        parts.best.finish(trainer, parts.module)
    return _finish(trainer, run, parts)


def _finish(trainer: Trainer, run: Run, parts: _Parts) -> Path:
    """Write down that a run is done; Ctrl-C, if pressed, keeps what comes next from beginning."""
    trainer.strategy.barrier()  # what comes next may read what the first process has written
    if trainer.is_global_zero:
        run.finish()
        shutil.rmtree(run.folder / RESTING, ignore_errors=True)
    parts.interrupts.stop_if_asked()
    return run.best


def _parts(model: DepthModel, settings: RunSettings, dataset: DepthDataset, splits: Splits, run: Run) -> _Parts:
    resting = RestingFeatures(run.folder / RESTING) if settings.freeze_network and settings.data.augment.once else None
    module = DepthTraining(model.to(memory_format=torch.channels_last), settings, resting)
    area_px = settings.model.height * settings.model.width
    data = DepthDataModule(dataset, splits, settings.data, area_px, settings.seed, settings.model.multiple_px)
    metrics = MetricsRecorder(run, dataset, splits["val"])
    return _Parts(module, data, InterruptHandler(run), metrics, BestCheckpoint(run, dataset, metrics))


def _probe(dataset: DepthDataset, indices: list[int], model: ModelSettings) -> tuple[float, float | None]:
    """Median depth in metres, and focal length in pixels of the working size (None if unknown)."""
    indices = [index for index in indices if index < len(dataset)]  # others are those of images beside it
    chosen = indices[:: max(1, len(indices) // NUM_PROBED)][:NUM_PROBED]
    samples = [to_working_size(dataset[index], model.height * model.width, model.multiple_px) for index in chosen]
    medians = [sample.depth_m[sample.valid].median() for sample in samples if sample.valid.any()]
    if not medians:
        raise LeadlineError("no valid depth in the training pictures; run 'leadline data check' on the data set")
    focals_px = torch.stack([sample.intrinsics[0, 0] for sample in samples])
    num_unknown = int(focals_px.isnan().sum())
    if 0 < num_unknown < len(focals_px):
        message = "%d of %d pictures looked at tell no focal length: they are taken to have the others'"
        logger.warning(message, num_unknown, len(focals_px))
    focal_px = None if num_unknown == len(focals_px) else float(focals_px.nanmedian())
    return float(torch.stack(medians).median()), focal_px
