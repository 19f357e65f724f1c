from copy import deepcopy
from typing import Any

import pytest
import timm
import torch
from timm.models import vision_transformer
from timm.models.vision_transformer import VisionTransformer

from leadline.models.vit_positions import RememberedPositions, cache_position_embeddings, cubic_weights


def body(**settings: Any) -> Any:
    """A random transformer of one block that takes any size."""
    torch.manual_seed(0)
    kind = {"num_classes": 0, "depth": 1, "embed_dim": 48, "num_heads": 3, "dynamic_img_size": True}
    made = timm.create_model("vit_tiny_patch16_224", **kind, **settings).eval()
    torch.nn.init.normal_(made.pos_embed)
    return made


@pytest.fixture
def resampled(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The sizes for which positions were resampled."""
    sizes, resample = [], vision_transformer.resample_abs_pos_embed

    def counted(positions: torch.Tensor, new_size: Any, **more: Any) -> torch.Tensor:
        sizes.append(tuple(new_size))
        return resample(positions, new_size=new_size, **more)

    monkeypatch.setattr(vision_transformer, "resample_abs_pos_embed", counted)
    return sizes


@pytest.mark.parametrize(
    "settings", [{}, {"reg_tokens": 4}, {"no_embed_class": True}, {"class_token": False, "global_pool": "avg"}]
)
def test_pictures_of_one_size_share_their_positions(resampled: list[Any], settings: dict[str, Any]) -> None:
    plain = body(**settings)
    quick = deepcopy(plain)
    cache_position_embeddings(quick)
    assert type(quick) is RememberedPositions
    for height, width in ((3, 4), (3, 4), (5, 2)):
        patches = torch.randn(2, height, width, 48).to(torch.bfloat16)
        with torch.no_grad():
            assert torch.equal(quick._pos_embed(patches), plain._pos_embed(patches))
    assert resampled == [(3, 4)] * 3 + [(5, 2)] * 2  # plain each time, quick once a size


@pytest.mark.parametrize(
    "settings", [{}, {"reg_tokens": 4}, {"no_embed_class": True}, {"class_token": False, "global_pool": "avg"}]
)
def test_what_is_exported_are_the_same_positions(settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    plain = body(**settings)
    exported = deepcopy(plain)
    cache_position_embeddings(exported)
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    for height, width in ((3, 4), (14, 14), (5, 20)):
        patches = torch.randn(2, height, width, 48)
        torch.testing.assert_close(exported._pos_embed(patches), plain._pos_embed(patches), rtol=1e-5, atol=1e-5)


def test_cubic_weights_are_those_of_keys() -> None:
    # Twice as many pixels: the sixth's centre is 1/4 from an old one's. Keys' curve with a = -1/2 has at 1/4, 3/4, 5/4
    # and 7/4 the values 111/128, 29/128, -9/128 and -3/128.
    weights = cubic_weights(6, 12)
    torch.testing.assert_close(weights[5] * 128, torch.tensor([0.0, -9.0, 111.0, 29.0, -3.0, 0.0]))
    torch.testing.assert_close(weights.sum(1), torch.ones(12))


def test_changed_weights_are_not_answered_with_old_positions() -> None:
    quick = body()
    cache_position_embeddings(quick)
    patches, answers = torch.randn(1, 3, 4, 48), []
    with torch.no_grad():
        answers.append(quick._pos_embed(patches))
        quick.pos_embed.add_(1)
        answers.append(quick._pos_embed(patches))
        quick.load_state_dict({name: value + 1 for name, value in quick.state_dict().items()})
        answers.append(quick._pos_embed(patches))
        quick.cls_token.add_(1)
        answers.append(quick._pos_embed(patches))
    assert not any(torch.equal(before, after) for before, after in zip(answers, answers[1:], strict=False))


def test_training_learns_the_positions() -> None:
    quick = body().train()
    cache_position_embeddings(quick)
    quick._pos_embed(torch.randn(1, 3, 4, 48)).sum().backward()
    assert quick.pos_embed.grad.abs().sum() > 0


def test_tensors_of_inference_mode_are_no_trouble() -> None:
    with torch.inference_mode():
        quick = body()
        cache_position_embeddings(quick)
        patches = torch.randn(1, 3, 4, 48)
        assert torch.equal(quick._pos_embed(patches), VisionTransformer._pos_embed(quick, patches))


def test_what_was_remembered_in_inference_mode_serves_outside() -> None:
    quick = body()
    cache_position_embeddings(quick)
    patches = torch.randn(1, 3, 4, 48)
    with torch.inference_mode():
        wanted = quick._pos_embed(patches)
    with torch.no_grad():
        assert torch.equal(quick._pos_embed(patches), wanted)


def test_another_kind_of_transformer_is_left_alone() -> None:
    class Other(VisionTransformer):
        pass

    made = body()
    made.__class__ = Other
    cache_position_embeddings(made)
    assert type(made) is Other
