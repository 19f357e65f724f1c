"""The settings that rebuild a model. Free of torch, so that the command line can show them at once."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from leadline.geometry import Camera, WorkingView

FROZEN = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)

NO_WEIGHTS = "none"

DepthEnd = Annotated[float, Field(gt=0, le=1e6)]
"""An end of a range of depths, in metres."""


class EncoderSettings(BaseModel):
    """Which timm network looks at the picture."""

    model_config = FROZEN

    name: str = "densenet121"
    """timm's name of the network; densenet169, densenet201 and any other with features do too."""
    weights: str = NO_WEIGHTS
    """Where its weights come from: "none", a timm or hub name (densenet121.ra_in1k), or a .safetensors file."""
    num_blocks: Annotated[int, Field(ge=4, le=1000)] | None = None
    """Of a plain ViT, how many of its blocks are used, from the first; None for all."""
    norm_eps: Annotated[float, Field(gt=0, le=1)] | None = None
    """Epsilon of the batch norms where the weights' original had another than timm's (Xception: 0.001)."""


class DecoderSettings(BaseModel):
    """How features become a map."""

    model_config = FROZEN

    kind: Literal["report", "dpt"] = "report"
    """report: up-sample and concatenate skips, for pyramids; dpt: reassemble and fuse, for pyramids and plain ViTs."""
    width: Annotated[int, Field(ge=16, le=8192)] = 512
    """report: channels after the 1×1 convolution on the deepest features, halved by each step; dpt: at every level."""
    skips: bool = True
    """report: concatenate the encoder's features of the same size on the way up."""


class PlainSettings(BaseModel):
    """Sizes of the two networks that have no pretrained encoder."""

    model_config = FROZEN

    width: Annotated[int, Field(ge=4, le=1024)] = 32
    """Channels at full size; each level doubles them."""
    levels: Annotated[int, Field(ge=1, le=6)] = 4
    """How many times the size is halved."""


class HeadSettings(BaseModel):
    """How the last number becomes metres."""

    model_config = FROZEN

    kind: Literal["tanh", "log"] = "log"
    """tanh: centre + half-range·tanh z (the report's); log: evenly in log depth between the ends."""
    min_depth_m: DepthEnd = 0.5
    """Nearest depth the model can answer, in metres."""
    max_depth_m: DepthEnd = 10.0
    """Farthest depth the model can answer, in metres."""
    uncertainty: bool = False
    """Answer each pixel's expected relative error too."""
    error_scale: Annotated[float, Field(gt=0, le=100)] = 1.0
    """How many times as large as it was learnt the expected error is answered."""
    scale_field: bool = False
    """Multiply depth by a smooth factor that is told from the deepest features."""
    scale_gain: Annotated[float, Field(ge=0, le=1)] = 0.0
    """By which share of itself the mean logarithm of the factor is enlarged, at most; see `ScaleField` in `heads`."""

    @model_validator(mode="after")
    def _ordered(self) -> "HeadSettings":
        if self.min_depth_m >= self.max_depth_m:
            raise ValueError(f"min_depth_m must be less than max_depth_m, got {self.min_depth_m}, {self.max_depth_m}")
        return self


class ModelSettings(BaseModel):
    """Everything that rebuilds a model."""

    model_config = FROZEN

    network: Literal["cae", "unet", "encoder-decoder"] = "encoder-decoder"
    """cae and unet are whole networks trained from scratch; encoder-decoder joins a timm encoder to a decoder."""
    height: Annotated[int, Field(ge=32, le=8192)] = 240
    """Working height: pictures are brought to height·width pixels, their aspect kept, before the network."""
    width: Annotated[int, Field(ge=32, le=8192)] = 320
    """Working width."""
    multiple_px: Annotated[int, Field(ge=1, le=64)] = 1
    """Working sides are multiples of this: the patch of a plain ViT, which otherwise resizes its pictures once more."""
    focal_px: Annotated[float, Field(gt=0, le=1e6)] | None = None
    """Focal length of the training pictures, in pixels of the working size; set by training, None if unknown."""
    focal_share: Annotated[float, Field(ge=0, le=1)] = 0.0
    """How much of another focal length is met by resizing the picture, not by scaling metres; see
    `leadline.geometry.view.WorkingView.view_size`."""
    focal_gain: Annotated[float, Field(ge=-1, le=1)] = 0.0
    """By how much more metres follow the focal length than in proportion; see there."""
    edge_radius_px: Annotated[float, Field(ge=0, le=32)] = 0.0
    """Edges are made sharp by the picture's shades, within so many pixels of one of 640×480; 0 leaves them soft."""
    encoder: EncoderSettings = EncoderSettings()
    decoder: DecoderSettings = DecoderSettings()
    plain: PlainSettings = PlainSettings()
    head: HeadSettings = HeadSettings()

    @model_validator(mode="after")
    def _has_a_focal_length_that_there_is(self) -> Self:
        if self.focal_px is not None:
            Camera.from_focal_px(self.focal_px, self.width, self.height).plausible()
        return self

    @property
    def view(self) -> WorkingView:
        """How the model looks at images."""
        return WorkingView(self.height, self.width, self.multiple_px, self.focal_px, self.focal_share, self.focal_gain)

    def without_weights(self) -> "ModelSettings":
        """The same, its encoder's own weights not asked for: what is then loaded has them."""
        return self.model_copy(update={"encoder": self.encoder.model_copy(update={"weights": NO_WEIGHTS})})
