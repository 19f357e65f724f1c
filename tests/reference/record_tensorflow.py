"""Records what TensorFlow makes of seeded depth maps, so that the tests need no TensorFlow.

Run it with TensorFlow and NumPy installed (nothing of leadline is needed) to refresh `tensorflow.json`:

    python tests/reference/record_tensorflow.py

The tests build the same maps again from the recipes. Only NumPy's PCG64 and single IEEE operations are used,
so that they come out the same to the last bit; a digest of each pair stands beside its numbers.
"""

import hashlib
import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Maps = NDArray[np.float32]

RECORD = Path(__file__).with_name("tensorflow.json")
MAX_DEPTHS_M = (4.0, 10.0)


class Recipe(NamedTuple):
    """How to build a pair of maps."""

    name: str
    seed: int
    shape: tuple[int, int, int]  # batch, height, width
    range_m: tuple[float, float]
    truth_is_smooth: bool
    noise: float  # share of the prediction that is independent of the truth; 0 gives an equal pair


RECIPES = (
    Recipe("noise-odd", 1, (1, 37, 53), (0.5, 4.0), False, 1.0),
    Recipe("noise-even-far", 2, (2, 48, 64), (0.5, 10.0), False, 0.5),
    Recipe("smooth-odd-far", 3, (2, 37, 53), (0.5, 10.0), True, 0.3),
    Recipe("smooth-even", 4, (2, 48, 64), (0.5, 4.0), True, 0.1),
    Recipe("smooth-large", 5, (1, 121, 161), (0.5, 10.0), True, 0.2),
    # One window: a smooth one would show nothing but TensorFlow's own float32 rounding, 2e-5.
    Recipe("one-window", 6, (4, 11, 11), (0.5, 4.0), False, 0.5),
    Recipe("equal-odd", 7, (2, 37, 53), (0.5, 10.0), True, 0.0),
)


def depth_pair(recipe: Recipe) -> tuple[Maps, Maps]:
    """Prediction and truth in metres, float32 (B, H, W), both within the recipe's range."""
    rng = np.random.default_rng(recipe.seed)
    near, far = recipe.range_m
    truth = _smooth(rng, recipe.shape) if recipe.truth_is_smooth else rng.random(recipe.shape)
    other = rng.random(recipe.shape)
    prediction = truth + recipe.noise * (other - truth)
    return tuple((near + (far - near) * unit).astype(np.float32) for unit in (prediction, truth))  # type: ignore[return-value]


def digest(recipe: Recipe) -> str:
    """SHA-256 of the bytes of prediction and truth."""
    return hashlib.sha256(b"".join(maps.astype("<f4").tobytes() for maps in depth_pair(recipe))).hexdigest()


def _smooth(rng: np.random.Generator, shape: tuple[int, int, int]) -> NDArray[np.float64]:
    """Random values at every eighth pixel, joined bilinearly: slopes and creases, as rooms have."""
    batch, height, width = shape
    coarse = rng.random((batch, height // 8 + 2, width // 8 + 2))
    rows, columns = np.arange(height), np.arange(width)
    down, right = (rows % 8)[:, None] / 8, (columns % 8)[None, :] / 8
    corner = {(i, j): coarse[:, (rows // 8 + i)[:, None], (columns // 8 + j)[None, :]] for i in (0, 1) for j in (0, 1)}
    upper = corner[0, 0] + right * (corner[0, 1] - corner[0, 0])
    lower = corner[1, 0] + right * (corner[1, 1] - corner[1, 0])
    return upper + down * (lower - upper)  # type: ignore[no-any-return]


def _tensorflow_numbers(recipe: Recipe) -> dict[str, Any]:
    import tensorflow as tf

    pred, truth = (tf.constant(maps[..., None]) for maps in depth_pair(recipe))
    dy_pred, dx_pred = tf.image.image_gradients(pred)
    dy_truth, dx_truth = tf.image.image_gradients(truth)
    return {
        "sha256": digest(recipe),
        "l1": float(tf.reduce_mean(tf.abs(pred - truth))),
        "gradient": float(tf.reduce_mean(tf.abs(dx_pred - dx_truth) + tf.abs(dy_pred - dy_truth))),
        "ssim": {str(far): tf.image.ssim(pred, truth, max_val=far).numpy().tolist() for far in MAX_DEPTHS_M},
    }


def main() -> None:
    """Write `tensorflow.json`."""
    import tensorflow as tf

    numbers = {recipe.name: _tensorflow_numbers(recipe) for recipe in RECIPES}
    RECORD.write_text(json.dumps({"tensorflow": tf.__version__, "maps": numbers}, indent=1) + "\n")


if __name__ == "__main__":
    main()
