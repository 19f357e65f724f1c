r"""The mean of the weights of several models that were trained from the same start, as one checkpoint.

    python scripts/release/average.py runs/fifth-a runs/fifth-b --out runs/fifth

A recipe's `runs` does the same within a training; this is for models that were trained apart.
"""

import argparse
from pathlib import Path

from leadline.errors import LeadlineError
from leadline.models.checkpoint import save_checkpoint
from leadline.models.checkpoint_files import find_checkpoint, read_config
from leadline.training.model_card import model_card, without_scores
from leadline.training.weight_averaging import load_weight_average


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="+", help="checkpoints or runs, all of one shape")
    parser.add_argument("--out", type=Path, required=True, help="folder of the new checkpoint")
    arguments = parser.parse_args()

    try:
        folders = [find_checkpoint(model) for model in arguments.model]
        mean = load_weight_average(folders)
    except LeadlineError as error:
        parser.error(str(error))
    record = {
        **without_scores(read_config(folders[0])["record"]),
        "averaged": [Path(it).name for it in arguments.model],
    }
    save_checkpoint(arguments.out, mean, record, model_card(record))


if __name__ == "__main__":
    main()
