r"""Pictures a second of an exported file, beside the model that it was exported from.

    leadline export fast --out fast.onnx
    python benchmarks/exported.py fast fast.onnx --rounds 7

One made-up picture at a time, already in memory, to depth at its own size: without decoding, writing and the sharpening
of edges, which the file leaves out. The model runs as `predict` runs it (bfloat16 where the processor multiplies it
itself), the file in onnxruntime and, where that is installed, in OpenVINO, both in whichever precision they choose. All
take turns, each round begins with another; one unmeasured round comes first.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from leadline.backends.onnx_file import open_session
from leadline.evaluation.speed.results import Spread
from leadline.models.checkpoint import open_model
from leadline.models.device import autocast

Answer = Callable[[np.ndarray], np.ndarray]


def of_model(name: str) -> Answer:
    model = open_model(name, torch.device("cpu"))
    model.settings = model.settings.model_copy(update={"edge_radius_px": 0.0})

    def answer(picture: np.ndarray) -> np.ndarray:
        with torch.inference_mode(), autocast(torch.device("cpu")):
            return model(torch.from_numpy(picture)).numpy()

    return answer


def of_onnxruntime(path: Path) -> Answer:
    session = open_session(path, ("CPUExecutionProvider",))
    return lambda picture: session.run(None, {"picture": picture})[0]


def of_openvino(path: Path) -> Answer | None:
    try:
        import openvino
    except ImportError:
        return None
    core = openvino.Core()
    network = core.compile_model(core.read_model(path), "CPU", {"PERFORMANCE_HINT": "LATENCY"})
    return lambda picture: network({"picture": picture})[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("file", type=Path)
    parser.add_argument("--size", type=int, nargs=2, default=(480, 640), metavar=("HEIGHT", "WIDTH"))
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    found = {
        "leadline": of_model(arguments.model),
        "onnxruntime": of_onnxruntime(arguments.file),
        "OpenVINO": of_openvino(arguments.file),
    }
    ways = {name: answer for name, answer in found.items() if answer is not None}
    picture = np.random.default_rng(0).random((1, 3, *arguments.size), dtype=np.float32)
    first = ways["leadline"](picture)
    for name, answer in ways.items():
        print(f"{name}: differs by at most {np.abs(answer(picture) / first - 1).max():.1e} of the depth")
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    names = list(ways)
    for number in range(arguments.rounds):
        for name in names[number % len(names) :] + names[: number % len(names)]:
            start = time.perf_counter()
            for _ in range(5):
                ways[name](picture)
            seconds[name].append((time.perf_counter() - start) / 5)
    for name in ways:
        ratio = Spread.of([own / other for own, other in zip(seconds["leadline"], seconds[name], strict=True)])
        rate = Spread.of([1 / each for each in seconds[name]])
        print(
            f"{name}: {rate.median:.2f} ±{rate.half_iqr:.2f} pictures a second, "
            f"{ratio.median:.2f} ±{ratio.half_iqr:.2f} times leadline"
        )


if __name__ == "__main__":
    main()
