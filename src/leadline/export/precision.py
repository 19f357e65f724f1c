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

    outside = _name_nodes(whole)
    return convert_float_to_float16(whole, keep_io_types=True, max_finite_val=MAX_FLOAT16, node_block_list=outside)


def _name_nodes(whole: Any) -> list[str]:
    """Give each node a name, and return those of the nodes around the network."""
    for number, node in enumerate(whole.graph.node):
        inside = node.name.startswith(WITHIN) or any(output.startswith(WITHIN) for output in node.output)
        node.name = f"{WITHIN if inside else 'around/'}{number}"
    return [node.name for node in whole.graph.node if not node.name.startswith(WITHIN)]


_LOWER: dict[Precision, Callable[[Any], Any]] = {"float32": lambda whole: whole, "fp16": _to_float16}
