import json
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from leadline._version import __version__
from leadline.errors import LeadlineError
from leadline.models import checkpoint
from leadline.models.build import build_model
from leadline.models.checkpoint import (
    load_checkpoint,
    load_model,
    open_model,
    save_checkpoint,
    save_record,
)
from leadline.models.checkpoint_files import read_config
from leadline.models.inference import optimize_for_inference
from leadline.models.model import DepthModel
from leadline.models.quantization import Precision
from leadline.models.rescaled import save_rescaled
from leadline.models.settings import DecoderSettings, EncoderSettings, HeadSettings, ModelSettings, PlainSettings

PLAIN = ModelSettings(
    network="unet",
    height=36,
    width=48,
    focal_px=40.0,
    plain=PlainSettings(width=4, levels=2),
    head=HeadSettings(kind="tanh", min_depth_m=0.7, max_depth_m=5.0),
)
ENCODED = ModelSettings(
    height=36,
    width=48,
    encoder=EncoderSettings(name="mobilenetv3_small_050", norm_eps=0.002),
    decoder=DecoderSettings(width=16, skips=False),
)
RECORD = {"recipe": "tiny", "data": "räume", "numbers": [1, 2.5, None]}


def build(settings: ModelSettings = PLAIN, seed: int = 0) -> DepthModel:
    """A model whose batch norms' statistics are not the initial ones."""
    torch.manual_seed(seed)
    model = build_model(settings)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d) and module.running_mean is not None and module.running_var is not None:
            nn.init.uniform_(module.running_mean, -0.1, 0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
            nn.init.constant_(module.num_batches_tracked, 17)  # type: ignore[arg-type]
    return model


def same_weights(one: nn.Module, other: nn.Module) -> bool:
    first, second = one.state_dict(), other.state_dict()
    return first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A good checkpoint of the plain model."""
    save_checkpoint(tmp_path / "good", build(), RECORD, "# Card\n")
    return tmp_path / "good"


def change_config(folder: Path, **changes: Any) -> None:
    """Change entries of a checkpoint's `config.json`."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(json.dumps({**config, **changes}), encoding="utf-8")


# Round trip.


@pytest.mark.parametrize("settings", [PLAIN, ENCODED], ids=["plain", "encoded"])
def test_a_model_comes_back(tmp_path: Path, settings: ModelSettings) -> None:
    model = build(settings)
    save_checkpoint(tmp_path / "runs" / "saved", model, RECORD, "# Card\n")
    loaded = load_checkpoint(tmp_path / "runs" / "saved")
    assert same_weights(model, loaded)
    assert [value.dtype for value in loaded.state_dict().values()] == [v.dtype for v in model.state_dict().values()]
    assert loaded.settings == settings
    assert not any(module.training for module in loaded.modules())
    assert loaded.head.conv.weight.is_contiguous(memory_format=torch.channels_last)


def test_saving_leaves_the_model_as_it_was(tmp_path: Path) -> None:
    model = build(seed=1)
    save_checkpoint(tmp_path / "saved", model, RECORD, "", precision="float16")
    assert model.training
    assert same_weights(model, build(seed=1))


def test_a_new_record_leaves_the_weights(folder: Path) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    record = {**RECORD, "tests": [{"protocol": "nyu-eigen"}]}
    save_record(folder, record, "# New\n")
    after = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert read_config(folder) == {**json.loads(before["config.json"]), "record": record}
    assert after["README.md"] == b"# New\n"
    assert after.keys() == before.keys() and after["model.safetensors"] == before["model.safetensors"]


def test_what_is_in_the_folder(folder: Path) -> None:
    assert {path.name for path in folder.iterdir()} == {"model.safetensors", "config.json", "README.md"}
    assert (folder / "README.md").read_text(encoding="utf-8") == "# Card\n"
    config = read_config(folder)
    assert config == {"format": 1, "leadline": __version__, "model": PLAIN.model_dump(), "record": RECORD}
    assert "räume" in (folder / "config.json").read_text(encoding="utf-8")


def test_half_precision_is_for_matrices_only(tmp_path: Path) -> None:
    model = build(ENCODED)
    precisions: tuple[Precision, ...] = ("float16", "float32")
    for precision in precisions:
        save_checkpoint(tmp_path / precision, model, RECORD, "", precision)
    stored, whole = (load_file(tmp_path / name / "model.safetensors") for name in precisions)
    assert stored.keys() == whole.keys() == model.state_dict().keys()
    for key, tensor in stored.items():
        floating, matrix = whole[key].is_floating_point(), whole[key].ndim >= 2
        assert tensor.dtype == (torch.int64 if not floating else torch.float16 if matrix else torch.float32), key
    sizes = [(tmp_path / name / "model.safetensors").stat().st_size for name in precisions]
    assert sizes[0] < 0.75 * sizes[1]
    loaded = load_checkpoint(tmp_path / "float16").state_dict()
    assert all(loaded[key].dtype == value.dtype for key, value in model.state_dict().items())
    assert all(torch.equal(loaded[key], value.to(stored[key].dtype).to(value.dtype)) for key, value in whole.items())


def test_an_int8_checkpoint_answers_nearly_the_same(tmp_path: Path) -> None:
    encoder = EncoderSettings(name="vit_tiny_patch16_224", num_blocks=4)
    model = build(ENCODED.model_copy(update={"encoder": encoder, "decoder": DecoderSettings(kind="dpt", width=16)}))
    save_checkpoint(tmp_path / "whole", model, RECORD, "")
    save_checkpoint(tmp_path / "int8", model, RECORD, "", "int8")
    sizes = [(tmp_path / name / "model.safetensors").stat().st_size for name in ("int8", "whole")]
    assert sizes[0] < 0.35 * sizes[1]
    image = torch.rand(1, 3, 72, 96)
    with torch.no_grad():
        whole_m, int8_m = (load_checkpoint(tmp_path / name)(image) for name in ("whole", "int8"))
    assert not torch.equal(whole_m, int8_m)
    torch.testing.assert_close(int8_m, whole_m, rtol=0.02, atol=0)


def test_weights_of_an_encoder_are_not_asked_for_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "encoder_weights.safetensors"
    save_file(
        {key.removeprefix("network.encoder."): value for key, value in build(ENCODED).state_dict().items()}, source
    )
    encoder = ENCODED.encoder.model_copy(update={"weights": str(source)})
    model = build_model(ENCODED.model_copy(update={"encoder": encoder}))
    save_checkpoint(tmp_path / "saved", model, RECORD, "")
    assert model.settings.encoder.weights == str(source), "the model itself still knows"
    assert read_config(tmp_path / "saved")["model"]["encoder"]["weights"] == "none"
    assert "encoder_weights" not in (tmp_path / "saved" / "config.json").read_text()
    source.unlink()
    monkeypatch.setattr("leadline.models.encoders.read_weights", lambda source: pytest.fail(f"asked for {source}"))
    assert same_weights(load_checkpoint(tmp_path / "saved"), model)


def test_a_load_does_not_depend_on_the_seed(folder: Path) -> None:
    torch.manual_seed(1)
    first = load_checkpoint(folder)
    torch.manual_seed(2)
    assert same_weights(first, load_checkpoint(folder))


# Replacing and interrupting.


def test_a_new_checkpoint_replaces_the_old_one_whole(folder: Path) -> None:
    (folder / "stale.txt").write_text("of the old one")
    save_checkpoint(folder, build(seed=5), {"epoch": 2}, "# New\n")
    assert same_weights(load_checkpoint(folder), build(seed=5))
    assert read_config(folder)["record"] == {"epoch": 2}
    assert not (folder / "stale.txt").exists()
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def half_written(weights: dict[str, torch.Tensor], path: Path) -> None:
    path.write_bytes(b"half of it")
    raise OSError("No space left on device")


def test_an_interrupted_save_leaves_the_old_checkpoint_whole(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    monkeypatch.setattr(checkpoint, "save_file", half_written)
    with pytest.raises(OSError, match="No space left"):
        save_checkpoint(folder, build(seed=5), {"epoch": 2}, "# New\n")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert same_weights(load_checkpoint(folder), build())
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_an_interrupted_first_save_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "save_file", half_written)
    with pytest.raises(OSError, match="No space left"):
        save_checkpoint(tmp_path / "new", build(), RECORD, "")
    assert list(tmp_path.iterdir()) == []


def test_a_record_that_is_no_json_leaves_the_old_checkpoint_whole(folder: Path) -> None:
    with pytest.raises(TypeError):
        save_checkpoint(folder, build(seed=5), {"path": object()}, "")
    assert same_weights(load_checkpoint(folder), build())


# Rescaling.


@pytest.mark.parametrize("kind", ["tanh", "log"])
def test_a_rescaled_copy_answers_scaled_metres(tmp_path: Path, kind: Any) -> None:
    head = HeadSettings(kind=kind, min_depth_m=0.7, max_depth_m=5.0)
    good, calibrated, twice = (tmp_path / name for name in ("good", "calibrated", "twice"))
    save_checkpoint(good, build(PLAIN.model_copy(update={"head": head})), RECORD, "# Card\n", "float16")
    save_rescaled(good, calibrated, 1.25, {"scale": 1.25}, "Calibrated.")
    image = torch.rand(1, 3, 36, 48, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        torch.testing.assert_close(load_checkpoint(calibrated)(image), 1.25 * load_checkpoint(good)(image))
    assert load_checkpoint(calibrated).settings.head == HeadSettings(kind=kind, min_depth_m=0.875, max_depth_m=6.25)
    assert (calibrated / "model.safetensors").read_bytes() == (good / "model.safetensors").read_bytes()
    assert read_config(calibrated)["record"] == {**RECORD, "calibrations": [{"scale": 1.25}]}
    assert (calibrated / "README.md").read_text() == "# Card\n\nCalibrated.\n"
    save_rescaled(calibrated, twice, 0.8, {"scale": 0.8}, "Again.")
    assert load_checkpoint(twice).settings.head.max_depth_m == pytest.approx(5.0)
    assert [it["scale"] for it in read_config(twice)["record"]["calibrations"]] == [1.25, 0.8]


# What is refused.


def test_a_missing_folder(tmp_path: Path) -> None:
    for read in (load_checkpoint, read_config):
        with pytest.raises(
            LeadlineError, match=r"no checkpoint at .*nowhere: wanted a folder with model\.safetensors and"
        ):
            read(tmp_path / "nowhere")


def test_a_file_in_place_of_a_folder(folder: Path) -> None:
    for read in (load_checkpoint, read_config):
        with pytest.raises(LeadlineError, match=r"no checkpoint at .*model\.safetensors: wanted a folder"):
            read(folder / "model.safetensors")


def test_a_missing_config(folder: Path) -> None:
    (folder / "config.json").unlink()
    with pytest.raises(LeadlineError, match=r"no checkpoint at .*good: wanted a folder"):
        load_checkpoint(folder)


def test_missing_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    with pytest.raises(
        LeadlineError, match=r"model\.safetensors is missing or cut short .*; copy the checkpoint again"
    ):
        load_checkpoint(folder)


@pytest.mark.parametrize("keep", [0, 5, 500, -1], ids=["empty", "size cut", "header cut", "last byte"])
def test_weights_cut_short(folder: Path, keep: int) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(
        LeadlineError, match=r"model\.safetensors is missing or cut short .*; copy the checkpoint again"
    ):
        load_checkpoint(folder)


class Trap:
    """Something that writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.path,))


def test_nothing_is_unpickled(folder: Path, tmp_path: Path) -> None:
    pickled = pickle.dumps(Trap(tmp_path / "sprung"))
    (folder / "model.safetensors").write_bytes(pickled)
    with pytest.raises(LeadlineError, match="is missing or cut short"):
        load_checkpoint(folder)
    assert not (tmp_path / "sprung").exists()
    pickle.loads(pickled)
    assert (tmp_path / "sprung").exists(), "the trap works"


@pytest.mark.parametrize("content", [b"", b'{"format": 1,', b"\xff\xfe\x00", b"not json"], ids=str)
def test_a_config_that_is_no_json(folder: Path, content: bytes) -> None:
    (folder / "config.json").write_bytes(content)
    with pytest.raises(LeadlineError, match=r"config\.json is not valid JSON: "):
        load_checkpoint(folder)


@pytest.mark.parametrize("content", ["[]", "1", "null", "{}", '{"format": 1}', '{"model": {}}'])
def test_a_config_of_something_else(folder: Path, content: str) -> None:
    (folder / "config.json").write_text(content)
    with pytest.raises(LeadlineError, match=r"config\.json is not a leadline checkpoint of format 1"):
        load_checkpoint(folder)


def test_a_checkpoint_of_another_format(folder: Path) -> None:
    change_config(folder, format=2)
    with pytest.raises(LeadlineError, match=r"config\.json is not a leadline checkpoint of format 1"):
        load_checkpoint(folder)


@pytest.mark.parametrize(
    "changes, said",
    [
        ({"attention": True}, "attention"),
        ({"height": 3}, "greater than or equal to 32"),
        ({"network": "transformer"}, "'cae', 'unet' or 'encoder-decoder'"),
        ({"head": {"min_depth_m": 9.0, "max_depth_m": 1.0}}, "min_depth_m must be less than max_depth_m"),
    ],
    ids=["unknown key", "too small", "unknown network", "ends swapped"],
)
def test_a_model_that_this_version_does_not_know(folder: Path, changes: dict[str, Any], said: str) -> None:
    change_config(folder, model={**PLAIN.model_dump(), **changes})
    with pytest.raises(LeadlineError, match=r"config\.json describes no model of this version: ") as caught:
        load_checkpoint(folder)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("model", [None, [], "unet"], ids=str)
def test_a_model_that_is_no_table(folder: Path, model: object) -> None:
    change_config(folder, model=model)
    with pytest.raises(LeadlineError, match="describes no model of this version"):
        load_checkpoint(folder)


@pytest.mark.parametrize(
    "other",
    [
        ENCODED,
        PLAIN.model_copy(update={"network": "cae"}),
        PLAIN.model_copy(update={"plain": PlainSettings(width=8, levels=2)}),
        PLAIN.model_copy(update={"plain": PlainSettings(width=4, levels=1)}),
    ],
    ids=["encoder-decoder", "cae", "wider", "shallower"],
)
def test_weights_of_another_model(folder: Path, other: ModelSettings) -> None:
    change_config(folder, model=other.model_dump())
    with pytest.raises(
        LeadlineError, match=r"model\.safetensors holds another model than config\.json says: \w+"
    ) as caught:
        load_checkpoint(folder)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300 + len(str(folder))


@pytest.mark.parametrize("key", ["head.conv.bias", "network.contract.0.0.1.running_var"])
def test_one_weight_too_few_or_too_many(folder: Path, key: str) -> None:
    weights = load_file(folder / "model.safetensors")
    save_file({**weights, "stranger": torch.zeros(1)}, folder / "model.safetensors")
    with pytest.raises(LeadlineError, match="holds another model .*stranger"):
        load_checkpoint(folder)
    save_file({name: value for name, value in weights.items() if name != key}, folder / "model.safetensors")
    with pytest.raises(LeadlineError, match=f"holds another model .*{key}"):
        load_checkpoint(folder)


# Opening.


def test_a_model_is_opened_as_what_is_quicker_to_predict_with(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "model", build(ENCODED), RECORD, "")
    quick = load_model(tmp_path / "model")
    optimize_for_inference(quick)
    opened = open_model(tmp_path / "model", torch.device("cpu"))
    assert not opened.training
    assert [value.dtype for value in opened.parameters()] == [value.dtype for value in quick.parameters()]
    assert same_weights(opened, quick)
