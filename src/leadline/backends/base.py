"""What evaluation asks of anything that answers depth: a name, the kind of its answer, and the answer."""

from typing import NamedTuple, Protocol

from torch import Tensor

from leadline.data import Batch
from leadline.geometry import Output

__all__ = ["Answer", "Output", "Predictor"]


class Answer(NamedTuple):
    """A predictor's answer for a batch, at the pictures' own size, on the CPU."""

    values: Tensor  # float32 (B, 1, H, W); what they mean is the predictor's `output`
    uncertainty: Tensor | None = None  # float32 (B, 1, H, W), larger is less sure; None if the predictor says nothing


class Predictor(Protocol):
    """Anything that answers depth: a leadline model, a Hugging Face model, an ONNX file, a folder of predictions."""

    name: str
    output: Output

    def __call__(self, batch: Batch, flip: bool) -> Answer:
        """Answer a batch.

        Args:
            batch: pictures, their intrinsics, and their ids; a predictor never looks at the truth in it.
            flip: whether to answer with the mean over the picture and its mirror image.

        Returns:
            Values for every pixel, at the pictures' own size.

        Raises:
            LeadlineError: if a picture cannot be answered.
        """
        ...
