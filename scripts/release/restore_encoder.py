r"""A model whose encoder has gone part of the way back to the weights that it was pretrained with, as a checkpoint.

    python scripts/release/restore_encoder.py runs/fifth --share 0.6 --out runs/restored \
        --weights depth_anything_v2_small_encoder.safetensors

Long tuning on few pictures wears away what the encoder knew of all others. Between both lie encoders that know both
(Wortsman et al., "Robust fine-tuning of zero-shot models", CVPR 2022); a few gentle epochs let the decoder follow.
"""

import argparse
from pathlib import Path

import torch

from leadline.errors import LeadlineError
from leadline.models.checkpoint import load_checkpoint, save_checkpoint
from leadline.models.checkpoint_files import find_checkpoint, read_config
from leadline.models.encoders import load_weights, read_weights
from leadline.training.model_card import model_card, without_scores


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="a checkpoint, a run, or a bundled model")
    parser.add_argument("--weights", required=True, help="the encoder's pretrained weights: a file, or timm's name")
    parser.add_argument("--share", type=float, required=True, help="how far back: 0 changes nothing, 1 all the way")
    parser.add_argument("--out", type=Path, required=True, help="folder of the new checkpoint")
    arguments = parser.parse_args()
    if not 0 <= arguments.share <= 1:
        parser.error(f"--share lies between 0 and 1, got {arguments.share}")

    try:
        folder = find_checkpoint(arguments.model)
        model, record = load_checkpoint(folder), read_config(folder)["record"]
        encoder = getattr(model.network, "encoder", None)
        if encoder is None:
            parser.error(f"{arguments.model} has no encoder to restore: name one of the kind encoder-decoder")
        tuned = {name: tensor.clone() for name, tensor in encoder.state_dict().items()}
        load_weights(encoder, read_weights(arguments.weights), arguments.weights)
    except LeadlineError as error:
        parser.error(str(error))
    pretrained = encoder.state_dict()
    encoder.load_state_dict(
        {name: torch.lerp(tuned[name].float(), pretrained[name].float(), arguments.share) for name in tuned}
    )
    record = {**without_scores(record), "restored": arguments.share}
    save_checkpoint(arguments.out, model, record, model_card(record))


if __name__ == "__main__":
    main()
