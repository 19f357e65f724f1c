"""Metric depth from a single picture: train, evaluate and use monocular depth models.

>>> import leadline
>>> sorted(leadline.__all__)[:2]
['evaluate', 'load_model']
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# Public name -> module. Loaded when first asked for, so that `import leadline` is instant.
_HOMES = {
    "load_model": "leadline.checkpoint",
    "measure": "leadline.measurement",
    "predict": "leadline.prediction",
    "evaluate": "leadline.evaluation",
    "open_dataset": "leadline.data",
}

__all__ = ["evaluate", "load_model", "measure", "open_dataset", "predict"]

if TYPE_CHECKING:
    from leadline.checkpoint import load_model
    from leadline.data import open_dataset
    from leadline.evaluation import evaluate
    from leadline.measurement import measure
    from leadline.prediction import predict


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'leadline' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
