r"""How long scoring a folder of predictions takes, beside the plain NumPy loop that evaluation scripts use.

    python benchmarks/score_files.py --data nyu-labelled --split official/test

Predictions are the truth times a smooth factor, written once as .npz (float32). The three ways read the same files
and must agree; each is timed once after one unmeasured pass over the files, as whole calls (processes are started
within the time).
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from leadline.data.catalog import open_dataset
from leadline.data.sample import DepthDataset
from leadline.data.splits import select
from leadline.evaluation.evaluation import evaluate


def write_predictions(dataset: DepthDataset, chosen: list[int], folder: Path) -> None:
    for index in chosen:
        sample = dataset[index]
        height, width = sample.depth_m.shape[-2:]
        factor = 1 + 0.2 * np.sin(np.linspace(0, 3, width, dtype=np.float32) + index)
        np.savez(folder / f"{sample.id}.npz", depth_m=sample.depth_m[0].numpy() * factor.astype(np.float32))


def plain_loop(dataset: DepthDataset, chosen: list[int], folder: Path) -> float:
    """Mean abs_rel under nyu-eigen, as the scripts of BTS and its followers compute it (all nine metrics)."""
    rows = []
    for index in chosen:
        sample = dataset[index]
        truth = sample.depth_m[0].numpy()
        guess = np.clip(np.load(folder / f"{sample.id}.npz")["depth_m"], 1e-3, 10)
        mask = (truth > 1e-3) & (truth < 10)
        window = np.zeros_like(mask)
        window[45:471, 41:601] = True
        y, y_hat = (part[mask & window].astype(np.float64) for part in (truth, guess))
        ratio = np.maximum(y / y_hat, y_hat / y)
        log_error = np.log(y_hat) - np.log(y)
        rows.append([
            *(np.mean(ratio < 1.25**power) for power in (1, 2, 3)),
            np.mean(np.abs(y - y_hat) / y), np.mean((y - y_hat) ** 2 / y), np.sqrt(np.mean((y - y_hat) ** 2)),
            np.sqrt(np.mean(log_error**2)), np.mean(np.abs(np.log10(y_hat) - np.log10(y))), 100 * np.std(log_error),
        ])  # fmt: skip
    return float(np.mean(rows, axis=0)[3])


def timed(name: str, run: Callable[[], float]) -> tuple[str, float, float]:
    start = time.perf_counter()
    value = run()
    return name, time.perf_counter() - start, value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--split", default="official/test")
    arguments = parser.parse_args()
    dataset = open_dataset(arguments.data)
    chosen = select(dataset, arguments.split)

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_predictions(dataset, chosen, folder)  # and the files are in the cache from here on

        def ours(processes: int) -> float:
            words = {"data": arguments.data, "split": arguments.split, "protocol": "nyu-eigen"}
            return evaluate(f"files:{folder}", processes=processes, **words).per_image["abs_rel"]

        results = [
            timed("plain NumPy loop", lambda: plain_loop(dataset, chosen, folder)),
            timed("leadline, 1 process", lambda: ours(1)),
            timed("leadline, 2 processes", lambda: ours(2)),
        ]
    values = [value for _, _, value in results]
    assert np.allclose(values, values[0], rtol=1e-9), values
    print(f"{len(chosen)} pictures, nyu-eigen, abs_rel {values[0]:.6f} from each")
    for name, seconds, _ in results:
        print(f"{name:24} {seconds:6.1f} s   {results[0][1] / seconds:5.2f} × the plain loop")


if __name__ == "__main__":
    main()
