"""A model's graph with its weights in it, in one file as small as the checkpoint's, for runtimes elsewhere."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from leadline.errors import LeadlineError
from leadline.models import (
    GRAPH,
    SCALE_SUFFIX,
    TRANSPOSED,
    WEIGHTS,
    ModelSettings,
    find_checkpoint,
    read_graph_info,
    read_settings,
    require_scales,
)


class WholeGraph(NamedTuple):
    """A network that needs no other file, and what belongs around it."""

    network: bytes  # an ONNX file: from "working" (N, 3, h, w) to metres and, if it says that, their relative error
    settings: ModelSettings
    scale: float  # by which the network's metres are multiplied, other than 1 in a calibrated copy


def whole_graph(model: str | Path) -> WholeGraph:
    """A leadline model's graph with its weights, each stored as in the checkpoint.

    Integers become floats by nodes of the graph, once, when a runtime opens it: it computes what
    `leadline.backends.graph_model.GraphBackend` does, from a quarter of the bytes.

    Args:
        model: "default", the name of a bundled model, a checkpoint's folder, or a run's (its best epoch).

    Raises:
        LeadlineError: if there is no such model, it has no graph, its files are broken, or onnx is not installed.
    """
    try:
        import onnx
    except ImportError as error:
        raise LeadlineError('this needs one more package: pip install "leadline[static]"') from error
    folder = find_checkpoint(model)
    settings, info = read_settings(folder), read_graph_info(folder)
    stored = _read_weights(folder / WEIGHTS)
    try:
        whole = onnx.load(folder / GRAPH, load_external_data=False)
    except Exception as error:  # protobuf's errors have no base of Python's own
        raise LeadlineError(f"{folder / GRAPH} is not a whole file ({error}): copy or download it again") from error
    missing = {name.removesuffix(TRANSPOSED) for name in info.weights} - set(stored)
    if missing:
        raise LeadlineError(f"{folder / WEIGHTS} has no {min(missing)}, which {GRAPH} wants: copy the folder again")
    kept = [entry for entry in whole.graph.initializer if entry.name not in info.weights]
    nodes = list(whole.graph.node)
    del whole.graph.initializer[:], whole.graph.node[:]
    whole.graph.initializer.extend(kept)
    for name in info.weights:
        _add_weight(whole.graph, name, stored)
    whole.graph.node.extend(nodes)
    return WholeGraph(whole.SerializeToString(), settings, settings.head.min_depth_m / info.min_depth_m)


def _read_weights(path: Path) -> dict[str, NDArray[Any]]:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        stored: dict[str, NDArray[Any]] = load_file(path)
    except (SafetensorError, OSError) as error:
        raise LeadlineError(f"{path} is not a whole file ({error}): copy or download it again") from error
    return stored


def _add_weight(graph: Any, name: str, stored: dict[str, NDArray[Any]]) -> None:
    """Put a weight as it is stored into a graph, and the nodes that make of it what the network wants."""
    from onnx import helper, numpy_helper

    own = name.removesuffix(TRANSPOSED)
    values, scale = stored[own], stored.get(own + SCALE_SUFFIX)
    if values.dtype == np.int8:
        require_scales(own, values.shape, 0 if scale is None else len(scale))
    steps: list[tuple[str, dict[str, Any], list[NDArray[Any]]]] = []
    if values.dtype != np.float32:
        steps.append(("Cast", {"to": 1}, []))
    if scale is not None:
        steps += [("Mul", {}, [scale.reshape(-1, 1)]), ("Reshape", {}, [np.array(values.shape, np.int64)])]
        values = values.reshape(len(scale), -1)
    if own != name:
        steps.append(("Transpose", {}, []))
    made = [f"{name}/{number}" for number in range(len(steps))] + [name]
    graph.initializer.append(numpy_helper.from_array(values, made[0]))
    for number, (kind, attributes, arguments) in enumerate(steps):
        names = [f"{name}/{kind}" for _ in arguments]
        graph.initializer.extend(numpy_helper.from_array(*pair) for pair in zip(arguments, names, strict=True))
        graph.node.append(helper.make_node(kind, [made[number], *names], [made[number + 1]], **attributes))
