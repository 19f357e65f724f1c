"""Hugging Face models: any depth-estimation model that `transformers` knows, run as its makers run it.

Its own processor prepares the picture and brings the answer back to the picture's size, and it computes in
float32: a published model is scored as published.
"""

import logging
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from leadline.backends.base import Estimate, Image, known_focal_px, require_finite
from leadline.backends.batch import as_batch, to_maps
from leadline.backends.hub import without_hub
from leadline.backends.threads import CONCURRENCY_ELSEWHERE
from leadline.errors import LeadlineError, unknown_name
from leadline.geometry import Camera, Output, fov_deg_from_focal
from leadline.models import pick_device, resize_depth

logger = logging.getLogger(__name__)


def _of_depth_anything(config: Any) -> Output:
    return Output.METRES if config.depth_estimation_type == "metric" else Output.DISPARITY


def _of_dpt(config: Any) -> Output | None:
    """Disparity for MiDaS's backbones; DINOv2's with this head were published for metres, which no field tells."""
    return None if getattr(config.backbone_config, "model_type", None) == "dinov2" else Output.DISPARITY


def _metres(config: Any) -> Output:
    return Output.METRES


OUTPUTS: dict[str, Callable[[Any], Output | None]] = {
    "depth_anything": _of_depth_anything,
    "depth_pro": _metres,
    "dpt": _of_dpt,
    "glpn": _metres,
    "tipsv2_dpt": _metres,
    "zoedepth": _metres,
}
"""What a configuration's `model_type` says of the values; None, or no entry, where it does not say.

Prompt Depth Anything has none: it answers in metres only where it is given a coarse depth map beside the picture.
"""

# Parameters that the networks hold but never use; some checkpoints leave them out.
_UNUSED = re.compile(r"fusion_stage\.(layers|intermediate)\.0\.residual_layer1\.|\.mask_token$|^dpt\.layernorm\.")


def open_hf(name: str) -> "HfBackend":
    """Load a model from the Hugging Face Hub or a folder.

    Only safetensors are loaded, and no code from the Hub is run. A folder is opened without the network.

    Args:
        name: OWNER/NAME on the Hub or a folder; a "#metres", "#depth" or "#disparity" after it says what the
            values mean, where the configuration does not or is wrong.

    Returns:
        The model on the fastest device.

    Raises:
        LeadlineError: if `transformers` is not installed, the model cannot be had, is no depth model or lacks weights,
            or nobody says what its values mean.
    """
    transformers = _import_transformers()
    place, said = _split(name)
    # Of a model without safetensors the library would ask a public service to make some, in its owner's repository.
    os.environ.setdefault("DISABLE_SAFETENSORS_CONVERSION", "1")
    local = Path(place).is_dir()  # whose configuration may name other models: those stay names
    with _quiet(transformers), _one_line(place), without_hub() if local else nullcontext():
        config = transformers.AutoConfig.from_pretrained(place, trust_remote_code=False)
        processor = transformers.AutoImageProcessor.from_pretrained(place, trust_remote_code=False)
        model, loading = transformers.AutoModelForDepthEstimation.from_pretrained(
            place,
            trust_remote_code=False,
            use_safetensors=True,
            dtype=torch.float32,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # told below, by name
        )
    _require_weights(place, model, loading["missing_keys"], loading["mismatched_keys"])
    return HfBackend(f"hf:{name}", said or _output(place, config), processor, model.eval().to(pick_device()))


def _import_transformers() -> Any:
    try:
        import transformers
    except ImportError as error:
        raise LeadlineError('Hugging Face models need one more package: pip install "leadline[hf]"') from error
    return transformers


def _split(name: str) -> tuple[str, Output | None]:
    """The model's name or folder, and what its values mean if that was said."""
    place, mark, said = name.rpartition("#")
    if not mark or Path(name).is_dir():
        return name, None
    if said not in list(Output):
        raise unknown_name("output", said, Output, above="#")
    return place, Output(said)


@contextmanager
def _quiet(transformers: Any) -> Iterator[None]:
    """Silence what `transformers` warns of while it loads: what matters is checked here."""
    log = transformers.utils.logging
    before, bars = log.get_verbosity(), log.is_progress_bar_enabled()
    log.set_verbosity_error()
    log.disable_progress_bar()
    try:
        yield
    finally:
        log.set_verbosity(before)
        if bars:
            log.enable_progress_bar()


@contextmanager
def _one_line(place: str) -> Iterator[None]:
    """Turn whatever goes wrong inside into one line; `transformers` passes on all kinds of errors of its parts."""
    try:
        yield
    except Exception as error:
        raise LeadlineError(
            f"cannot load {place!r} from Hugging Face ({_reason(error)}): wanted OWNER/NAME or a folder of a "
            "depth-estimation model (config.json, preprocessor_config.json) with safetensors weights"
        ) from error


def _reason(error: Exception) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0][:200].rstrip(" .:")


def _require_weights(place: str, model: Any, missing: set[str], mismatched: Iterable[tuple[Any, ...]]) -> None:
    """Refuse a model of which a part would answer at random."""
    if mismatched := list(mismatched):
        name, *shapes = min(mismatched)
        stored, wanted = ("×".join(map(str, shape)) for shape in shapes)
        raise LeadlineError(
            f"{place!r}: {name} is {stored}, wanted {wanted} by its config.json: they are of two models; copy it again"
        )
    learnt = {name for name, _ in model.named_parameters()}
    lacking = sorted(name for name in learnt & set(missing) if not _UNUSED.search(name))
    if lacking:
        raise LeadlineError(
            f"{place!r} lacks {len(lacking)} of the weights of a depth model, such as {lacking[0]}: "
            "wanted a checkpoint that was trained for depth estimation"
        )


def _output(place: str, config: Any) -> Output:
    """What the values mean, by the configuration."""
    output = OUTPUTS.get(config.model_type, lambda config: None)(config)
    if output is None:
        raise LeadlineError(
            f"the configuration of {place!r} ({config.model_type}) does not tell what its values mean: "
            f"add one of {', '.join(f'#{kind}' for kind in Output)} to the name"
        )
    if config.model_type == "dpt":
        logger.info("%s: a DPT model does not say; taken for %s as MiDaS's are (else add #metres)", place, output)
    return output


class HfBackend:
    """A depth-estimation model of `transformers`; see `leadline.backends.base.Backend`.

    Attributes:
        name: "hf:" and the name it was opened by.
        output: what its values mean.
        working_size: not told.
        concurrency: one image on the CPU, all of whose cores a published model's layers keep busy.
        model: the network.
    """

    working_size: tuple[int, int] | None = None

    def __init__(self, name: str, output: Output, processor: Any, model: Any) -> None:
        """Take a model on its device, in evaluation mode, and its image processor; see `open_hf`."""
        self.name = name
        self.output = output
        self.device: str = model.device.type
        self.runtime = "transformers float32"
        self.concurrency = 1 if self.device == "cpu" else CONCURRENCY_ELSEWHERE
        self._processor = processor
        self.model = model

    def assumed_camera(self, height: int, width: int) -> Camera | None:
        """None: published models do not tell."""
        return None

    @torch.inference_mode()
    def estimate(self, images: Sequence[Image], cameras: Sequence[Camera | None]) -> Estimate:
        """Values of one image after the other: ZoeDepth lets the images of a batch vote on which head answers.

        Depth Pro uses the focal length where it is known, else predicts one; the others' values are what they are.

        Raises:
            LeadlineError: if the model fails on an image (as most do on tiny ones), answers numbers that are not
                finite, or predicts no field of view and the focal length is unknown.
        """
        pairs = zip(images, known_focal_px(cameras), strict=True)
        values = np.concatenate([to_maps(self._estimate_one(image, focal_px)) for image, focal_px in pairs])
        return require_finite(Estimate(values), self.name)

    def _estimate_one(self, image: Image, focal_px: float) -> Tensor:
        """Values (1, 1, H, W) of one image."""
        height, width = image.shape[:2]
        try:
            raw = self.infer(self.prepare(as_batch([image])))
            return self.finish(raw, torch.tensor([focal_px]), height, width)
        except LeadlineError:
            raise
        except Exception as error:
            raise LeadlineError(f"{self.name} fails on an image of {height}×{width}: {_reason(error)}") from error

    def prepare(self, image: Tensor) -> Any:
        """What the model takes, on its device, from pictures (B, 3, H, W): the first step of an answer."""
        # Processors resize bytes, and round: the makers' numbers come from bytes.
        pixels = image.mul(255).round().clamp(0, 255).to(torch.uint8)
        inputs = self._processor(images=list(pixels), input_data_format="channels_first", return_tensors="pt")
        return inputs.to(self.model.device)

    def infer(self, inputs: Any) -> Any:
        """What the model answers: the second step."""
        return self.model(**inputs)

    def finish(self, raw: Any, focal_px: Tensor, height: int, width: int) -> Tensor:
        """Values (B, 1, height, width) on the CPU: the last step; focal lengths in pixels are (B,), NaN if unknown."""
        answered = SimpleNamespace(predicted_depth=raw.predicted_depth.float().cpu())
        if self.model.config.model_type == "depth_pro":
            answered.field_of_view = self._fov_deg(raw.field_of_view, focal_px, width)
        return self._at_size(answered, height, width)

    def _fov_deg(self, predicted_deg: Tensor | None, focal_px: Tensor, width: int) -> Tensor:
        """Horizontal fields of view in degrees, (B,): the pictures' own where their camera is known."""
        own_deg = torch.tensor([fov_deg_from_focal(focal, width) for focal in focal_px.tolist()])
        if predicted_deg is None and own_deg.isnan().any():
            raise LeadlineError(
                f"{self.name} predicts no field of view, so it needs images of a known focal length: give the focal "
                "length or field of view, or a data set that tells it"
            )
        return own_deg if predicted_deg is None else torch.where(own_deg.isnan(), predicted_deg.float().cpu(), own_deg)

    def _at_size(self, answered: SimpleNamespace, height: int, width: int) -> Tensor:
        """Values (B, 1, height, width), by the processor's own rule if it has one."""
        post_process = getattr(self._processor, "post_process_depth_estimation", None)
        if post_process is None:
            return resize_depth(answered.predicted_depth[:, None], height, width)
        # The second argument is the picture's size for ZoeDepth, and the wanted size for the others: here one.
        answers = post_process(answered, [(height, width)] * len(answered.predicted_depth))
        return torch.stack([answer["predicted_depth"].reshape(1, height, width) for answer in answers])
