"""How quick and how right a bundled ViT is in onnxruntime with 8-bit products, per recipe: one core, float32 beside it.

    leadline export fast --out fast.onnx
    python research/scripts/int8_trials.py fast.onnx --data nyu-labelled

Prints for each recipe milliseconds of one core for 480×640 (least of N, in turns), the mean of |log depth| against
float32 over validation pictures, its mean with the sign, the largest mean of a picture, the mean difference between a
picture alone and in four, and the file's MB. What is calibrated is calibrated on training pictures.
"""

import argparse
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from leadline.data.catalog import open_dataset
from leadline.data.splits import make_splits
from leadline.export.int8 import with_nodes

Array = NDArray[Any]
BODY = "network/model.network.encoder.body."
PARTS = ("qkv", "proj", "fc1", "fc2")
HEADS, MS = 6, "com.microsoft"


class Site(NamedTuple):
    """How the product before `name` of a block is computed."""

    mode: str = "static"  # static: 8 bits; two: two 8-bit terms; row: a scale for each token; dynamic; float; groups
    alpha: float = 0.8  # share of a channel's range that goes into the weights (SmoothQuant)
    num_outliers: int = 0  # channels that are kept in float32


class Recipe(NamedTuple):
    """How a file is computed."""

    sites: dict[str, Site] = {}
    convs: bool = True  # the decoder's 3×3 convolutions but for its last two, in 8 bits
    wide_from: int = 12  # blocks whose fc2 takes one 8-bit term whatever its site says

    def site(self, block: int, part: str) -> Site:
        """Of a product of a block."""
        site = self.sites.get(part, Site("float"))
        return Site(alpha=0.6) if part == "fc2" and block >= self.wide_from and site.mode == "two" else site


_OUT = {"qkv": Site("static", 0.8, 16), "proj": Site("static", 0.7, 16), "fc1": Site("static", 0.9, 16)}
RECIPES = {
    "float32, attention in one step": Recipe(convs=False),
    "float32, 8-bit convolutions": Recipe(),
    "dynamic": Recipe(dict.fromkeys(PARTS, Site("dynamic", 0.5))),
    "by token": Recipe(dict.fromkeys(PARTS, Site("row", 0.5))),
    "static": Recipe(dict.fromkeys(PARTS, Site())),
    "static, fc2 in two terms": Recipe(dict.fromkeys(PARTS, Site()) | {"fc2": Site("two", 0.5)}),
    "16 channels in float32, fc2 in two terms": Recipe(_OUT | {"fc2": Site("two", 0.5)}),
    "the same, fc2 of six blocks": Recipe(_OUT | {"fc2": Site("two", 0.5)}, wide_from=6),
    "16 channels in float32, fc2 MatMulNBits": Recipe(_OUT | {"fc2": Site("groups")}),
}


class Network:
    """An exported ViT: its blocks' weights by name, layer scales within them."""

    def __init__(self, path: Path) -> None:
        """Read the file that `leadline export` wrote."""
        self.model = onnx.load(path)
        self.values = {each.name: numpy_helper.to_array(each) for each in self.model.graph.initializer}
        self.users: dict[str, list[Any]] = defaultdict(list)
        for node in self.model.graph.node:
            for name in node.input:
                self.users[name].append(node)
        makers = {name: node for node in self.model.graph.node for name in node.output}
        self.blocks: list[dict[str, tuple[Array, Array]]] = []
        self.inputs: list[str] = []
        while BODY + f"blocks.{len(self.blocks)}.norm1.weight" in self.values:
            stem = BODY + f"blocks.{len(self.blocks)}."
            self.inputs.append(self.users[stem + "norm1.weight"][0].input[0])
            block = {norm: (self.values[f"{stem}{norm}.weight"], self.values[f"{stem}{norm}.bias"]) for norm in NORMS}
            for part, name, scale in zip(PARTS, LAYERS, (None, "ls1", None, "ls2"), strict=True):
                bias = f"{stem}{name}.bias"
                weight = self.values[makers[self.users[bias][0].input[0]].input[1]]
                gamma = 1 if scale is None else self.values[f"{stem}{scale}.gamma"]
                block[part] = (weight * gamma, self.values[bias] * gamma)
            self.blocks.append(block)
        ends = {node.input[0] for node in self.users[BODY + "norm.weight"]}
        (last,) = ends - set(self.inputs)
        self.inputs.append(last)


NORMS = ("norm1", "norm2")
LAYERS = ("attn.qkv", "attn.proj", "mlp.fc1", "mlp.fc2")


class Plan(NamedTuple):
    """A site with its numbers: a channel c is fed as (x - shift) / smooth."""

    site: Site
    shift: Array
    smooth: Array
    outliers: Array
    scale: float = 1.0
    zero: int = 0
    mean: Array | None = None  # of what is fed: the rounding of the weights changes no mean


def plan(weight: Array, part: str, site: Site, seen: dict[str, Array] | None) -> Plan:
    """Scales from the ranges of the channels that calibration saw."""
    none = np.zeros(len(weight), np.float32)
    if seen is None or site.mode in ("float", "groups"):
        return Plan(site, none, none + 1, none[:0].astype(int))
    low, high = seen["low"], seen["high"]
    shift = none if part == "fc2" else (low + high) / 2  # GELU's channels are skew: nothing is gained there
    reach = np.maximum(np.maximum(high - shift, shift - low), 1e-6)
    smooth = reach**site.alpha / np.abs(weight).max(1).clip(1e-6) ** (1 - site.alpha)
    smooth = (smooth / np.exp(np.log(smooth).mean())).astype(np.float32)
    outliers = np.sort(np.argsort(-reach * np.linalg.norm(weight, axis=1))[: site.num_outliers])
    kept = np.setdiff1d(np.arange(len(weight)), outliers)
    least, most = ((low - shift) / smooth)[kept].min(), ((high - shift) / smooth)[kept].max()
    scale = float(most - least) / 255
    return Plan(site, shift, smooth, outliers, scale, round(-least / scale), (seen["mean"] - shift) / smooth)


class Builder:
    """Nodes and weights of the blocks' new computation."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.nodes: list[Any] = []
        self.values: dict[str, Array] = {}

    def value(self, name: str, array: Any, dtype: Any = np.float32) -> str:
        """Add a weight; its name."""
        self.values[name] = np.array(array, dtype, order="C")
        return name

    def node(self, kind: str, inputs: list[str], out: str, domain: str = "", **attributes: Any) -> str:
        """Add a step; the name of what it answers."""
        self.nodes.append(helper.make_node(kind, inputs, [out], domain=domain, **attributes))
        return out

    def product(self, name: str, x: str, weight: Array, bias: Array, how: Plan, parts: int = 1) -> list[str]:
        """What is fed, times the weights, plus the biases, in as many equal parts."""
        size = weight.shape[1] // parts
        spans = [slice(part * size, part * size + size) for part in range(parts)]
        if how.site.mode == "float":
            return [self._float(f"{name}/{part}", x, weight[:, each], bias[each]) for part, each in enumerate(spans)]
        if how.site.mode == "groups":
            return [self._groups(f"{name}/{part}", x, weight[:, each], bias[each]) for part, each in enumerate(spans)]
        bias = bias + how.shift @ weight
        if name.endswith("fc2"):
            x = self.node("Mul", [x, self.value(f"{name}/inverse", 1 / how.smooth)], f"{name}/smoothed")
        smoothed = weight * how.smooth[:, None]
        inner = smoothed.copy()
        inner[how.outliers] = 0
        scales = np.abs(inner).max(0).clip(1e-12) / 127
        rounded = np.round(inner / scales)
        if how.mean is not None:
            bias = bias + how.mean @ (inner - rounded * scales)
        take = {"static": self._static, "two": self._two, "row": self._row, "dynamic": self._dynamic}[how.site.mode]
        fed = take(name, x, how)
        outs = [fed(f"{name}/{part}", rounded[:, each], scales[each], bias[each]) for part, each in enumerate(spans)]
        if not len(how.outliers):
            return outs
        indices = self.value(f"{name}/outliers", how.outliers, np.int64)
        rest = self.node("Gather", [x, indices], f"{name}/apart", axis=2)
        for part, each in enumerate(spans):
            theirs = self.value(f"{name}/apart{part}", smoothed[how.outliers, each])
            theirs = self.node("MatMul", [rest, theirs], f"{name}/rest{part}")
            outs[part] = self.node("Add", [outs[part], theirs], f"{name}/sum{part}")
        return outs

    def _float(self, name: str, x: str, weight: Array, bias: Array) -> str:
        out = self.node("MatMul", [x, self.value(f"{name}/weight", weight)], f"{name}/product")
        return self.node("Add", [out, self.value(f"{name}/bias", bias)], f"{name}/out")

    def _groups(self, name: str, x: str, weight: Array, bias: Array, group: int = 128) -> str:
        groups = weight.T.reshape(weight.shape[1], -1, group)
        scales = np.abs(groups).max(-1) / 127
        stored = self.value(f"{name}/weight", np.round(groups / scales[..., None]) + 128, np.uint8)
        inputs = [x, stored, self.value(f"{name}/scale", scales.ravel()), "", "", self.value(f"{name}/bias", bias)]
        sizes = {"K": weight.shape[0], "N": weight.shape[1]}
        return self.node("MatMulNBits", inputs, f"{name}/out", MS, bits=8, block_size=group, accuracy_level=4, **sizes)

    def _integers(self, name: str, x: str, scale: str, zero: str, weight: str, scales: str, *bias: str) -> str:
        inputs = [x, weight, scale, scales, zero, self.value("8bit/zero", 0, np.int8), *bias]
        return self.node("MatMulIntegerToFloat", inputs, name, MS)

    def _static(self, name: str, x: str, how: Plan) -> Callable[..., str]:
        scale, zero = self.value(f"{name}/scale", how.scale), self.value(f"{name}/zero", how.zero, np.uint8)
        fed = self.node("QuantizeLinear", [x, scale, zero], f"{name}/fed")

        def part(name: str, weight: Array, scales: Array, bias: Array) -> str:
            ours = self.value(f"{name}/weight", weight, np.int8), self.value(f"{name}/scales", scales)
            return self._integers(f"{name}/out", fed, scale, zero, *ours, self.value(f"{name}/bias", bias))

        return part

    def _two(self, name: str, x: str, how: Plan) -> Callable[..., str]:
        first = self._static(name, x, how)
        ours = [f"{name}/fed", f"{name}/scale", f"{name}/zero"]
        rest = self.node("Sub", [x, self.node("DequantizeLinear", ours, f"{name}/taken")], f"{name}/left")
        scale, zero = self.value(f"{name}/fine", how.scale / 254), self.value("8bit/middle", 128, np.uint8)
        fed = self.node("QuantizeLinear", [rest, scale, zero], f"{name}/fed2")

        def part(name: str, weight: Array, scales: Array, bias: Array) -> str:
            coarse = first(name, weight, scales, bias)
            fine = self._integers(f"{name}/out2", fed, scale, zero, f"{name}/weight", f"{name}/scales")
            return self.node("Add", [coarse, fine], f"{name}/both")

        return part

    def _row(self, name: str, x: str, how: Plan) -> Callable[..., str]:
        largest = self.node(
            "ReduceMax",
            [self.node("Abs", [x], f"{name}/abs"), self.value("8bit/last", [-1], np.int64)],
            f"{name}/largest",
            keepdims=1,
        )
        scale = self.node("Mul", [largest, self.value("8bit/share", 1 / 127)], f"{name}/scale")
        one, middle = self.value("8bit/one", 1), self.value("8bit/middle", 128, np.uint8)
        fed = self.node("QuantizeLinear", [self.node("Div", [x, scale], f"{name}/even"), one, middle], f"{name}/fed")

        def part(name: str, weight: Array, scales: Array, bias: Array) -> str:
            ours = self.value(f"{name}/weight", weight, np.int8), self.value(f"{name}/scales", scales)
            out = self.node("Mul", [self._integers(f"{name}/raw", fed, one, middle, *ours), scale], f"{name}/scaled")
            return self.node("Add", [out, self.value(f"{name}/bias", bias)], f"{name}/out")

        return part

    def _dynamic(self, name: str, x: str, how: Plan) -> Callable[..., str]:
        def part(name: str, weight: Array, scales: Array, bias: Array) -> str:
            ours = [self.value(f"{name}/weight", weight, np.int8), self.value(f"{name}/scales", scales)]
            zero = self.value("8bit/zero", 0, np.int8)
            return self.node(
                "DynamicQuantizeMatMul", [x, *ours, zero, self.value(f"{name}/bias", bias)], f"{name}/out", MS
            )

        return part


def rebuild(network: Network, recipe: Recipe, seen: dict[str, dict[str, Array]]) -> tuple[Any, dict[str, str]]:
    """The model with its blocks computed by a recipe, and the names of what each product is fed."""
    build, fed = Builder(), {}

    def plan_of(index: int, part: str) -> Plan:
        weight = network.blocks[index][part][0]
        return plan(weight, part, recipe.site(index, part), seen.get(f"{index}/{part}"))

    def norm(index: int, name: str, x: str, how: Plan) -> str:
        gain, bias = network.blocks[index][name]
        theirs = [build.value(f"{index}/{name}/gain", gain / how.smooth)]
        theirs += [build.value(f"{index}/{name}/bias", (bias - how.shift) / how.smooth)]
        return build.node("LayerNormalization", [x, *theirs], f"{index}/{name}", axis=-1, epsilon=1e-6)

    for index, block in enumerate(network.blocks):
        hows = {part: plan_of(index, part) for part in PARTS}
        x, width = network.inputs[index], len(block["norm1"][0])
        weight, bias = (each.copy() for each in block["qkv"])
        weight[:, 2 * width :] /= hows["proj"].smooth  # attention is linear in its values
        bias[2 * width :] = (bias[2 * width :] - hows["proj"].shift) / hows["proj"].smooth
        fed[f"{index}/qkv"] = norm(index, "norm1", x, hows["qkv"])
        parts = build.product(f"{index}/qkv", fed[f"{index}/qkv"], weight, bias, hows["qkv"], 3)
        scale = (width // HEADS) ** -0.5
        fed[f"{index}/proj"] = build.node(
            "MultiHeadAttention", parts, f"{index}/heard", MS, num_heads=HEADS, scale=scale
        )
        (out,) = build.product(f"{index}/proj", fed[f"{index}/proj"], *block["proj"], hows["proj"])
        middle = build.node("Add", [x, out], f"{index}/middle")
        fed[f"{index}/fc1"] = norm(index, "norm2", middle, hows["fc1"])
        (out,) = build.product(f"{index}/fc1", fed[f"{index}/fc1"], *block["fc1"], hows["fc1"])
        fed[f"{index}/fc2"] = build.node("Gelu", [out], f"{index}/gelu", approximate="none")
        (out,) = build.product(f"{index}/fc2", fed[f"{index}/fc2"], *block["fc2"], hows["fc2"])
        build.node("Add", [middle, out], network.inputs[index + 1])
    replaced = set(network.inputs[1:])
    others = [node for node in network.model.graph.node if not replaced & set(node.output)]
    return with_nodes(network.model, others + build.nodes, build.values), fed


def convolutions(model: Any) -> list[Any]:
    """The decoder's 3×3 convolutions but for the last one: what follows it is answered directly."""
    return [
        node for node in model.graph.node
        if node.op_type == "Conv" and "decoder" in node.input[1] and "decoder.out" not in node.input[1]
    ]  # fmt: skip


def with_8_bit_convolutions(model: Any, ranges: dict[str, tuple[float, float]]) -> Any:
    """Quantise and dequantise around the decoder's convolutions: onnxruntime makes QLinearConv of them."""
    build = Builder()
    stored = {each.name: numpy_helper.to_array(each) for each in model.graph.initializer}
    chosen, done = {node.output[0] for node in convolutions(model)}, set()

    def limits(name: str) -> list[str]:
        low, high = ranges[name]
        scale = max(high - low, 1e-6) / 255
        zero = build.value(f"{name}/zero", round(-low / scale), np.uint8)
        return [build.value(f"{name}/scale", scale), zero]

    def rounded(name: str, out: str) -> str:
        if out not in done:
            done.add(out)
            ends = limits(name.removesuffix("/raw"))
            build.node("DequantizeLinear", [build.node("QuantizeLinear", [name, *ends], f"{out}/8"), *ends], out)
        return out

    for node in model.graph.node:
        if node.output[0] not in chosen:
            build.nodes.append(node)
            continue
        (x, weight, bias), out = node.input, node.output[0]
        scales = np.abs(stored[weight]).reshape(len(stored[weight]), -1).max(1) / 127
        fed = rounded(x, f"{x}/rounded")
        whole = float(build.values[f"{x}/scale"]) * scales
        ours = [build.value(f"{out}/w", np.round(stored[weight] / scales[:, None, None, None]), np.int8)]
        ours = [build.node("DequantizeLinear", [*ours, build.value(f"{out}/ws", scales)], f"{out}/weight", axis=0)]
        theirs = [build.value(f"{out}/b", np.round(stored[bias] / whole), np.int32), build.value(f"{out}/bs", whole)]
        ours += [build.node("DequantizeLinear", theirs, f"{out}/bias", axis=0)]
        users = [each.op_type for each in model.graph.node if out in each.input]
        new = onnx.NodeProto()
        new.CopyFrom(node)
        new.input[:] = [fed, *ours]
        build.nodes.append(new)
        if users != ["Relu"]:  # which is within the convolution's limits
            new.output[0] = f"{out}/raw"
            rounded(f"{out}/raw", out)
    return with_nodes(model, build.nodes, build.values)


def session(model: Any) -> Any:
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def answers(model: Any, names: Iterable[str], pictures: Array) -> Iterable[dict[str, Array]]:
    """What the named values of a model are, picture by picture."""
    names, more = list(names), onnx.ModelProto()
    more.CopyFrom(model)
    known = {output.name for output in more.graph.output}
    more.graph.output.extend(
        helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in set(names) - known
    )
    opened = session(more)
    for picture in pictures:
        yield dict(zip(names, opened.run(names, {"picture": picture[None]}), strict=True))


def calibrate(network: Network, pictures: Array) -> tuple[dict[str, dict[str, Array]], dict[str, tuple[float, float]]]:
    """Ranges and means of what every product is fed, by channel, and the ranges around every convolution."""
    model, fed = rebuild(network, Recipe(convs=False), {})
    around = {name for node in convolutions(model) for name in (node.input[0], node.output[0])}
    seen: dict[str, dict[str, Array]] = {}
    ranges = dict.fromkeys(around, (0.0, 0.0))
    for each in answers(model, [*fed.values(), *around], pictures):
        for site, name in fed.items():
            x = each[name][0]
            now = {"low": x.min(0), "high": x.max(0), "mean": x.mean(0) / len(pictures)}
            old = seen.get(site, {"low": now["low"], "high": now["high"], "mean": 0 * now["mean"]})
            joined = {"low": np.minimum, "high": np.maximum, "mean": np.add}
            seen[site] = {key: join(old[key], now[key]) for key, join in joined.items()}
        ranges |= {
            name: (min(low, float(each[name].min())), max(high, float(each[name].max())))
            for name, (low, high) in ranges.items()
        }
    return seen, ranges


def least_ms(opened: dict[str, Any], times: int) -> dict[str, float]:
    """CPU milliseconds of one core, the least of several, in turns."""
    picture = np.random.default_rng(0).random((1, 3, 480, 640), dtype=np.float32)
    least = dict.fromkeys(opened, np.inf)
    for _ in range(times):
        for name, each in opened.items():
            start = time.process_time()
            each.run(None, {"picture": picture})
            least[name] = min(least[name], 1e3 * (time.process_time() - start))
    return least


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--times", type=int, default=15)
    args = parser.parse_args()
    dataset = open_dataset(args.data)
    split, chance = make_splits(dataset, "official"), np.random.default_rng(0)
    training, validation = (
        np.stack([dataset[int(index)].image.numpy() for index in chance.choice(split[part], number, replace=False)])
        for part, number in (("train", 32), ("val", 24))
    )
    network = Network(args.file)
    seen, ranges = calibrate(network, training)
    models = {"float32": network.model}
    for name, recipe in RECIPES.items():
        model = rebuild(network, recipe, seen)[0]
        models[name] = with_8_bit_convolutions(model, ranges) if recipe.convs else model
    opened = {name: session(model) for name, model in models.items()}
    least = least_ms(opened, args.times)
    true = np.log(np.concatenate([opened["float32"].run(None, {"picture": each[None]})[0] for each in validation]))
    for name, each in opened.items():
        alone = np.log(np.concatenate([each.run(None, {"picture": picture[None]})[0] for picture in validation]))
        change, four = alone - true, np.log(each.run(None, {"picture": validation[:4]})[0]) - alone[:4]
        shares = (np.abs(change).mean(), change.mean(), np.abs(change.mean((1, 2, 3))).max(), np.abs(four).mean())
        size = models[name].ByteSize() / 1e6
        print(f"| {name} | {least[name]:.1f} |", " | ".join(f"{share:+.3%}" for share in shares), f"| {size:.0f} |")


if __name__ == "__main__":
    main()
