"""How long a recipe's stages take on one core, from the time of a step of each: the best of three, on random pictures.

    python research/scripts/training_hours.py base

Reading, augmenting and rendering pictures, which other processes do beside it, and validation are left out.
"""

import argparse
import time
from functools import lru_cache
from types import SimpleNamespace

import torch

from leadline.data.sample import Batch
from leadline.models import build_model, has_native_bf16
from leadline.training.lightning_module import DepthTraining
from leadline.training.settings import RunSettings, resolve_stages

NUM_PICTURES = 795
"""Official training pictures of NYU Depth V2."""
NUM_STEPS = 3
CPU = torch.device("cpu")


@lru_cache
def step_s(settings: RunSettings) -> float:
    """Seconds of one step."""
    module = DepthTraining(build_model(settings.model), settings)
    module.log = lambda *args, **kwargs: None  # type: ignore[method-assign,assignment]
    module._trainer = SimpleNamespace(global_step=0)  # type: ignore[assignment]
    if settings.freeze_network:
        module.model.network.requires_grad_(False)
    optimizer = torch.optim.AdamW(value for value in module.parameters() if value.requires_grad)
    batch = random_batch(settings)
    times = []
    for step in range(NUM_STEPS):
        start = time.perf_counter()
        module.on_train_batch_start(batch, step)
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=has_native_bf16(CPU)):
            loss = module.training_step(batch, step)
        loss.backward()
        optimizer.step()
        times.append(time.perf_counter() - start)
    return min(times)


def random_batch(settings: RunSettings) -> Batch:
    """Pictures of a stage's working size, by its usual camera."""
    model, count = settings.model, settings.data.batch_size
    height, width = (side // model.multiple_px * model.multiple_px for side in (model.height, model.width))
    image, depth_m = torch.rand(count, 3, height, width), 0.5 + 4 * torch.rand(count, 1, height, width)
    camera = torch.eye(3).repeat(count, 1, 1) * model.focal_px
    return Batch(image, depth_m, torch.ones_like(depth_m, dtype=torch.bool), camera, ["a"] * count, [""] * count)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe")
    torch.set_num_threads(1)
    total_h = 0.0
    for number, stage in enumerate(resolve_stages(parser.parse_args().recipe), start=1):
        model = stage.model.without_weights().model_copy(update={"focal_px": float(stage.model.height)})
        # Only what decides how long a step takes, so that like stages are timed once.
        timed = RunSettings.model_validate(
            {"model": model.model_dump(), "freeze_network": stage.freeze_network, "loss": stage.loss.model_dump()}
            | {"data": {"batch_size": stage.data.batch_size}}
        )
        pictures = NUM_PICTURES * stage.data.repeat + stage.data.rendered
        num_steps = pictures // stage.data.batch_size * stage.epochs * stage.runs
        hours = num_steps * step_s(timed) / 3600
        total_h += hours
        size = f"{model.height}×{model.width}"
        print(
            f"stage {number:2d} {size:>8}: {num_steps:5d} steps of {step_s(timed):5.2f} s, {hours:5.2f} h", flush=True
        )
    print(f"{total_h:.1f} hours of one core")


if __name__ == "__main__":
    main()
