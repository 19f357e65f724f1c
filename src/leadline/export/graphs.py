"""The graphs of a checkpoint for onnxruntime, beside its weights."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from leadline.backends import Wanted, save_wanted
from leadline.export.int8 import int8_network
from leadline.export.network import named_weights, save_graph, trace
from leadline.io import atomic_file
from leadline.models import CONFIG, GRAPH, INT8_GRAPH, INT8_SITES, load_checkpoint, read_config, write_json


def add_graph(folder: Path) -> None:
    """Write the graph of a checkpoint beside its weights, and into its `config.json` which weights it wants how.

    Args:
        folder: the checkpoint.

    Raises:
        LeadlineError: if it is none, or PyTorch cannot export its network.
        OSError: if the folder cannot be written.
    """
    model = load_checkpoint(folder)
    network = trace(model)
    names = named_weights(network.graph, model)
    save_graph(network, names, folder / GRAPH)
    graph = {"min_depth_m": model.settings.head.min_depth_m, "weights": sorted(set(names.values()))}
    with atomic_file(folder / CONFIG) as temporary:
        write_json(temporary, {**read_config(folder), "graph": graph})


def add_int8_graph(folder: Path, images: Iterable[NDArray[np.float32]]) -> None:
    """Write the graph of a checkpoint with 8-bit products, and how its weights become theirs.

    Args:
        folder: the checkpoint.
        images: as `leadline.export.int8.int8_network`.

    Raises:
        LeadlineError: if it is no checkpoint of a plain vision transformer, or PyTorch cannot export its network.
        OSError: if the folder cannot be written.
    """
    model = load_checkpoint(folder)
    network, sites, convolutions = int8_network(model, images)
    names = named_weights(network.graph, model)
    with atomic_file(folder / INT8_SITES) as temporary:
        save_wanted(temporary, Wanted(sites, convolutions, sorted(set(names.values()))))
    save_graph(network, names, folder / INT8_GRAPH)
