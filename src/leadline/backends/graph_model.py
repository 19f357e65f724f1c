"""leadline's own models, by onnxruntime and NumPy: nothing of PyTorch's is loaded.

A checkpoint with a graph (`network.onnx`, the network without its weights) needs no second copy of them: those of
`model.safetensors` are handed to onnxruntime as they would be to PyTorch.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from threading import Lock
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from leadline.backends.base import Estimate, Image, known_focal_px, require_finite
from leadline.backends.graph_weights import CheckpointWeights, read_wanted
from leadline.backends.threads import MAX_CONCURRENCY, all_threads, num_threads
from leadline.errors import LeadlineError
from leadline.geometry import Camera, CameraSource, Output, ViewSize, resize, with_sharp_edges
from leadline.models import (
    GRAPH,
    INT8_GRAPH,
    INT8_SITES,
    WEIGHTS,
    GraphInfo,
    ModelSettings,
    find_checkpoint,
    read_graph_info,
    read_settings,
)

Map = NDArray[np.float32]
Array = NDArray[Any]
Precision = Literal["float32", "int8"]

logger = logging.getLogger(__name__)

INT8_FLAGS = ("avx512_vnni", "avx_vnni")
"""What processors that multiply bytes quickly are known by."""
FEW_IMAGES = 10
"""For fewer it does not pay to lay out weights anew for the processor: that takes as long, and as much memory again."""


def open_graph(model: str, num_images: float = 1, precision: Precision | None = None) -> "GraphBackend":
    """Open a leadline model whose checkpoint has a graph.

    Products are in 8 bits where the checkpoint has such a graph, the processor is quick with bytes, and there are at
    least `FEW_IMAGES`: for fewer, making the weights takes longer than it saves.

    Args:
        model: "default", the name of a bundled model, a checkpoint's folder, or a run's (its best epoch).
        num_images: about how many it shall answer.
        precision: instead of that rule.

    Raises:
        LeadlineError: if there is no such model, it has no graph, or its files are broken.
    """
    folder = find_checkpoint(model)
    if precision is None:
        quick = (folder / INT8_GRAPH).is_file() and num_images >= FEW_IMAGES and _multiplies_int8()
        precision = "int8" if quick else "float32"
    return GraphBackend(folder, read_settings(folder), read_graph_info(folder), model, num_images, precision)


def open_float32(model: str, num_images: float = 1) -> "GraphBackend":
    """`open_graph` in float32."""
    return open_graph(model, num_images, "float32")


def open_int8(model: str, num_images: float = 1) -> "GraphBackend":
    """`open_graph` with 8-bit products."""
    if overflows_in_int8():
        logger.warning(
            "this processor adds 8-bit products up in 16 bits, which can overflow: depth changes by some 1 %; with "
            "--backend onnxruntime-float32 it does not"
        )
    return open_graph(model, num_images, "int8")


class GraphBackend:
    """A leadline model in onnxruntime, on the processor; see `leadline.backends.base.Backend`.

    Attributes:
        settings: the model's.
        name: what it goes by.
        working_size: of the model's settings.
        concurrency: one image for each core.
    """

    output = Output.METRES
    device = "cpu"

    def __init__(
        self,
        folder: Path,
        settings: ModelSettings,
        graph: GraphInfo,
        name: str,
        num_images: float,
        precision: Precision,
    ) -> None:
        """Open what a checkpoint's folder holds, for about so many images; see `open_graph`."""
        self.settings, self.name, self.runtime = settings, name, f"onnxruntime {precision}"
        self.working_size: tuple[int, int] | None = (settings.height, settings.width)
        self.concurrency = min(all_threads(), MAX_CONCURRENCY)
        # The graph has the range of when it was made; a calibrated copy another, see `leadline.models.save_rescaled`.
        self._scale = np.float32(settings.head.min_depth_m / graph.min_depth_m)
        self._folder, self._graph, self._precision, self._prepack = folder, graph, precision, num_images >= FEW_IMAGES
        self._sessions: dict[int, Any] = {}  # by how many threads each has
        self._opening = Lock()
        # A broken file is told now; of many images several are answered at a time, each by its share of the threads.
        self._session(max(1, num_threads() // self.concurrency) if self._prepack else num_threads())

    def assumed_camera(self, height: int, width: int) -> Camera | None:
        """The camera of the training images, at this size; None if it is not known."""
        focal_px = self.settings.view.assumed_focal_px(height, width)
        return None if focal_px is None else Camera.from_focal_px(focal_px, width, height, CameraSource.ASSUMED)

    def estimate(self, images: Sequence[Image], cameras: Sequence[Camera | None]) -> Estimate:
        """Metres and their relative error; an unknown camera is taken to be that of the training images.

        Images go one after the other, so that an answer does not hang on what is beside it.
        """
        answers = [self._estimate_one(*each) for each in zip(images, known_focal_px(cameras), strict=True)]
        errors = [error for _, error in answers if error is not None]
        estimate = Estimate(np.stack([depth_m for depth_m, _ in answers]), errors or None)
        return require_finite(estimate, self.name)

    def _estimate_one(self, image: Image, focal_px: float) -> tuple[Map, Map | None]:
        """Metres (H, W), as `leadline.models.model.DepthModel.estimate` has them, and relative error as it comes."""
        view = self.settings.view.view_size(focal_px, *image.shape[:2])
        seen = np.ascontiguousarray(resize(image, view.height, view.width).transpose(2, 0, 1)[None])
        depth_m, *more = self._session(num_threads()).run(None, {"working": seen})
        depth_m *= self._scale
        return self._finish(depth_m[0, 0], image, view), more[0][0, 0] if more else None

    def _finish(self, depth_m: Map, image: Image, view: ViewSize) -> Map:
        """Depth at the image's size, with its edges and at its focal length: `DepthModel.finish` in NumPy."""
        head = self.settings.head
        depth_m = with_sharp_edges(depth_m, image, self.settings.edge_radius_px)
        # Rounding can step over an end of the range by a bit.
        return depth_m.clip(head.min_depth_m, head.max_depth_m) * np.float32(view.scale)

    def _session(self, threads: int) -> Any:
        """The network with so many threads: one image alone has all of them, one of several its share."""
        with self._opening:
            if threads not in self._sessions:
                self._sessions[threads] = _open_session(
                    self._folder, self._graph, self._precision, threads, self._prepack
                )
            return self._sessions[threads]


def _open_session(folder: Path, graph: GraphInfo, precision: Precision, threads: int, prepack: bool) -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise LeadlineError("this needs one more package: pip install onnxruntime") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4  # what goes wrong is raised too
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.disable_prepacking", str(int(not prepack)))
    file, weights = _GRAPHS[precision](folder, graph)
    try:
        # Each is copied, so that no second set of all is in memory.
        values = {name: onnxruntime.OrtValue.ortvalue_from_numpy(it) for name, it in weights}
        options.add_external_initializers(list(values), list(values.values()))
        return onnxruntime.InferenceSession(file.read_bytes(), options, providers=["CPUExecutionProvider"])
    except LeadlineError:
        raise
    except Exception as error:  # onnxruntime's errors have no base of their own
        raise LeadlineError(
            f"{file} and {WEIGHTS} beside it do not go together ({error}): copy the folder again"
        ) from error


def _float32_graph(folder: Path, graph: GraphInfo) -> tuple[Path, Iterator[tuple[str, Array]]]:
    return folder / GRAPH, CheckpointWeights(folder).plain(graph.weights)


def _int8_graph(folder: Path, graph: GraphInfo) -> tuple[Path, Iterator[tuple[str, Array]]]:
    return folder / INT8_GRAPH, CheckpointWeights(folder).of(read_wanted(folder / INT8_SITES))


_GRAPHS: dict[Precision, Callable[[Path, GraphInfo], tuple[Path, Iterator[tuple[str, Array]]]]] = {
    "float32": _float32_graph,
    "int8": _int8_graph,
}
"""Each precision's graph, and its weights by the names that it has for them."""


def overflows_in_int8() -> bool:
    """Whether the processor, where the system tells, has AVX2 and no VNNI.

    There onnxruntime adds pairs of products of an unsigned and a signed byte in 16 bits, which saturate.
    """
    return " avx2" in _processor_flags() and not _multiplies_int8()


def _multiplies_int8() -> bool:
    """Whether the processor multiplies bytes several times as quickly as floats, where the system tells."""
    flags = _processor_flags()
    return any(f" {flag}" in flags for flag in INT8_FLAGS)


def _processor_flags() -> str:
    try:
        return Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return ""
