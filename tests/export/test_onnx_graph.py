from typing import Any

import pytest
import torch

from leadline.backends.onnx_file import FOCAL
from leadline.export.onnx_graph import ANSWER, IR_VERSION, OPSET, WORKING, around
from leadline.models.build import build_model
from leadline.models.model import DepthModel
from leadline.models.settings import HeadSettings, ModelSettings, PlainSettings

onnx = pytest.importorskip("onnx", reason="needs the extra onnx")
onnxruntime = pytest.importorskip("onnxruntime", reason="needs the extra onnx")

HEADER = f'<ir_version: {IR_VERSION}, opset_import: ["" : {OPSET}]>'
SIDE = 1000.0
# Answers h + w / 1000 in every pixel: the size at which it sees a picture.
SIZE = f"""{HEADER} net (float[N,3,h,w] {WORKING}) => (float[N,1,h,w] {ANSWER}) {{
    size = Shape <start=2, end=4> ({WORKING})
    sides = Cast <to=1> (size)
    place = Constant <value = float[2] {{1.0, 0.001}}> ()
    first = Constant <value = int64[1] {{1}}> ()
    black = ReduceMean <keepdims=1> ({WORKING}, first)
    nothing = Sub (black, black)
    placed = Mul (sides, place)
    number = ReduceSum <keepdims=0> (placed)
    {ANSWER} = Add (nothing, number)
}}"""
# Answers the mean over the channels.
GREY = f"""{HEADER} net (float[N,3,h,w] {WORKING}) => (float[N,1,h,w] {ANSWER}) {{
    first = Constant <value = int64[1] {{1}}> ()
    {ANSWER} = ReduceMean <keepdims=1> ({WORKING}, first)
}}"""


def model(**settings: Any) -> DepthModel:
    head = HeadSettings(min_depth_m=1e-3, max_depth_m=1e6)
    plain = PlainSettings(width=4, levels=1)
    shape = {"height": 84, "width": 112, "multiple_px": 14, **settings}
    return build_model(ModelSettings(network="cae", plain=plain, head=head, **shape)).eval()


def run(network: str, settings: ModelSettings, picture: torch.Tensor, focal_px: float | None) -> torch.Tensor:
    whole = around(onnx.parser.parse_model(network), settings)
    onnx.checker.check_model(whole, full_check=True)
    session = onnxruntime.InferenceSession(whole.SerializeToString(), providers=["CPUExecutionProvider"])
    feed = {"picture": picture.numpy()}
    if settings.focal_px is not None:
        feed[FOCAL] = torch.tensor([float("nan") if focal_px is None else focal_px]).numpy()
    return torch.from_numpy(session.run(None, feed)[0])


@pytest.mark.parametrize("size", [(84, 112), (480, 640), (641, 427), (90, 160), (20, 900), (901, 33), (7, 5)])
@pytest.mark.parametrize("focal_px", [None, float("nan"), 100.0, 40.0, 431.7, 1e5])
@pytest.mark.parametrize(("share", "gain"), [(0.0, 0.0), (0.3, 0.2)])
def test_the_network_sees_the_size_that_the_model_would_look_at(
    size: tuple[int, int], focal_px: float | None, share: float, gain: float
) -> None:
    asked = model(focal_px=95.0, focal_share=share, focal_gain=gain)
    look = asked.view_size(float("nan") if focal_px is None else focal_px, *size)
    answer = run(SIZE, asked.settings, torch.zeros(1, 3, *size), focal_px)
    assert answer.shape == (1, 1, *size)
    expected = (look.height + look.width / SIDE) * look.scale
    torch.testing.assert_close(answer, torch.full_like(answer, expected), rtol=1e-6, atol=0)


def test_a_model_of_an_unknown_camera_takes_no_focal_length() -> None:
    asked = model(multiple_px=1)
    whole = around(onnx.parser.parse_model(GREY), asked.settings)
    assert [entry.name for entry in whole.graph.input] == ["picture"]
    answer = run(SIZE, asked.settings, torch.zeros(2, 3, 100, 77), None)
    look = asked.view_size(float("nan"), 100, 77)
    torch.testing.assert_close(answer, torch.full((2, 1, 100, 77), look.height + look.width / SIDE))


@pytest.mark.parametrize("size", [(84, 112), (480, 640), (90, 71), (40, 60)])
def test_pictures_are_resized_as_the_model_resizes_them_borders_too(size: tuple[int, int]) -> None:
    asked = model()
    picture = torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(0)) + 0.1
    mean, std = asked.mean, asked.std
    # The network here is fed RGB in [0, 1], the model's own what is normalised.
    seen = (asked.prepare(picture) * std + mean).mean(1, keepdim=True)
    expected = torch.nn.functional.interpolate(seen, size, mode="bilinear")
    torch.testing.assert_close(run(GREY, asked.settings, picture, None), expected, rtol=1e-4, atol=1e-4)


def test_answers_stay_within_the_heads_range() -> None:
    asked = model()
    narrow = asked.settings.model_copy(update={"head": HeadSettings(min_depth_m=0.4, max_depth_m=0.6)})
    answer = run(GREY, narrow, torch.linspace(0, 1, 112).expand(1, 3, 84, 112).contiguous(), None)
    torch.testing.assert_close(answer[0, 0, 0, [0, 50, 111]], torch.tensor([0.4, 50 / 111, 0.6]))


@pytest.mark.parametrize("size", [(480, 640), (501, 375), (1023, 901)])
def test_openvino_counts_pixels_right_in_bfloat16(size: tuple[int, int]) -> None:
    openvino = pytest.importorskip("openvino", reason="needs the extra openvino")
    settings = model(height=406, width=546, focal_px=520.0).settings  # 546, 501 and 1023 are none of bfloat16's
    whole = around(onnx.parser.parse_model(GREY), settings)
    core, how = openvino.Core(), {"INFERENCE_PRECISION_HINT": "bf16"}
    network = core.compile_model(core.read_model(whole.SerializeToString()), "CPU", how)
    picture = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(0))
    focal_px = 520.0 * (size[0] * size[1] / (406 * 546)) ** 0.5
    found = network({"picture": picture.numpy(), FOCAL: torch.tensor([focal_px]).numpy()})[0]
    expected = run(GREY, settings, picture, focal_px)
    torch.testing.assert_close(torch.from_numpy(found), expected, rtol=0.02, atol=0.01)


@pytest.mark.parametrize(
    ("focal_px", "brightest", "has_metres"),
    [(95.0, 1.0, True), (None, 1.1, True), (95.0, 255.0, False), (0.0, 1.0, False), (-95.0, 1.0, False)]
    + [(float("inf"), 1.0, False)],
)
def test_an_impossible_focal_length_and_a_picture_up_to_255_have_no_metres(
    focal_px: float | None, brightest: float, has_metres: bool
) -> None:
    picture = brightest * torch.linspace(0.5, 1, 3 * 60 * 80).reshape(1, 3, 60, 80)
    answer = run(GREY, model(focal_px=95.0).settings, picture, focal_px)
    assert bool(answer.isfinite().all()) is has_metres and bool(answer.isnan().all()) is not has_metres
    answer = run(GREY, model().settings, picture, None)
    assert bool(answer.isfinite().all()) is (brightest < 2)
