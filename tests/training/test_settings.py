import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from leadline.errors import LeadlineError
from leadline.evaluation.metrics import METRICS
from leadline.io.toml import read_toml
from leadline.models.checkpoint import load_model
from leadline.models.checkpoint_files import find_checkpoint, read_config
from leadline.models.settings import NO_WEIGHTS
from leadline.training.losses import TERMS
from leadline.training.settings import (
    LossSettings,
    RunSettings,
    parse_settings,
    read_recipe,
    recipe_names,
    resolve_settings,
    resolve_stages,
    write_settings,
)

RECIPE = "report-densenet"


def leaves(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """(dotted name, value) of nested settings."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def undocumented(part: type[BaseModel], prefix: str = "") -> Iterator[str]:
    for name, info in part.model_fields.items():
        if isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel):
            yield from undocumented(info.annotation, f"{prefix}{name}.")
        elif not info.description:
            yield f"{prefix}{name}"


def write_recipe(folder: Path, text: str) -> str:
    path = folder / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def refusal(values: Mapping[str, Any]) -> str:
    with pytest.raises(LeadlineError) as caught:
        parse_settings(values, "here")
    text = str(caught.value)
    assert text.startswith("here: ") and "\n" not in text
    return text


# Recipes


def test_there_are_recipes() -> None:
    assert RECIPE in recipe_names()
    assert recipe_names() == sorted(recipe_names())


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_is_valid_and_says_what_it_means(name: str) -> None:
    values = read_recipe(name)
    own = values.pop("stages", [{}])
    for said, stage in zip(own, resolve_stages(name), strict=True):
        resolved, in_stage = dict(leaves(stage.model_dump())), dict(leaves(said))
        for key, value in {**dict(leaves(values)), **in_stage}.items():
            assert resolved[key] == value or (key == "model.encoder.weights" and said is not own[0]), key


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_can_be_trained_by(name: str) -> None:
    resolved = resolve_settings(name)
    assert resolved.monitor in METRICS
    assert any(resolved.loss.weights.values())
    assert resolved.max_steps == -1  # a whole run, not a try


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_comes_back_from_toml(name: str, tmp_path: Path) -> None:
    resolved = resolve_settings(name)
    write_settings(tmp_path / "settings.toml", resolved)
    assert parse_settings(read_toml(tmp_path / "settings.toml"), "there") == resolved


def test_a_recipe_of_ones_own(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, 'epochs = 3\n[model.head]\nkind = "tanh"\n')
    resolved = resolve_settings(recipe)
    assert (resolved.epochs, resolved.model.head.kind) == (3, "tanh")
    assert resolved.model.head.max_depth_m == RunSettings().model.head.max_depth_m


def test_an_unknown_recipe_suggests_the_nearest() -> None:
    with pytest.raises(LeadlineError, match="unknown recipe 'report-densnet': did you mean 'report-densenet'"):
        read_recipe("report-densnet")


def test_a_recipe_like_none_lists_all() -> None:
    with pytest.raises(LeadlineError) as caught:
        read_recipe("?")
    assert f"choose from {', '.join(recipe_names())}" in str(caught.value)


def test_a_missing_file_lists_the_recipes_that_come_along(tmp_path: Path) -> None:
    with pytest.raises(LeadlineError) as caught:
        read_recipe(str(tmp_path / "mine.toml"))
    assert "no recipe at" in str(caught.value) and ", ".join(recipe_names()) in str(caught.value)


@pytest.mark.parametrize("content", [b"epochs = = 3", b"epochs", 'name = "caf\u00e9"'.encode("latin-1")])
def test_what_is_no_toml_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "mine.toml").write_bytes(content)
    with pytest.raises(LeadlineError, match=r"mine\.toml is not valid TOML: "):
        resolve_settings(str(tmp_path / "mine.toml"))


@pytest.mark.parametrize("name", ["base", "fast"])
def test_the_last_stage_of_a_bundled_models_recipe_is_what_it_was_trained_with(name: str) -> None:
    config = read_config(find_checkpoint(name))
    last = resolve_settings(config["record"]["recipe"]).model_dump(exclude_none=True)
    trained, recipe = (dict(leaves(it)) for it in (config["record"]["settings"], last))
    # The stage was trained apart, from the model of those before; a recipe cannot name folders.
    changed = {"init": last["init"], "data.workers": 2, "model.encoder.weights": NO_WEIGHTS, "data.beside": ()}
    newer = {"data.augment.once": False, "loss.seen_error": 1.0}
    newer |= {"model.head.error_scale": 1.0, "model.head.scale_gain": 0.0, "model.focal_gain": 0.0}
    assert recipe == {**newer, **{key: trained[key] for key in recipe if key in trained}, **changed}
    # Set when it was trained, or after that.
    afterwards = ("encoder.", "focal_px", "focal_gain", "head.error_scale", "head.scale_gain")
    lasting = {key: value for key, value in leaves(config["model"]) if not key.startswith(afterwards)}
    assert lasting.items() <= dict(leaves(resolve_settings(name).model.model_dump())).items()


def test_base_is_ten_stages_and_fast_shares_six_of_them() -> None:
    base, fast = resolve_stages("base"), resolve_stages("fast")
    assert [(it.epochs, it.runs, it.restore_encoder, it.model.height) for it in base] == [
        (12, 1, 0.0, 252),
        (8, 1, 0.0, 252),
        (7, 1, 0.0, 322),
        (6, 1, 0.0, 406),
        (6, 2, 0.0, 406),
        (4, 2, 0.6, 406),
        (3, 1, 0.5, 406),
        (2, 1, 0.0, 406),
        (4, 2, 0.5, 406),
        (2, 1, 0.0, 406),
    ]
    assert [it.freeze_network for it in base] == [False] * 7 + [True, False, True]
    assert [it.data.rendered for it in base] == [0] * 9 + [1600]
    assert fast[:6] == base[:6]
    assert [(it.epochs, it.runs, it.restore_encoder, it.model.height) for it in fast[6:]] == [
        (6, 1, 0.0, 196),
        (3, 2, 0.5, 196),
        (4, 2, 0.5, 196),
        (2, 1, 0.0, 196),
    ]


def test_a_recipe_without_a_model_has_that_of_the_model_it_starts_from(tiny_checkpoint: Path, tmp_path: Path) -> None:
    (stage,) = resolve_stages("fine-tune", {"init": str(tiny_checkpoint), "model": {"height": 64}})
    assert stage.model == load_model(tiny_checkpoint).settings.model_copy(update={"height": 64})
    (stage,) = resolve_stages("fine-tune")
    assert (stage.init, stage.model.network, stage.model.height) == ("base", "encoder-decoder", 406)
    with pytest.raises(LeadlineError, match="unknown model 'bse': did you mean 'base'"):
        resolve_stages("fine-tune", {"init": "bse"})
    recipe = write_recipe(tmp_path, "[model]\nheight = 128\n")
    assert resolve_settings(recipe, {"init": str(tiny_checkpoint)}).model.width == RunSettings().model.width


# Overrides


def test_overrides_go_deep_and_leave_the_rest() -> None:
    plain = resolve_settings(RECIPE)
    changed = resolve_settings(RECIPE, {"model": {"head": {"max_depth_m": 80.0}}, "data": {"batch_size": 3}})
    before, after = dict(leaves(plain.model_dump())), dict(leaves(changed.model_dump()))
    assert {name for name in after if after[name] != before[name]} == {"model.head.max_depth_m", "data.batch_size"}
    assert (changed.model.head.max_depth_m, changed.data.batch_size) == (80.0, 3)
    assert resolve_settings(RECIPE) == plain


def test_overrides_reach_sections_that_the_recipe_leaves_out(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, "[model]\nheight = 128\n")
    resolved = resolve_settings(recipe, {"model": {"head": {"kind": "tanh"}}, "seed": 5})
    assert (resolved.model.height, resolved.model.head.kind, resolved.seed) == (128, "tanh", 5)


def test_a_wrong_override_names_the_recipe_and_the_setting() -> None:
    with pytest.raises(LeadlineError, match=r"^report-densenet: data\.batch_size: Input should be greater .* got 0$"):
        resolve_settings(RECIPE, {"data": {"batch_size": 0}})


# Mistakes


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("epoch", "epochs"),
        ("data.batchsize", "data.batch_size"),
        ("data.augment.mirrors", "data.augment.mirror"),
        ("model.head.max_depth", "model.head.max_depth_m"),
        ("model.encodr", "model.encoder"),
        ("optimiser", "optimizer"),
    ],
)
def test_an_unknown_setting_suggests_the_nearest(given: str, meant: str) -> None:
    nested: Any = 1
    for part in reversed(given.split(".")):
        nested = {part: nested}
    assert refusal(nested) == f"here: unknown setting '{given}': did you mean '{meant}'?"


def test_a_setting_like_none_lists_all_of_its_level() -> None:
    listed = refusal({"zzz": 1}).partition("choose from ")[2]
    assert listed.split(", ") == list(RunSettings.model_fields)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"epochs": 0}, "epochs: Input should be greater than or equal to 1, got 0"),
        ({"seed": 2**32}, "seed: Input should be less than 2147483648, got 4294967296"),
        ({"model": {"head": {"max_depth_m": float("inf")}}}, "model.head.max_depth_m: .* a finite number, got inf"),
        ({"epochs": "many"}, "epochs: Input should be a valid integer, .*, got 'many'"),
        ({"precision": "fp8"}, "precision: Input should be 'auto', 'bf16' or 'float32', got 'fp8'"),
        ({"ema_decay": 1.0}, "ema_decay: Input should be less than 1, got 1.0"),
        ({"optimizer": {"learning_rate": -0.1}}, "optimizer.learning_rate: Input should be greater than 0, got -0.1"),
        ({"optimizer": {"clip_norm": float("nan")}}, "optimizer.clip_norm: Input should be a finite number, got nan"),
        (
            {"optimizer": {"weight_decay": float("inf")}},
            "optimizer.weight_decay: .* a finite number, got inf",
        ),
        (
            {"data": {"augment": {"colour": float("nan")}}},
            "data.augment.colour: .* a finite number, got nan",
        ),
        ({"epochs": 10**12}, "epochs: Input should be less than or equal to 1000000, got 1000000000000"),
        ({"model": {"height": 10**9}}, "model.height: Input should be less than or equal to 8192, got 1000000000"),
        ({"loss": {"l1": -1}}, "loss.l1: Input should be greater than or equal to 0, got -1"),
        ({"loss": {"l1": float("nan")}}, "loss.l1: Input should be a finite number, got nan"),
        ({"data": {"augment": {"mirror": 2}}}, "data.augment.mirror: Input should be less than or equal to 1, got 2"),
        ({"data": {"split": "random"}}, "data.split: Input should be 'official', 'report' or 'scene', got 'random'"),
        ({"model": "unet"}, "model: Input should be a valid dictionary or instance of ModelSettings, got 'unet'"),
        ({"model": {"head": {"min_depth_m": 5, "max_depth_m": 4}}}, "model.head: .*min_depth_m must be less than .*"),
    ],
)
def test_an_impossible_value_is_named_with_what_was_got(values: dict[str, Any], message: str) -> None:
    assert re.fullmatch(f"here: {message}", refusal(values))


# What is written


def test_everything_that_is_set_comes_back_and_what_is_none_stays_none(tmp_path: Path) -> None:
    values: dict[str, Any] = {
        "epochs": 7,
        "max_steps": 12,
        "seed": 3,
        "precision": "bf16",
        "ema_decay": 0.1 + 0.2,  # all digits count
        "model": {"focal_px": 259.43, "encoder": {"weights": 'a "b" \\ é.safetensors', "norm_eps": 0.001}},
        "data": {"cache": False, "augment": {"rotate_deg": 1e-9}},
        "loss": {"ssim": 0},
    }
    wanted = parse_settings(values, "here")
    write_settings(tmp_path / "new" / "settings.toml", wanted)
    assert parse_settings(read_toml(tmp_path / "new" / "settings.toml"), "there") == wanted
    write_settings(tmp_path / "new" / "settings.toml", RunSettings())  # replaced
    read = parse_settings(read_toml(tmp_path / "new" / "settings.toml"), "there")
    assert read == RunSettings() and read.model.focal_px is None and read.model.encoder.norm_eps is None
    assert os.listdir(tmp_path / "new") == ["settings.toml"]


def test_a_failed_write_leaves_the_old_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "settings.toml"
    write_settings(path, RunSettings(epochs=3))

    def fail(values: object) -> str:
        raise OSError("disk full")

    monkeypatch.setattr("tomli_w.dumps", fail)
    with pytest.raises(OSError, match="disk full"):
        write_settings(path, RunSettings(epochs=4))
    assert parse_settings(read_toml(path), "there").epochs == 3 and os.listdir(tmp_path) == ["settings.toml"]


# What is there


def test_the_default_loss_is_the_reports() -> None:
    weights = {name: weight for name, weight in LossSettings().weights.items() if weight}
    assert weights == {"gradient": 1.5, "ssim": 1.0, "l1": 0.2}


def test_every_loss_has_a_weight() -> None:
    assert set(LossSettings().weights) == {*TERMS, "ssim"}


def test_the_default_monitor_is_a_metric() -> None:
    assert RunSettings().monitor in METRICS


def test_every_setting_is_documented() -> None:
    assert list(undocumented(RunSettings)) == []


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        RunSettings().epochs = 3


def test_a_recipe_extends_another(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text('extends = "report-cae"\nepochs = 3\n\n[loss]\nssim = 0.5\n', encoding="utf-8")
    mine, base = resolve_settings(str(tmp_path / "mine.toml")), resolve_settings("report-cae")
    assert (mine.epochs, mine.loss.ssim) == (3, 0.5)
    assert mine.model_copy(update={"epochs": base.epochs, "loss": base.loss}) == base
    assert mine.loss.gradient == base.loss.gradient


@pytest.mark.parametrize("base", ['"report-ca"', "3"])
def test_a_recipe_that_extends_nothing_known_names_the_recipes(tmp_path: Path, base: str) -> None:
    (tmp_path / "mine.toml").write_text(f"extends = {base}\n", encoding="utf-8")
    with pytest.raises(LeadlineError, match="extends: unknown recipe"):
        resolve_settings(str(tmp_path / "mine.toml"))


def test_freeze_network_has_its_older_name() -> None:
    assert parse_settings({"uncertainty_only": True}, "old.toml").freeze_network
    assert not parse_settings({"uncertainty_only": False}, "old.toml").freeze_network
