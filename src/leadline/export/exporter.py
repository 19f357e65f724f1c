"""Exporting models for pictures of any size, as ONNX or for OpenVINO; verified before the file takes its name."""

import json
import logging
import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from leadline._version import __version__
from leadline.backends import FOCAL, PREFIX, compile_network, open_session, read_network, save_network
from leadline.errors import LeadlineError
from leadline.export.onnx_graph import ANSWER, DEPTH, IR_VERSION, OPSET, PICTURE, WORKING, around
from leadline.geometry import MIN_SIDE_PX, Output
from leadline.io import SOFTWARE, atomic_file, require_target
from leadline.models import DepthModel, ModelSettings, find_checkpoint, load_model, read_record

MAX_DIFFERENCE = 1e-3
"""Largest relative difference between file and model, in any pixel, that is rounding; 1e-6 to 1e-5 is usual."""

OPTIONAL = "may be left out"
"""What a file says of its focal length, if that is so."""

MAX_BYTES = 2**31
"""Of a protobuf message, which an ONNX file is."""

_PICTURES = ((1, 480, 640, 1.0), (2, 501, 375, 0.6), (1, 90, 160, 1.7))
"""What a file is verified with: how many, height, width, and focal length over that which the model assumes."""


Run = Callable[[dict[str, NDArray[np.float32]]], NDArray[np.float32]]
"""Answers what a file is fed, by the inputs' names."""


class Check(NamedTuple):
    """How a file answered pictures of one size."""

    num_pictures: int
    height: int
    width: int
    focal_px: float | None  # None where the model knows no focal length
    difference: float  # largest relative difference from the model's own answer


def export(model: str | Path, out: str | Path) -> list[Check]:
    """Write a model as a file that answers as `leadline.models.model.DepthModel.estimate` does.

    The file takes RGB in [0, 1] (N, 3, H, W), any size, and, where the model knows which focal length it was trained
    with, focal_px (1,), which may be left out in ONNX and be NaN in both; it answers metres along the optical axis
    (N, 1, H, W). What it leaves out is the last step of a model that sharpens edges, and the expected error.

    Args:
        model: as `leadline.models.find_checkpoint`.
        out: the file, whose name ends in one of `WRITERS`: .onnx, or .xml for OpenVINO, with a .bin beside it. One
            that is there is replaced when the new one is verified.

    Returns:
        How the file answered pictures of three sizes, in float32 on the processor.

    Raises:
        LeadlineError: if a package is missing, the model or the path is none, or the file answers otherwise than the
            model, which then is not kept.
    """
    path = Path(out)
    if path.suffix.lower() not in WRITERS:
        raise LeadlineError(f"--out must be a file whose name ends in {' or '.join(WRITERS)}, got {path}")
    write, extra, packages = WRITERS[path.suffix.lower()]
    require_target(path)
    try:
        for package in packages:
            import_module(package)
    except ImportError as error:
        raise LeadlineError(f'export needs {error.name}: pip install "leadline[{extra}]"') from error
    depth_model = _without_edges(load_model(model))
    num_bytes = 4 * sum(parameter.numel() for parameter in depth_model.parameters())
    if num_bytes >= MAX_BYTES:
        raise LeadlineError(
            f"{model} has {num_bytes / 1e9:.1f} GB of weights, and one ONNX file holds at most 2: train a smaller one"
        )
    whole = around(_trace(depth_model), depth_model.settings)
    _describe(whole, depth_model.settings, read_record(find_checkpoint(model)))
    with write(whole, path) as run:
        checks = [_check(run, depth_model, *picture) for picture in _PICTURES]
        worst = max(checks, key=lambda check: check.difference)
        if not worst.difference <= MAX_DIFFERENCE:
            raise LeadlineError(
                f"the exported file differs from {model} by {worst.difference:.2g} of the depth at {worst.height}×"
                f"{worst.width}, wanted at most {MAX_DIFFERENCE:g}; it is not kept: please report it with your "
                f"versions, torch {torch.__version__} and {_versions()}"
            )
    return checks


def _versions() -> str:
    names = ("onnx", "onnxruntime", "openvino")
    return ", ".join(f"{name} {version(name)}" for name in names if find_spec(name) is not None)


@contextmanager
def _onnx_file(whole: Any, path: Path) -> Iterator[Run]:
    """Write an ONNX model; it takes its name if the block ends without an error."""
    import onnx

    with atomic_file(path) as temporary:
        onnx.save(whole, temporary)
        session = open_session(temporary, ("CPUExecutionProvider",))
        yield lambda feed: session.run(None, feed)[0]


@contextmanager
def _openvino_files(whole: Any, path: Path) -> Iterator[Run]:
    """Likewise for OpenVINO, to which what may be left out is a constant: the focal length therefore may not."""
    import onnx

    kept = [value for value in whole.graph.initializer if value.name != FOCAL]
    del whole.graph.initializer[:]
    whole.graph.initializer.extend(kept)
    with TemporaryDirectory() as folder:
        onnx.save(whole, Path(folder, "model.onnx"))
        network = read_network(Path(folder, "model.onnx"))
    for entry in whole.metadata_props:
        network.set_rt_info(entry.value, [PREFIX.rstrip("."), entry.key.removeprefix(PREFIX)])
    network.set_rt_info(whole.doc_string.replace(OPTIONAL, "NaN where unknown"), [PREFIX.rstrip("."), "description"])
    # The .bin takes its name first: without the .xml it is nothing that anyone opens.
    with atomic_file(path) as temporary, atomic_file(path.with_suffix(".bin")) as weights:
        save_network(network, temporary, weights)
        compiled = compile_network(read_network(temporary, weights))
        yield lambda feed: compiled(feed)[0]


WRITERS: dict[str, tuple[Callable[[Any, Path], AbstractContextManager[Run]], str, tuple[str, ...]]] = {
    ".onnx": (_onnx_file, "onnx", ("onnx", "onnxruntime", "onnxscript")),
    ".xml": (_openvino_files, "openvino", ("onnx", "onnxscript", "openvino")),
}
"""What writes a model of onnx's as a file of that ending, and runs it, before the file takes its name; the extra that
this needs, and its packages."""


def _check(run: Run, model: DepthModel, count: int, height: int, width: int, times: float) -> Check:
    """Answer pictures of one size with the file and with its model."""
    # Noise in every pixel: smooth pictures would hide a resizing that differs at their borders.
    picture = torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(height))
    assumed_px = model.assumed_focal_px(height, width)
    focal_px = None if assumed_px is None else assumed_px * times
    feed = {PICTURE: picture.numpy()}
    if focal_px is not None:
        feed[FOCAL] = torch.tensor([focal_px]).numpy()
    answer = torch.from_numpy(run(feed))
    with torch.no_grad():
        own = model.estimate(picture, torch.full((count,), focal_px or math.nan)).depth_m
    return Check(count, height, width, focal_px, float(((answer - own).abs() / own).max()))


class _Working(nn.Module):
    """Metres (N, 1, h, w) of pictures that already have the working size, RGB in [0, 1] (N, 3, h, w)."""

    def __init__(self, model: DepthModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, picture: Tensor) -> Tensor:
        return self.model.at_working_scale(picture)


def _trace(model: DepthModel) -> Any:
    """The network as an ONNX model from `WORKING` to `ANSWER`: any number of pictures, of any multiple of its step."""
    multiple = model.settings.multiple_px
    height, width = (round(side / multiple) * multiple for side in (model.settings.height, model.settings.width))
    least = -(-MIN_SIDE_PX // multiple)
    sides = [multiple * torch.export.Dim(name, min=least) for name in ("steps_down", "steps_across")]
    try:
        with _quietly():
            program = torch.onnx.export(
                _Working(model).eval(),
                (torch.rand(2, 3, height, width),),
                dynamo=True,
                dynamic_shapes=({0: torch.export.Dim("n"), 2: sides[0], 3: sides[1]},),
                input_names=[WORKING],
                output_names=[ANSWER],
                opset_version=OPSET,
                verbose=False,
            )
    except torch.onnx.OnnxExporterError as error:
        raise LeadlineError(
            f"torch {torch.__version__} cannot export {model.settings.encoder.name}: {_cause(error)}"
        ) from error
    network = cast(Any, program).model_proto
    network.ir_version = IR_VERSION
    return network


def _cause(error: BaseException) -> str:
    """The first line of what an error began with: the exporter's own texts are pages of advice."""
    while error.__cause__ is not None:
        error = error.__cause__
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


@contextmanager
def _quietly() -> Iterator[None]:
    """Keep the exporter's remarks on its own internals from the user."""
    loggers = [logging.getLogger(name) for name in ("onnxscript", "onnx_ir", "torch.onnx")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _without_edges(model: DepthModel) -> DepthModel:
    model.settings = model.settings.model_copy(update={"edge_radius_px": 0.0})
    return model


def _describe(whole: Any, settings: ModelSettings, record: dict[str, Any]) -> None:
    """Say in the file what it is, for `leadline evaluate` and for whoever opens it elsewhere; not who made it where."""
    import onnx

    graph = whole.graph
    for part in (graph, *graph.node, *graph.value_info, *graph.input, *graph.output, *graph.initializer):
        del part.metadata_props[:]  # among them the exporter's call stacks, with paths of this machine
    graph.name = SOFTWARE
    whole.producer_name, whole.producer_version = SOFTWARE, __version__
    focal = f"; {FOCAL} (1,): their focal length in pixels, {OPTIONAL}" if settings.focal_px is not None else ""
    whole.doc_string = (
        f"{PICTURE}: RGB in [0, 1], (N, 3, H, W), any size{focal}. {DEPTH}: metres along the optical axis, "
        f"(N, 1, H, W), {settings.head.min_depth_m:g} to {settings.head.max_depth_m:g} at the training pictures' focal "
        f"length. Licence of the encoder's weights: {record.get('encoder_licence', 'see its makers')}."
    )
    told: dict[str, Any] = {"working_size": [settings.height, settings.width], "multiple_px": settings.multiple_px}
    if settings.focal_px is not None:
        told["trained_focal_px"] = settings.focal_px
    texts = {"output": str(Output.METRES)} | {key: json.dumps(value) for key, value in told.items()}
    onnx.helper.set_model_props(whole, {PREFIX + key: text for key, text in texts.items()})
