import pytest
import torch
from torch import Tensor, nn

from leadline.errors import LeadlineError
from leadline.models.decoders import DenseDepthDecoder, DPTDecoder, UpStep, build_decoder
from leadline.models.encoders import build_encoder
from leadline.models.settings import DecoderSettings, EncoderSettings

CHANNELS = (3, 5, 7, 11, 13)
HALVED = [(32, 48), (16, 24), (8, 12), (4, 6), (2, 3)]
ODD = [(33, 49), (17, 25), (9, 13), (5, 7), (3, 4)]
UNEVEN = [(29, 45), (15, 23), (8, 12), (4, 6), (1, 1)]  # as networks with unpadded stems give


def pyramid(sizes: list[tuple[int, int]], num_pictures: int = 2) -> list[Tensor]:
    """Random features, finest first."""
    generator = torch.Generator().manual_seed(0)
    return [
        torch.randn(num_pictures, channels, *size, generator=generator)
        for channels, size in zip(CHANNELS, sizes, strict=True)
    ]


def decoder(skips: bool = True) -> DenseDepthDecoder:
    """A narrow one, the same each time."""
    torch.manual_seed(0)
    return DenseDepthDecoder(CHANNELS, DecoderSettings(width=32, skips=skips))


def num_parameters(module: nn.Module) -> int:
    return sum(value.numel() for value in module.parameters())


@pytest.mark.parametrize("skips", [True, False])
@pytest.mark.parametrize("sizes", [HALVED, ODD, UNEVEN], ids=["halved", "odd", "uneven"])
def test_the_map_has_the_finest_levels_size(sizes: list[tuple[int, int]], skips: bool) -> None:
    made = decoder(skips)
    assert made.channels == 2  # 32, halved four times
    assert made(pyramid(sizes)).shape == (2, 2, *sizes[0])


def test_every_step_up_halves_the_channels() -> None:
    widths = [step.convs[0].out_channels for step in decoder().steps]  # type: ignore[index, union-attr]
    assert widths == [16, 8, 4, 2]
    assert decoder().bottleneck.weight.shape == (32, 13, 1, 1)


@pytest.mark.parametrize("level", range(5))
def test_with_skips_every_level_counts(level: int) -> None:
    made, features = decoder(), pyramid(ODD)
    changed = [value + 1 if index == level else value for index, value in enumerate(features)]
    assert (made(features) - made(changed)).abs().max() > 1e-4


def test_without_skips_only_the_deepest_level_counts() -> None:
    made, features = decoder(skips=False), pyramid(ODD)
    other_skips = [torch.full_like(value, torch.nan) for value in features[:-1]]
    assert torch.equal(made(features), made([*other_skips, features[-1]]))
    assert (made(features) - made([*features[:-1], features[-1] + 1])).abs().max() > 1e-4


def test_without_skips_their_sizes_are_still_followed() -> None:
    made, deepest = decoder(skips=False), pyramid(ODD)[-1]
    for sizes in (ODD, UNEVEN):
        assert made([*pyramid(sizes)[:-1], deepest]).shape[-2:] == sizes[0]


def test_skips_cost_just_their_own_weights() -> None:
    # 3×3 kernels from each skip's channels to the step's: 11·16 + 7·8 + 5·4 + 3·2 of them.
    assert num_parameters(decoder()) - num_parameters(decoder(skips=False)) == 9 * (11 * 16 + 7 * 8 + 5 * 4 + 3 * 2)


@pytest.mark.parametrize("skips", [True, False])
def test_the_gradient_reaches_every_weight(skips: bool) -> None:
    made = decoder(skips)
    made(pyramid(ODD)).square().mean().backward()
    assert all(value.grad is not None and value.grad.any() for value in made.parameters())


def passing_on(step: UpStep, *weights: float) -> UpStep:
    """Make a step's convolutions sum their input channels with these weights, pixel by pixel."""
    with torch.no_grad():
        for conv, kernel in ((step.convs[0], weights), (step.convs[2], (1.0,))):
            for parameter in conv.parameters():
                parameter.zero_()
            conv.weight[0, :, 1, 1] = torch.tensor(kernel)  # type: ignore[operator]
    return step


def test_a_step_by_hand() -> None:
    step = passing_on(UpStep(1, 1, 1), 1.0, 10.0)
    raised = step(torch.full((1, 1, 2, 2), 3.0), torch.full((1, 1, 5, 3), 2.0))
    assert torch.equal(raised, torch.full((1, 1, 5, 3), 23.0))  # 3 + 10·2


def test_a_steps_rectifiers_leak_a_fifth() -> None:
    lowered = passing_on(UpStep(1, 0, 1), 1.0)(torch.full((1, 1, 2, 2), -1.0), torch.zeros(1, 9, 4, 4))
    torch.testing.assert_close(lowered, torch.full((1, 1, 4, 4), -0.04))  # 0.2 · 0.2


def test_a_step_is_bilinear() -> None:
    raised = passing_on(UpStep(1, 0, 1), 1.0)(torch.tensor([[[[0.0, 4.0]]]]), torch.zeros(1, 1, 1, 4))
    assert raised.flatten().tolist() == [0.0, 1.0, 3.0, 4.0]


@pytest.mark.parametrize(
    "name, channels",
    [("densenet121", (64, 64, 128, 256, 1024)), ("legacy_xception", (64, 128, 256, 728, 2048))],
)
@torch.no_grad()
def test_a_real_pyramid_goes_in(name: str, channels: tuple[int, ...]) -> None:
    encoder = build_encoder(EncoderSettings(name=name)).eval()
    assert encoder.channels == channels
    assert encoder.strides == (2, 4, 8, 16, 32)
    features = encoder(torch.rand(1, 3, 75, 97))
    made = DenseDepthDecoder(encoder.channels, DecoderSettings(width=32))
    assert made(features).shape == (1, 2, *features[0].shape[-2:])


@pytest.mark.parametrize("skips", [True, False])
def test_features_keep_their_size_through_an_untrained_decoder(skips: bool) -> None:
    """With torch's own initialisation less than a tenth would be left."""
    torch.manual_seed(0)
    made = DenseDepthDecoder(CHANNELS, DecoderSettings(width=128, skips=skips))
    assert 0.2 < made(pyramid(HALVED, num_pictures=8)).std() < 5


# DPT.

STRIDES = (2, 4, 8, 16, 32)
PLAIN = [torch.randn(2, 6, 5, 7, generator=torch.Generator().manual_seed(level)) for level in range(4)]


def dpt_on_pyramid() -> DPTDecoder:
    torch.manual_seed(0)
    return DPTDecoder(CHANNELS, STRIDES, DecoderSettings(kind="dpt", width=16))


def dpt_on_vit() -> DPTDecoder:
    torch.manual_seed(0)
    return DPTDecoder((6,) * 4, (14,) * 4, DecoderSettings(kind="dpt", width=16))


@pytest.mark.parametrize("sizes", [HALVED, ODD, UNEVEN], ids=["halved", "odd", "uneven"])
def test_dpt_gives_twice_the_size_of_stride_4(sizes: list[tuple[int, int]]) -> None:
    made = dpt_on_pyramid()
    height, width = sizes[1]
    assert made.channels == 8
    assert made(pyramid(sizes)).shape == (2, 8, 2 * height, 2 * width)


def test_dpt_on_a_plain_vit_gives_eight_pixels_a_patch() -> None:
    made = dpt_on_vit()
    assert [made.reassemble[level](PLAIN[level]).shape[-2:] for level in range(4)] == [
        (20, 28),
        (10, 14),
        (5, 7),
        (3, 4),
    ]
    assert made(PLAIN).shape == (2, 8, 40, 56)


@pytest.mark.parametrize("level", range(4))
def test_every_level_counts_for_dpt(level: int) -> None:
    made = dpt_on_vit()
    changed = [value + 1 if index == level else value for index, value in enumerate(PLAIN)]
    assert (made(PLAIN) - made(changed)).abs().max() > 1e-4


def test_dpt_leaves_out_levels_finer_than_four_pixels() -> None:
    made, features = dpt_on_pyramid(), pyramid(HALVED)
    assert torch.equal(made(features), made([torch.full_like(features[0], torch.nan), *features[1:]]))


def test_the_decoder_is_the_one_that_the_settings_name() -> None:
    assert isinstance(build_decoder(CHANNELS, STRIDES, DecoderSettings(kind="dpt", width=16)), DPTDecoder)
    assert isinstance(build_decoder(CHANNELS, STRIDES, DecoderSettings(width=32)), DenseDepthDecoder)


def test_the_reports_decoder_refuses_a_plain_vit() -> None:
    with pytest.raises(LeadlineError, match="wants a pyramid, got a plain ViT; give --model.decoder.kind dpt"):
        build_decoder((6,) * 4, (14,) * 4, DecoderSettings(width=32))


def test_dpt_refuses_fewer_than_four_levels() -> None:
    with pytest.raises(LeadlineError, match="wants an encoder of 4 levels, got 3"):
        build_decoder((6,) * 3, (2, 4, 8), DecoderSettings(kind="dpt", width=32))
