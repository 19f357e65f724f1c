import json
import logging
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor

from leadline.backends.calibrated import save_calibrated
from leadline.backends.hf import HfBackend, open_hf
from leadline.backends.table import open_backend
from leadline.errors import LeadlineError
from leadline.geometry.camera import Camera, CameraSource
from leadline.geometry.depth import Output
from leadline.models.device import pick_device

transformers = pytest.importorskip("transformers", reason="needs the extra hf")

FAMILIES = ("depth_anything", "depth_pro", "dpt", "glpn", "zoedepth")


def vit(image_size: int, patch_size: int, **more: Any) -> dict[str, Any]:
    """A vision transformer of four layers, eight wide."""
    return {
        "hidden_size": 8, "num_hidden_layers": 4, "num_attention_heads": 2, "intermediate_size": 16, "mlp_ratio": 2,
        "image_size": image_size, "patch_size": patch_size, **more,
    }  # fmt: skip


def dino(patch_size: int = 7) -> Any:
    size = vit(4 * patch_size, patch_size, out_indices=[1, 2, 3, 4], reshape_hidden_states=False)
    return transformers.Dinov2Config(**size)


FUSION: dict[str, Any] = {"neck_hidden_sizes": [8, 8, 8, 8], "fusion_hidden_size": 8}


def depth_anything(**more: Any) -> tuple[Any, Any]:
    config = transformers.DepthAnythingConfig(
        backbone_config=dino(), patch_size=7, reassemble_hidden_size=8, head_hidden_size=4, **FUSION, **more
    )
    processor = transformers.DPTImageProcessor(
        size={"height": 28, "width": 28}, keep_aspect_ratio=True, ensure_multiple_of=7
    )
    return transformers.DepthAnythingForDepthEstimation(config), processor


def depth_pro(**more: Any) -> tuple[Any, Any]:
    parts = {f"{part}_model_config": transformers.Dinov2Config(**vit(16, 4)) for part in ("image", "patch", "fov")}
    config = transformers.DepthProConfig(
        patch_size=16,
        fusion_hidden_size=8,
        intermediate_hook_ids=[1, 0],
        intermediate_feature_dims=[8, 8],
        scaled_images_feature_dims=[8, 8, 8],
        merge_padding_value=1,
        num_fov_head_layers=0,
        **{"use_fov_model": True, **parts, **more},
    )
    model = transformers.DepthProForDepthEstimation(config)
    return model, transformers.DepthProImageProcessor(size={"height": 64, "width": 64})


def dpt(**more: Any) -> tuple[Any, Any]:
    config = transformers.DPTConfig(**vit(32, 8), backbone_out_indices=[0, 1, 2, 3], **FUSION, **more)
    return transformers.DPTForDepthEstimation(config), transformers.DPTImageProcessor(size={"height": 32, "width": 32})


def glpn() -> tuple[Any, Any]:
    config = transformers.GLPNConfig(
        hidden_sizes=[4, 4, 8, 8], depths=[1] * 4, num_attention_heads=[1, 1, 2, 2], decoder_hidden_size=8
    )
    return transformers.GLPNForDepthEstimation(config), transformers.GLPNImageProcessor()


def zoedepth() -> tuple[Any, Any]:
    """With two heads, as the model of NYU and KITTI has."""
    size = vit(32, 8, out_indices=[1, 2, 3, 4], reshape_hidden_states=False)
    bins = [
        {"name": name, "n_bins": 8, "min_depth": 0.001, "max_depth": far} for name, far in (("nyu", 10), ("kitti", 80))
    ]
    config = transformers.ZoeDepthConfig(
        backbone_config=transformers.BeitConfig(**size),
        backbone_hidden_size=8,
        bottleneck_features=8,
        num_relative_features=8,
        bin_embedding_dim=8,
        num_attractors=[4, 2, 2, 1],
        bin_configurations=bins,
        num_patch_transformer_layers=4,
        patch_transformer_hidden_size=128,  # what its classifier takes, whatever the configuration says
        patch_transformer_intermediate_size=16,
        patch_transformer_num_attention_heads=2,
        **FUSION,
    )
    processor = transformers.ZoeDepthImageProcessor(size={"height": 32, "width": 32}, ensure_multiple_of=8)
    return transformers.ZoeDepthForDepthEstimation(config), processor


MAKERS: dict[str, Callable[..., tuple[Any, Any]]] = {
    "depth_anything": depth_anything, "depth_pro": depth_pro, "dpt": dpt, "glpn": glpn, "zoedepth": zoedepth,
}  # fmt: skip


def save(folder: Path, family: str, **more: Any) -> Path:
    """A model of a family with random weights, large enough that its answers vary over the picture."""
    torch.manual_seed(0)
    model, processor = MAKERS[family](**more)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.normal_(std=parameter[0].numel() ** -0.5)
        if family == "depth_pro":  # an inverse depth and an angle that mean something
            model.head.layers[-2].bias.fill_(0.1)
            if model.fov_model is not None:
                model.fov_model.head.layers[-1].bias.fill_(60.0)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {family: save(tmp_path_factory.mktemp("hf") / family, family) for family in FAMILIES}


def pictures(count: int = 3, height: int = 45, width: int = 61) -> Tensor:
    """Bytes, (count, 3, height, width)."""
    return torch.randint(0, 256, (count, 3, height, width), generator=torch.manual_seed(1), dtype=torch.uint8)


def estimated(backend: HfBackend, images: Tensor, focal_px: float | None = None) -> Tensor:
    """Values (B, 1, H, W) of bytes (B, 3, H, W), all of one focal length or of none."""
    height, width = images.shape[-2:]
    camera = None if focal_px is None else Camera.from_focal_px(focal_px, width, height)
    estimate = backend.estimate(list(images.permute(0, 2, 3, 1).numpy()), [camera] * len(images))
    assert estimate.values.dtype == np.float32 and estimate.relative_error is None
    return torch.from_numpy(estimate.values)[:, None]


def by_transformers(folder: Path, images: Tensor) -> Tensor:
    """What the library's own pipeline answers, one picture at a time."""
    pipeline = transformers.pipeline("depth-estimation", model=str(folder), device=pick_device())
    files = [Image.fromarray(image.permute(1, 2, 0).numpy()) for image in images]
    return torch.stack([pipeline(file)["predicted_depth"].cpu()[None] for file in files])


@pytest.mark.parametrize("family", FAMILIES)
def test_the_answer_is_that_of_the_library_s_own_pipeline(folders: dict[str, Path], family: str) -> None:
    images = pictures()
    values = estimated(open_hf(str(folders[family])), images)
    expected = by_transformers(folders[family], images)
    assert expected.std() > 1e-3  # else the comparison says nothing
    torch.testing.assert_close(values, expected, rtol=1e-5, atol=1e-5)


def test_floats_of_bytes_are_the_same_image(folders: dict[str, Path]) -> None:
    backend, image = open_hf(str(folders["glpn"])), pictures(1)[0].permute(1, 2, 0).numpy()
    floats = image.astype(np.float32) / np.float32(255)
    first, second = (backend.estimate([each], [None]).values for each in (image, floats))
    np.testing.assert_array_equal(first, second)


def test_the_pictures_of_a_batch_do_not_vote_on_zoedepth_s_head(folders: dict[str, Path]) -> None:
    backend = open_hf(str(folders["zoedepth"]))
    images = pictures() // torch.tensor([1, 2, 4], dtype=torch.uint8).view(3, 1, 1, 1)
    model, processor = backend.model, backend._processor
    inputs = processor(images=list(images), return_tensors="pt").to(model.device)
    with torch.no_grad():
        leads = model(**inputs).domain_logits.diff(dim=1)[:, 0]
        # Now one picture chooses the first head, and together they choose the second.
        model.metric_head.mlp_classifier.linear2.bias[0] += leads.sort().values[:2].mean()
        logits = model(**inputs).domain_logits
        assert (logits.argmax(1) == 0).sum() == 1 and logits.sum(0).argmax() == 1
        outvoted = int(logits.argmax(1).argmin())
    answers = estimated(backend, images)
    alone = estimated(backend, images[outvoted : outvoted + 1])
    assert torch.equal(answers[outvoted : outvoted + 1], alone)


@pytest.mark.parametrize("family", [family for family in FAMILIES if family != "zoedepth"])  # its pictures vote
def test_the_steps_answer_a_batch_as_one_by_one(folders: dict[str, Path], family: str) -> None:
    backend = open_hf(str(folders[family]))
    images, focal_px = pictures(2) / 255, torch.tensor([torch.nan, 50.0])  # Depth Pro guesses the first
    with torch.inference_mode():
        together = backend.finish(backend.infer(backend.prepare(images)), focal_px, 45, 61)
    one_by_one = [
        estimated(backend, pictures(2)[:1]),
        estimated(backend, pictures(2)[1:], 50.0),
    ]
    torch.testing.assert_close(together, torch.cat(one_by_one), rtol=1e-4, atol=1e-5)


def test_a_folder_of_transformers_is_known_without_a_prefix(folders: dict[str, Path]) -> None:
    backend = open_backend(folders["depth_anything"])
    assert (backend.name, backend.output) == (f"hf:{folders['depth_anything']}", Output.DISPARITY)
    assert (backend.working_size, backend.assumed_camera(45, 61)) == (None, None)


def test_disparity_becomes_metres_by_a_calibration(folders: dict[str, Path], tmp_path: Path) -> None:
    model = folders["depth_anything"]
    image = pictures(1)[0].permute(1, 2, 0).numpy()
    disparity = open_backend(model).estimate([image], [None]).values
    shift = 0.5 - float(disparity.min())  # the smallest becomes 0.5 per metre
    save_calibrated(tmp_path / "mine", model, Output.DISPARITY, 1.0, shift, {}, "")
    metres = open_backend(tmp_path / "mine").estimate([image], [None]).values
    np.testing.assert_allclose(metres, 1 / (disparity + np.float32(shift)), rtol=1e-5)
    assert metres.max() == pytest.approx(2.0)


def test_the_configuration_tells_metres_from_disparity(folders: dict[str, Path], tmp_path: Path) -> None:
    metric = save(tmp_path / "metric", "depth_anything", depth_estimation_type="metric", max_depth=20)
    told = {family: open_hf(str(folder)).output for family, folder in folders.items()}
    assert told == {
        "depth_anything": Output.DISPARITY,
        "depth_pro": Output.METRES,
        "dpt": Output.DISPARITY,
        "glpn": Output.METRES,
        "zoedepth": Output.METRES,
    }
    assert open_hf(str(metric)).output is Output.METRES


def test_a_dpt_model_is_taken_for_disparity_and_that_is_said(
    folders: dict[str, Path], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        open_hf(str(folders["dpt"]))
    assert "a DPT model does not say; taken for disparity" in caplog.text


def test_a_dpt_on_dinov2_must_be_told_what_its_values_mean(tmp_path: Path) -> None:
    folder = save(tmp_path / "dpt-dinov2", "dpt", backbone_config=dino(8))
    with pytest.raises(
        LeadlineError, match=r"does not tell what its values mean: add one of #metres, #depth, #disparity"
    ):
        open_hf(str(folder))
    backend = open_hf(f"{folder}#metres")
    assert backend.output is Output.METRES
    assert backend.name == f"hf:{folder}#metres"
    assert estimated(backend, pictures(1)).shape == (1, 1, 45, 61)


def test_what_is_said_after_the_name_wins_and_must_be_known(folders: dict[str, Path]) -> None:
    assert open_hf(f"{folders['glpn']}#depth").output is Output.DEPTH
    with pytest.raises(LeadlineError, match="unknown output '#meters': did you mean '#metres'"):
        open_hf(f"{folders['glpn']}#meters")


def test_a_folder_may_have_a_hash_in_its_name(tmp_path: Path) -> None:
    assert open_hf(str(save(tmp_path / "try#2", "glpn"))).output is Output.METRES


def test_depth_pro_takes_the_known_focal_length_instead_of_its_guess(folders: dict[str, Path]) -> None:
    backend = open_hf(str(folders["depth_pro"]))
    images = pictures(1)
    near, far = (estimated(backend, images, focal) for focal in (30.5, 61.0))
    # Its canonical inverse depth is divided by the focal length, before it is capped at 1e-4 and 1e4 per metre.
    inside = (near > 2e-4) & (far < 5e3)
    assert inside.float().mean() > 0.3
    torch.testing.assert_close(far[inside], 2 * near[inside], rtol=1e-4, atol=0)
    guessed = estimated(backend, images)
    assert not torch.allclose(guessed, near, rtol=0.01)
    (image,) = images.permute(0, 2, 3, 1).numpy()
    assumed = backend.estimate([image], [Camera.from_focal_px(30.5, 61, 45, CameraSource.ASSUMED)]).values
    assert torch.equal(torch.from_numpy(assumed)[:, None], guessed)


def test_depth_pro_without_field_of_view_asks_for_the_focal_length(tmp_path: Path) -> None:
    backend = open_hf(str(save(tmp_path / "no-fov", "depth_pro", use_fov_model=False)))
    with pytest.raises(LeadlineError, match="predicts no field of view, so it needs images of a known focal length"):
        estimated(backend, pictures(1))
    assert estimated(backend, pictures(1), 50.0).isfinite().all()


def test_a_processor_without_a_rule_of_its_own_gets_bilinear_resizing(tmp_path: Path) -> None:
    folder = save(tmp_path / "vit", "depth_anything")
    transformers.ViTImageProcessor(size={"height": 28, "width": 35}).save_pretrained(folder)
    images = pictures(1)
    answer = estimated(open_hf(str(folder)), images)
    model = transformers.DepthAnythingForDepthEstimation.from_pretrained(folder)
    inputs = transformers.AutoImageProcessor.from_pretrained(folder)(images=[images[0]], return_tensors="pt")
    with torch.inference_mode():
        small = model(**inputs).predicted_depth
    assert small.shape == (1, 28, 35)
    expected = torch.nn.functional.interpolate(small[None], (45, 61), mode="bilinear", align_corners=False)
    torch.testing.assert_close(answer, expected, rtol=1e-5, atol=1e-5)


def drop(folder: Path, prefix: str) -> int:
    """Take the weights whose name begins so out of a saved model; how many there were."""
    file = folder / "model.safetensors"
    weights = load_file(file)
    kept = {name: tensor for name, tensor in weights.items() if not name.startswith(prefix)}
    save_file(kept, file, metadata={"format": "pt"})
    return len(weights) - len(kept)


def test_a_model_without_its_head_is_refused_not_filled_with_random_numbers(tmp_path: Path) -> None:
    folder = save(tmp_path / "headless", "dpt")
    assert drop(folder, "head.") == 6
    with pytest.raises(LeadlineError, match=r"lacks 6 of the weights of a depth model, such as head\.head\.0\.bias"):
        open_hf(str(folder))


def test_weights_of_another_size_are_refused_by_name(tmp_path: Path) -> None:
    folder = save(tmp_path / "mixed", "glpn")
    weights = load_file(folder / "model.safetensors")
    weights["head.head.0.bias"] = torch.zeros(3)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(LeadlineError, match=r"mixed': head\.head\.0\.bias is 3, wanted 8 by its config\.json"):
        open_hf(str(folder))


def test_a_model_without_its_processor_is_told_which_file_it_lacks(tmp_path: Path) -> None:
    folder = save(tmp_path / "alone", "glpn")
    (folder / "preprocessor_config.json").unlink()
    with pytest.raises(
        LeadlineError, match=r"cannot load .* a folder of .* \(config\.json, preprocessor_config\.json\)"
    ):
        open_hf(str(folder))


@pytest.mark.parametrize(
    ("family", "unused"),
    [
        ("dpt", "neck.fusion_stage.layers.0.residual_layer1."),
        ("dpt", "dpt.layernorm."),
        ("depth_anything", "backbone.embeddings.mask_token"),
        ("depth_pro", "fusion_stage.intermediate.0.residual_layer1."),
    ],
)
def test_weights_that_no_answer_uses_may_be_missing(tmp_path: Path, family: str, unused: str) -> None:
    folder = save(tmp_path / family, family)
    before = estimated(open_hf(str(folder)), pictures(1))
    assert drop(folder, unused) > 0
    assert torch.equal(estimated(open_hf(str(folder)), pictures(1)), before)


def test_pickled_weights_are_not_loaded(tmp_path: Path) -> None:
    folder = save(tmp_path / "pickled", "glpn")
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    with pytest.raises(LeadlineError, match=r"cannot load .* with safetensors weights$"):
        open_hf(str(folder))


def test_what_is_no_depth_model_is_one_line(tmp_path: Path) -> None:
    folder = tmp_path / "backbone"
    transformers.Dinov2Model(dino()).save_pretrained(folder)
    transformers.ViTImageProcessor().save_pretrained(folder)
    with pytest.raises(LeadlineError, match="Unrecognized configuration class") as mistake:
        open_hf(str(folder))
    assert "\n" not in str(mistake.value)


def test_code_from_the_hub_is_not_run(tmp_path: Path) -> None:
    folder = save(tmp_path / "code", "glpn")
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "my-own", "auto_map": {"AutoConfig": "mine.Config"}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "mine.py").write_text("raise SystemExit('ran')\n")
    with pytest.raises(LeadlineError, match="cannot load"):
        open_hf(str(folder))


def test_broken_weights_are_one_line(tmp_path: Path) -> None:
    folder = save(tmp_path / "cut", "glpn")
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(LeadlineError, match=r"cannot load .*cut'.*: wanted OWNER/NAME or a folder"):
        open_hf(str(folder))


def test_an_unknown_name_without_network_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(
        LeadlineError, match=r"cannot load 'nobody/nothing' from Hugging Face \(.+\): wanted"
    ) as mistake:
        open_hf("nobody/nothing")
    assert "\n" not in str(mistake.value)


def test_a_picture_too_small_for_the_model_is_one_line(folders: dict[str, Path]) -> None:
    backend = open_hf(str(folders["glpn"]))
    with pytest.raises(LeadlineError, match="fails on an image of 20×20"):
        estimated(backend, pictures(1, 20, 20))


def test_the_library_s_verbosity_is_left_as_it_was(folders: dict[str, Path]) -> None:
    before = transformers.utils.logging.get_verbosity()
    open_hf(str(folders["glpn"]))
    assert transformers.utils.logging.get_verbosity() == before


def test_without_the_package_its_name_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(LeadlineError, match=r'pip install "leadline\[hf\]"'):
        open_hf("nobody/nothing")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The hosts that were asked for, none of which answers."""
    hosts: list[str] = []

    def refuse(host: str, *more: Any, **others: Any) -> None:
        hosts.append(host)
        raise OSError("there is no network")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    return hosts


@pytest.mark.parametrize("more", [{}, {"use_timm_backbone": True}])
def test_a_folder_that_names_a_backbone_does_not_ask_for_it(
    more: dict[str, Any], tmp_path: Path, asked: list[str]
) -> None:
    import huggingface_hub

    folder = save(tmp_path / "named", "dpt")
    config = json.loads((folder / "config.json").read_text())
    config |= {"backbone_config": None, "backbone": "someone/backbone", "use_pretrained_backbone": True, **more}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(LeadlineError, match=r"cannot load .*named'"):
        open_hf(str(folder))
    assert not asked
    assert not huggingface_hub.constants.HF_HUB_OFFLINE


def test_a_calibration_does_not_fetch_the_model_that_it_names(tmp_path: Path, asked: list[str]) -> None:
    calibration = {"model": "hf:someone/depth", "space": "metres", "scale": 1.0}
    (tmp_path / "calibrated.json").write_text(json.dumps(calibration))
    with pytest.raises(LeadlineError, match=r"without the network: predict once with --model hf:someone/depth") as told:
        open_backend(tmp_path)
    assert "\n" not in str(told.value) and not asked
