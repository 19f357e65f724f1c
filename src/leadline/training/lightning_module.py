"""A depth model as Lightning trains it: loss, optimiser, validation."""

from collections.abc import Mapping
from functools import partial
from typing import Any, cast

import torch
from pytorch_lightning import LightningModule
from torch import Tensor, nn

from leadline.data import Batch, is_from_beside
from leadline.errors import LeadlineError, brief
from leadline.models import ERROR_LAYER, DepthModel, Estimate, resize_depth
from leadline.training.losses import error_nll, held_factor, weighted_loss
from leadline.training.optimizer import build_optimizer
from leadline.training.resting_features import RestingFeatures
from leadline.training.settings import RunSettings
from leadline.training.validation_metrics import DepthMetrics


class DepthTraining(LightningModule):
    """A depth model with its loss, optimiser and validation metrics."""

    def __init__(self, model: DepthModel, settings: RunSettings, resting: RestingFeatures | None = None) -> None:
        """Join model and settings.

        Args:
            model: what is trained.
            settings: the run's.
            resting: where what a resting network sees is kept; None where it learns, or images change.
        """
        super().__init__()
        self._resting = resting
        self.model = model
        self.settings = settings
        self.metrics = DepthMetrics()
        self._log_factor: Tensor | None = None
        if model.head.scale_field is not None:
            model.head.scale_field.register_forward_hook(self._keep_log_factor)

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """Take a state's weights.

        Raises:
            LeadlineError: if they are another model's.
        """
        try:
            return super().load_state_dict(state_dict, strict, assign)
        except RuntimeError as error:
            why = brief(str(error).partition(":")[2])
            raise LeadlineError(
                f"the run's state is of another model than its settings.toml says ({why}): put the settings back as "
                "they were, or train again into another folder"
            ) from error

    def _keep_log_factor(self, _: nn.Module, __: Any, log_factor: Tensor) -> None:
        self._log_factor = log_factor

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Keep batch norms of what is not taught as they are, and tie chance inside the network to the step.

        A run that is resumed within an epoch comes by here too, and has the same chance.
        """
        if self.settings.freeze_network:
            self.model.eval()
            getattr(self.model.head.scale_field, "train", lambda: None)()
        elif self.settings.optimizer.encoder_rate == 0:
            getattr(self.model.network, "encoder", nn.Module()).eval()
        torch.manual_seed(hash((self.settings.seed, self.global_step)) % 2**63)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Loss of one batch, each picture's depth as the training pictures' usual camera would have it.

        That is the camera whose metres the network answers; `DepthModel.estimate` brings them to the picture's own.

        Raises:
            LeadlineError: if the loss is no longer a finite number, or a batch norm sees one pixel of one picture.
        """
        pred_m, relative_error = self._estimate(batch)
        head = self.settings.model.head
        depth_m = batch.depth_m / self.model.focal_ratio(batch.intrinsics[:, 0, 0]).view(-1, 1, 1, 1)
        # What the head cannot answer is taught as the end of its range: beyond it, terms on slope and structure
        # would have the near side imitate what the far side does.
        target_m = depth_m.clamp(head.min_depth_m, head.max_depth_m)
        at_home = torch.tensor([not is_from_beside(name) for name in batch.id], device=self.device)
        with torch.autocast(self.device.type, enabled=False):
            loss = weighted_loss(pred_m, target_m, batch.valid, self.settings.loss.weights, head.max_depth_m)
            if self._log_factor is not None:
                loss = loss + held_factor(self._log_factor, at_home)
            if relative_error is not None:
                times = torch.where(at_home, self.settings.loss.seen_error, 1.0).view(-1, 1, 1, 1)
                loss = loss + error_nll(pred_m, relative_error, depth_m, batch.valid, times)
        if not torch.isfinite(loss):
            raise LeadlineError(
                f"the loss became {loss.item()} at step {self.global_step}; lower --optimizer.learning-rate"
            )
        self.log("train_loss", loss, batch_size=len(batch.id))
        return loss

    def _estimate(self, batch: Batch) -> Estimate:
        image, size = batch.image, (batch.image.shape[-2], batch.image.shape[-1])
        if self._resting is not None:
            with torch.no_grad():
                features = self._resting.of(batch.id, size, partial(self.model.features_at_working_scale, image))
            return cast(Estimate, self.model.head(features, *size))
        try:
            return self.model.estimate_at_working_scale(image)
        except ValueError as error:
            if "more than 1 value per channel" not in str(error):
                raise
            raise LeadlineError(
                f"{len(image)} picture of {image.shape[-2]}x{image.shape[-1]} leaves a batch norm a single value at "
                "the network's deepest level; raise --data.batch-size, --model.height or --model.width"
            ) from error

    def validation_step(self, batch: tuple[Tensor, Batch], batch_idx: int) -> None:
        """Score a batch at the size of its depth and the pictures' own focal length."""
        index, samples = batch
        pred_m = self.model.estimate(samples.image, samples.intrinsics[:, 0, 0]).depth_m
        pred_m = resize_depth(pred_m, *samples.depth_m.shape[-2:])
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
        """AdamW, stepped once a batch; see `leadline.training.optimizer`."""
        num_steps = int(self.trainer.estimated_stepping_batches)
        optimizer, schedule = build_optimizer(self.model, self.settings.optimizer, num_steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
