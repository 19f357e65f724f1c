import numpy as np
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper

from leadline.backends.graph_weights import SCALES, WEIGHT, integer_weights
from leadline.export.int8 import with_nodes
from leadline.export.int8_convolutions import Decoder, Span, with_plain_convolutions

UNIT = "network.decoder.fuse.0.convs."


def run(nodes: list, values: dict[str, NDArray], x: NDArray) -> NDArray:
    """What a graph of these nodes answers, from "x" to "y"."""
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("x", "y")]
    model = helper.make_model(helper.make_graph([], "one", ends[:1], ends[1:]), ir_version=10)
    model = with_nodes(model, nodes, values)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(["y"], {"x": x})[0])


def test_a_range_holds_zero_and_its_steps() -> None:
    assert [float(it) for it in Span(-2.0, 3.1).steps(False)] == pytest.approx([5.1 / 255, 100])
    assert [float(it) for it in Span(-2.0, 5.1).steps(True)] == pytest.approx([0.02, 0])
    assert [float(it) for it in Span(0.5, 5.1).steps(False)] == pytest.approx([0.02, 0])


def test_weights_of_each_answer_have_a_scale() -> None:
    weight, scales = integer_weights(np.array([[[1.27, -0.004]], [[-2.54, 0.03]]], np.float32))
    assert weight.tolist() == [[[127, 0]], [[-127, 2]]] and scales.tolist() == pytest.approx([0.01, 0.02])


def residual_unit() -> tuple[list, dict[str, NDArray]]:
    """y = a + conv(relu(conv(relu(a)))) with a = conv(x), whose weights are no residual unit's."""
    chance = np.random.default_rng(0)
    weights = {
        f"{stem}{kind}": chance.normal(size=(4, 4, 3, 3) if kind == "weight" else 4).astype(np.float32)
        for stem in ("before.", f"{UNIT}1.", f"{UNIT}3.")
        for kind in ("weight", "bias")
    }

    def conv(x: str, stem: str, out: str) -> object:
        return helper.make_node(
            "Conv", [x, f"{stem}weight", f"{stem}bias"], [out], kernel_shape=[3, 3], pads=[1, 1, 1, 1]
        )

    nodes = [
        conv("x", "before.", "a"),
        helper.make_node("Relu", ["a"], ["a+"]),
        conv("a+", f"{UNIT}1.", "b"),
        helper.make_node("Relu", ["b"], ["b+"]),
        conv("b+", f"{UNIT}3.", "c"),
        helper.make_node("Add", ["a", "c"], ["y"]),
    ]
    return nodes, weights


def test_a_residual_unit_in_8_bits_answers_nearly_the_same() -> None:
    nodes, weights = residual_unit()
    decoder = Decoder(nodes, {})
    assert list(decoder.sources.values()) == [f"{UNIT}1.weight", f"{UNIT}3.weight"]
    assert decoder.maps() == {"a", "b", "c"}
    x = np.random.default_rng(1).normal(size=(1, 4, 24, 24)).astype(np.float32)

    def conv(x: torch.Tensor, stem: str) -> torch.Tensor:
        weight, bias = (torch.from_numpy(weights[f"{stem}{kind}"]) for kind in ("weight", "bias"))
        return torch.nn.functional.conv2d(x, weight, bias, padding=1)

    a = conv(torch.from_numpy(x), "before.")
    b = conv(a.relu(), f"{UNIT}1.")
    c = conv(b.relu(), f"{UNIT}3.")
    seen = {name: Span(float(it.min()), float(it.max())) for name, it in {"a": a, "b": b, "c": c}.items()}
    new, values = decoder.rebuilt(nodes, seen, weights)
    kinds = [node.op_type for node in new]
    assert kinds.count("QLinearConv") == 2 and kinds.count("Conv") == 1
    for name in decoder.sources.values():
        values[name + WEIGHT], values[name + SCALES] = integer_weights(weights[name])
    change = run(new, weights | values, x) - (a + c).numpy()
    # A step of what is fed is 1/255 of its range: 36 products of such errors add up to a few steps of c's.
    assert 0 < np.abs(change).mean() < 2 * float(c.max() - c.min()) / 255
    assert abs(change.mean()) < 0.1 * float(c.max() - c.min()) / 255


def test_transposed_convolutions_are_the_same_as_plain_ones_and_a_shuffle() -> None:
    chance = np.random.default_rng(0)
    weights = {"w": chance.normal(size=(3, 5, 2, 2)).astype("f4"), "b": chance.normal(size=5).astype("f4")}
    nodes = [helper.make_node("ConvTranspose", ["x", "w", "b"], ["y"], kernel_shape=[2, 2], strides=[2, 2])]
    new, values = with_plain_convolutions(nodes, {"w": (3, 5, 2, 2)})
    assert "ConvTranspose" not in {node.op_type for node in new}
    x = chance.normal(size=(1, 3, 4, 6)).astype("f4")
    wanted = torch.nn.functional.conv_transpose2d(*map(torch.from_numpy, (x, weights["w"], weights["b"])), stride=2)
    np.testing.assert_allclose(run(new, weights | values, x), wanted.numpy(), atol=1e-5)
    overlapping = [helper.make_node("ConvTranspose", ["x", "w", "b"], ["y"], kernel_shape=[2, 2], strides=[1, 1])]
    assert with_plain_convolutions(overlapping, {"w": (3, 5, 2, 2)}) == (overlapping, {})
