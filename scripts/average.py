r"""The mean of the weights of several models that were trained from the same start, as one checkpoint.

    python scripts/average.py runs/fifth-a runs/fifth-b --out runs/fifth

Fine-tunings of one model end in one basin, in whose middle errors are smaller (Wortsman et al., "Model soups:
averaging weights of multiple fine-tuned models improves accuracy without increasing inference time", ICML 2022).
"""

import argparse
from pathlib import Path

import torch

from leadline.card import model_card, without_scores
from leadline.checkpoint import find_checkpoint, load_checkpoint, read_config, save_checkpoint
from leadline.errors import UserError


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="+", help="checkpoints or runs, all of one shape")
    parser.add_argument("--out", type=Path, required=True, help="folder of the new checkpoint")
    arguments = parser.parse_args()

    try:
        folders = [find_checkpoint(model) for model in arguments.model]
        configs = [read_config(folder) for folder in folders]
    except UserError as error:
        parser.error(str(error))
    for model, config in zip(arguments.model, configs, strict=True):
        if config["model"] != configs[0]["model"]:
            parser.error(f"{model} has other settings than {arguments.model[0]}: wanted models of one kind and camera")
    models = [load_checkpoint(folder) for folder in folders]
    mean = models[0]
    states = [model.state_dict() for model in models]
    mean.load_state_dict(
        {
            name: torch.stack([state[name].float() for state in states]).mean(0).to(tensor.dtype)
            for name, tensor in states[0].items()
        }
    )
    record = {**without_scores(configs[0]["record"]), "averaged": [Path(it).name for it in arguments.model]}
    save_checkpoint(arguments.out, mean, record, model_card(record))


if __name__ == "__main__":
    main()
