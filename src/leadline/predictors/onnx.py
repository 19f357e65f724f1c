"""ONNX files: any network with one picture in and one depth map out, run by onnxruntime; `openvino` does its own so."""

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from leadline.data.sample import Batch
from leadline.depth import Output
from leadline.errors import UserError
from leadline.predictors.base import Answer
from leadline.resizing import enlargement, resize, resize_depth
from leadline.toml_files import as_record, read_toml

logger = logging.getLogger(__name__)

PREFIX = "leadline."
"""Stands before the names of `FileInfo` in a file's metadata, as in `leadline.mean`."""

FOCAL = "focal_px"
"""What a file may take beside the picture: focal length in pixels of what it is fed, (1,), NaN where unknown. It must
have a value of its own (an initializer): onnxruntime then lets it be left out, and does not count it as an input."""

FLOAT32 = {"tensor(float)", "f32"}
"""What the runtimes call it."""

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class FileInfo(BaseModel):
    """How a file wants its pictures and what it answers; the defaults hold where nothing says.

    It stands in the file's metadata (`metadata_props`): `leadline.output` as a word, the others as JSON. A TOML
    file of the same stem beside it has the same keys without "leadline.", and the last word.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Subtracted from RGB in [0, 1]."""
    std: tuple[Positive, Positive, Positive] = (1.0, 1.0, 1.0)
    """What is left is divided by this."""
    output: Output = Output.METRES
    """What the values mean."""
    focal_px: Positive | None = None
    """Focal length, in pixels of the pictures as they are fed, that the metres are right for; None: any."""


class Network(NamedTuple):
    """A file that is open, in whichever program runs it."""

    run: Callable[[dict[str, NDArray[np.float32]]], NDArray[np.float32]]  # values from what is fed, by its name
    picture: str  # name of its picture
    takes_focal: bool  # whether it takes `FOCAL` too
    height: int | None  # that it asks for; None where any will do
    width: int | None  # likewise


def open_onnx(path: Path) -> "FilePredictor":
    """Open an ONNX file.

    Args:
        path: the file; one float32 input (N, 3, H, W) and one output (N, 1, H, W) or (N, H, W), N dynamic or 1,
            H and W dynamic or fixed.

    Returns:
        The network on CUDA where onnxruntime has it, else on the processor.

    Raises:
        UserError: if onnxruntime is not installed, the file is missing or broken, its inputs and outputs are others,
            or its metadata or TOML file holds what makes no sense.
    """
    session = open_session(path)
    inputs = [(entry.name, entry.type, entry.shape) for entry in session.get_inputs()]
    height, width = check_input(path, inputs)
    check_output(path, [(entry.name, entry.shape) for entry in session.get_outputs()])
    network = Network(
        lambda feed: session.run(None, feed)[0],
        inputs[0][0],
        FOCAL in {entry.name for entry in session.get_overridable_initializers()},
        height,
        width,
    )
    return FilePredictor(path, network, read_info(path, session.get_modelmeta().custom_metadata_map))


def open_session(path: Path, wanted: Sequence[str] = ("CUDAExecutionProvider", "CPUExecutionProvider")) -> Any:
    """Open a file with the first of the wanted devices that onnxruntime has here.

    Args:
        path: the file.
        wanted: onnxruntime's names of devices, best first.

    Raises:
        UserError: if onnxruntime is not installed, or the file is missing or broken.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise UserError('ONNX files need one more package: pip install "leadline[onnx]"') from error
    if not path.is_file():
        raise UserError(f"{path} is no file: wanted an ONNX file; check the path")
    available = onnxruntime.get_available_providers()
    providers = [name for name in wanted if name in available]
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # what goes wrong is raised too
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=providers)
    except Exception as error:  # onnxruntime's errors have no base of their own
        raise UserError(f"{path} is no ONNX file that can be run ({reason(error)}): export or copy it again") from error


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
        UserError: unless there is one, a picture.
    """
    if len(inputs) != 1:
        names = ", ".join(name for name, *_ in inputs) or "none"
        raise UserError(f"{path} must have one input, a picture, got {len(inputs)} ({names}): export it so")
    _, dtype, sizes = inputs[0]
    fixed = [size if isinstance(size, int) and size > 0 else None for size in sizes]
    if dtype not in FLOAT32 or len(fixed) != 4 or fixed[1] not in (None, 3) or fixed[0] not in (None, 1):
        raise UserError(
            f"{path} must take float32 pictures (N, 3, H, W) with N dynamic or 1, got {dtype} {_shape(sizes)}: "
            "export it so"
        )
    return fixed[2], fixed[3]


def check_output(path: Path, outputs: Sequence[tuple[str, Sequence[Any]]]) -> None:
    """Refuse a file unless it has one output, a depth map.

    Args:
        path: the file.
        outputs: of each, its name and its sizes, whole numbers where they are fixed.

    Raises:
        UserError: if it is not so.
    """
    if len(outputs) != 1:
        names = ", ".join(name for name, _ in outputs)
        raise UserError(f"{path} must have one output, the depth, got {len(outputs)} ({names}): export it so")
    sizes = outputs[0][1]
    if sizes and not _is_map(sizes):  # a file need not tell its output's shape
        raise _no_map(path, sizes)


def _is_map(sizes: Sequence[int | str | None]) -> bool:
    return len(sizes) == 3 or (len(sizes) == 4 and (not isinstance(sizes[1], int) or sizes[1] == 1))


def _no_map(path: Path, sizes: Sequence[int | str | None]) -> UserError:
    return UserError(f"{path} must answer depth (N, 1, H, W) or (N, H, W), got {_shape(sizes)}: export it so")


def read_info(path: Path, metadata: Mapping[str, str]) -> FileInfo:
    """What a file's metadata and the TOML file beside it say.

    Args:
        path: the file.
        metadata: words by names that begin with `PREFIX`.

    Raises:
        UserError: if either makes no sense.
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
    stated = {key: metadata[PREFIX + key] for key in FileInfo.model_fields if PREFIX + key in metadata}
    try:
        return {key: text if key == "output" else json.loads(text) for key, text in stated.items()}
    except json.JSONDecodeError as error:
        raise UserError(f"{path}, metadata: mean, std and focal_px must be JSON, got {error.doc!r}") from error


class FilePredictor:
    """A network in a file; see `leadline.predictors.base.Predictor`.

    Attributes:
        name: the file's path.
        output: what its values mean.
    """

    def __init__(self, path: Path, network: Network, info: FileInfo) -> None:
        """Take an open file, see `open_onnx`."""
        self.name = str(path)
        self.output = info.output
        self._path, self._network, self._info = path, network, info
        self._mean = torch.tensor(info.mean).view(1, 3, 1, 1)
        self._std = torch.tensor(info.std).view(1, 3, 1, 1)

    def __call__(self, batch: Batch, flip: bool) -> Answer:
        """Answer a batch, one picture at a time: many files allow no other batch.

        Args:
            batch: pictures; a file that names its focal length has its metres scaled to theirs, where known.
            flip: whether to answer with the mean over the picture and its mirror image.

        Returns:
            Values at the pictures' own size.

        Raises:
            UserError: if the network fails on a picture or does not answer a depth map.
        """
        focal_px = batch.intrinsics[:, 0, 0]
        values = self._answer_all(batch.image, focal_px)
        if flip:
            values = (values + self._answer_all(batch.image.flip(-1), focal_px).flip(-1)) / 2
        height, width = batch.image.shape[-2:]
        return Answer(values * self._focal_scale(focal_px, height, width).view(-1, 1, 1, 1))

    def _fed_size(self, height: int, width: int) -> tuple[int, int]:
        return self._network.height or height, self._network.width or width

    def _answer_all(self, images: Tensor, focal_px: Tensor) -> Tensor:
        pairs = zip(images, focal_px, strict=True)
        return torch.cat([self._answer(image[None], focal[None]) for image, focal in pairs])

    def _answer(self, image: Tensor, focal_px: Tensor) -> Tensor:
        """Values (1, 1, H, W) of one picture (1, 3, H, W) of a focal length (1,)."""
        height, width = image.shape[-2:]
        fed_height, fed_width = self._fed_size(height, width)
        fed = (resize(image, fed_height, fed_width) - self._mean) / self._std
        feed = {self._network.picture: fed.contiguous().numpy()}
        if self._network.takes_focal:
            feed[FOCAL] = (focal_px * enlargement(height, width, fed_height, fed_width)).float().numpy()
        try:
            values = self._network.run(feed)
        except Exception as error:  # as above
            raise UserError(
                f"{self._path} fails on a picture of {fed_height}×{fed_width} ({reason(error)}): "
                "export it for a fixed size"
            ) from error
        if not _is_map(values.shape):
            raise _no_map(self._path, values.shape)
        return resize_depth(torch.from_numpy(values).float().reshape(1, 1, *values.shape[-2:]), height, width)

    def _focal_scale(self, focal_px: Tensor, height: int, width: int) -> Tensor:
        """What to multiply metres by for pictures of these focal lengths: the whole ratio, a file has one size."""
        if self._info.focal_px is None or self.output is not Output.METRES:
            return torch.ones_like(focal_px)
        times = enlargement(height, width, *self._fed_size(height, width))
        return torch.nan_to_num(focal_px * times / self._info.focal_px, nan=1.0)
