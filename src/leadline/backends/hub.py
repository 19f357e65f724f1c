"""The Hugging Face Hub kept out: what was named by a file, and not by the user, is opened without the network."""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_hub() -> Iterator[None]:
    """Within the block the Hub's library answers from this machine alone, as under HF_HUB_OFFLINE=1.

    Whoever wrote a folder could else have it ask for any name: its configuration may name a backbone, and a
    calibration a model.
    """
    try:
        from huggingface_hub import constants
    except ImportError:  # then nothing can ask
        yield
        return
    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before
