"""The settings of a training run, composed from each part's own, and read from TOML recipes."""

import logging
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from leadline.data import DataSettings
from leadline.errors import LeadlineError, brief, shown, unknown_name
from leadline.io import atomic_file, read_toml
from leadline.models import NO_WEIGHTS, ModelSettings

logger = logging.getLogger(__name__)

FROZEN = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)
Weight = Annotated[float, Field(ge=0, le=1e6)]

_INNER_NAME = re.compile(r"\b[a-z]+(?:_[a-z]+)+\b")
"""A setting as code names it, within a message about the settings that hold it."""
RECIPES = Path(__file__).parent / "recipes"
STAGES, KEEP_STAGES = "stages", "keep_stages"


class LossSettings(BaseModel):
    """Weights of the loss terms; 0 leaves a term out. The defaults are the report's loss."""

    model_config = FROZEN

    gradient: Weight = 1.5
    """Difference of depth gradients: the report's edge term."""
    ssim: Weight = 1.0
    """(1 − structural similarity)/2."""
    l1: Weight = 0.2
    """Mean absolute error in metres."""
    log_l1: Weight = 0.0
    """Mean absolute error of log depth."""
    silog: Weight = 0.0
    """Scale-invariant log error, 0.85 of the mean forgiven."""
    log_gradient: Weight = 0.0
    """Gradients of the log error at four scales."""
    seen_error: Annotated[float, Field(ge=1, le=100)] = 1.0
    """Of the data set's own images, which `init` has learnt, the expected error is taught as so many times what they
    show: others like them show that much more."""

    @property
    def weights(self) -> dict[str, float]:
        """The weight of each term."""
        return self.model_dump(exclude={"seen_error"})

    @model_validator(mode="after")
    def _something_to_learn(self) -> "LossSettings":
        if not any(self.weights.values()):
            raise ValueError("at least one weight must be more than 0")
        return self


class OptimizerSettings(BaseModel):
    """AdamW, and a rate that warms up linearly and falls as a cosine."""

    model_config = FROZEN

    learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    """Highest learning rate."""
    encoder_rate: Annotated[float, Field(ge=0)] = 1.0
    """The encoder's share of the learning rate; 0 keeps a pretrained encoder as it is, batch norms and all."""
    layer_decay: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Each of the encoder's blocks has this share of the next one's rate; timm's transformers only where not 1."""
    weight_decay: Annotated[float, Field(ge=0)] = 1e-4
    """AdamW's weight decay."""
    warmup: Annotated[float, Field(ge=0, lt=1)] = 0.05
    """Share of all steps in which the rate rises."""
    clip_norm: Annotated[float, Field(gt=0)] = 1.0
    """Gradients are scaled down to this norm."""


class RunSettings(BaseModel):
    """Everything that decides a training run."""

    model_config = FROZEN

    epochs: Annotated[int, Field(ge=1, le=1_000_000)] = 20
    """Times that every training picture is seen."""
    max_steps: Annotated[int, Field(ge=-1)] = -1
    """Stop after so many steps, for a quick try; -1 for no limit."""
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    """Seed of weights, order and augmentation."""
    init: str = ""
    """Model whose weights training starts from (a bundled one's name, or a folder), of the recipe's own shape."""
    restore_encoder: Annotated[float, Field(ge=0, le=1)] = 0.0
    """How far `init`'s encoder is moved back to `model.encoder.weights` before the first step; 1 is all the way."""
    runs: Annotated[int, Field(ge=1, le=1000)] = 1
    """Times that the stage is trained from the same start, each with a seed of its own; their weights are averaged."""
    freeze_network: bool = False
    """Keep the network as `init` has it, and train only what looks on, which `init` need not have: the layers of the
    scale field and of the expected error."""
    precision: Literal["auto", "bf16", "float32"] = "auto"
    """auto: bfloat16 where the processor multiplies it natively, float32 elsewhere."""
    ema_decay: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Decay of an exponential moving average of the weights, which is then what is kept; 0 for none."""
    monitor: str = "abs_rel"
    """Validation metric that decides which epoch is best."""
    model: ModelSettings = ModelSettings()
    data: DataSettings = DataSettings()
    loss: LossSettings = LossSettings()
    optimizer: OptimizerSettings = OptimizerSettings()

    @model_validator(mode="before")
    @classmethod
    def _older_name(cls, values: Any) -> Any:
        """`freeze_network` was `uncertainty_only` before there was a scale field."""
        if not isinstance(values, dict) or "uncertainty_only" not in values:
            return values
        return {"freeze_network": values["uncertainty_only"]} | {
            name: value for name, value in values.items() if name != "uncertainty_only"
        }


def recipe_names() -> list[str]:
    """Names of the recipes that come with leadline."""
    return sorted(path.stem for path in RECIPES.glob("*.toml"))


def read_recipe(recipe: str) -> dict[str, Any]:
    """Read a recipe: a name that comes with leadline, or a TOML file.

    A recipe may begin with `extends = "NAME"`: what it does not set itself is then as in the recipe NAME, which
    comes with leadline. Its stages are that one's too, each with what the recipe sets, unless it has stages itself:
    those take their place, but for the first `keep_stages`, which stay as they are in NAME.

    Args:
        recipe: name or path; the report's go without their prefix too ("cae" is "report-cae").

    Returns:
        Nested settings, not yet validated.

    Raises:
        LeadlineError: if there is none of that name, or the file is no TOML.
    """
    values = read_toml(_recipe_file(recipe))
    base = values.pop("extends", None)
    if base is None:
        return values
    if base not in recipe_names() or base == recipe:
        raise LeadlineError(f"{recipe}: extends: {unknown_name('recipe', str(base), recipe_names())}")
    num_kept = values.pop(KEEP_STAGES, 0)
    inherited = read_recipe(base)
    stages = inherited.pop(STAGES, [])
    if num_kept not in range(len(stages) + 1):
        raise LeadlineError(f"{recipe}: {KEEP_STAGES}: {base} has {len(stages)} stages, got {num_kept!r}")
    merged = merge(inherited, values)
    if STAGES not in values and stages:
        merged[STAGES] = [merge(stage, values) for stage in stages]
    elif num_kept:
        merged[STAGES] = [*(merge(inherited, stage) for stage in stages[:num_kept]), *values[STAGES]]
    return merged


def _recipe_file(recipe: str) -> Path:
    known = recipe_names()
    if recipe.endswith(".toml"):
        if not Path(recipe).is_file():
            raise LeadlineError(f"no recipe at {recipe}; the ones that come with leadline: {', '.join(known)}")
        return Path(recipe)
    for name in (recipe, f"report-{recipe}"):
        if name in known:
            return RECIPES / f"{name}.toml"
    raise unknown_name("recipe", recipe, known)


def resolve_settings(recipe: str, overrides: Mapping[str, Any] | None = None) -> RunSettings:
    """The settings of a recipe, or of its last stage, with some of them replaced.

    Args:
        recipe: name or path of a recipe.
        overrides: nested settings that go before the recipe's.

    Raises:
        LeadlineError: if a setting is unknown (it names the nearest) or its value impossible.
    """
    return resolve_stages(recipe, overrides)[-1]


def resolve_stages(recipe: str, overrides: Mapping[str, Any] | None = None) -> list[RunSettings]:
    """The settings of each stage of a recipe, with some of them replaced in all.

    A recipe may have `[[stages]]`: each is what a stage sets otherwise than the recipe, and goes on from the best
    weights of the stage before. A recipe that starts from a model and has no `[model]` takes that model's own settings.

    Args:
        recipe: name or path of a recipe.
        overrides: nested settings that go before the recipe's and its stages'.

    Returns:
        At least one stage; those after the first have `init` empty, and encoder weights only where they restore them.

    Raises:
        LeadlineError: if a setting is unknown (it names the nearest) or its value impossible.
    """
    values, overrides = read_recipe(recipe), overrides or {}
    stages = values.pop(STAGES, [{}])
    if not isinstance(stages, list) or not stages or not all(isinstance(stage, dict) for stage in stages):
        raise LeadlineError(f"{recipe}: stages must be tables, wanted [[stages]] above each, got {stages!r}")
    init = overrides.get("init", values.get("init", ""))
    if init and "model" not in values:
        values["model"] = _model_of(init)
    parsed = [parse_settings(merge(merge(values, stage), overrides), recipe) for stage in stages]
    if "restore_encoder" not in overrides:
        parsed = _without_impossible_restores(parsed)
    first, *later = parsed
    return [first, *map(_going_on, later)]


def _model_of(init: str) -> dict[str, Any]:
    """The settings of the model that training starts from."""
    from leadline.models import find_checkpoint, read_config  # which import torch; `leadline train --help` does not

    model: dict[str, Any] = read_config(find_checkpoint(init))["model"]
    return model


def _without_impossible_restores(stages: Sequence[RunSettings]) -> list[RunSettings]:
    """Leave out what a recipe restores of its encoder where that started from random weights."""
    possible = [
        stage.model_copy(update={"restore_encoder": 0.0}) if stage.model.encoder.weights == NO_WEIGHTS else stage
        for stage in stages
    ]
    if possible != list(stages):
        logger.warning("encoder weights are %r: there are none for the recipe to restore", NO_WEIGHTS)
    return possible


def _going_on(stage: RunSettings) -> RunSettings:
    """The settings of a stage that starts from the one before."""
    model = stage.model if stage.restore_encoder else stage.model.without_weights()
    return stage.model_copy(update={"init": "", "model": model})


def parse_settings(values: Mapping[str, Any], source: str) -> RunSettings:
    """Validate nested settings.

    Args:
        values: nested settings.
        source: where they come from, for messages.

    Raises:
        LeadlineError: at the first unknown setting or impossible value.
    """
    try:
        return RunSettings.model_validate(values)
    except ValidationError as error:
        raise format_validation_error(error, source) from error
    except (ArithmeticError, TypeError, ValueError, RecursionError) as error:
        raise LeadlineError(f"{source} holds an impossible value: {brief(error)}") from error


def write_settings(path: Path, settings: RunSettings) -> None:
    """Write settings as TOML; what is None is left out, since TOML has no such value."""
    import tomli_w  # which the small installation, that shows settings all the same, has not

    with atomic_file(path) as temporary:
        temporary.write_text(tomli_w.dumps(settings.model_dump(exclude_none=True)), encoding="utf-8")


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Nested settings with those of `over` in place of `base`'s."""
    merged = dict(base)
    for key, value in over.items():
        old = merged.get(key)
        merged[key] = merge(old, value) if isinstance(old, dict) and isinstance(value, Mapping) else value
    return merged


def format_validation_error(error: ValidationError, source: str) -> LeadlineError:
    """The first of pydantic's complaints about run settings as one line.

    Args:
        error: what `RunSettings` raised.
        source: where the settings come from, for the message; "" for the command line, whose flags are then named.
    """
    first = error.errors()[0]
    *parents, name = map(str, first["loc"]) if first["loc"] else ["settings"]
    dotted = ".".join([*parents, name])
    where = f"{source}: {brief(dotted)}" if source else f"--{brief(dotted).replace('_', '-')}"
    if first["type"] == "extra_forbidden":
        part: Any = RunSettings
        for parent in parents:
            part = part.model_fields[parent].annotation
        above = "".join(f"{parent}." for parent in parents)
        return LeadlineError(f"{source}: {unknown_name('setting', name, part.model_fields, above)}")
    reason = first["msg"].removeprefix("Value error, ")
    if not source:
        reason = _INNER_NAME.sub(lambda found: f"{where}.{found[0]}".replace("_", "-"), reason)
    got = f", got {shown(first['input'])}" if "got" not in reason else ""
    return LeadlineError(f"{where}: {brief(reason, 400)}{got}")
