"""ONNX files: their metadata, their checks, and a session that runs them."""

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from leadline.errors import LeadlineError, brief
from leadline.geometry import Camera, Output
from leadline.io import as_record, parse_json, read_toml

logger = logging.getLogger(__name__)


WORDS = ("output", "precision")
"""Of `FileInfo`: what a file's metadata has as words, not as JSON."""


PREFIX = "leadline."
"""Stands before the names of `FileInfo` in a file's metadata, as in `leadline.mean`."""


FOCAL = "focal_px"
"""What a file may take beside the picture: focal length in pixels of what it is fed, (1,), NaN where unknown."""


ERROR = "relative_error"
"""What a file may answer beside the depth: each pixel's expected |error| / depth, of the depth's shape."""


MAX_SHOWN = 80
"""Characters of metadata that a message repeats."""


FLOAT32 = {"tensor(float)", "f32"}
"""What the runtimes call it."""


CHANNELS = (1, 3, 4)
"""How many a picture has, where they stand last."""


MOST_MEAN = 4.0
"""No colour in [0, 1] has such a mean or deviation; those of colours in [0, 255] are larger."""


Mean = Annotated[float, Field(ge=-1e6, le=1e6)]
Deviation = Annotated[float, Field(gt=1e-6, le=1e6)]
FocalPx = Annotated[float, Field(gt=3, le=1e6)]  # smaller ones are shares of a side
Side = Annotated[int, Field(gt=0, le=16384)]


class FileInfo(BaseModel):
    """How a file wants its pictures and what it answers; the defaults hold where nothing says.

    It stands in the file's metadata (`metadata_props`): `WORDS` as words, the others as JSON. A TOML
    file of the same stem beside it has the same keys without "leadline.", and the last word.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    mean: tuple[Mean, Mean, Mean] = (0.0, 0.0, 0.0)
    """Subtracted from RGB in [0, 1]."""
    std: tuple[Deviation, Deviation, Deviation] = (1.0, 1.0, 1.0)
    """What is left is divided by this."""
    output: Output = Output.METRES
    """What the values mean."""
    focal_px: FocalPx | None = None
    """Focal length, in pixels of the pictures as they are fed, that the metres are right for; None: any."""
    working_size: tuple[Side, Side] | None = None
    """Height and width whose area the network itself brings images to, their aspect kept; None: it sees what it is fed.
    """
    multiple_px: Side = 1
    """Working sides are multiples of this."""
    trained_focal_px: FocalPx | None = None
    """Focal length of the training images, in pixels of the working size; None: not known."""
    edge_radius_px: Annotated[float, Field(ge=0, le=32)] = 0.0
    """Object boundaries are made sharp after the file's answer; see `leadline.geometry.sharpen_edges`."""
    precision: Literal["float32", "fp16", "int8"] = "float32"
    """Of the file's weights and products."""

    @model_validator(mode="after")
    def _is_of_unit_pictures(self) -> Self:
        """Refuse what is of pictures in [0, 255]: fed so, a network answers all the same."""
        if max(map(abs, self.mean)) > MOST_MEAN or max(self.std) > MOST_MEAN:
            raise ValueError(
                f"mean and std are of RGB in [0, 1], got {list(self.mean)} and {list(self.std)}: divide them by 255"
            )
        return self

    def require_plausible(self, size: tuple[int, int] | None, takes_focal: bool) -> None:
        """Refuse focal lengths that the network's images cannot have, or that would count twice.

        Args:
            size: height and width of what the network asks for; None: any.
            takes_focal: whether it takes the focal length itself.

        Raises:
            LeadlineError: if so.
        """
        if takes_focal and self.focal_px is not None:
            raise LeadlineError(
                f"focal_px is for networks that know no focal length, and this one takes it as {FOCAL!r}: its metres "
                f"would follow it twice; give trained_focal_px"
            )
        told = self.trained_focal_px if self.working_size else None
        for focal_px, seen in ((told, self.working_size), (self.focal_px, size)):
            if focal_px is not None and seen is not None:
                Camera.from_focal_px(focal_px, seen[1], seen[0]).plausible()


class Network(NamedTuple):
    """A file that is open, in whichever program runs it."""

    run: Callable[[dict[str, NDArray[np.float32]]], Sequence[NDArray[np.float32]]]
    """Values, and `ERROR` if it answers that, from what is fed, by its name."""
    picture: str  # name of its picture
    takes_focal: bool  # whether it takes `FOCAL` too
    height: int | None  # that it asks for; None where any will do
    width: int | None  # likewise


def open_session(path: Path, wanted: Sequence[str] = ("CUDAExecutionProvider", "CPUExecutionProvider")) -> Any:
    """Open a file with the first of the wanted devices that onnxruntime has here.

    Args:
        path: the file.
        wanted: onnxruntime's names of devices, best first.

    Raises:
        LeadlineError: if onnxruntime is not installed, or the file is missing or broken.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise LeadlineError('ONNX files need one more package: pip install "leadline[onnx]"') from error
    if not path.is_file():
        raise LeadlineError(f"{path} is no file: wanted an ONNX file; check the path")
    available = onnxruntime.get_available_providers()
    providers = [name for name in wanted if name in available]
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # what goes wrong is raised too
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=providers)
    except Exception as error:  # onnxruntime's errors have no base of their own
        raise LeadlineError(
            f"{path} is no ONNX file that can be run ({reason(error)}): export or copy it again"
        ) from error


def reason(error: Exception) -> str:
    """The first line of a runtime's error, without onnxruntime's code before it."""
    return (str(error).strip().splitlines() or [""])[0].split(" : ", 2)[-1][:200].rstrip(" .:")


def _shape(sizes: Sequence[int | str | None]) -> str:
    return f"({', '.join(str(size or '?') for size in sizes)})"


def check_input(path: Path, inputs: Sequence[tuple[str, str, Sequence[Any]]]) -> tuple[int | None, int | None]:
    """The height and width that a file asks for; None where any will do.

    Args:
        path: the file.
        inputs: of each, its name, its type in the runtime's words, and its sizes, whole numbers where they are fixed.

    Raises:
        LeadlineError: unless there is one, a picture.
    """
    if len(inputs) != 1:
        names = ", ".join(name for name, *_ in inputs) or "none"
        raise LeadlineError(f"{path} must have one input, a picture, got {len(inputs)} ({names}): export it so")
    _, dtype, sizes = inputs[0]
    fixed = [size if isinstance(size, int) and size > 0 else None for size in sizes]
    is_picture = len(fixed) == 4 and fixed[1] in (None, 3) and fixed[0] in (None, 1)
    # With free sides, (N, H, W, 3) could be taken for pictures that are 3 wide.
    if dtype not in FLOAT32 or not is_picture or (fixed[1] is None and fixed[3] in CHANNELS):
        raise LeadlineError(
            f"{path} must take float32 pictures (N, 3, H, W) with N dynamic or 1, got {dtype} {_shape(sizes)}: "
            "export it so"
        )
    return fixed[2], fixed[3]


def check_output(path: Path, outputs: Sequence[tuple[str, Sequence[Any]]]) -> list[str]:
    """The names of what a file answers: a depth map, and `ERROR` if it has that.

    Args:
        path: the file.
        outputs: of each, its name and its sizes, whole numbers where they are fixed.

    Raises:
        LeadlineError: if it answers anything else.
    """
    told = [name for name, _ in outputs if name == ERROR]
    outputs = [it for it in outputs if it[0] != ERROR]
    if len(outputs) != 1:
        names = ", ".join(name for name, _ in outputs)
        raise LeadlineError(f"{path} must have one output, the depth, got {len(outputs)} ({names}): export it so")
    sizes = outputs[0][1]
    if sizes and not is_map(sizes):  # a file need not tell its output's shape
        raise no_map(path, sizes)
    return [outputs[0][0], *told]


def is_map(sizes: Sequence[int | str | None]) -> bool:
    """Whether a shape can be that of one map for each image."""
    return len(sizes) == 3 or (len(sizes) == 4 and (not isinstance(sizes[1], int) or sizes[1] == 1))


def no_map(path: Path, sizes: Sequence[int | str | None]) -> LeadlineError:
    """The error for a file that answers something else than one map for each image."""
    return LeadlineError(f"{path} must answer depth (N, 1, H, W) or (N, H, W), got {_shape(sizes)}: export it so")


def read_info(path: Path, metadata: Mapping[str, str]) -> FileInfo:
    """What a file's metadata and the TOML file beside it say.

    Args:
        path: the file.
        metadata: words by names that begin with `PREFIX`.

    Raises:
        LeadlineError: if either makes no sense.
    """
    sidecar = path.with_suffix(".toml")
    stated, beside = _from_metadata(path, metadata), read_toml(sidecar) if sidecar.is_file() else {}
    if not stated and not beside:
        logger.info(
            "%s does not say how it wants pictures: it is fed RGB in [0, 1] and its answers are taken for metres; "
            "if that is wrong, write mean, std and output into %s",
            path,
            sidecar,
        )
    info = as_record(FileInfo, stated, f"{path}, metadata")
    return as_record(FileInfo, stated | beside, str(sidecar)) if beside else info


def _from_metadata(path: Path, metadata: Mapping[str, str]) -> dict[str, Any]:
    own = {key.removeprefix(PREFIX): text for key, text in metadata.items() if key.startswith(PREFIX)}
    stated = {key: own.pop(key) for key in FileInfo.model_fields if key in own}
    if own:
        known = ", ".join(FileInfo.model_fields)
        logger.warning(
            "%s, metadata: %s is passed over; known keys behind %r: %s", path, brief(", ".join(own)), PREFIX, known
        )
    return {key: text if key in WORDS else _parsed(path, text) for key, text in stated.items()}


def _parsed(path: Path, text: str) -> Any:
    try:
        return parse_json(text, str(path))
    except LeadlineError as error:
        shown = text if len(text) < MAX_SHOWN else f"{text[:MAX_SHOWN]}..."
        raise LeadlineError(f"{path}, metadata: all but {' and '.join(WORDS)} must be JSON, got {shown!r}") from error
