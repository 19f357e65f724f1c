import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from leadline.errors import LeadlineError
from leadline.models import checkpoint_files
from leadline.models.build import build_model
from leadline.models.checkpoint import load_model, save_checkpoint
from leadline.models.checkpoint_files import (
    ensure_checkpoint_overwritable,
    find_checkpoint,
    read_record,
    table_in,
)
from leadline.models.model import DepthModel
from leadline.models.settings import ModelSettings, PlainSettings

PLAIN = ModelSettings(network="unet", height=36, width=48, plain=PlainSettings(width=4, levels=2))
RECORD = {"recipe": "tiny"}


def build(seed: int = 0) -> DepthModel:
    torch.manual_seed(seed)
    return build_model(PLAIN)


def same_weights(one: nn.Module, other: nn.Module) -> bool:
    first, second = one.state_dict(), other.state_dict()
    return first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A good checkpoint of the plain model."""
    save_checkpoint(tmp_path / "good", build(), RECORD, "# Card\n")
    return tmp_path / "good"


def test_only_a_checkpoint_is_written_over(folder: Path, tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "other", build(), RECORD, "")
    (tmp_path / "empty").mkdir()
    for fine in ("new", "empty", "other"):
        ensure_checkpoint_overwritable(tmp_path / fine, folder)
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "config.json").write_text("{}")
    for wrong in (tmp_path / "photos", folder / "config.json"):
        with pytest.raises(
            LeadlineError, match="holds something else than a checkpoint: name a new or an empty folder"
        ):
            ensure_checkpoint_overwritable(wrong, folder)
    with pytest.raises(LeadlineError, match="good is the model itself, which is kept as it is"):
        ensure_checkpoint_overwritable(folder / ".." / "good", folder)
    (tmp_path / "other" / "net.onnx").write_bytes(b"onnx")
    with pytest.raises(LeadlineError, match="other holds 'net.onnx', which would be lost"):
        ensure_checkpoint_overwritable(tmp_path / "other", folder)


@pytest.fixture
def bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of bundled models: the default one, another, and one that is no checkpoint."""
    root = tmp_path / "bundled"
    for name in ("base", "fast-nyu"):
        save_checkpoint(root / name, build(), RECORD, "")
    (root / "empty-nyu").mkdir()
    monkeypatch.setattr(checkpoint_files, "BUNDLE", root)
    return root


def test_bundled_models_go_by_name(bundle: Path) -> None:
    assert checkpoint_files.bundled_models() == {name: bundle / name for name in ("base", "fast-nyu")}
    assert find_checkpoint("fast-nyu") == bundle / "fast-nyu"
    assert find_checkpoint("default") == bundle / "base"
    assert same_weights(load_model(), build())


def test_a_folder_goes_by_path(bundle: Path, folder: Path) -> None:
    assert find_checkpoint(folder) == find_checkpoint(str(folder)) == folder


def test_a_run_stands_for_its_best_epoch(tmp_path: Path) -> None:
    best = tmp_path / "run" / "checkpoints" / "best"
    save_checkpoint(best, build(seed=4), RECORD, "")
    assert find_checkpoint(tmp_path / "run") == best
    assert same_weights(load_model(tmp_path / "run"), build(seed=4))


def test_an_unknown_model_is_answered_with_the_nearest(bundle: Path) -> None:
    with pytest.raises(LeadlineError, match="unknown model 'bsae': did you mean 'base'"):
        find_checkpoint("bsae")


def test_predictions_made_elsewhere_are_for_scoring_only(bundle: Path) -> None:
    with pytest.raises(LeadlineError, match="files:mine are predictions .* only be scored: give them to evaluate"):
        find_checkpoint("files:mine")


def test_a_model_like_no_other_is_answered_with_the_list(bundle: Path) -> None:
    with pytest.raises(LeadlineError, match="unknown model 'qqqqqq': choose from default, base, fast-nyu"):
        load_model("qqqqqq")


def test_a_file_is_no_model(bundle: Path, folder: Path) -> None:
    with pytest.raises(LeadlineError, match=r"unknown model '.*model\.safetensors'"):
        find_checkpoint(folder / "model.safetensors")


def test_a_file_of_a_checkpoint_or_a_run_stands_for_its_folder(
    bundle: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    for file, meant in ((folder / "model.safetensors", str(folder)), (Path("model.safetensors"), ".")):
        with pytest.raises(LeadlineError, match=f"is a file, wanted a folder; did you mean {re.escape(repr(meant))}"):
            find_checkpoint(file)
    save_checkpoint(tmp_path / "run" / "checkpoints" / "best", build(), RECORD, "")
    (tmp_path / "run" / "checkpoints" / "last.ckpt").touch()
    with pytest.raises(LeadlineError, match=r"did you mean '.*/run'\?"):
        find_checkpoint(tmp_path / "run" / "checkpoints" / "last.ckpt")
    (tmp_path / "midas.pth").touch()
    with pytest.raises(LeadlineError, match=r"midas\.pth': it is a file, wanted a folder$"):
        find_checkpoint(tmp_path / "midas.pth")


def test_what_lies_beside_or_within_a_wrong_folder_is_offered(bundle: Path, tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "tried" / "cae" / "checkpoints" / "best", build(), RECORD, "")
    with pytest.raises(LeadlineError, match=r"no checkpoint at .*config\.json; did you mean '.*/tried/cae'\?"):
        load_model(tmp_path / "tried")
    with pytest.raises(LeadlineError, match=r"unknown model '.*/cea': .*; did you mean '.*/tried/cae'\?"):
        find_checkpoint(tmp_path / "tried" / "cea")


def test_a_folder_of_scores_is_told_from_a_model(tmp_path: Path) -> None:
    (tmp_path / "metrics.json").write_text("{}")
    with pytest.raises(
        LeadlineError, match=r"no checkpoint at .*; it holds scores, which compare takes: name the model"
    ):
        load_model(tmp_path)


def test_without_a_bundle_there_is_no_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint_files, "BUNDLE", tmp_path / "none")
    assert checkpoint_files.bundled_models() == {}
    with pytest.raises(LeadlineError, match="unknown model"):
        load_model()


def test_a_folder_that_is_no_checkpoint_is_said_when_it_is_loaded(tmp_path: Path) -> None:
    assert find_checkpoint(tmp_path) == tmp_path
    with pytest.raises(LeadlineError, match="no checkpoint at"):
        load_model(tmp_path)


def test_listing_models_needs_no_torch() -> None:
    code = (
        "import sys; from leadline.models import bundled_models, find_checkpoint, read_config; "
        "assert all(map(read_config, bundled_models().values())); find_checkpoint('default'); "
        "sys.exit('torch' in sys.modules or 'timm' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("record", [[], {"settings": []}, {"settings": {"model": {"encoder": "densenet121"}}}])
def test_a_record_that_is_no_table_tells_nothing(tmp_path: Path, record: object) -> None:
    save_checkpoint(tmp_path / "model", build(), {}, "")
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    (tmp_path / "model" / "config.json").write_text(json.dumps({**config, "record": record}))
    load_model(tmp_path / "model")
    assert table_in(read_record(tmp_path / "model"), "settings", "model", "encoder") == {}


@pytest.mark.parametrize(
    "encoder",
    [
        {"name": "hf-hub:some/body"},
        {"name": "hf_hub:some/body"},
        {"name": "local-dir:/some/body"},
        {"name": "hf-hub:timm/resnet10t.c3_in1k"},
        {"name": "resnet10t", "weights": "hf-hub:some/body"},
    ],
)
def test_opening_a_checkpoint_asks_nothing_of_the_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoder: dict[str, str]
) -> None:
    asked = []
    monkeypatch.setattr("socket.getaddrinfo", lambda *words, **_: asked.append(words))
    monkeypatch.setattr("socket.socket.connect", lambda *words: asked.append(words))
    save_checkpoint(tmp_path / "model", build(), {}, "")
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    config["model"] |= {"network": "encoder-decoder", "encoder": encoder}
    (tmp_path / "model" / "config.json").write_text(json.dumps(config))
    with pytest.raises(LeadlineError, match="unknown encoder 'body'|holds another model than config.json says"):
        load_model(tmp_path / "model")
    assert not asked
