"""A decoder's convolutions in 8 bits: a range for what each is fed and answers, a scale for each channel's weights."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from leadline.backends import SCALES, WEIGHT, integer_weights

Array = NDArray[Any]

PARTS = ("network.decoder.lateral.", "network.decoder.fuse.")
"""How the names of their weights begin. What follows is answered directly: 8 bits of it are seen in the depth."""


class Span(NamedTuple):
    """Least and greatest value of a map on the images of the calibration."""

    low: float
    high: float

    def steps(self, rectified: bool) -> tuple[Array, Array]:
        """Scale and zero point of 8 bits, which hold 0 and, `rectified`, nothing below it."""
        low = 0.0 if rectified else min(self.low, 0.0)
        scale = max(self.high - low, 1e-6) / 255
        return np.array(scale, np.float32), np.array(round(-low / scale), np.uint8)


class Decoder:
    """The convolutions of a network's residual units behind its encoder."""

    def __init__(self, nodes: Iterable[Any], names: Mapping[str, str]) -> None:
        """Find them among a graph's nodes, of whose weights some have names in the checkpoint."""
        self.nodes = list(nodes)
        self.makers = {name: node for node in self.nodes for name in node.output}
        self.sources = {
            node.output[0]: source
            for node in self.nodes
            if node.op_type == "Conv" and (source := names.get(node.input[1], node.input[1])).startswith(PARTS)
        }
        """The name of each one's weights, by that of what it answers."""

    def maps(self) -> set[str]:
        """Names of the maps whose ranges are wanted."""
        return {name for out in self.sources for name in (out, self._before(self.makers[out].input[0])[0])}

    def _before(self, name: str) -> tuple[str, bool]:
        """What a map is before it is rectified, and whether it is."""
        maker = self.makers.get(name)
        return (maker.input[0], True) if maker is not None and maker.op_type == "Relu" else (name, False)

    def rebuilt(
        self, nodes: Iterable[Any], seen: Mapping[str, Span], weights: Mapping[str, Array]
    ) -> tuple[list[Any], dict[str, Array]]:
        """A graph's nodes with 8-bit convolutions, and the values that these use.

        Weights and their scales are not among them: they go by the checkpoint's name and `WEIGHT` or `SCALES`.

        Args:
            nodes: the graph's, whose decoder is still that in which the convolutions were found.
            seen: the range of each of `maps`.
            weights: the checkpoint's, by name.
        """
        from onnx import helper

        users: dict[str, list[Any]] = {}
        for node in self.nodes:
            for name in node.input:
                users.setdefault(name, []).append(node)
        nodes = [node for node in nodes if node.output[0] not in self.sources]
        values: dict[str, Array] = {}
        made: set[str] = set()

        def limits(name: str, rectified: bool) -> list[str]:
            stem = f"{name}/rectified" if rectified else name
            names = [f"{stem}/scale", f"{stem}/zero"]
            values.update(zip(names, seen[name].steps(rectified), strict=True))
            return names

        def only_rectified(name: str) -> bool:
            return [node.op_type for node in users[name]] == ["Relu"]

        for out, source in self.sources.items():
            node = self.makers[out]
            before, rectified = self._before(node.input[0])
            fed, ends = f"{before}/8", limits(before, rectified)
            if before not in self.sources or not only_rectified(before):
                fed = f"{before}/fed"
                if fed not in made:
                    nodes.append(helper.make_node("QuantizeLinear", [before, *ends], [fed]))
                    made.add(fed)
            theirs = limits(out, only_rectified(out))
            _, scales = integer_weights(weights[source])
            bias = np.round(weights[source.removesuffix("weight") + "bias"] / (values[ends[0]] * scales))
            values[f"{out}/bias"] = bias.astype(np.int32)
            values["int8/zero"] = np.array(0, np.int8)
            inputs = [fed, *ends, source + WEIGHT, source + SCALES, "int8/zero", *theirs, f"{out}/bias"]
            new = helper.make_node("QLinearConv", inputs, [f"{out}/8"])
            new.attribute.extend(node.attribute)
            nodes += [new, helper.make_node("DequantizeLinear", [f"{out}/8", *theirs], [out])]
        return nodes, values


def with_plain_convolutions(
    nodes: Iterable[Any], shapes: Mapping[str, tuple[int, ...]]
) -> tuple[list[Any], dict[str, Array]]:
    """A graph's nodes with a 1×1 convolution and a shuffle of pixels for each transposed one, which takes longer.

    That is the same where each pixel is answered by a square of its own, as in `reassemble` of the decoder.

    Args:
        nodes: the graph's.
        shapes: of weights, (in, out, k, k), by their names in the graph.

    Returns:
        The nodes and the values that they use.
    """
    from onnx import helper

    kept: list[Any] = []
    values: dict[str, Array] = {}
    for node in nodes:
        settings = {it.name: list(it.ints) for it in node.attribute}
        if node.op_type != "ConvTranspose" or settings["kernel_shape"] != settings["strides"]:
            kept.append(node)
            continue
        x, weight, bias = node.input
        num_in, num_out, factor, _ = shapes[weight]
        out = node.output[0]
        flat, wide = f"{out}/flat", f"{out}/wide"
        values[flat] = np.array([num_in, num_out * factor**2, 1, 1])
        values[f"{out}/times"] = np.array([1, factor**2])
        values[f"{out}/column"] = np.array([num_out, 1])
        values[f"{out}/row"] = np.array([-1])
        # Weights and biases are rearranged once, when the graph is opened.
        kept += [
            helper.make_node("Reshape", [weight, flat], [f"{out}/rows"]),
            helper.make_node("Transpose", [f"{out}/rows"], [f"{out}/weight"], perm=[1, 0, 2, 3]),
            helper.make_node("Reshape", [bias, f"{out}/column"], [f"{out}/biases"]),
            helper.make_node("Tile", [f"{out}/biases", f"{out}/times"], [f"{out}/tiled"]),
            helper.make_node("Reshape", [f"{out}/tiled", f"{out}/row"], [f"{out}/bias"]),
            helper.make_node("Conv", [x, f"{out}/weight", f"{out}/bias"], [wide]),
            helper.make_node("DepthToSpace", [wide], [out], blocksize=factor, mode="CRD"),
        ]
    return kept, values
