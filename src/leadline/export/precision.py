"""Exported graphs in fewer bits: float16, or weights as 8-bit integers."""

from collections.abc import Callable
from typing import Any, Literal

from leadline.export.onnx_graph import WITHIN

Precision = Literal["float32", "fp16", "int8"]

MAX_FLOAT16 = 65504.0
"""Larger numbers would become infinite."""


def lowered(whole: Any, precision: Precision) -> Any:
    """A model of onnx's in another precision: its network alone, for pixels are counted and metres scaled around it.

    Args:
        whole: as `leadline.export.onnx_graph.around` made it, float32.
        precision: of the network's weights and products.
    """
    return _LOWER[precision](whole)


def _to_float16(whole: Any) -> Any:
    from onnxruntime.transformers.float16 import convert_float_to_float16
    from onnxruntime.transformers.onnx_model import OnnxModel

    outside = _name_nodes(whole)
    half = convert_float_to_float16(whole, keep_io_types=True, max_finite_val=MAX_FLOAT16, node_block_list=outside)
    # It appends casts behind all nodes and leaves types of before: onnxruntime runs that, onnx's checker refuses it.
    del half.graph.value_info[:]
    OnnxModel(half).topological_sort()
    return half


def _name_nodes(whole: Any) -> list[str]:
    """Give each node a name, and return those of the nodes around the network."""
    for number, node in enumerate(whole.graph.node):
        inside = node.name.startswith(WITHIN) or any(output.startswith(WITHIN) for output in node.output)
        node.name = f"{WITHIN if inside else 'around/'}{number}"
    return [node.name for node in whole.graph.node if not node.name.startswith(WITHIN)]


def _as_it_is(whole: Any) -> Any:
    return whole


_LOWER: dict[Precision, Callable[[Any], Any]] = {"float32": _as_it_is, "fp16": _to_float16, "int8": _as_it_is}
"""What brings a graph there; one with 8-bit products is built so, see `leadline.export.int8`."""
