"""Models in three phases: the same answer as whole, and the arithmetic counted by hand."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import scaled_dot_product_attention

from leadline.backends import Estimate
from leadline.errors import LeadlineError
from leadline.evaluation.speed import phases as module
from leadline.evaluation.speed.phases import Phases, open_phases
from leadline.evaluation.speed.results import PHASES
from leadline.geometry import Camera, Output
from leadline.models.model import DepthModel

CPU = torch.device("cpu")
NAN = torch.tensor([torch.nan, torch.nan])


def plain(network: nn.Module) -> Phases:
    return Phases(
        "plain", CPU, torch.float32, 1, lambda it, _: it, infer=network, finish=lambda it, *_: it, network=network
    )


def run(phases: Phases, image: torch.Tensor, focal_px: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        return phases.finish(phases.infer(phases.prepare(image, focal_px)), image, focal_px)


def test_multiply_adds_of_a_convolution_by_hand() -> None:
    # 3×3 over 5 channels for each of 7 channels at each of 10·12 places; biases are no multiply-adds.
    phases = plain(nn.Conv2d(5, 7, 3, padding=1))
    assert phases.num_multiply_adds(torch.zeros(1, 5, 10, 12)) == 3 * 3 * 5 * 7 * 10 * 12
    assert phases.num_parameters == 3 * 3 * 5 * 7 + 7


def test_multiply_adds_of_attention_by_hand() -> None:
    # For each of 2 heads, 6 tokens of 4 numbers: every token with every other, and the weighted sum of them.
    phases = replace(plain(nn.Identity()), infer=lambda it: scaled_dot_product_attention(it, it, it))
    assert phases.num_multiply_adds(torch.zeros(1, 2, 6, 4)) == 2 * (6 * 6 * 4 + 6 * 6 * 4)


def test_the_phases_of_a_leadline_model_make_its_answer(tiny_checkpoint: Path, tiny_model: DepthModel) -> None:
    phases = open_phases(str(tiny_checkpoint), CPU)
    image = torch.rand(2, 3, 60, 80, generator=torch.manual_seed(0))
    assert phases.prepare(image, NAN).shape == (2, 3, 36, 48)
    with torch.inference_mode():
        expected = tiny_model(image)
    # autocast where the processor multiplies bfloat16 itself
    torch.testing.assert_close(run(phases, image, NAN), expected, rtol=0.02, atol=0)
    # Trained with 40 px at 36×48: twice that, at (80/48)² of the area, is a scale of 2.
    twice_px = 80 * 80 / 48
    torch.testing.assert_close(run(phases, image, torch.full((2,), twice_px)), 2 * run(phases, image, NAN))
    with pytest.raises(LeadlineError, match="must have one focal length"):
        phases.prepare(image, torch.tensor([twice_px, torch.nan]))


def test_a_hugging_face_model_answers_batches_in_phases(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers", reason="needs the extra hf")
    config = transformers.GLPNConfig(
        hidden_sizes=[4, 4, 8, 8], depths=[1] * 4, num_attention_heads=[1, 1, 2, 2], decoder_hidden_size=8
    )
    transformers.GLPNForDepthEstimation(config).save_pretrained(tmp_path)
    transformers.GLPNImageProcessor().save_pretrained(tmp_path)
    phases = open_phases(f"hf:{tmp_path}", CPU)
    image = torch.rand(2, 3, 70, 100, generator=torch.manual_seed(0))
    together = run(phases, image, NAN)
    assert together.shape == (2, 1, 70, 100) and together.dtype == torch.float32
    torch.testing.assert_close(together[1:], run(phases, image[1:], NAN[1:]), rtol=1e-4, atol=1e-5)
    assert phases.num_multiply_adds(phases.prepare(image[:1], NAN[:1])) > 0
    with pytest.raises(LeadlineError, match=r"hf:.* cannot predict these images \("):
        run(phases, torch.rand(1, 3, 20, 20), NAN[:1])


class Flat:
    """A backend that estimates 2 m for a camera of 100 px, and 3 m where it knows none."""

    name, output, working_size, device, concurrency = "flat", Output.METRES, (12, 16), "cpu", 2
    runtime = "numpy int8"

    def assumed_camera(self, height: int, width: int) -> None:
        return None

    def estimate(self, images: Sequence[Any], cameras: Sequence[Camera | None]) -> Estimate:
        metres = [3.0 if camera is None else 2.0 * camera.focal_px / 100 for camera in cameras]
        return Estimate(np.stack([np.full(it.shape[:2], m, np.float32) for it, m in zip(images, metres, strict=True)]))


def test_another_backend_has_one_phase_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "open_backend", lambda model, num_images: Flat())
    phases = open_phases("flat.onnx", CPU)
    depth_m = run(phases, torch.zeros(2, 3, 5, 7), torch.tensor([50.0, torch.nan]))
    assert depth_m.shape == (2, 1, 5, 7)
    assert depth_m[:, 0, 0, 0].tolist() == [1.0, 3.0]
    assert phases.precision == "int8"
    assert [phases.timed_as(name) for name in PHASES] == ["decode", "model", "model", "model", "write"]
    assert (phases.num_parameters, phases.num_multiply_adds(None), phases.fed_size(None)) == (None, None, (12, 16))
