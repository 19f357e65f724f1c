"""A model in the three phases that can be timed separately: prepare images, infer, finish the answer."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from leadline.errors import LeadlineError
from leadline.models import ViewSize, autocast, has_native_bf16, open_model


@dataclass(frozen=True)
class Phases:
    """A model on its device; run the three one after the other, in inference mode."""

    name: str
    """What it was opened by."""
    device: torch.device
    """Where it runs."""
    dtype: torch.dtype
    """In which precision it multiplies matrices."""
    network: nn.Module
    """What holds the parameters."""
    prepare: Callable[[Tensor, Tensor], Any]
    """From RGB in [0, 1], (B, 3, H, W) on the CPU, and focal lengths in pixels (B,), NaN where unknown, to what the
    network takes, resized and normalised."""
    infer: Callable[[Any], Any]
    """From that to what the network answers."""
    finish: Callable[[Any, Tensor, Tensor], Tensor]
    """From that, the images and the focal lengths, to float32 values (B, 1, H, W) on the CPU."""

    @property
    def num_parameters(self) -> int:
        """Number of weights."""
        return sum(parameter.numel() for parameter in self.network.parameters())

    def num_multiply_adds(self, prepared: Any) -> int:
        """Multiply-adds of the convolutions and matrix products of one `infer`."""
        # Attention is counted as the two products that it is: fused kernels for the CPU are not known.
        with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
            self.infer(prepared)
        return int(counter.get_total_flops()) // 2


def open_phases(model: str, device: torch.device) -> Phases:
    """Open a model to be timed.

    Args:
        model: "hf:NAME" (a Hugging Face model or its folder), or what `leadline.models.checkpoint.load_model` takes.
        device: where it shall run.

    Raises:
        LeadlineError: if there is no such model, it cannot be opened, or it has no phases to be timed.
    """
    kind, _, name = model.partition(":")
    if kind == "hf":
        return _of_hf(model, name, device)
    if kind == "files" or model.endswith(".onnx"):
        raise LeadlineError(f"{model} has no phases that can be timed: wanted a leadline model or hf:NAME")
    return _of_leadline(model, device)


def _of_leadline(name: str, device: torch.device) -> Phases:
    """As `leadline.prediction.prediction` runs it."""
    model = open_model(name, device)

    def view_size(focal_px: Tensor, height: int, width: int) -> ViewSize:
        views = {model.view_size(focal, height, width) for focal in focal_px.tolist()}
        if len(views) > 1:
            raise LeadlineError("the images of a batch must have one focal length, got several: take a batch of 1")
        return views.pop()

    def prepare(image: Tensor, focal_px: Tensor) -> Tensor:
        return model.prepare(image.to(device), view_size(focal_px, *image.shape[-2:]))

    def finish(estimate: Any, image: Tensor, focal_px: Tensor) -> Tensor:
        return model.finish(estimate, image.to(device), view_size(focal_px, *image.shape[-2:])).depth_m.float().cpu()

    return Phases(
        name, device, torch.bfloat16 if has_native_bf16(device) else torch.float32, model,
        prepare=prepare,
        infer=_with_autocast(model.infer, device),
        finish=finish,
    )  # fmt: skip


def _with_autocast(infer: Callable[[Any], Any], device: torch.device) -> Callable[[Any], Any]:
    def run(prepared: Any) -> Any:
        with autocast(device):
            return infer(prepared)

    return run


def _of_hf(model: str, name: str, device: torch.device) -> Phases:
    """As evaluation runs it, but for whole batches."""
    from leadline.backends import open_hf

    predictor = open_hf(name)
    network = predictor.model.to(device)

    def prepare(image: Tensor, focal_px: Tensor) -> Any:
        return predictor.prepare(image)

    def finish(raw: Any, image: Tensor, focal_px: Tensor) -> Tensor:
        return predictor.finish(raw, focal_px, *image.shape[-2:])

    steps = [_in_one_line(model, step) for step in (prepare, predictor.infer, finish)]
    return Phases(model, device, network.dtype, network, *steps)


def _in_one_line(name: str, step: Callable[..., Any]) -> Callable[..., Any]:
    """The step with any failure turned into one line; `transformers` raises all kinds."""

    @wraps(step)
    def run(*arguments: Any) -> Any:
        try:
            return step(*arguments)
        except (LeadlineError, torch.OutOfMemoryError):
            raise
        except Exception as error:
            reason = (str(error).strip() or type(error).__name__).splitlines()[0][:200].rstrip(" .:")
            raise LeadlineError(f"{name} cannot predict these images ({reason}): try larger or other ones") from error

    return run
