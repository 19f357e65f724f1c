"""Exporting models for pictures of any size, as ONNX or for OpenVINO; verified before the file takes its name."""

import json
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from leadline._version import __version__
from leadline.backends import ERROR, FOCAL, PREFIX, compile_network, find_kind, open_session, read_network, save_network
from leadline.errors import LeadlineError
from leadline.export.int8 import filled_network
from leadline.export.network import trace
from leadline.export.onnx_graph import DEPTH, PICTURE, around
from leadline.export.precision import Precision, lowered
from leadline.geometry import Output, checked
from leadline.io import SOFTWARE, atomic_file, require_target
from leadline.models import DepthModel, ModelSettings, find_checkpoint, load_model, read_record

MAX_DIFFERENCE: dict[Precision, float] = {"float32": 1e-3, "fp16": 0.05, "int8": 0.5}
"""Largest relative difference between file and model, in any pixel of noise, that is rounding; in float32 1e-6 to 1e-5
is usual."""

MAX_BIAS = 0.1
"""Largest factor, less 1, between the metres of file and model on noise: 8 bits make up to 4 %, a lost scale more."""

MAX_BYTES = 2**31
"""Of a protobuf message, which an ONNX file is."""

_PICTURES = ((1, 480, 640, 1.0), (2, 501, 375, 0.6), (1, 90, 160, 1.7))
"""What a file is verified with: how many, height, width, and focal length over that which the model assumes."""


Run = Callable[[dict[str, NDArray[np.float32]]], Sequence[NDArray[np.float32]]]
"""Depth, and the expected relative error if it says that, from what a file is fed, by the inputs' names."""


class Check(NamedTuple):
    """How a file answered pictures of one size."""

    num_pictures: int
    height: int
    width: int
    focal_px: float | None  # None where the model knows no focal length
    difference: float  # largest relative difference from the model's own answer
    bias: float  # median of the file's depth over the model's, less 1


@checked
def export(model: str | Path, out: str | Path, precision: Precision = "float32") -> list[Check]:
    """Write a model as a file that answers as `leadline.models.model.DepthModel.estimate` does.

    The file takes RGB in [0, 1] (N, 3, H, W), any size, and, where the model knows which focal length it was trained
    with, focal_px (1,), NaN where unknown; it answers metres along the optical axis
    (N, 1, H, W), and, where the model says it, the expected relative error (N, 1, H, W). What it leaves out is the
    last step of a model that sharpens edges: the file says so, and leadline does it after the file's answer.

    Args:
        model: as `leadline.models.find_checkpoint`.
        out: the file, whose name ends in one of `WRITERS`: .onnx, or .xml for OpenVINO, with a .bin beside it. One
            that is there is replaced when the new one is verified.
        precision: of the network's weights and products, for .onnx.

    Returns:
        How the file answered pictures of three sizes, beside the model in float32 on the processor.

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
    if (kind := find_kind(model)[0]) != "leadline":
        raise LeadlineError(
            f"{model} is no leadline model but of the kind {kind!r}, wanted a bundled model, a checkpoint or a run: of "
            "a calibrated one, export the model that it refers to and calibrate the file"
        )
    depth_model = load_model(model)
    settings = depth_model.settings
    depth_model.settings = settings.model_copy(update={"edge_radius_px": 0.0})
    num_bytes = 4 * sum(parameter.numel() for parameter in depth_model.parameters())
    if num_bytes >= MAX_BYTES:
        raise LeadlineError(
            f"{model} has {num_bytes / 1e9:.1f} GB of weights, and one ONNX file holds at most 2: train a smaller one"
        )
    network = filled_network(find_checkpoint(model)) if precision == "int8" else trace(depth_model)
    whole = lowered(around(network, settings), precision)
    _describe(whole, settings, precision, read_record(find_checkpoint(model)))
    with write(whole, path) as run:
        checks = [_check(run, depth_model, *picture) for picture in _PICTURES]
        worst, limit = max(checks, key=lambda check: check.difference), MAX_DIFFERENCE[precision]
        if not (worst.difference <= limit and max(abs(check.bias) for check in checks) <= MAX_BIAS):
            raise LeadlineError(
                f"the exported file differs from {model} by {worst.difference:.2g} of the depth at {worst.height}×"
                f"{worst.width} ({worst.bias:+.1%} in the median), wanted at most {limit:g} and {MAX_BIAS:.0%}; it is "
                f"not kept: please report it with your "
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
        yield lambda feed: session.run(None, feed)


@contextmanager
def _openvino_files(whole: Any, path: Path) -> Iterator[Run]:
    """Likewise for OpenVINO."""
    import onnx

    with TemporaryDirectory() as folder:
        onnx.save(whole, Path(folder, "model.onnx"))
        network = read_network(Path(folder, "model.onnx"))
    for entry in whole.metadata_props:
        network.set_rt_info(entry.value, [PREFIX.rstrip("."), entry.key.removeprefix(PREFIX)])
    network.set_rt_info(whole.doc_string, [PREFIX.rstrip("."), "description"])
    # The .bin takes its name first: without the .xml it is nothing that anyone opens.
    with atomic_file(path) as temporary, atomic_file(path.with_suffix(".bin")) as weights:
        save_network(network, temporary, weights)
        compiled = compile_network(read_network(temporary, weights))
        yield lambda feed: list(compiled(feed).values())


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
    assumed_px = model.settings.view.assumed_focal_px(height, width)
    focal_px = None if assumed_px is None else assumed_px * times
    feed = {PICTURE: picture.numpy()}
    if focal_px is not None:
        feed[FOCAL] = np.array([focal_px], np.float32)
    with torch.no_grad():
        own = model.estimate(picture, torch.full((count,), focal_px or math.nan))
    pairs = zip(run(feed), (part for part in own if part is not None), strict=True)
    changes = [answer / mine.numpy() - 1 for answer, mine in pairs]
    largest = max(float(np.abs(change).max()) for change in changes)
    return Check(count, height, width, focal_px, largest, float(np.median(changes[0])))


def _describe(whole: Any, settings: ModelSettings, precision: Precision, record: dict[str, Any]) -> None:
    """Say in the file what it is, for `leadline evaluate` and for whoever opens it elsewhere; not who made it where."""
    import onnx

    graph = whole.graph
    for part in (graph, *graph.node, *graph.value_info, *graph.input, *graph.output, *graph.initializer):
        del part.metadata_props[:]  # among them the exporter's call stacks, with paths of this machine
    graph.name = SOFTWARE
    whole.producer_name, whole.producer_version = SOFTWARE, __version__
    focal = f"; {FOCAL} (1,): their focal length in pixels, NaN where unknown" if settings.focal_px is not None else ""
    more = f" {ERROR}: expected |error| / depth, of the same shape." if settings.head.uncertainty else ""
    if settings.edge_radius_px > 0:
        more += " Object boundaries are as the network leaves them: to sharpen them by the picture is a step after it."
    whole.doc_string = (
        f"{PICTURE}: RGB in [0, 1], (N, 3, H, W), any size{focal}. {DEPTH}: metres along the optical axis, "
        f"(N, 1, H, W), {settings.head.min_depth_m:g} to {settings.head.max_depth_m:g} at the training pictures' focal "
        f"length.{more} Licence of the encoder's weights: {record.get('encoder_licence', 'see its makers')}."
    )
    told: dict[str, Any] = {"working_size": [settings.height, settings.width], "multiple_px": settings.multiple_px}
    if settings.focal_px is not None:
        told["trained_focal_px"] = settings.focal_px
    if settings.edge_radius_px > 0:
        told["edge_radius_px"] = settings.edge_radius_px
    texts = {"output": str(Output.METRES), "precision": precision} | {
        key: json.dumps(value) for key, value in told.items()
    }
    onnx.helper.set_model_props(whole, {PREFIX + key: text for key, text in texts.items()})
