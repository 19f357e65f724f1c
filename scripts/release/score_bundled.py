r"""Score a model that is in the package, and write what it scored where it is read.

    python scripts/release/score_bundled.py base --data nyu-labelled --protocol nyu-eigen

Writes research/results/NAME/PROTOCOL/{metrics.json,per_image.csv}, calibration.png where the model has an expected
error, and the model's card and record; its weights stay as they are.
"""

import argparse
from pathlib import Path

from leadline.evaluation.evaluation import evaluate_protocols
from leadline.models.checkpoint import save_record
from leadline.models.checkpoint_files import BUNDLE, read_config
from leadline.reporting import save_report
from leadline.training.model_card import model_card

RESULTS = Path(__file__).parents[2] / "research" / "results"


def score(name: str, data: Path, split: str, protocols: list[str], processes: int = 1) -> None:
    """Score the bundled model NAME and keep the numbers."""
    tests = []
    for report in evaluate_protocols(name, data=data, split=split, protocols=protocols, processes=processes):
        save_report(report, RESULTS / name / report.protocol)
        tests.append(report.to_json())
        print(report.protocol, {key: round(value, 4) for key, value in report.per_image.items()})
    record = {**read_config(BUNDLE / name)["record"], "tests": tests}
    save_record(BUNDLE / name, record, model_card(record))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--split", default="official/test")
    parser.add_argument("--protocol", action="append", required=True)
    parser.add_argument("--processes", type=int, default=1)
    arguments = parser.parse_args()
    score(arguments.name, arguments.data, arguments.split, arguments.protocol, arguments.processes)


if __name__ == "__main__":
    main()
