"""ONNX files: any network with one picture in and one depth map out, run by onnxruntime; `openvino` does its own so."""

from pathlib import Path

import torch
from torch import Tensor

from leadline.backends.base import Answer
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
from leadline.data import Batch
from leadline.errors import LeadlineError
from leadline.geometry import Output, enlargement, resize, resize_depth


def open_onnx(path: Path) -> "FilePredictor":
    """Open an ONNX file.

    Args:
        path: the file; one float32 input (N, 3, H, W) and one output (N, 1, H, W) or (N, H, W), N dynamic or 1,
            H and W dynamic or fixed.

    Returns:
        The network on CUDA where onnxruntime has it, else on the processor.

    Raises:
        LeadlineError: if onnxruntime is not installed, the file is missing or broken, its inputs and outputs others,
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


class FilePredictor:
    """A network in a file; see `leadline.backends.base.Predictor`.

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
            LeadlineError: if the network fails on a picture or does not answer a depth map.
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
            raise LeadlineError(
                f"{self._path} fails on a picture of {fed_height}×{fed_width} ({reason(error)}): "
                "export it for a fixed size"
            ) from error
        if not is_map(values.shape):
            raise no_map(self._path, values.shape)
        return resize_depth(torch.from_numpy(values).float().reshape(1, 1, *values.shape[-2:]), height, width)

    def _focal_scale(self, focal_px: Tensor, height: int, width: int) -> Tensor:
        """What to multiply metres by for pictures of these focal lengths: the whole ratio, a file has one size."""
        if self._info.focal_px is None or self.output is not Output.METRES:
            return torch.ones_like(focal_px)
        times = enlargement(height, width, *self._fed_size(height, width))
        return torch.nan_to_num(focal_px * times / self._info.focal_px, nan=1.0)
