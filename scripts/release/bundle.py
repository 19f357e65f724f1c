r"""Put a checkpoint, or a run's best one, into the package, with the numbers that this very file scores.

    python scripts/release/bundle.py runs/base base --data nyu-labelled --precision int8 --validation-error 0.112 \
        --encoder-licence Apache-2.0 --protocol nyu-eigen

Writes src/leadline/bundled/NAME and research/results/NAME/PROTOCOL/{metrics.json,per_image.csv}, and calibration.png
where the model says how far off it is.
"""

import argparse
from pathlib import Path
from typing import get_args

import torch
from score_bundled import score

from leadline.data.catalog import open_dataset
from leadline.data.splits import make_splits
from leadline.models.build import build_model
from leadline.models.checkpoint import load_checkpoint, save_checkpoint
from leadline.models.checkpoint_files import BUNDLE, find_checkpoint, read_config
from leadline.models.device import autocast
from leadline.models.model import DepthModel
from leadline.models.quantization import Precision
from leadline.models.settings import ModelSettings
from leadline.training.model_card import model_card


@torch.inference_mode()
def expected_error(model: DepthModel, data: Path) -> float:
    """Mean over the validation pictures of the relative error that a model expects of their valid pixels."""
    dataset, expected = open_dataset(data), []
    for index in make_splits(dataset, "official")["val"]:
        sample = dataset[index]
        with autocast(torch.device("cpu")):
            error = model.estimate(sample.image[None], sample.intrinsics[:1, 0]).relative_error
        assert error is not None
        expected.append(error[0][sample.valid].mean())
    return torch.stack(expected).mean().item()


@torch.inference_mode()
def rounding_change(exact: DepthModel, rounded: DepthModel, data: Path) -> float:
    """Mean change of depth over the validation pictures, as a share of it."""
    dataset, changes = open_dataset(data), []
    for index in make_splits(dataset, "official")["val"]:
        image = dataset[index].image[None]
        with autocast(torch.device("cpu")):
            changes.append((rounded(image) / exact(image)).log().abs().mean())
    return torch.stack(changes).mean().item()


def with_settings(model: DepthModel, head: dict[str, float], focal_gain: float) -> DepthModel:
    """The same weights under other settings."""
    changed = {"head": {**model.settings.head.model_dump(), **head}, "focal_gain": focal_gain}
    settings = ModelSettings.model_validate({**model.settings.model_dump(), **changed})
    other = build_model(settings.without_weights())
    other.load_state_dict(model.state_dict())
    return other.eval()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("name")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--split", default="official/test")
    parser.add_argument("--encoder-licence", required=True)
    parser.add_argument("--protocol", action="append", required=True)
    parser.add_argument("--precision", default="float16", choices=get_args(Precision))
    parser.add_argument(
        "--validation-error",
        type=float,
        help="abs_rel, on the official split's validation pictures, of a model like this one that was not trained on "
        "them: expected errors, which are too small on pictures that were trained on, are multiplied until they say so",
    )
    parser.add_argument("--scale-gain", type=float, help="HeadSettings.scale_gain; the run's own if not given")
    parser.add_argument("--focal-gain", type=float, help="ModelSettings.focal_gain; the run's own if not given")
    arguments = parser.parse_args()

    best = find_checkpoint(arguments.run)
    model = load_checkpoint(best)
    factor, changed = 1.0, {}
    if arguments.validation_error and model.settings.head.uncertainty:
        factor = arguments.validation_error / expected_error(model, arguments.data)
        changed["error_scale"] = model.settings.head.error_scale * factor
    if arguments.scale_gain is not None:
        changed["scale_gain"] = arguments.scale_gain
    focal_gain = model.settings.focal_gain if arguments.focal_gain is None else arguments.focal_gain
    model = with_settings(model, changed, focal_gain)
    record = {
        **read_config(best)["record"],
        "encoder_licence": arguments.encoder_licence,
        "error_factor": round(factor, 2),
        "scale_gain": changed.get("scale_gain", 0.0),
        "focal_gain": focal_gain,
    }
    bundled = BUNDLE / arguments.name
    # Scored as it ships: after rounding.
    save_checkpoint(bundled, model, record, model_card(record), precision=arguments.precision)
    print(f"rounding changes depth by {rounding_change(model, load_checkpoint(bundled), arguments.data):.2%}")
    score(arguments.name, arguments.data, arguments.split, arguments.protocol)


if __name__ == "__main__":
    main()
