import csv
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import huggingface_hub.errors as hub_errors
import pytest
import timm
import torch
from report_models import MODELS
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from leadline.data.sample import image_tensor
from leadline.errors import LeadlineError
from leadline.io.images import read_image
from leadline.models.encoders import DenseNetEncoder, ViTEncoder, build_encoder, normalisation
from leadline.models.resizing import resize
from leadline.models.settings import EncoderSettings

SHARED = Path(__file__).parents[2] / ".." / "shared"
IMAGENET = {"densenet": "densenet121_imagenet1k.safetensors", "xception": "xception_imagenet1k.safetensors"}
NYU = SHARED / "data" / "nyu-v2-labelled"

needs_weights = pytest.mark.skipif(
    not all((SHARED / "weights" / name).is_file() for name in IMAGENET.values()),
    reason="needs the encoder weights in ../shared/weights",
)


def classifier(name: str, seed: int = 7) -> nn.Module:
    """A timm network as it is published: with its classifier, and statistics that are not the initial ones."""
    torch.manual_seed(seed)
    network: nn.Module = timm.create_model(name)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d) and module.running_mean is not None and module.running_var is not None:
            nn.init.uniform_(module.running_mean, -0.1, 0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    return network.eval()


def save(path: Path, weights: dict[str, Tensor]) -> str:
    save_file({key: value.contiguous() for key, value in weights.items()}, path)
    return str(path)


@pytest.fixture(scope="module")
def donor() -> nn.Module:
    return classifier("resnet10t")


@pytest.fixture
def weights(donor: nn.Module) -> dict[str, Tensor]:
    """The donor's weights by timm's names; tests take some away or change them."""
    return dict(donor.state_dict())


def build(name: str, source: str = "none", norm_eps: float | None = None) -> nn.Module:
    return build_encoder(EncoderSettings(name=name, weights=source, norm_eps=norm_eps))


# Features.


@pytest.mark.parametrize(
    "name, channels",
    [
        ("densenet121", (64, 64, 128, 256, 1024)),
        ("densenet169", (64, 64, 128, 256, 1664)),
        ("legacy_xception", (64, 128, 256, 728, 2048)),
        ("resnet10t", (64, 64, 128, 256, 512)),
        ("mobilenetv3_small_050", (16, 8, 16, 24, 288)),
    ],
)
@torch.no_grad()
def test_a_pyramid_is_what_the_encoder_says(name: str, channels: tuple[int, ...]) -> None:
    encoder = build_encoder(EncoderSettings(name=name))
    assert encoder.training
    assert encoder.channels == channels
    assert encoder.strides == (2, 4, 8, 16, 32)
    features = encoder.eval()(torch.rand(2, 3, 65, 96))
    assert [level.shape[:2] for level in features] == [(2, width) for width in channels]
    for level, stride in zip(features, encoder.strides, strict=True):
        # Unpadded stems (Xception's) lose up to three pixels.
        assert abs(level.shape[-2] - 65 / stride) <= 4 and abs(level.shape[-1] - 96 / stride) <= 4
        assert level.isfinite().all()


@torch.no_grad()
def test_densenets_skips_are_densedepths() -> None:
    # The stem after its rectifier, three blocks after their transition's pooling, the last norm.
    network = cast(nn.Sequential, classifier("densenet121").get_submodule("features"))
    encoder = DenseNetEncoder("densenet121").eval()
    encoder.features.load_state_dict(network.state_dict())
    image = torch.rand(1, 3, 64, 96)
    ends = ["norm0", "pool0", "transition1", "transition2", "norm5"]
    names = [name for name, _ in network.named_children()]
    expected = [network[: names.index(end) + 1](image) for end in ends]
    for level, wanted in zip(encoder(image), expected, strict=True):
        assert torch.equal(level, wanted)
    assert encoder(image)[0].min() == 0


# Weights from a file.


@pytest.mark.parametrize("name", ["resnet10t", "densenet121", "legacy_xception"])
@torch.no_grad()
def test_a_classifiers_file_makes_the_same_features(name: str, tmp_path: Path) -> None:
    network = classifier(name)
    encoder = build(name, save(tmp_path / "weights.safetensors", network.state_dict())).eval()
    image = torch.rand(1, 3, 64, 96)
    torch.testing.assert_close(encoder(image)[-1], network.forward_features(image))  # type: ignore[operator]


@torch.no_grad()
def test_without_weights_the_seed_decides() -> None:
    image = torch.rand(1, 3, 64, 64)
    answers = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        answers.append(build("resnet10t").eval()(image)[-1])
    assert torch.equal(answers[0], answers[1])
    assert not torch.equal(answers[0], answers[2])


@torch.no_grad()
def test_a_feature_networks_own_file_fits_too(tmp_path: Path) -> None:
    features = timm.create_model("resnet10t", features_only=True).eval()
    encoder = build("resnet10t", save(tmp_path / "features.safetensors", features.state_dict())).eval()
    image = torch.rand(1, 3, 64, 64)
    assert torch.equal(encoder(image)[-1], features(image)[-1])


def test_weights_of_half_precision_become_float32(tmp_path: Path, weights: dict[str, Tensor]) -> None:
    half = {key: value.half() if value.ndim >= 2 else value for key, value in weights.items()}
    encoder = build("resnet10t", save(tmp_path / "half.safetensors", half))
    assert {value.dtype for value in encoder.parameters()} == {torch.float32}
    assert torch.equal(encoder.get_parameter("body.conv1.0.weight"), half["conv1.0.weight"].float())


def test_what_is_not_used_is_said_and_no_harm(
    tmp_path: Path, weights: dict[str, Tensor], caplog: pytest.LogCaptureFixture
) -> None:
    source = save(tmp_path / "more.safetensors", {**weights, "unheard_of": torch.zeros(2)})
    with caplog.at_level("INFO"):
        build("resnet10t", source)
    assert "not used by the encoder" in caplog.text
    assert "fc.weight" in caplog.text and "fc.bias" in caplog.text and "unheard_of" in caplog.text
    assert "conv1" not in caplog.text


def test_batch_counts_may_be_missing(tmp_path: Path, weights: dict[str, Tensor]) -> None:
    counted = {key: value for key, value in weights.items() if not key.endswith("num_batches_tracked")}
    assert len(counted) < len(weights)
    build("resnet10t", save(tmp_path / "counts.safetensors", counted))


@pytest.mark.parametrize("key", ["conv1.0.weight", "layer4.0.bn2.running_var", "layer2.0.bn1.bias"])
def test_one_weight_missing_is_refused(tmp_path: Path, weights: dict[str, Tensor], key: str) -> None:
    del weights[key]
    source = save(tmp_path / "lacking.safetensors", weights)
    with pytest.raises(
        LeadlineError, match=r"lacking.safetensors does not fit the encoder: 1 weights would stay"
    ) as caught:
        build("resnet10t", source)
    assert key.rsplit(".", 1)[0] in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_weight_of_another_shape_is_refused(tmp_path: Path, weights: dict[str, Tensor]) -> None:
    weights["layer1.0.conv1.weight"] = weights["layer1.0.conv1.weight"][:, :-1]
    with pytest.raises(
        LeadlineError, match=r"1 weights would stay random.*layer1.0.conv1.weight \(shape \(64, 63, 3, 3\)\)"
    ):
        build("resnet10t", save(tmp_path / "narrow.safetensors", weights))


def test_another_networks_file_is_refused(tmp_path: Path) -> None:
    source = save(tmp_path / "mobile.safetensors", classifier("mobilenetv3_small_050").state_dict())
    with pytest.raises(
        LeadlineError, match=r"mobile.safetensors does not fit the encoder: \d+ weights would stay random"
    ) as caught:
        build("resnet10t", source)
    assert "body.conv1.0.weight" in str(caught.value), "names what is lacking"
    assert "not used: " in str(caught.value) and "not used: none" not in str(caught.value)


@pytest.mark.parametrize("is_folder", [False, True], ids=["missing", "folder"])
def test_no_file_is_said_in_one_line(tmp_path: Path, is_folder: bool) -> None:
    path = tmp_path / "nowhere.safetensors"
    if is_folder:
        path.mkdir()
    with pytest.raises(
        LeadlineError, match=r"no weights at .*nowhere\.safetensors; give a \.safetensors file, a timm name"
    ):
        build("resnet10t", str(path))


@pytest.mark.parametrize("keep", [0, 5, 1000, -1], ids=["empty", "size cut", "header cut", "last byte"])
def test_a_broken_file_is_refused(tmp_path: Path, weights: dict[str, Tensor], keep: int) -> None:
    path = Path(save(tmp_path / "broken.safetensors", weights))
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(LeadlineError, match=r"broken\.safetensors is not a whole \.safetensors file: "):
        build("resnet10t", str(path))


def test_a_pickle_is_refused_whatever_its_name(tmp_path: Path, weights: dict[str, Tensor]) -> None:
    torch.save(weights, tmp_path / "weights.pth")
    with pytest.raises(LeadlineError, match=r"weights\.pth is not a whole \.safetensors file"):
        build("resnet10t", str(tmp_path / "weights.pth"))


# Names, and the hub.


@pytest.mark.parametrize("name, near", [("densnet121", "densenet121"), ("legacy_xcepton", "legacy_xception")])
def test_an_unknown_encoder_is_answered_with_the_nearest(name: str, near: str) -> None:
    with pytest.raises(LeadlineError, match=f"unknown encoder '{name}': did you mean '{near}'"):
        build(name)


def test_an_encoder_like_no_other_is_answered_in_one_readable_line() -> None:
    with pytest.raises(LeadlineError, match="unknown encoder 'qqqqqq'") as caught:
        build("qqqqqq")
    assert len(str(caught.value)) < 1000, "timm has 1,200 networks: no list of them"


def test_an_unknown_name_of_weights_is_answered_with_the_nearest() -> None:
    with pytest.raises(LeadlineError, match="did you mean 'resnet10t'"):
        build("resnet10t", "resnet10tt")


def test_a_tag_that_timm_does_not_know_is_named() -> None:
    with pytest.raises(LeadlineError, match=r"timm cannot make 'resnet10t\.nonsense': Invalid pretrained tag"):
        build("resnet10t", "resnet10t.nonsense")


Create = Callable[..., nn.Module]


def from_hub(monkeypatch: pytest.MonkeyPatch, answer: Callable[[], nn.Module]) -> None:
    """Stand in for the hub: networks without pretrained weights are timm's own."""
    create: Create = timm.create_model

    def stand_in(name: str, **kwargs: Any) -> nn.Module:
        return answer() if kwargs.pop("pretrained", False) else create(name, **kwargs)

    monkeypatch.setattr(timm, "create_model", stand_in)


@pytest.mark.parametrize(
    "error",
    [
        hub_errors.LocalEntryNotFoundError("An error happened.\nPlease check your connection."),
        hub_errors.OfflineModeIsEnabled("Cannot reach the hub: offline mode is enabled."),
        ConnectionError(),
        RuntimeError("No pretrained weights exist for this model. Use `pretrained=False`."),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_hub_out_of_reach_is_one_line_with_a_remedy(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def fail() -> nn.Module:
        raise error

    from_hub(monkeypatch, fail)
    with pytest.raises(
        LeadlineError, match=r"timm cannot make 'resnet10t\.c3_in1k': .+; without a network give"
    ) as caught:
        build("resnet10t", "resnet10t.c3_in1k")
    reason = str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


@torch.no_grad()
def test_weights_by_name_come_through_the_same_path(monkeypatch: pytest.MonkeyPatch, donor: nn.Module) -> None:
    from_hub(monkeypatch, lambda: donor)
    encoder = build("resnet10t", "resnet10t.c3_in1k").eval()
    image = torch.rand(1, 3, 64, 64)
    torch.testing.assert_close(encoder(image)[-1], donor.forward_features(image))  # type: ignore[operator]


def test_where_weights_come_from_does_not_change_what_is_random(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, weights: dict[str, Tensor]
) -> None:
    def answer() -> nn.Module:
        network: nn.Module = create("resnet10t")
        return network

    create = timm.create_model
    source = save(tmp_path / "weights.safetensors", weights)
    from_hub(monkeypatch, answer)
    after = []
    for where in ("none", source, "resnet10t.c3_in1k"):
        torch.manual_seed(0)
        build("resnet10t", where)
        after.append(torch.rand(1).item())
    assert len(set(after)) == 1


# Batch norms, normalisation.


@pytest.mark.parametrize("name", ["densenet121", "legacy_xception", "resnet10t"])
@pytest.mark.parametrize("norm_eps, expected", [(0.02, 0.02), (None, 1e-5)])
def test_epsilon_reaches_every_batch_norm(name: str, norm_eps: float | None, expected: float) -> None:
    norms = [module for module in build(name, norm_eps=norm_eps).modules() if isinstance(module, nn.BatchNorm2d)]
    assert len(norms) >= 10
    assert {norm.eps for norm in norms} == {expected}


def test_the_xception_has_keras_epsilon() -> None:
    assert MODELS["xception"].encoder.norm_eps == 1e-3


@pytest.mark.parametrize(
    "name, mean, std",
    [
        ("densenet121", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        ("legacy_xception", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    ],
)
def test_normalisation(name: str, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
    assert normalisation(name) == (mean, std)


# The real weights.


def pretrained(model: str) -> nn.Module:
    settings = MODELS[model].encoder.model_copy(update={"weights": str(SHARED / "weights" / IMAGENET[model])})
    return build_encoder(settings).eval()


@needs_weights
@pytest.mark.parametrize("model", IMAGENET)
def test_no_weight_is_left_random(model: str) -> None:
    stored = load_file(SHARED / "weights" / IMAGENET[model])
    encoder = pretrained(model)
    loaded = {
        key.replace("body.", ""): value
        for key, value in encoder.state_dict().items()
        if not key.endswith("num_batches_tracked")
    }
    assert loaded.keys() == {key for key in stored if not key.endswith("num_batches_tracked")}
    different = [key for key, value in loaded.items() if not torch.equal(value, stored[key].float())]
    assert different == []


@needs_weights
@pytest.mark.parametrize("model, eps", [("densenet", 1e-5), ("xception", 1e-3)])
def test_epsilon_of_the_real_encoders(model: str, eps: float) -> None:
    assert {module.eps for module in pretrained(model).modules() if isinstance(module, nn.BatchNorm2d)} == {eps}


@needs_weights
def test_the_real_files_are_not_taken_for_each_other() -> None:
    source = str(SHARED / "weights" / IMAGENET["xception"])
    with pytest.raises(LeadlineError, match=r"does not fit the encoder: \d+ weights would stay random"):
        build("densenet121", source)


def rooms(num_rooms: int) -> Tensor:
    """Two pictures of each of several rooms, (2 N, 3, 240, 320), those of one room together."""
    with (NYU / "index.csv").open(newline="") as file:
        rows = sorted(csv.DictReader(file), key=lambda row: row["scene"])
    scenes = [list(group) for _, group in itertools.groupby(rows, key=lambda row: row["scene"])]
    chosen = [scene[:2] for scene in scenes if len(scene) >= 6][:: len(scenes) // (20 * num_rooms)][:num_rooms]
    images = [image_tensor(read_image(NYU / row["rgb"]).rgb) for scene in chosen for row in scene]
    return torch.cat([resize(image[None], 240, 320) for image in images])


@needs_weights
@pytest.mark.skipif(not NYU.is_dir(), reason="needs the labelled pictures of NYU Depth V2 in ../shared")
@pytest.mark.parametrize("model", IMAGENET)
@torch.no_grad()
def test_pictures_of_one_room_look_alike(model: str) -> None:
    mean, std = (torch.tensor(value).view(1, 3, 1, 1) for value in normalisation(MODELS[model].encoder.name))
    pooled = nn.functional.normalize(pretrained(model)((rooms(3) - mean) / std)[-1].mean((-2, -1)), dim=1)
    likeness = pooled @ pooled.T
    room = torch.arange(6) // 2
    same = (room[:, None] == room) & ~torch.eye(6, dtype=torch.bool)
    nearest = likeness.fill_diagonal_(-1).argmax(1)
    assert (nearest // 2).tolist() == room.tolist()
    # Random weights take all rooms for the same: 0.99 and 0.98.
    assert likeness[same].mean() - likeness[room[:, None] != room].mean() > 0.1


# Plain vision transformers.

VIT = "vit_tiny_patch16_224"


@pytest.fixture(scope="module")
def vit_donor() -> nn.Module:
    return classifier(VIT)


def test_a_vits_levels_are_timms_own_normalised_features(vit_donor: Any, tmp_path: Path) -> None:
    encoder = build(VIT, save(tmp_path / "vit.safetensors", vit_donor.state_dict())).eval()
    image = torch.rand(2, 3, 224, 224)
    expected = vit_donor.get_intermediate_layers(image, n=[2, 5, 8, 11], reshape=True, norm=True)
    for level, reference in zip(encoder(image), expected, strict=True):
        assert level.shape == (2, 192, 14, 14)
        torch.testing.assert_close(level, reference, rtol=1e-4, atol=1e-4)


def test_the_first_blocks_of_a_vit_are_the_whole_ones_first_blocks(vit_donor: Any, tmp_path: Path) -> None:
    source = save(tmp_path / "vit.safetensors", vit_donor.state_dict())
    encoder = build_encoder(EncoderSettings(name=VIT, weights=source, num_blocks=4)).eval()
    image = torch.rand(1, 3, 224, 224)
    expected = vit_donor.get_intermediate_layers(image, n=[0, 1, 2, 3], reshape=True, norm=True)
    for level, reference in zip(encoder(image), expected, strict=True):
        torch.testing.assert_close(level, reference, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("size", "grid"), [((48, 64), (3, 4)), ((41, 71), (3, 4)), ((5, 200), (1, 12))])
def test_a_vit_takes_any_size_and_its_patches_cover_the_whole_picture(
    size: tuple[int, int], grid: tuple[int, int]
) -> None:
    encoder = build_encoder(EncoderSettings(name=VIT, num_blocks=4)).eval()
    assert isinstance(encoder, ViTEncoder)
    assert encoder.strides == (16,) * 4
    assert encoder.channels == (192,) * 4
    image = torch.rand(1, 3, *size)
    assert [level.shape[-2:] for level in encoder(image)] == [grid] * 4
    corner = image.clone()
    corner[..., -1, -1] += 1
    assert not torch.equal(encoder(image)[0][..., -1, -1], encoder(corner)[0][..., -1, -1])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"name": VIT, "num_blocks": 13}, "has 12 blocks, wanted 13"),
        ({"name": "resnet10t", "num_blocks": 4}, "num_blocks is for plain ViTs, got 'resnet10t'"),
        ({"name": "vit_relpos_small_patch16_224"}, "is no plain vision transformer"),
    ],
)
def test_what_no_vit_can_do_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(LeadlineError, match=message):
        build_encoder(EncoderSettings(**settings))
