"""How long models take: each phase of one image separately, and end to end with several under way at a time."""

import itertools
import os
import platform
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from leadline._version import __version__
from leadline.data import image_tensor
from leadline.errors import LeadlineError, counted
from leadline.evaluation.speed.phases import Phases, open_phases
from leadline.evaluation.speed.results import END_TO_END, PEAK_SIDE, PHASES, Benchmark, Entry
from leadline.io import Picture, read_image, write_depth_png
from leadline.prediction import MAX_PIXELS, ordered_map

_MAX_M = 65.0
_SYNCHRONIZE: dict[str, Callable[[], None]] = {"cuda": torch.cuda.synchronize, "mps": torch.mps.synchronize}


class Clock:
    """Adds up the seconds of each phase."""

    def __init__(self, device: torch.device) -> None:
        """Start at zero.

        Args:
            device: what to wait for before a phase counts as ended.
        """
        self.seconds = dict.fromkeys(PHASES, 0.0)
        self._synchronize = _SYNCHRONIZE.get(device.type, lambda: None)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Add what the block takes to a phase."""
        self._synchronize()
        start = time.perf_counter()
        yield
        self._synchronize()
        self.seconds[name] += time.perf_counter() - start


def benchmark(
    models: Sequence[str],
    paths: Sequence[Path],
    *,
    devices: Sequence[torch.device],
    batches: Sequence[int] = (1,),
    rounds: int = 7,
    show_progress: bool = False,
) -> Benchmark:
    """Time models on the same images, interleaved round by round so that the machine's drift hits all alike.

    A round of a model is one pass over the images phase by phase, one several at a time, and one matrix product. One
    round of warm-up is not counted, and each round begins with another model.

    Args:
        models: as `open_phases`.
        paths: image files; larger ones than `MAX_PIXELS` are read smaller.
        devices: where each is to run.
        batches: how many images at a time.
        rounds: how many are counted.
        show_progress: whether to draw a bar.

    Raises:
        LeadlineError: if a model cannot be opened or answer, an image cannot be read, or those of a batch differ
            in size.
        OSError: if the temporary folder cannot be written.
    """
    opened = [open_phases(model, device) for device in devices for model in models]
    runs = [_Run(phases, paths, batch) for batch in batches for phases in opened]
    with TemporaryDirectory(prefix="leadline-bench-") as name:
        bar = tqdm(total=(rounds + 1) * len(runs), desc="bench", unit="pass", disable=not show_progress)
        for number in range(rounds + 1):
            first = number % len(runs)
            for run in runs[first:] + runs[:first]:
                run.one_round(Path(name), counted=number > 0)
                bar.update()
        bar.close()
    return Benchmark(
        leadline=__version__,
        torch=torch.__version__,
        machine=", ".join(dict.fromkeys([_processor(), *(_name_of(device) for device in devices)])),
        num_threads=torch.get_num_threads(),
        num_images=len(paths),
        entries=tuple(run.entry() for run in runs),
    )


class _Run:
    """One model on one device at one batch size, and what it took in each round."""

    def __init__(self, phases: Phases, paths: Sequence[Path], batch: int) -> None:
        self.phases, self.batch = phases, batch
        num_batches = -(-len(paths) // batch)
        again = itertools.cycle(paths)
        self.batches = [list(itertools.islice(again, batch)) for _ in range(num_batches)]
        self.seconds: dict[str, list[float]] = {}
        self.peak_gflops: list[float] = []

    def one_round(self, out: Path, counted: bool) -> None:
        num_images = len(self.batches) * self.batch
        try:
            apart = phase_by_phase(self.phases, self.batches, out)
            whole = side_by_side(self.phases, self.batches, out)
        except torch.OutOfMemoryError as error:
            raise LeadlineError(
                f"{self.phases.name} does not fit into {self.phases.device}'s memory {self.batch} images at a time: "
                "take a smaller batch"
            ) from error
        peak = matrix_gflops(self.phases.device, self.phases.dtype)
        if counted:
            for name, seconds in (*apart.items(), (END_TO_END, whole)):
                self.seconds.setdefault(name, []).append(seconds / num_images)
            self.peak_gflops.append(peak)

    def entry(self) -> Entry:
        prepared = self.phases.prepare(*stack(_decode(self.batches[0][:1])))
        height, width = self.phases.fed_size(prepared) or (None, None)
        return Entry(
            model=self.phases.name,
            device=str(self.phases.device),
            dtype=self.phases.precision or str(self.phases.dtype).removeprefix("torch."),
            batch=self.batch,
            num_parameters=self.phases.num_parameters,
            num_multiply_adds=self.phases.num_multiply_adds(prepared),
            height=height,
            width=width,
            seconds={name: tuple(values) for name, values in self.seconds.items()},
            peak_gflops=tuple(self.peak_gflops),
        )


@torch.inference_mode()
def phase_by_phase(phases: Phases, batches: Sequence[Sequence[Path]], out: Path) -> dict[str, float]:
    """Predict batches of images one phase after the other.

    Args:
        phases: the model.
        batches: image files.
        out: folder for a depth PNG of each place in a batch; a later batch's take the place of an earlier one's.

    Returns:
        Seconds of each of `PHASES` that can be timed separately.
    """
    clock = Clock(phases.device)
    for paths in batches:
        with clock.phase("decode"):
            pictures = _decode(paths)
        with clock.phase(phases.timed_as("preprocess")):
            image, focal_px = stack(pictures)
            prepared = phases.prepare(image, focal_px)
        with clock.phase("model"):
            raw = phases.infer(prepared)
        with clock.phase(phases.timed_as("postprocess")):
            values = phases.finish(raw, image, focal_px).numpy()
        with clock.phase("write"):
            _write(out, values)
    return {name: clock.seconds[name] for name in PHASES if phases.timed_as(name) == name}


def side_by_side(phases: Phases, batches: Sequence[Sequence[Path]], out: Path) -> float:
    """Predict batches as `leadline.prediction.files.predict_files` does images: several at a time.

    Args:
        phases: the model.
        batches: image files.
        out: as for `phase_by_phase`.

    Returns:
        Seconds from the first file's opening to the last one's closing.
    """

    @torch.inference_mode()
    def job(number: int, paths: Sequence[Path]) -> None:
        image, focal_px = stack(_decode(paths))
        raw = phases.infer(phases.prepare(image, focal_px))
        _write(out / str(number), phases.finish(raw, image, focal_px).numpy())

    start = time.perf_counter()
    workers = min(len(batches), phases.concurrency)
    # A place for each of those that can be under way at a time.
    jobs = (partial(job, number % (workers + 1), paths) for number, paths in enumerate(batches))
    deque(ordered_map(jobs, workers), maxlen=0)
    return time.perf_counter() - start


def matrix_gflops(device: torch.device, dtype: torch.dtype) -> float:
    """Billions of operations a second of a product of two random matrices of `PEAK_SIDE`², the better of two."""
    left, right = (torch.randn(PEAK_SIDE, PEAK_SIDE, device=device, dtype=dtype) for _ in range(2))
    out = torch.empty_like(left)
    seconds = []
    for _ in range(2):  # the first one also pays for the kernel's choice and the memory
        clock = Clock(device)
        with clock.phase("model"):
            torch.mm(left, right, out=out)
        seconds.append(clock.seconds["model"])
    return 2 * PEAK_SIDE**3 / min(seconds) / 1e9


def make_images(folder: Path, count: int, height: int, width: int) -> list[Path]:
    """Write random JPEG images that are about as rough, and so as large as files, as photographs of rooms.

    Args:
        folder: where to.
        count: how many.
        height: of each in pixels.
        width: of each in pixels.

    Returns:
        The files.

    Raises:
        OSError: if a file cannot be written.
    """
    random = np.random.default_rng(0)
    paths = [folder / f"picture-{number:05}.jpg" for number in range(count)]
    for path in paths:
        octaves = [_octave(random, 2**level, 140 * 0.7**level, height, width) for level in range(1, 10)]
        pixels = np.clip(128 + sum(octaves), 0, 255)
        Image.fromarray(pixels.astype(np.uint8)).save(path, quality=90)
    return paths


def _octave(random: np.random.Generator, cells: int, most: float, height: int, width: int) -> NDArray[np.float32]:
    """Smooth random colours within ±`most` that change about `cells` times across the image, (H, W, 3)."""
    planes = random.uniform(-most, most, (3, cells, cells)).astype(np.float32)
    smooth = [Image.fromarray(plane).resize((width, height), Image.Resampling.BICUBIC) for plane in planes]
    return np.stack([np.asarray(plane) for plane in smooth], axis=-1)


def stack(pictures: Sequence[Picture]) -> tuple[Tensor, Tensor]:
    """Pictures of one size as a batch (B, 3, H, W), and their focal lengths in pixels (B,), NaN where unknown.

    Raises:
        LeadlineError: if the sizes differ.
    """
    sizes = {tuple(picture.rgb.shape[:2]) for picture in pictures}
    if len(sizes) > 1:
        listed = ", ".join(f"{height}×{width}" for height, width in sorted(sizes))
        raise LeadlineError(f"the images of a batch must have one size, got {listed}: take a batch of 1")
    focal_px = [float("nan") if picture.focal_px is None else picture.focal_px for picture in pictures]
    return torch.stack([image_tensor(picture.rgb) for picture in pictures]), torch.tensor(focal_px)


def _decode(paths: Sequence[Path]) -> list[Picture]:
    return [read_image(path, MAX_PIXELS) for path in paths]


def _write(out: Path, values: NDArray[np.float32]) -> None:
    # Values without a unit can exceed 16 bits of millimetres: as they are they would be written as nothing, too fast.
    values = values * min(1.0, _MAX_M / max(float(values.max()), 1e-9))
    for place, depth in enumerate(values[:, 0]):
        write_depth_png(out / f"{place}.png", depth, np.isfinite(depth))


def _processor() -> str:
    """The processor's name where the system tells it, and how many cores this process may use."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{_cpu_name() or platform.machine()} ({counted(cores or 1, 'core')})"


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")


def _name_of(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else _processor()
