"""A model in three phases: prepare images, infer, finish the estimate."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from math import inf, isfinite
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from leadline.backends import Backend, HfBackend, TorchBackend, find_kind, open_backend
from leadline.errors import LeadlineError
from leadline.geometry import Camera, CameraSource, ViewSize
from leadline.models import autocast, has_native_bf16, open_model


@dataclass(frozen=True)
class Phases:
    """A model on its device; run the three one after the other, in inference mode."""

    name: str
    """What it was opened by."""
    device: torch.device
    """Where it runs."""
    dtype: torch.dtype
    """In which precision it multiplies matrices."""
    concurrency: int
    """How many batches are best predicted at a time."""
    prepare: Callable[[Tensor, Tensor], Any]
    """From RGB in [0, 1], (B, 3, H, W) on the CPU, and focal lengths in pixels (B,), NaN where unknown, to what the
    network takes, resized and normalised."""
    infer: Callable[[Any], Any]
    """From that to what the network answers."""
    finish: Callable[[Any, Tensor, Tensor], Tensor]
    """From that, the images and the focal lengths, to float32 values (B, 1, H, W) on the CPU."""
    precision: str = ""
    """In which precision another program than PyTorch multiplies; else `dtype`."""
    network: nn.Module | None = None
    """What holds the parameters; None where PyTorch does not run it: what is prepared and finished is then converted
    alone, and preprocessing and postprocessing are part of `infer`."""
    working_size: tuple[int, int] | None = None
    """Height and width at which such a network sees an image, if known."""

    def timed_as(self, phase: str) -> str:
        """The phase whose time a phase counts as: "model" for what cannot be separated from it."""
        return "model" if self.network is None and phase in ("preprocess", "postprocess") else phase

    def fed_size(self, prepared: Any) -> tuple[int, int] | None:
        """Height and width of what the network takes; None if unknown."""
        if self.network is None:
            return self.working_size
        fed = prepared if isinstance(prepared, Tensor) else prepared["pixel_values"]
        return fed.shape[-2], fed.shape[-1]

    @property
    def num_parameters(self) -> int | None:
        """Number of weights; None where PyTorch does not run the network."""
        return None if self.network is None else sum(parameter.numel() for parameter in self.network.parameters())

    def num_multiply_adds(self, prepared: Any) -> int | None:
        """Multiply-adds of the convolutions and matrix products of one `infer`; None likewise."""
        if self.network is None:
            return None
        # Attention is counted as the two products that it is: fused kernels for the CPU are not known.
        with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
            self.infer(prepared)
        return int(counter.get_total_flops()) // 2


def open_phases(model: str, device: torch.device) -> Phases:
    """Open a model to be timed.

    Args:
        model: what `leadline.backends.open_backend` takes.
        device: where a model that PyTorch runs shall run; others choose their own.

    Raises:
        LeadlineError: if there is no such model, or it cannot be opened.
    """
    kind, opened_by = find_kind(model)
    # By PyTorch, whose phases can be timed; a kind before the name says otherwise.
    backend = open_backend(f"torch:{opened_by}" if kind == "leadline" else model, inf)
    if isinstance(backend, TorchBackend):
        return _of_leadline(model, backend, device)
    if isinstance(backend, HfBackend):
        return _of_hf(model, backend, device)
    return _of_backend(model, backend)


def _of_leadline(name: str, backend: TorchBackend, device: torch.device) -> Phases:
    """As the backend runs it."""
    if backend.model.mean.device.type != device.type:  # optimized for another device
        backend = TorchBackend(open_model(name, device), name)
    model = backend.model.to(device)

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
        name, device, torch.bfloat16 if has_native_bf16(device) else torch.float32, backend.concurrency,
        prepare=prepare,
        infer=_with_autocast(model.infer, device),
        finish=finish,
        network=model,
    )  # fmt: skip


def _with_autocast(infer: Callable[[Any], Any], device: torch.device) -> Callable[[Any], Any]:
    def run(prepared: Any) -> Any:
        with autocast(device):
            return infer(prepared)

    return run


def _of_hf(name: str, backend: HfBackend, device: torch.device) -> Phases:
    """As the backend runs it, but for whole batches."""
    network = backend.model.to(device)

    def prepare(image: Tensor, focal_px: Tensor) -> Any:
        return backend.prepare(image)

    def finish(raw: Any, image: Tensor, focal_px: Tensor) -> Tensor:
        return backend.finish(raw, focal_px, *image.shape[-2:])

    return Phases(
        name, device, network.dtype, backend.concurrency,
        prepare=_in_one_line(name, prepare),
        infer=_in_one_line(name, backend.infer),
        finish=_in_one_line(name, finish),
        network=network,
    )  # fmt: skip


def _of_backend(name: str, backend: Backend) -> Phases:
    """All in one: images as arrays in, maps out."""

    def prepare(image: Tensor, focal_px: Tensor) -> Any:
        height, width = image.shape[-2:]
        cameras = [
            Camera.from_focal_px(focal, width, height, CameraSource.EXIF) if isfinite(focal) else None
            for focal in focal_px.tolist()
        ]
        return list(image.permute(0, 2, 3, 1).numpy()), cameras

    def finish(values: Any, image: Tensor, focal_px: Tensor) -> Tensor:
        return torch.from_numpy(values)[:, None]

    return Phases(
        name, torch.device(backend.device), torch.float32, backend.concurrency,
        prepare=prepare,
        infer=lambda prepared: backend.estimate(*prepared).values,
        finish=finish,
        precision=backend.runtime.split()[-1],
        working_size=backend.working_size,
    )  # fmt: skip


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
