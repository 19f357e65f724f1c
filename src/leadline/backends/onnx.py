"""ONNX files: any network with one image in and one depth map out, run by onnxruntime; `openvino` does its own so."""

from collections.abc import Sequence
from pathlib import Path
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from leadline.backends.base import Estimate, Image, known_focal_px, require_finite
from leadline.backends.onnx_file import (
    FOCAL,
    FileInfo,
    Network,
    check_input,
    check_output,
    is_map,
    no_map,
    open_session,
    read_info,
    reason,
)
from leadline.backends.threads import CONCURRENCY_ELSEWHERE
from leadline.errors import LeadlineError
from leadline.geometry import (
    Camera,
    CameraSource,
    Output,
    enlargement,
    resize,
    resize_depth,
    size_with_area,
    with_sharp_edges,
)


def open_onnx(name: str | Path) -> "FileBackend":
    """Open an ONNX file.

    Args:
        name: the file; one float32 input (N, 3, H, W) and one output (N, 1, H, W) or (N, H, W), N dynamic or 1,
            H and W dynamic or fixed.

    Returns:
        The network on CUDA where onnxruntime has it, else on the CPU.

    Raises:
        LeadlineError: if onnxruntime is not installed, the file is missing or broken, its inputs and outputs others,
            or its metadata or TOML file holds what makes no sense.
    """
    path = Path(name)
    session = open_session(path)
    inputs = [(entry.name, entry.type, entry.shape) for entry in session.get_inputs()]
    named = {name for name, *_ in inputs} | {entry.name for entry in session.get_overridable_initializers()}
    inputs = [it for it in inputs if it[0] != FOCAL]
    height, width = check_input(path, inputs)
    answers = check_output(path, [(entry.name, entry.shape) for entry in session.get_outputs()])
    network = Network(
        lambda feed: session.run(answers, feed),
        inputs[0][0],
        FOCAL in named,
        height,
        width,
    )
    device = "cuda" if session.get_providers()[0].startswith("CUDA") else "cpu"
    info = read_info(path, session.get_modelmeta().custom_metadata_map)
    return FileBackend(path, network, info, "onnxruntime", device)


class FileBackend:
    """A network in a file; see `leadline.backends.base.Backend`.

    Attributes:
        name: the file's path.
        output: what its values mean.
        working_size: as the file's metadata say, else the size that it asks for.
        concurrency: one image is read and one written while the runtime, with threads of its own, answers one.
    """

    concurrency = CONCURRENCY_ELSEWHERE

    def __init__(self, path: Path, network: Network, info: FileInfo, runtime: str, device: str = "cpu") -> None:
        """Take an open file, see `open_onnx`."""
        self.name, self.device, self.runtime = str(path), device, f"{runtime} {info.precision}"
        self.output = info.output
        fixed = (network.height, network.width) if network.height and network.width else None
        self.working_size: tuple[int, int] | None = info.working_size or fixed
        try:
            info.require_plausible(fixed, network.takes_focal)
        except LeadlineError as error:
            raise LeadlineError(f"{path}, metadata: {error}") from error
        self._path, self._network, self._info = path, network, info
        self._mean, self._std = np.array(info.mean, np.float32), np.array(info.std, np.float32)
        self._running = Lock()

    def assumed_camera(self, height: int, width: int) -> Camera | None:
        """The camera that the file's metadata name, at this size; None if they do not."""
        fed = self._fed_size(height, width)
        if self._info.working_size is not None and self._info.trained_focal_px is not None:
            seen = size_with_area(*fed, self._info.working_size[0] * self._info.working_size[1], self._info.multiple_px)
            focal_px = self._info.trained_focal_px / enlargement(height, width, *seen)
        elif self._info.focal_px is not None:
            focal_px = self._info.focal_px / enlargement(height, width, *fed)
        else:
            return None
        return Camera.from_focal_px(focal_px, width, height, CameraSource.ASSUMED)

    def estimate(self, images: Sequence[Image], cameras: Sequence[Camera | None]) -> Estimate:
        """Values of one image after the other, as many files allow no batch.

        Metres follow the focal length where it and the file's are known.

        Raises:
            LeadlineError: if the network fails on an image, or answers no depth map or numbers that are not finite.
        """
        pairs = zip(images, known_focal_px(cameras), strict=True)
        answers = [self._estimate_one(image, focal_px) for image, focal_px in pairs]
        errors = [error for _, error in answers if error is not None]
        values = np.stack([values for values, _ in answers])
        return require_finite(Estimate(values, errors or None), self.name)

    def _fed_size(self, height: int, width: int) -> tuple[int, int]:
        return self._network.height or height, self._network.width or width

    def _estimate_one(self, image: Image, focal_px: float) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        """Values (H, W) of one image, and relative error as the network has it."""
        height, width = image.shape[:2]
        fed_height, fed_width = self._fed_size(height, width)
        times = enlargement(height, width, fed_height, fed_width)
        fed = (resize(image, fed_height, fed_width) - self._mean) / self._std
        feed = {self._network.picture: np.ascontiguousarray(fed.transpose(2, 0, 1)[None])}
        if self._network.takes_focal:
            feed[FOCAL] = np.array([focal_px * times], np.float32)
        maps = self._run(feed, f"{fed_height}×{fed_width}")
        values, *error = (it.reshape(it.shape[-2:]).astype(np.float32) for it in maps)
        values = with_sharp_edges(resize_depth(values, height, width), image, self._info.edge_radius_px)
        return values * self._focal_ratio(focal_px * times), error[0] if error else None

    def _run(self, feed: dict[str, NDArray[np.float32]], size: str) -> Sequence[NDArray[np.float32]]:
        try:
            with self._running:  # OpenVINO allows one at a time, and either uses all cores for one
                maps = self._network.run(feed)
        except Exception as error:  # the runtimes' errors have no base of their own
            raise LeadlineError(
                f"{self._path} fails on an image of {size} ({reason(error)}): export it for a fixed size"
            ) from error
        for values in maps:
            if not is_map(values.shape) or values.shape[0] != 1:
                raise no_map(self._path, values.shape)
        return maps

    def _focal_ratio(self, fed_focal_px: float) -> np.float32:
        """What metres are multiplied by for a focal length: all of the ratio, as a file has one size."""
        if self._info.focal_px is None or self.output is not Output.METRES or np.isnan(fed_focal_px):
            return np.float32(1)
        return np.float32(fed_focal_px / self._info.focal_px)
