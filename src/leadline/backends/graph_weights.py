"""A checkpoint's weights as its graphs want them: in float32, or as 8-bit integers that are made of them on opening."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from leadline.errors import LeadlineError
from leadline.models import MAX_WEIGHT, SCALE_SUFFIX, TRANSPOSED, require_scales
from leadline.models import WEIGHTS as WEIGHTS_FILE

Array = NDArray[Any]

WEIGHT, SCALES, APART = "/weight", "/scales", "/apart"
"""Behind a site's name: the names of what it makes."""
LARGEST = 127
_INFO = "leadline"
_ARRAYS = ("smooth", "columns", "outliers")


class Site(NamedTuple):
    """How weights of a checkpoint become the 8-bit ones of a product; its name begins the names of these."""

    source: str
    """Name of the weights, (out, in)."""
    span: tuple[int, int]
    """Which rows of them: first, and behind the last."""
    smooth: Array
    """What they are multiplied by for each channel that is fed, (in,)."""
    columns: Array
    """What they are multiplied by for each that is answered, (out,)."""
    outliers: Array
    """Channels whose weights stay in float32, ascending."""

    def parts(self, name: str, weights: Array) -> Iterator[tuple[str, Array]]:
        """The 8-bit weights (in, out), the scale of each column and the rows that are kept apart, by their names.

        Args:
            name: of the site.
            weights: those of `source`, float32.
        """
        inner = weights[slice(*self.span)] * self.columns[:, None]
        inner = np.ascontiguousarray((inner * self.smooth).T)
        if len(self.outliers):
            yield name + APART, inner[self.outliers]
            inner[self.outliers] = 0
        weight, scales = integer_weights(inner.T)
        yield name + WEIGHT, np.ascontiguousarray(weight.T)
        yield name + SCALES, scales


def integer_weights(weights: Array) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Weights (out, ...) in 8 bits, and the scale of each that is answered, (out,)."""
    flat = weights.reshape(len(weights), -1)
    scales = (np.abs(flat).max(1).clip(1e-12) / np.float32(LARGEST)).astype(np.float32)
    return np.rint(flat / scales[:, None]).astype(np.int8).reshape(weights.shape), scales


class Wanted(NamedTuple):
    """The weights that an 8-bit graph wants."""

    sites: Mapping[str, Site]
    """By name."""
    convolutions: Sequence[str]
    """Names of weights that it wants in 8 bits as `integer_weights` makes them."""
    plain: Sequence[str]
    """Names of those that it wants as they are."""


def save_wanted(path: Path, wanted: Wanted) -> None:
    """Write what `read_wanted` reads."""
    from safetensors.numpy import save

    sites = wanted.sites
    info = {
        "weights": sorted(wanted.plain),
        "convolutions": sorted(wanted.convolutions),
        "sites": {name: [it.source, *it.span] for name, it in sites.items()},
    }
    arrays = {f"{name}.{key}": np.ascontiguousarray(getattr(it, key)) for name, it in sites.items() for key in _ARRAYS}
    path.write_bytes(save(arrays, {_INFO: json.dumps(info)}))


def read_wanted(path: Path) -> Wanted:
    """Read which weights an 8-bit graph wants.

    Raises:
        LeadlineError: if the file is missing or makes no sense.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "numpy") as stored:
            info = json.loads((stored.metadata() or {})[_INFO])
            sites = {
                name: Site(source, (start, stop), *(stored.get_tensor(f"{name}.{key}") for key in _ARRAYS))
                for name, (source, start, stop) in info["sites"].items()
            }
            names = ([str(name) for name in info[key]] for key in ("convolutions", "weights"))
            return Wanted(sites, *names)
    except (SafetensorError, OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise LeadlineError(f"{path} does not say how weights become 8-bit ({error}): copy the folder again") from error


class CheckpointWeights:
    """The weights of a checkpoint's file in float32, one at a time."""

    def __init__(self, folder: Path) -> None:
        """Take a checkpoint's folder."""
        self._path = folder / WEIGHTS_FILE

    def plain(self, names: Iterable[str]) -> Iterator[tuple[str, Array]]:
        """Weights by names, which end in `TRANSPOSED` where rows and columns change places.

        Raises:
            LeadlineError: if the file is missing or broken, or has no such weights.
        """
        for name in names:
            own = name.removesuffix(TRANSPOSED)
            weights = self._read(own)
            yield name, weights if own == name else np.ascontiguousarray(weights.T)

    def of(self, wanted: Wanted) -> Iterator[tuple[str, Array]]:
        """All that an 8-bit graph wants, by the names that it has for them.

        Raises:
            LeadlineError: as `plain`.
        """
        yield from self.plain(wanted.plain)
        yield from self._of_sites(wanted.sites)
        for name in wanted.convolutions:
            weight, scales = integer_weights(self._read(name))
            yield from ((name + WEIGHT, weight), (name + SCALES, scales))

    def _of_sites(self, sites: Mapping[str, Site]) -> Iterator[tuple[str, Array]]:
        source = ""
        weights: Array = np.empty(0, np.float32)
        for name, site in sites.items():
            if site.source != source:
                source, weights = site.source, self._read(site.source)
            yield from site.parts(name, weights)

    def _read(self, name: str) -> NDArray[np.float32]:
        weights = self._stored(name)
        if weights.size and not np.abs(weights).max() <= MAX_WEIGHT:
            raise LeadlineError(
                f"{self._path}: {name} holds {np.abs(weights).max():.3g}, wanted numbers of a trained network, at most "
                f"{MAX_WEIGHT:g}: the file is damaged; copy or download it again"
            )
        return weights

    def _stored(self, name: str) -> NDArray[np.float32]:
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(self._path, "numpy") as stored:
                values = stored.get_tensor(name)
                if values.dtype != np.int8:
                    return np.asarray(values, np.float32)
                scale = stored.get_tensor(name + SCALE_SUFFIX)
        except (SafetensorError, OSError) as error:
            raise LeadlineError(f"{self._path} is not a whole file ({error}): copy or download it again") from error
        require_scales(f"{self._path}: {name}", values.shape, len(scale))
        groups = values.reshape(len(scale), -1)  # as `leadline.models.dequantize` does
        scaled: NDArray[np.float32] = np.multiply(groups, scale.reshape(-1, 1), dtype=np.float32)
        return scaled.reshape(values.shape)
