"""One tester for every model: what is asked of a depth model, whatever is inside it."""

import copy
from math import sqrt
from pathlib import Path

import pytest
import torch
from report_models import MODELS, REPORT_HEAD
from torch import Tensor, nn

from leadline.models.build import build_model
from leadline.models.checkpoint import load_checkpoint, save_checkpoint
from leadline.models.edge_sharpening import sharpen_edges
from leadline.models.model import DepthModel
from leadline.models.settings import DecoderSettings, EncoderSettings, ModelSettings, PlainSettings

HEIGHT, WIDTH = 48, 64
ANY_SIZE = [(97, 131), (1, 1), (33, 200), (HEIGHT, WIDTH)]

SMALL = {
    "height": HEIGHT,
    "width": WIDTH,
    "decoder": DecoderSettings(width=32),
    "plain": PlainSettings(width=8, levels=3),
}


VIT = EncoderSettings(name="vit_tiny_patch16_224", num_blocks=4)
EVERY_KIND = {
    **MODELS,
    "dpt on a vit": ModelSettings(encoder=VIT, head=REPORT_HEAD.model_copy(update={"uncertainty": True})),
    "dpt on a pyramid": ModelSettings(encoder=EncoderSettings(name="tf_efficientnet_lite0"), head=REPORT_HEAD),
}


def small(name: str, **changes: object) -> ModelSettings:
    """The settings of a model, with few channels and a small working size."""
    if name.startswith("dpt"):
        changes = {"decoder": DecoderSettings(kind="dpt", width=16), **changes}
    return EVERY_KIND[name].model_copy(update={**SMALL, **changes})


def pictures(num_pictures: int, height: int = HEIGHT, width: int = WIDTH) -> Tensor:
    """Random pictures with large and small structure, so that deep features differ too."""
    generator = torch.Generator().manual_seed(height * width)
    fine = torch.rand(num_pictures, 3, height, width, generator=generator)
    coarse = torch.rand(num_pictures, 3, 3, 4, generator=generator)
    return (nn.functional.interpolate(coarse, (height, width), mode="bilinear") + 0.3 * fine) / 1.3


def seeded(settings: ModelSettings, seed: int = 0) -> DepthModel:
    """A new model in training mode."""
    torch.manual_seed(seed)
    return build_model(settings)


def settle(model: DepthModel) -> DepthModel:
    """Take the batch norms' statistics from pictures, so that a random network answers with more than a constant."""
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    kept = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 1.0
    with torch.no_grad():
        model.train().at_working_scale(pictures(4, 96, 128))
    for norm, momentum in zip(norms, kept, strict=True):
        norm.momentum = momentum
    return model.eval()


@pytest.fixture(scope="module", params=EVERY_KIND)
def name(request: pytest.FixtureRequest) -> str:
    """Each of the report's models and of leadline's own kinds in turn."""
    return str(request.param)


@pytest.fixture(scope="module")
def model(name: str) -> DepthModel:
    """A small one in evaluation mode, the U-Net's skips open as after training; tests that change it copy it first."""
    made = seeded(small(name))
    for expand in made.network.expand if name == "unet" else ():
        expand[0][0].reset_parameters()
    return settle(made)


# What every model does.


@pytest.mark.parametrize("num_pictures", [1, 3])
@pytest.mark.parametrize("size", ANY_SIZE, ids=str)
@torch.no_grad()
def test_any_size_goes_in_and_the_same_comes_out(model: DepthModel, size: tuple[int, int], num_pictures: int) -> None:
    depth_m = model(pictures(num_pictures, *size))
    assert depth_m.shape == (num_pictures, 1, *size)
    assert depth_m.dtype == torch.float32
    assert depth_m.isfinite().all()
    assert depth_m.min() >= 0.5 and depth_m.max() <= 4.0


@torch.no_grad()
def test_a_picture_is_seen_alone(model: DepthModel) -> None:
    image = pictures(3, 71, 90)
    together = model(image)
    alone = torch.cat([model(picture[None]) for picture in image])
    assert together.std() > 1e-3, "a constant answer would prove nothing"
    assert (together[0] - together[1]).abs().max() > 1e-3
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-4)


@torch.no_grad()
def test_a_second_look_gives_the_same(model: DepthModel) -> None:
    image = pictures(1, 71, 90)
    assert torch.equal(model(image), model(image))


@torch.no_grad()
def test_at_the_working_size_nothing_is_resized(model: DepthModel) -> None:
    image = pictures(2)
    assert torch.equal(model(image), model.at_working_scale(image))


@torch.no_grad()
def test_saved_and_loaded_it_answers_the_same(model: DepthModel, tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "saved", model, record={}, card="")
    loaded = load_checkpoint(tmp_path / "saved")
    given, back = model.state_dict(), loaded.state_dict()
    assert given.keys() == back.keys()
    assert all(torch.equal(given[key], back[key]) and given[key].dtype == back[key].dtype for key in given)
    same_layout = copy.deepcopy(model).to(memory_format=torch.channels_last)
    image = pictures(1, 50, 70)
    assert torch.equal(loaded(image), same_layout(image))


@torch.no_grad()
def test_saved_in_half_precision_it_answers_nearly_the_same(model: DepthModel, tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "half", model, record={}, card="", precision="float16")
    loaded, image = load_checkpoint(tmp_path / "half"), pictures(1, 50, 70)
    assert {value.dtype for value in loaded.parameters()} == {torch.float32}
    torch.testing.assert_close(loaded(image), model(image), rtol=0, atol=0.02)
    assert not torch.equal(loaded.head.conv.weight, model.head.conv.weight)


@torch.no_grad()
def test_a_repeated_seed_gives_the_same_model(name: str) -> None:
    first, again, other = (seeded(small(name), seed) for seed in (3, 3, 4))
    weights, same, different = first.state_dict(), again.state_dict(), other.state_dict()
    assert all(torch.equal(weights[key], same[key]) for key in weights)
    assert not torch.equal(weights["head.conv.weight"], different["head.conv.weight"])
    assert torch.equal(first.at_working_scale(pictures(2)), again.at_working_scale(pictures(2)))


def test_the_unets_skips_start_closed_and_open_when_trained() -> None:
    model = seeded(small("unet", plain=PlainSettings(width=4, levels=2)))
    joined = [expand[0][0].weight for expand in model.network.expand]
    assert [weight.shape[1] for weight in joined] == [8, 16]
    below, skip = zip(*(weight.chunk(2, dim=1) for weight in joined), strict=True)
    assert all(part.any() for part in below) and not any(part.any() for part in skip)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    (model.at_working_scale(pictures(2)) - 1).square().mean().backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    assert all(part.any() for part in skip)


def test_the_gradient_reaches_every_parameter(model: DepthModel) -> None:
    trained = copy.deepcopy(model).train()
    image = pictures(2)
    # Against the picture's brightness: summed depth alone would cancel in front of a batch norm.
    depth_m, error = trained.estimate_at_working_scale(image)
    loss = (depth_m - 4 * image.mean(1, keepdim=True)).abs().mean()
    (loss if error is None else loss + error.mean()).backward()  # type: ignore[no-untyped-call]
    lacking = [key for key, value in trained.named_parameters() if value.grad is None or not value.grad.any()]
    assert lacking == []
    assert all(value.grad.isfinite().all() for value in trained.parameters() if value.grad is not None)


def test_it_learns_one_batch_by_heart(name: str) -> None:
    model = seeded(small(name))
    image = pictures(2, 32, 64)
    # Depth that has to be seen in the picture: bright is far.
    light = nn.functional.avg_pool2d(image.mean(1, keepdim=True), 17, 1, 8, count_include_pad=False)
    target_m = 1 + 2.5 * (light - light.min()) / (light.max() - light.min())
    spread_m = (target_m - target_m.median()).abs().mean().item()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    losses: list[float] = []
    while len(losses) < 30 and (not losses or losses[-1] > min(0.4 * losses[0], 0.7 * spread_m)):
        loss = (model.at_working_scale(image) - target_m).abs().mean()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] <= 0.4 * losses[0]
    assert losses[-1] <= 0.7 * spread_m, "it found the best constant and no more"


@torch.no_grad()
def test_under_bfloat16_depth_stays_float32_and_near(model: DepthModel) -> None:
    image = pictures(1, 50, 70)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough_m = model(image)
    assert rough_m.dtype == torch.float32
    assert rough_m.min() >= 0.5 and rough_m.max() <= 4.0
    assert (rough_m - model(image)).abs().mean() < 0.1
    # Metres are made in float32: bfloat16 has no more than a few hundred values in this range.
    assert rough_m.unique().numel() > 1000


@pytest.mark.parametrize("dtype", [None, torch.bfloat16], ids=["float32", "bfloat16"])
@torch.no_grad()
def test_no_weights_take_the_answer_out_of_range(model: DepthModel, dtype: torch.dtype | None) -> None:
    wild = copy.deepcopy(model)
    wild.head.conv.weight *= 1e4
    with torch.autocast("cpu", dtype=dtype, enabled=dtype is not None):
        depth_m = wild(pictures(1, 50, 70))
    # Resizing a map that is 0.5 m all over may round in the last digit.
    assert (depth_m.min().item(), depth_m.max().item()) == pytest.approx((0.5, 4.0), rel=1e-6)


@pytest.mark.parametrize("shape", [(3, 20, 30), (1, 1, 20, 30), (1, 4, 20, 30), (20, 30, 3), (1, 20, 30, 3)], ids=str)
def test_a_picture_of_another_shape_is_refused(model: DepthModel, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"image must be \(B, 3, H, W\), got \(.*\); add a batch dimension") as caught:
        model(torch.rand(shape))
    assert str(shape) in str(caught.value)


def test_settings_are_kept_and_rebuild_it(name: str, model: DepthModel) -> None:
    assert model.settings == small(name)
    assert ModelSettings.model_validate(model.settings.model_dump()) == model.settings


@pytest.mark.parametrize("value, seen", [("mean", 0.0), ("one deviation above", 1.0)])
@torch.no_grad()
def test_the_network_sees_normalised_pictures(model: DepthModel, value: str, seen: float) -> None:
    inputs: list[Tensor] = []
    hook = model.network.register_forward_pre_hook(lambda _, args: inputs.append(args[0]))
    colour = model.mean if value == "mean" else model.mean + model.std
    model.at_working_scale(colour.expand(1, 3, HEIGHT, WIDTH))
    hook.remove()
    torch.testing.assert_close(inputs[0], torch.full((1, 3, HEIGHT, WIDTH), seen), rtol=0, atol=1e-6)


# The table of models, and normalisation.


def test_the_reports_models() -> None:
    assert list(MODELS) == ["cae", "unet", "xception", "densenet"]
    assert {(it.head.kind, it.head.min_depth_m, it.head.max_depth_m) for it in MODELS.values()} == {("tanh", 0.5, 4.0)}
    assert {it.encoder.weights for it in MODELS.values()} == {"none"}
    assert (MODELS["xception"].encoder.name, MODELS["densenet"].encoder.name) == ("legacy_xception", "densenet121")
    assert MODELS["xception"].encoder.norm_eps == 1e-3


def test_each_model_is_normalised_as_its_weights_were(model: DepthModel, name: str) -> None:
    # Xception's, this ViT's and EfficientNet-Lite's weights were trained on RGB/127.5 - 1, the others' on ImageNet's
    # mean and deviation.
    halves = name == "xception" or name.startswith("dpt")
    mean, std = ([0.5] * 3, [0.5] * 3) if halves else ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    torch.testing.assert_close(model.mean.flatten(), torch.tensor(mean))
    torch.testing.assert_close(model.std.flatten(), torch.tensor(std))
    assert not {"mean", "std"} & model.state_dict().keys()


@pytest.mark.parametrize("encoder", ["mobilenetv3_small_050", "resnet10t"])
@torch.no_grad()
def test_any_timm_network_with_features_serves(encoder: str) -> None:
    settings = ModelSettings().model_copy(update={**SMALL, "encoder": EncoderSettings(name=encoder)})
    model = settle(seeded(settings))
    depth_m = model(pictures(2, 45, 83))
    assert depth_m.shape == (2, 1, 45, 83)
    assert depth_m.std() > 1e-3
    assert depth_m.min() >= 0.5 and depth_m.max() <= 10.0


# The working size.


@pytest.mark.parametrize(
    "size, working",
    [
        ((480, 640), (48, 64)),  # 100 times the pixels, so a tenth of each side
        ((24, 32), (48, 64)),
        ((64, 48), (64, 48)),  # upright: as many pixels, its own aspect
        ((100, 100), (55, 55)),  # sqrt(48 * 64) = 55.4
        ((32, 2000), (32, 96)),  # no side below 32, and then 3072 / 32
    ],
)
@torch.no_grad()
def test_pictures_are_brought_to_the_working_area(size: tuple[int, int], working: tuple[int, int]) -> None:
    model = seeded(small("unet", plain=PlainSettings(width=4, levels=1))).eval()
    seen: list[Tensor] = []
    model.network.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    assert model(pictures(1, *size)).shape[-2:] == size
    assert seen[0].shape == (1, 3, *working)


@pytest.mark.parametrize(
    ("size", "working"),
    [
        ((480, 640), (42, 70)),  # 48 × 64 in steps of 14: 3.4 and 4.6 of them
        ((64, 48), (70, 42)),
        ((360, 640), (42, 70)),  # 41.6 × 73.9
        ((32, 2000), (42, 70)),  # no side below 42, and then 3072 / 42
    ],
)
@torch.no_grad()
def test_sides_are_multiples_where_the_network_wants_them(size: tuple[int, int], working: tuple[int, int]) -> None:
    model = seeded(small("unet", plain=PlainSettings(width=4, levels=1), multiple_px=14)).eval()
    seen: list[Tensor] = []
    model.network.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    assert model(pictures(1, *size)).shape[-2:] == size
    assert seen[0].shape == (1, 3, *working)


# Edges.


def test_edges_are_sharpened_at_the_pictures_size_before_metres_are_scaled() -> None:
    model = settle(seeded(small("unet", focal_px=50.0)))
    sharp = DepthModel(model.settings.model_copy(update={"edge_radius_px": 20.0})).eval()
    sharp.load_state_dict(model.state_dict())
    image, twice = pictures(1, 96, 128), torch.tensor([200.0])
    with torch.no_grad():
        soft_m, (sharp_m, _) = model(image), sharp.estimate(image, twice)
    expected_m = sharpen_edges(soft_m, image, 20.0)
    assert (expected_m != soft_m).any()
    torch.testing.assert_close(sharp_m, 2 * expected_m)


def test_edges_of_large_pictures_are_sharpened_at_a_smaller_size(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[torch.Size, torch.Size]] = []
    monkeypatch.setattr(
        "leadline.models.model.sharpen_edges",
        lambda depth_m, image, radius_px: seen.append((depth_m.shape, image.shape)) or depth_m,
    )
    model = seeded(small("unet", edge_radius_px=3.0)).eval()
    with torch.no_grad():
        assert model(torch.rand(1, 3, 1920, 2560)).shape == (1, 1, 1920, 2560)
        assert model(torch.rand(1, 3, 30, 40)).shape == (1, 1, 30, 40)
    assert [size for each in seen for size in each] == [
        (1, 1, 960, 1280),
        (1, 3, 960, 1280),
        (1, 1, 30, 40),
        (1, 3, 30, 40),
    ]


# Focal length.


def with_focal(focal_px: float | None, **changes: float) -> DepthModel:
    """A model trained with this focal length at 48×64."""
    return seeded(small("unet", focal_px=focal_px, plain=PlainSettings(width=4, levels=1), **changes))


@pytest.mark.parametrize(
    "focal_px, height, width, factor",
    [
        (50.0, 48, 64, 1.0),
        (100.0, 48, 64, 2.0),  # a tele lens shows things twice as large: they are twice as far as they look
        (25.0, 48, 64, 0.5),
        (500.0, 480, 640, 1.0),  # the same camera, its picture ten times as large
        (1000.0, 480, 640, 2.0),
        (50.0, 24, 32, 2.0),
        (50.0, 64, 48, 1.0),
        (torch.nan, 48, 64, 1.0),
    ],
)
def test_metres_follow_the_focal_length_by_hand(focal_px: float, height: int, width: int, factor: float) -> None:
    look = with_focal(50.0).view_size(focal_px, height, width)
    assert look.scale == pytest.approx(factor)
    assert look[:2] == with_focal(50.0).view_size(torch.nan, height, width)[:2]


def test_a_share_of_another_focal_length_goes_into_the_size() -> None:
    model = with_focal(50.0, focal_share=0.25)
    # Four times the focal length: half the pixels, about 33.9 × 45.3.
    height, width, scale = model.view_size(200.0, 48, 64)
    assert (height, width) == (34, 45)
    assert scale == pytest.approx(4 * sqrt(34 * 45 / (48 * 64)))
    # Half of it: larger by the fourth root of 2, about 57.1 × 76.1.
    height, width, scale = model.view_size(25.0, 48, 64)
    assert (height, width) == (57, 76)
    assert scale == pytest.approx(sqrt(57 * 76 / (48 * 64)) / 2)
    assert model.view_size(50.0, 48, 64) == (48, 64, 1.0)


def test_metres_may_follow_the_focal_length_more_than_in_proportion() -> None:
    model = with_focal(50.0, focal_share=0.25, focal_gain=0.5)
    height, width, scale = model.view_size(200.0, 48, 64)
    assert (height, width) == (34, 45)
    assert scale == pytest.approx(2 * 4 * sqrt(34 * 45 / (48 * 64)))
    # 6400 times the focal length: the gain ends at 4 times, as the size does.
    assert model.view_size(320000.0, 48, 64).scale == pytest.approx(2 * 6400 * sqrt(34 * 45 / (48 * 64)))
    assert model.view_size(50.0, 48, 64) == (48, 64, 1.0)
    assert model.view_size(torch.nan, 48, 64) == (48, 64, 1.0)
    # 1.22 times the focal length, .06 more: 1.2 % more metres.
    assert with_focal(50.0, focal_gain=0.06).view_size(61.0, 48, 64).scale == pytest.approx(1.22 * 1.0120, rel=1e-4)


def test_steps_of_the_sides_are_made_up_for_in_metres() -> None:
    model = with_focal(50.0, focal_share=0.25, multiple_px=14)
    # As above, 33.9 × 45.3, to the nearest multiples.
    height, width, scale = model.view_size(200.0, 48, 64)
    assert (height, width) == (42, 42)
    assert scale == pytest.approx(4 * sqrt(42 * 42 / (48 * 64)))
    assumed_px = model.settings.view.assumed_focal_px(480, 640)
    assert assumed_px is not None and model.view_size(assumed_px, 480, 640).scale == pytest.approx(1)


@pytest.mark.parametrize(("focal_px", "most"), [(0.0, 4**0.25), (1e-9, 4**0.25), (1e9, 4**-0.25)])
def test_an_impossible_focal_length_makes_no_huge_picture(focal_px: float, most: float) -> None:
    height, width, scale = with_focal(50.0, focal_share=0.25).view_size(focal_px, 480, 640)
    assert height == pytest.approx(48 * most, abs=1) and width == pytest.approx(64 * most, abs=1)
    assert scale == pytest.approx(focal_px / 500 * height / 48, rel=0.01)


def test_each_picture_of_a_batch_has_its_own_focal_length() -> None:
    model = settle(with_focal(50.0, focal_share=0.25))
    image, focal_px = pictures(3, 48, 64), torch.tensor([50.0, torch.nan, 200.0])
    with torch.no_grad():
        together = model.estimate(image, focal_px).depth_m
        apart = [model.estimate(image[it : it + 1], focal_px[it : it + 1]).depth_m for it in range(3)]
    torch.testing.assert_close(together, torch.cat(apart))
    torch.testing.assert_close(together[1:2], model(image[1:2]))
    assert not torch.allclose(together[2:], 4 * model(image[2:]).detach())


def test_resizing_a_picture_with_its_focal_length_changes_nothing() -> None:
    model = with_focal(50.0)
    factors = [model.view_size(70.0 * zoom, int(90 * zoom), int(130 * zoom)).scale for zoom in (1, 2, 4, 10)]
    assert factors == pytest.approx([factors[0]] * 4, rel=1e-5)


def test_a_picture_of_the_assumed_focal_length_has_the_scale_it_would_have_without() -> None:
    model = with_focal(50.0)
    focal_px = model.settings.view.assumed_focal_px(90, 130)
    assert focal_px is not None and model.view_size(focal_px, 90, 130).scale == pytest.approx(1.0)


def test_without_the_training_focal_length_metres_stay() -> None:
    assert with_focal(None).view_size(100.0, HEIGHT, WIDTH).scale == 1.0
    assert with_focal(None).settings.view.assumed_focal_px(HEIGHT, WIDTH) is None


def test_the_expected_error_comes_at_the_pictures_size_and_leaves_depth_as_it_is() -> None:
    model = settle(seeded(small("dpt on a vit")))
    image = pictures(2, 97, 131)
    with torch.no_grad():
        depth_m, error = model.estimate(image)
        assert torch.equal(model(image), depth_m)
    assert error is not None
    assert error.shape == (2, 1, 97, 131)
    assert (error > 0).all()
    with torch.no_grad():
        assert settle(seeded(small("cae"))).estimate(image).relative_error is None
