"""A model's network as a graph of ONNX's: with its weights, or as what a checkpoint's own weights are handed to."""

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from leadline.backends import ERROR
from leadline.errors import LeadlineError
from leadline.geometry import MIN_SIDE_PX
from leadline.io import SOFTWARE, atomic_file
from leadline.models import (
    TRANSPOSED,
    DepthModel,
)

OPSET, IR_VERSION = 20, 10
"""The first that resizes with antialiasing is 18; onnxruntime 1.20 reads these."""
WORKING, ANSWER = "working", "answer"
"""Names of the network's input and first output; the second is `ERROR`."""
_MODEL = "model."
"""Before the names of the model's weights in what PyTorch exports, as far as it keeps names."""


def save_graph(network: Any, names: dict[str, str], path: Path) -> None:
    """Write a network without the weights that have names."""
    import onnx

    _take_out_weights(network.graph, names)
    for part in (network.graph, *network.graph.node, *network.graph.input, *network.graph.output):
        del part.metadata_props[:]  # among them the exporter's call stacks, with paths of this machine
    del network.graph.value_info[:]
    network.graph.name = network.producer_name = SOFTWARE
    with atomic_file(path) as temporary:
        onnx.save(network, temporary)


def given_weight(name: str, data_type: int, dims: Sequence[int]) -> Any:
    """An initializer that is given when the graph is opened."""
    import onnx

    entry = onnx.TensorProto(name=name, data_type=data_type, dims=dims)
    entry.data_location = onnx.TensorProto.EXTERNAL
    entry.external_data.add(key="location", value="given when it is opened")
    return entry


def named_weights(graph: Any, model: DepthModel) -> dict[str, str]:
    """The checkpoint's name of each of a graph's weights, by the graph's own, which may be any."""
    from onnx import numpy_helper

    own: dict[tuple[tuple[int, ...], bytes], str] = {}
    for name, tensor in model.state_dict().items():
        values = tensor.float().numpy()
        own.setdefault((values.shape, values.tobytes()), name)
        if values.ndim == 2:
            own.setdefault((values.T.shape, values.T.tobytes()), name + TRANSPOSED)
    names = {}
    for entry in graph.initializer:
        if entry.data_location == entry.EXTERNAL:
            continue
        values = numpy_helper.to_array(entry)
        found = own.get((values.shape, values.tobytes())) if values.dtype == np.float32 else None
        if values.size == 1:  # a number alone may be any constant: by its name
            found = entry.name.removeprefix(_MODEL) if entry.name.startswith(_MODEL) else None
        if found is not None:
            names[entry.name] = found
    return names


def _take_out_weights(graph: Any, names: dict[str, str]) -> None:
    """Leave of a graph's weights their checkpoint's names and shapes."""
    import onnx

    for node in graph.node:
        for place, name in enumerate(node.input):
            node.input[place] = names.get(name, name)
    kept = {names.get(entry.name, entry.name): entry for entry in graph.initializer}
    for name in set(names.values()):
        kept[name] = given_weight(name, onnx.TensorProto.FLOAT, kept[name].dims)
    del graph.initializer[:]
    graph.initializer.extend(kept.values())


class _Working(nn.Module):
    """The estimate for images that already have the working size, RGB in [0, 1] (N, 3, h, w)."""

    def __init__(self, model: DepthModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, image: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        depth_m, error = self.model.estimate_at_working_scale(image)
        return depth_m if error is None else (depth_m, error)


def trace(model: DepthModel) -> Any:
    """A model's network as an ONNX model.

    Args:
        model: the model.

    Returns:
        ONNX model from `WORKING` (N, 3, h, w), RGB in [0, 1] at the working size, to `ANSWER` (N, 1, h, w), metres,
        and, where the model says it, `ERROR` (N, 1, h, w), the expected relative error: any number of images, of any
        multiple of its step.

    Raises:
        LeadlineError: if PyTorch cannot export the network.
    """
    answers = [ANSWER, ERROR] if model.settings.head.uncertainty else [ANSWER]
    multiple = model.settings.multiple_px
    height, width = (round(side / multiple) * multiple for side in (model.settings.height, model.settings.width))
    least = -(-MIN_SIDE_PX // multiple)
    sides = [multiple * torch.export.Dim(name, min=least) for name in ("steps_down", "steps_across")]
    try:
        with _quietly():
            program = torch.onnx.export(
                _Working(model).eval(),
                (torch.rand(2, 3, height, width),),
                dynamo=True,
                dynamic_shapes=({0: torch.export.Dim("n"), 2: sides[0], 3: sides[1]},),
                input_names=[WORKING],
                output_names=answers,
                opset_version=OPSET,
                verbose=False,
            )
    except torch.onnx.OnnxExporterError as error:
        raise LeadlineError(
            f"torch {torch.__version__} cannot export {model.settings.encoder.name}: {_cause(error)}"
        ) from error
    network = cast(Any, program).model_proto
    network.ir_version = IR_VERSION
    return network


def _cause(error: BaseException) -> str:
    """The first line of what an error began with: the exporter's own texts are pages of advice."""
    while error.__cause__ is not None:
        error = error.__cause__
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


@contextmanager
def _quietly() -> Iterator[None]:
    """Keep the exporter's remarks on its own internals from the user."""
    loggers = [logging.getLogger(name) for name in ("onnxscript", "onnx_ir", "torch.onnx")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
