"""leadline's own models, by onnxruntime and NumPy: nothing of PyTorch's is loaded.

A checkpoint with a graph (`network.onnx`, the network without its weights) needs no second copy of them: those of
`model.safetensors` are handed to onnxruntime as they would be to PyTorch.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leadline.backends.base import Estimate, Image, known_focal_px
from leadline.backends.threads import MAX_CONCURRENCY, all_threads, num_threads
from leadline.errors import LeadlineError
from leadline.geometry import Camera, CameraSource, Output, ViewSize, resize, resize_depth, with_sharp_edges
from leadline.models import (
    GRAPH,
    SCALE_SUFFIX,
    TRANSPOSED,
    WEIGHTS,
    GraphInfo,
    ModelSettings,
    find_checkpoint,
    read_graph_info,
    read_settings,
)

Map = NDArray[np.float32]

FEW_IMAGES = 10
"""For fewer it does not pay to lay out weights anew for the processor: that takes as long, and as much memory again."""


def open_graph(model: str, num_images: float = 1) -> "GraphBackend":
    """Open a leadline model whose checkpoint has a graph.

    Args:
        model: "default", the name of a bundled model, a checkpoint's folder, or a run's (its best epoch).
        num_images: about how many it shall answer.

    Raises:
        LeadlineError: if there is no such model, it has no graph, or its files are broken.
    """
    folder = find_checkpoint(model)
    return GraphBackend(folder, read_settings(folder), read_graph_info(folder), model, num_images)


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
    runtime = "onnxruntime float32"

    def __init__(
        self, folder: Path, settings: ModelSettings, graph: GraphInfo, name: str, num_images: float = 1
    ) -> None:
        """Open what a checkpoint's folder holds, for about so many images; see `open_graph`."""
        self.settings, self.name = settings, name
        self.working_size: tuple[int, int] | None = (settings.height, settings.width)
        self.concurrency = min(all_threads(), MAX_CONCURRENCY)
        # The graph has the range of when it was made; a calibrated copy another, see `leadline.models.save_rescaled`.
        self._scale = np.float32(settings.head.min_depth_m / graph.min_depth_m)
        self._folder, self._graph, self._prepack = folder, graph, num_images >= FEW_IMAGES
        self._sessions: dict[int, Any] = {}  # by how many threads each has
        self._opening = Lock()
        self._session(num_threads())  # a broken file is told now

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
        return Estimate(np.stack([depth_m for depth_m, _ in answers]), np.stack(errors) if errors else None)

    def _estimate_one(self, image: Image, focal_px: float) -> tuple[Map, Map | None]:
        """Metres and relative error (H, W), as `leadline.models.model.DepthModel.estimate` has them."""
        view = self.settings.view.view_size(focal_px, *image.shape[:2])
        seen = np.ascontiguousarray(resize(image, view.height, view.width).transpose(2, 0, 1)[None])
        depth_m, *more = self._session(num_threads()).run(None, {"working": seen})
        depth_m *= self._scale
        error = resize_depth(more[0][0, 0], *image.shape[:2]) if more else None
        return self._finish(depth_m[0, 0], image, view), error

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
                self._sessions[threads] = _open_session(self._folder, self._graph, threads, self._prepack)
            return self._sessions[threads]


def _open_session(folder: Path, graph: GraphInfo, threads: int, prepack: bool) -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise LeadlineError('this needs one more package: pip install "leadline[onnx]"') from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4  # what goes wrong is raised too
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.disable_prepacking", str(int(not prepack)))
    try:
        # Each is copied, so that no second set of all is in memory.
        values = {name: onnxruntime.OrtValue.ortvalue_from_numpy(it) for name, it in _weights(folder, graph)}
        options.add_external_initializers(list(values), list(values.values()))
        network = (folder / GRAPH).read_bytes()
        return onnxruntime.InferenceSession(network, options, providers=["CPUExecutionProvider"])
    except LeadlineError:
        raise
    except Exception as error:  # onnxruntime's errors have no base of their own
        raise LeadlineError(
            f"{folder / GRAPH} and {WEIGHTS} beside it do not go together ({error}): copy the folder again"
        ) from error


def _weights(folder: Path, graph: GraphInfo) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Each of the graph's weights in float32, by its name there."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(folder / WEIGHTS, "numpy") as stored:
            there = set(stored.keys())
            for name in graph.weights:
                own = name.removesuffix(TRANSPOSED)
                weights = stored.get_tensor(own)
                scale = stored.get_tensor(own + SCALE_SUFFIX) if own + SCALE_SUFFIX in there else None
                weights = weights.astype(np.float32) if scale is None else _scaled(weights, scale)
                yield name, weights if own == name else np.ascontiguousarray(weights.T)
    except (SafetensorError, OSError) as error:
        raise LeadlineError(f"{folder / WEIGHTS} is not a whole file ({error}): copy or download it again") from error


def _scaled(stored: NDArray[np.int8], scale: NDArray[np.float32]) -> NDArray[np.float32]:
    """`leadline.models.dequantize` of one tensor."""
    groups = stored.reshape(len(scale), -1)
    return np.multiply(groups, scale.reshape(-1, 1), dtype=np.float32).reshape(stored.shape)
