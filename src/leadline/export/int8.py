"""A vision transformer's network with 8-bit products, for onnxruntime on processors.

Each product takes what it is fed in 8 bits, by a range that was seen on training images, and weights of 8 bits with a
scale for each column. What makes that right within half a percent:

- Channels of wide range are fed divided by a number that their weights are multiplied by (SmoothQuant, Xiao et al.
  2023), and shifted to their middle (Outlier Suppression+, Wei et al. 2023); both go into the norm before.
- A few channels of each product stay in float32.
- What comes out of GELU is fed in two terms of 8 bits, the second of which is what the first leaves; in the last
  blocks, whose rounding no other carries on, in one.
- The rounding of weights changes no mean: it goes into the bias.

Weights are not in the graph. A `Site` says how those of the checkpoint become the ones that it wants, and
`leadline.backends.graph_weights` does it when the model is opened.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from leadline.backends import APART, SCALES, WEIGHT, CheckpointWeights, Site, read_wanted
from leadline.errors import LeadlineError
from leadline.export.int8_convolutions import Decoder, Span, with_plain_convolutions
from leadline.export.network import ANSWER, given_weight, named_weights, trace
from leadline.models import INT8_GRAPH, INT8_SITES, DepthModel, ViTEncoder, read_graph_info, read_settings

Array = NDArray[Any]

BODY = "network.encoder.body."
CONTRIB = "com.microsoft"
"""The domain of onnxruntime's own operators."""
LAYERS = {"qkv": "attn.qkv", "proj": "attn.proj", "fc1": "mlp.fc1", "fc2": "mlp.fc2"}
"""The products of a block, by their names in timm's."""
SCALED_BY = {"proj": "ls1.gamma", "fc2": "ls2.gamma"}
"""Layer scales that become part of the weights before them."""


class Recipe(NamedTuple):
    """How a product is fed."""

    share: float
    """Of a channel's range that goes into its weights, in the logarithm."""
    num_outliers: int = 0
    """Channels that stay in float32."""
    two_terms: bool = False
    """Whether what 8 bits leave is fed in 8 bits more."""
    centred: bool = True
    """Whether channels are shifted to the middle of their range."""


RECIPES = {
    "qkv": Recipe(0.8),
    "proj": Recipe(0.7, num_outliers=4),
    "fc1": Recipe(0.9, num_outliers=4),
    "fc2": Recipe(0.5, two_terms=True, centred=False),  # GELU's channels are skew: their middle gains nothing
}

ONE_TERM_BLOCKS = 2
"""The last blocks, in which one term is enough."""


class Seen(NamedTuple):
    """What a product was fed on the images of the calibration, by channel."""

    low: Array
    high: Array
    mean: Array


class Plan(NamedTuple):
    """How a product is fed: a channel as (x - shift) / smooth, then in steps of `scale` from `zero`."""

    shift: Array
    smooth: Array
    outliers: Array
    scale: float
    zero: int
    mean: Array


class Int8Network(NamedTuple):
    """A network with 8-bit products, without its weights."""

    network: Any
    """ONNX model; initializers that are external are the checkpoint's, by its names, or parts of sites."""
    sites: dict[str, Site]
    convolutions: list[str]
    """Names of the checkpoint's weights that its convolutions take in 8 bits."""


def plan(weight: Array, recipe: Recipe, seen: Seen) -> Plan:
    """Choose how a product of these weights (in, out) is fed."""
    shift = (seen.low + seen.high) / 2 if recipe.centred else np.zeros_like(seen.low)
    reach = np.maximum(np.maximum(seen.high - shift, shift - seen.low), 1e-6)
    smooth = reach**recipe.share / np.abs(weight).max(1).clip(1e-6) ** (1 - recipe.share)
    smooth = (smooth / np.exp(np.log(smooth).mean())).astype(np.float32)
    outliers = np.sort(np.argsort(-reach * np.linalg.norm(weight, axis=1))[: recipe.num_outliers])
    kept = np.setdiff1d(np.arange(len(weight)), outliers)
    least, most = ((seen.low - shift) / smooth)[kept].min(), ((seen.high - shift) / smooth)[kept].max()
    scale = float(most - least) / 255
    return Plan(shift, smooth, outliers, scale, round(-least / scale), (seen.mean - shift) / smooth)


class _Builder:
    """Nodes, small values and sites of a network that is rebuilt."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.values: dict[str, Array] = {}
        self.sites: dict[str, Site] = {}

    def value(self, name: str, array: Any, dtype: Any = np.float32) -> str:
        self.values[name] = np.array(array, dtype, order="C")
        return name

    def node(self, kind: str, inputs: list[str], out: str, domain: str = "", **attributes: Any) -> str:
        from onnx import helper

        self.nodes.append(helper.make_node(kind, inputs, [out], domain=domain, **attributes))
        return out

    def once(self, kind: str, inputs: list[str], out: str, **attributes: Any) -> str:
        """`node`, but for what is made already."""
        made = any(out in node.output for node in self.nodes)
        return out if made else self.node(kind, inputs, out, **attributes)

    def product(self, name: str, x: str, site: Site, weight: Array, bias: Array, how: Plan, two_terms: bool) -> str:
        """What is fed as `how` says, times the weights (in, out) before their smoothing, plus the biases."""
        self.sites[name] = site
        bias = bias + how.shift @ weight
        smoothed = weight * how.smooth[:, None]
        inner = smoothed.copy()
        inner[how.outliers] = 0
        scales = np.abs(inner).max(0).clip(1e-12) / 127
        bias = bias + how.mean @ (inner - np.round(inner / scales) * scales)
        scale, zero = self.value(f"{x}/scale", how.scale), self.value(f"{x}/zero", how.zero, np.uint8)
        fed = self.once("QuantizeLinear", [x, scale, zero], f"{x}/fed")
        out = self._integers(f"{name}/coarse", fed, scale, zero, name, self.value(f"{name}/bias", bias))
        if two_terms:
            left = self.node(
                "Sub", [x, self.node("DequantizeLinear", [fed, scale, zero], f"{name}/taken")], f"{name}/left"
            )
            fine, middle = self.value(f"{name}/fine_scale", how.scale / 254), self.value("int8/middle", 128, np.uint8)
            rest = self.node("QuantizeLinear", [left, fine, middle], f"{name}/left8")
            more = self._integers(f"{name}/fine", rest, fine, middle, name)
            out = self.node("Add", [out, more], f"{name}/both")
        if len(how.outliers):
            outliers = self.value(f"{x}/outliers", how.outliers, np.int64)
            apart = self.once("Gather", [x, outliers], f"{x}/kept", axis=2)
            out = self.node("Add", [out, self.node("MatMul", [apart, f"{name}{APART}"], f"{name}/rest")], f"{name}/sum")
        return out

    def _integers(self, out: str, fed: str, scale: str, zero: str, name: str, *bias: str) -> str:
        weights = f"{name}{WEIGHT}", f"{name}{SCALES}"
        inputs = [fed, weights[0], scale, weights[1], zero, self.value("int8/zero", 0, np.int8), *bias]
        return self.node("MatMulIntegerToFloat", inputs, out, CONTRIB)


class _Transformer:
    """A traced network's blocks: where they are, and their weights, layer scales within them."""

    def __init__(self, network: Any, names: Mapping[str, str], weights: Mapping[str, Array], num_heads: int) -> None:
        self.network, self.names, self.weights, self.num_heads = network, names, weights, num_heads
        users: dict[str, list[Any]] = defaultdict(list)
        for node in network.graph.node:
            for name in node.input:
                users[names.get(name, name)].append(node)
        self.depth = 0
        self.inputs: list[str] = []
        while (key := f"{BODY}blocks.{self.depth}.norm1.weight") in users:
            self.inputs.append(users[key][0].input[0])
            self.depth += 1
        (last,) = {node.input[0] for node in users[f"{BODY}norm.weight"]} - set(self.inputs)
        self.inputs.append(last)

    def layer(self, block: int, part: str) -> tuple[str, Array, Array, Array]:
        """Name, weights (in, out) and biases of a product, and the layer scale that is within them, (out,)."""
        stem = f"{BODY}blocks.{block}."
        name = f"{stem}{LAYERS[part]}.weight"
        weight, bias = self.weights[name].T, self.weights[f"{stem}{LAYERS[part]}.bias"]
        gamma = self.weights.get(stem + SCALED_BY.get(part, ""), np.ones(weight.shape[1], np.float32))
        return name, weight * gamma, bias * gamma, gamma

    def norm(self, block: int, number: int) -> tuple[Array, Array]:
        """Gains and biases of a block's norm."""
        stem = f"{BODY}blocks.{block}.norm{number}."
        return self.weights[f"{stem}weight"], self.weights[f"{stem}bias"]


def rebuild(it: _Transformer, seen: Mapping[str, Seen], epsilon: float) -> tuple[Any, _Builder, dict[str, str]]:
    """The network with its blocks in 8 bits where their ranges are known, else in float32.

    Returns:
        The ONNX model, what was built, and the names of what each product is fed.
    """
    build = _Builder()
    fed: dict[str, str] = {}
    for block in range(it.depth):
        _rebuild_block(it, block, seen, epsilon, build, fed)
    replaced = set(it.inputs[1:])
    others = [node for node in it.network.graph.node if not replaced & set(node.output)]
    return with_nodes(it.network, [*others, *build.nodes], build.values), build, fed


def _rebuild_block(
    it: _Transformer, block: int, seen: Mapping[str, Seen], epsilon: float, build: _Builder, fed: dict[str, str]
) -> None:
    layers = {part: it.layer(block, part) for part in LAYERS}
    plans = {
        part: plan(layers[part][1], RECIPES[part], seen[f"{block}/{part}"]) if seen else _plain(layers[part][1])
        for part in LAYERS
    }
    width = layers["proj"][1].shape[0]

    def norm(number: int, x: str, how: Plan) -> str:
        gain, bias = it.norm(block, number)
        theirs = [build.value(f"{block}/norm{number}/gain", gain / how.smooth)]
        theirs += [build.value(f"{block}/norm{number}/bias", (bias - how.shift) / how.smooth)]
        return build.node("LayerNormalization", [x, *theirs], f"{block}/norm{number}", axis=-1, epsilon=epsilon)

    def times(part: str, x: str, span: slice = slice(None), number: str = "") -> str:
        name, weight, bias, columns = layers[part]
        how, key = plans[part], f"{block}/{part}{number}"
        weight, bias, columns = weight[:, span], bias[span], columns[span]
        if part == "qkv" and span.start == 2 * width:  # attention is linear in its values
            after = plans["proj"]
            weight, bias = weight / after.smooth, (bias - after.shift) / after.smooth
            columns = columns / after.smooth
        if not seen:
            out = build.node("MatMul", [x, build.value(f"{key}/weight", weight)], f"{key}/product")
            return build.node("Add", [out, build.value(f"{key}/bias", bias)], f"{key}/out")
        start, stop, _ = span.indices(layers[part][1].shape[1])
        site = Site(name, (start, stop), how.smooth, columns.astype(np.float32), how.outliers)
        two_terms = RECIPES[part].two_terms and block < it.depth - ONE_TERM_BLOCKS
        return build.product(key, x, site, weight, bias, how, two_terms)

    x = it.inputs[block]
    fed[f"{block}/qkv"] = norm(1, x, plans["qkv"])
    parts = [times("qkv", fed[f"{block}/qkv"], slice(n * width, (n + 1) * width), f"/{n}") for n in range(3)]
    attention = {"num_heads": it.num_heads, "scale": (width // it.num_heads) ** -0.5}
    fed[f"{block}/proj"] = build.node("MultiHeadAttention", parts, f"{block}/heard", CONTRIB, **attention)
    middle = build.node("Add", [x, times("proj", fed[f"{block}/proj"])], f"{block}/middle")
    fed[f"{block}/fc1"] = norm(2, middle, plans["fc1"])
    fed[f"{block}/fc2"] = build.node("Gelu", [times("fc1", fed[f"{block}/fc1"])], f"{block}/gelu", approximate="none")
    into = fed[f"{block}/fc2"]
    if seen:
        into = build.node(
            "Mul", [into, build.value(f"{block}/fc2/inverse", 1 / plans["fc2"].smooth)], f"{block}/smooth"
        )
    build.node("Add", [middle, times("fc2", into)], it.inputs[block + 1])


def _plain(weight: Array) -> Plan:
    none = np.zeros(len(weight), np.float32)
    return Plan(none, none + 1, none[:0].astype(int), 1.0, 0, none)


def with_nodes(network: Any, nodes: list[Any], values: Mapping[str, Array]) -> Any:
    """A model with other nodes, in an order that can be run, and the weights that they use."""
    import onnx
    from onnx import helper, numpy_helper

    new = onnx.ModelProto()
    new.CopyFrom(network)
    graph = new.graph
    makers = {name: node for node in nodes for name in node.output}
    order: list[Any] = []
    done: set[str] = set()
    stack = [(output.name, False) for output in graph.output]
    while stack:
        name, ready = stack.pop()
        if name in done or name not in makers:
            continue
        if ready:
            order.append(makers[name])
            done.update(makers[name].output)
        else:
            stack += [(name, True), *((each, False) for each in makers[name].input)]
    used = {name for node in order for name in node.input}
    kept = [each for each in graph.initializer if each.name in used and each.name not in values]
    del graph.node[:], graph.initializer[:], graph.value_info[:], new.opset_import[:]
    graph.node.extend(order)
    graph.initializer.extend(
        [*kept, *(numpy_helper.from_array(values[name], name) for name in sorted(used & set(values)))]
    )
    new.opset_import.extend([helper.make_opsetid("", 20), helper.make_opsetid(CONTRIB, 1)])
    return new


def calibrate(
    it: _Transformer, decoder: Decoder, epsilon: float, images: Iterable[Array]
) -> tuple[dict[str, Seen], dict[str, Span]]:
    """What each product is fed on images (1, 3, h, w), RGB in [0, 1] at the working size, and the decoder's ranges."""
    import onnxruntime
    from onnx import TensorProto, helper

    network, _, fed = rebuild(it, {}, epsilon)
    maps = sorted(decoder.maps())
    known = {output.name for output in network.graph.output}
    more = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in {*fed.values(), *maps} - known]
    network.graph.output.extend(more)
    session = onnxruntime.InferenceSession(network.SerializeToString(), providers=["CPUExecutionProvider"])
    seen: dict[str, list[Seen]] = defaultdict(list)
    ranges: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for image in images:
        answers = session.run([*fed.values(), *maps], {session.get_inputs()[0].name: image})
        for site, x in zip(fed, answers, strict=False):
            seen[site].append(Seen(x[0].min(0), x[0].max(0), x[0].mean(0)))
        for name, x in zip(maps, answers[len(fed) :], strict=True):
            ranges[name].append((float(x.min()), float(x.max())))
    products = {
        site: Seen(
            np.min([it.low for it in each], 0),
            np.max([it.high for it in each], 0),
            np.mean([it.mean for it in each], 0),
        )
        for site, each in seen.items()
    }
    return products, {name: Span(np.min(each), np.max(each)) for name, each in ranges.items()}


def int8_network(model: DepthModel, images: Iterable[Array]) -> Int8Network:
    """Build the network of a model with a plain vision transformer in 8 bits.

    Args:
        model: the model.
        images: what its ranges are taken from, (1, 3, h, w), RGB in [0, 1] at the working size.

    Raises:
        LeadlineError: if its encoder is no plain vision transformer, or PyTorch cannot export it.
    """
    encoder = getattr(model.network, "encoder", None)
    body: Any = getattr(encoder, "body", None)
    if not isinstance(encoder, ViTEncoder):
        raise LeadlineError("8-bit products are for plain vision transformers (vit_…): take another precision")
    network = trace(model)
    names = named_weights(network.graph, model)
    weights = {name: tensor.float().numpy() for name, tensor in model.state_dict().items()}
    it = _Transformer(network, names, weights, body.blocks[0].attn.num_heads)
    decoder = Decoder(network.graph.node, names)
    epsilon = float(body.blocks[0].norm1.eps)
    seen, spans = calibrate(it, decoder, epsilon, images)
    rebuilt, build, _ = rebuild(it, seen, epsilon)
    rebuilt = with_nodes(rebuilt, *decoder.rebuilt(rebuilt.graph.node, spans, weights))
    shapes = {entry.name: tuple(entry.dims) for entry in rebuilt.graph.initializer}
    rebuilt = with_nodes(rebuilt, *with_plain_convolutions(rebuilt.graph.node, shapes))
    convolutions = sorted(decoder.sources.values())
    _declare_parts(rebuilt.graph, build.sites, {name: weights[name].shape for name in convolutions})
    return Int8Network(rebuilt, build.sites, convolutions)


def _declare_parts(graph: Any, sites: Mapping[str, Site], convolutions: Mapping[str, tuple[int, ...]]) -> None:
    """Let the graph expect the weights that are made for its products and convolutions."""
    from onnx import TensorProto

    for name, site in sites.items():
        rows, columns = len(site.smooth), len(site.columns)
        graph.initializer.append(given_weight(name + WEIGHT, TensorProto.INT8, [rows, columns]))
        graph.initializer.append(given_weight(name + SCALES, TensorProto.FLOAT, [columns]))
        if len(site.outliers):
            graph.initializer.append(given_weight(name + APART, TensorProto.FLOAT, [len(site.outliers), columns]))
    for name, shape in convolutions.items():
        graph.initializer.append(given_weight(name + WEIGHT, TensorProto.INT8, shape))
        graph.initializer.append(given_weight(name + SCALES, TensorProto.FLOAT, shape[:1]))


def filled_network(folder: Path) -> Any:
    """The 8-bit network of a checkpoint, an ONNX model with its weights.

    Raises:
        LeadlineError: if the checkpoint has none, or a file is broken.
    """
    import onnx
    from onnx import numpy_helper

    if not (folder / INT8_GRAPH).is_file():
        raise LeadlineError(f"{folder} has no {INT8_GRAPH}, which --precision int8 needs: take --precision fp16")
    network = onnx.load(folder / INT8_GRAPH, load_external_data=False)
    values = dict(CheckpointWeights(folder).of(read_wanted(folder / INT8_SITES)))
    kept = [entry for entry in network.graph.initializer if entry.name not in values]
    del network.graph.initializer[:]
    network.graph.initializer.extend([*kept, *(numpy_helper.from_array(it, name) for name, it in values.items())])
    _scale_answer(network.graph, read_settings(folder).head.min_depth_m / read_graph_info(folder).min_depth_m)
    return network


def _scale_answer(graph: Any, scale: float) -> None:
    """Multiply the depth by what a calibrated copy's range is larger than that of when the graph was made."""
    from onnx import helper, numpy_helper

    (maker,) = (node for node in graph.node if ANSWER in node.output)
    maker.output[list(maker.output).index(ANSWER)] = "unscaled"
    graph.initializer.append(numpy_helper.from_array(np.array(scale, np.float32), "calibration"))
    graph.node.append(helper.make_node("Mul", ["unscaled", "calibration"], [ANSWER]))
