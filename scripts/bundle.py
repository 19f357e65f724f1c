r"""Put a run's best checkpoint into the package, with the numbers that this very file scores.

    python scripts/bundle.py runs/base base --data nyu-labelled --precision int8 --error-factor 1.33 \
        --encoder-licence Apache-2.0 --protocol nyu-eigen

Writes src/leadline/bundled/NAME and docs/results/NAME/PROTOCOL/{metrics.json,per_image.csv}, and calibration.png
where the model says how far off it is.
"""

import argparse
import math
from pathlib import Path
from typing import get_args

import torch

from leadline.card import model_card
from leadline.checkpoint import BUNDLE, load_checkpoint, read_config, save_checkpoint
from leadline.evaluation import evaluate_protocols
from leadline.storage import Precision

ROOT = Path(__file__).parents[1]


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
        "--error-factor",
        type=float,
        default=1.0,
        help="what to multiply expected errors by: those of a model taught on its own training pictures are too small",
    )
    arguments = parser.parse_args()

    best = arguments.run / "checkpoints" / "best"
    model = load_checkpoint(best)
    if model.head.error_conv is not None and model.head.error_conv.bias is not None:
        with torch.no_grad():
            model.head.error_conv.bias += math.log(arguments.error_factor)
    record = {
        **read_config(best)["record"],
        "encoder_licence": arguments.encoder_licence,
        "error_factor": arguments.error_factor,
    }
    bundled = BUNDLE / arguments.name
    # Scored as it ships: after rounding.
    save_checkpoint(bundled, model, record, model_card(record), precision=arguments.precision)
    tests = []
    for report in evaluate_protocols(
        arguments.name, data=arguments.data, split=arguments.split, protocols=arguments.protocol
    ):
        report.save(ROOT / "docs" / "results" / arguments.name / report.protocol)
        tests.append(report.to_json())
        print(report.protocol, {name: round(value, 4) for name, value in report.per_image.items()})
    record = {**record, "tests": tests}
    save_checkpoint(bundled, model, record, model_card(record), precision=arguments.precision)


if __name__ == "__main__":
    main()
