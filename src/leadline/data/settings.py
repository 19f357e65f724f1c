"""The settings of data for training. Free of torch, so that the command line can show them at once."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

FROZEN = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)
Share = Annotated[float, Field(ge=0, le=1)]


class AugmentSettings(BaseModel):
    """Random changes of picture and depth together; none of them breaks the metric scale."""

    model_config = FROZEN

    once: bool = False
    """Change an image in the same way in every epoch; a network that rests is then asked only once."""
    mirror: Share = 0.5
    """Probability of a left-right mirror image."""
    permute_channels: Share = 0.5
    """Probability of a random order of the colour channels (DenseDepth)."""
    colour: Share = 0.0
    """Largest relative change of brightness, contrast and saturation."""
    zoom: Annotated[float, Field(ge=1, le=4)] = 1.0
    """Largest enlargement of a random window; depth is divided by it, so that the focal length stays."""
    zoom_out: Annotated[float, Field(ge=1, le=2)] = 1.0
    """Largest reduction, which multiplies depth; the margin is filled with the mirrored picture and is invalid."""
    zoom_share: Share = 1.0
    """Probability of a change of size; half of them are reductions where both are on."""
    beside_zoom_share: Share | None = None
    """The same of the pictures of `beside`; None: as `zoom_share`."""
    rotate_deg: Annotated[float, Field(ge=0, le=45)] = 0.0
    """Largest rotation to either side; corners that come from outside the picture are invalid."""


class DataSettings(BaseModel):
    """Which pictures, in which parts, and how they are fed."""

    model_config = FROZEN

    split: Literal["official", "report", "scene"] = "official"
    """official: the makers' (validation scenes taken from train); report: 1049/200/200 shuffled; scene: by scene."""
    split_seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    """Seed of the shuffle."""
    validation: Share = 0.1
    """Share of the official training pictures that is kept for validation, by scene."""
    repeat: Annotated[int, Field(ge=1, le=10_000)] = 1
    """Times that each training picture of the data set is shown in an epoch."""
    beside: tuple[str, ...] = ()
    """Folders of more pictures to train on, all of them, once an epoch; PATH*3: three times."""
    rendered: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    """Pictures of near things to train on too, once an epoch, rendered when they are asked for."""
    batch_size: Annotated[int, Field(ge=1, le=65536)] = 8
    """Pictures in a training step."""
    workers: Annotated[int, Field(ge=0, le=1024)] = 2
    """Processes that decode beside training; 0 decodes in the training process."""
    cache: bool = True
    """Keep decoded pictures in memory, no larger than enlarging them needs."""
    augment: AugmentSettings = AugmentSettings()
