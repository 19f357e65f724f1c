"""What a resting network hands to its head for each image, computed once and kept on disk."""

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from leadline.io import atomic_file
from leadline.models import Features


class RestingFeatures:
    """Features of images, those of each in a file of its own, in float16, when they are first asked for.

    A resting network answers the same whenever an image is the same, and takes most of a step's time.
    """

    def __init__(self, folder: Path) -> None:
        """Keep them in a folder; those that are there are taken, since a run that is resumed has the same images."""
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def of(self, names: Sequence[str], network: Callable[[], Features]) -> Features:
        """Features of a batch, float32.

        Args:
            names: the images' ids.
            network: gives them of the whole batch; called where one is not there, or they differ in size.
        """
        files = [self._folder / f"{name.replace('/', '-')}.safetensors" for name in names]
        if all(file.exists() for file in files):
            stored = [Features(**load_file(file)) for file in files]
            if len({tuple(part.shape for part in one) for one in stored}) == 1:
                return Features(*(torch.stack(parts).float() for parts in zip(*stored, strict=True)))
        features = Features(*(part.half() for part in network()))
        for file, *parts in zip(files, *features, strict=True):
            with atomic_file(file) as temporary:
                save_file({key: part.contiguous() for key, part in Features(*parts)._asdict().items()}, temporary)
        return Features(*(part.float() for part in features))
