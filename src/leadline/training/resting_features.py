"""What a resting network hands to its head for each image, computed once and kept on disk."""

from collections.abc import Callable, Sequence
from hashlib import sha256
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

    def of(self, names: Sequence[str], size: tuple[int, int], network: Callable[[], Features]) -> Features:
        """Features of a batch, float32.

        Args:
            names: the images' ids.
            size: height and width of the batch, in which a smaller image has a margin that its features show.
            network: gives them of the whole batch; called where one is not there.
        """
        files = [self._file(name, size) for name in names]
        if all(file.exists() for file in files):
            stored = [Features(**load_file(file)) for file in files]
            return Features(*(torch.stack(parts).float() for parts in zip(*stored, strict=True)))
        features = Features(*(part.half() for part in network()))
        for file, *parts in zip(files, *features, strict=True):
            with atomic_file(file) as temporary:
                save_file({key: part.contiguous() for key, part in Features(*parts)._asdict().items()}, temporary)
        return Features(*(part.float() for part in features))

    def _file(self, name: str, size: tuple[int, int]) -> Path:
        """Whatever characters an id has, and however long it is."""
        return self._folder / f"{sha256(f'{name} {size}'.encode()).hexdigest()}.safetensors"
