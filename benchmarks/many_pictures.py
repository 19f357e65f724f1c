r"""Memory of `leadline predict` over many pictures, and what a kill in the middle leaves behind.

    python benchmarks/many_pictures.py --count 2000 --most-gb 2

Makes small JPEG pictures of a few sizes, runs `leadline predict --skip-existing` on them, kills it (SIGKILL) half way,
and runs it again. Every result that is there after the kill must be whole, the second run must write exactly what is
missing and touch nothing else, and neither may take more memory than --most-gb. Exit code 1 if any of that is not so.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil
from PIL import Image

from leadline.errors import LeadlineError
from leadline.evaluation.speed.bench import make_images
from leadline.io.depth_files import read_depth_png, read_npz

SIZES = ((96, 128), (128, 96), (90, 160), (120, 120), (72, 96))  # rows and columns
ENDINGS = ("_depth.png", ".npz")
FORMATS = "depth,npz"
POLL_S = 0.02
GB = 1e9


@dataclass
class Watched:
    """What was seen of a run."""

    killed: bool = False
    exit_code: int = 0
    seen: list[tuple[int, int]] = field(default_factory=list)
    """Pictures done and bytes of memory, at each look."""

    @property
    def peak_gb(self) -> float:
        """The most memory at any look."""
        return max(memory for _, memory in self.seen) / GB

    def mean_gb(self, low: float, high: float) -> float:
        """Memory while this part of the run's own pictures was done, from 0 to 1; NaN if nobody looked then."""
        first, last = self.seen[0][0], self.seen[-1][0]
        chosen = [memory for done, memory in self.seen if low <= (done - first) / max(last - first, 1) <= high]
        return float(np.mean(chosen)) / GB if chosen else float("nan")


def fill(folder: Path, count: int) -> list[Path]:
    """Pictures of distinct names that share the bytes of a few."""
    kinds = []
    for height, width in SIZES:
        kind = folder.with_name(f"kind-{height}x{width}")
        kind.mkdir()
        kinds += make_images(kind, 1, height, width)
    folder.mkdir()
    paths = [folder / f"{number:06}.jpg" for number in range(count)]
    for number, path in enumerate(paths):
        kind = kinds[number % len(kinds)]
        try:
            os.link(kind, path)
        except OSError:  # a file system without hard links
            shutil.copyfile(kind, path)
    return paths


def memory_of(process: psutil.Process) -> int:
    """Resident bytes of a process and all below it."""
    total = 0
    for each in [process, *process.children(recursive=True)]:
        try:
            total += each.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total


def num_done(out: Path) -> int:
    """Pictures whose last file is there."""
    try:
        return sum(entry.name.endswith(ENDINGS[-1]) and entry.name[0] != "." for entry in os.scandir(out))
    except FileNotFoundError:
        return 0


def predict(pictures: Path, out: Path, model: str, log: Path, kill_at: int | None = None) -> Watched:
    """Run `leadline predict`, looking at its memory; kill it once so many pictures are done."""
    command = [sys.executable, "-m", "leadline", "predict", str(pictures), "--out", str(out), "--model", model]
    watched = Watched()
    with log.open("w") as file:
        child = subprocess.Popen([*command, "--format", FORMATS, "--skip-existing"], stdout=file, stderr=file)
        process = psutil.Process(child.pid)
        try:
            while child.poll() is None:
                try:
                    watched.seen.append((num_done(out), memory_of(process)))
                except psutil.NoSuchProcess:
                    break
                if kill_at is not None and watched.seen[-1][0] >= kill_at:
                    watched.killed = True
                    break
                time.sleep(POLL_S)
        finally:
            if watched.killed or sys.exc_info()[0] is not None:
                child.kill()
            watched.exit_code = child.wait()
    return watched


def broken(paths: Sequence[Path], out: Path) -> list[str]:
    """Results under their final names that do not open or have another size than their picture."""
    found = []
    for path in paths:
        with Image.open(path) as picture:
            shape = picture.size[::-1]
        for ending, read in zip(ENDINGS, (read_depth_png, read_npz), strict=True):
            result = out / (path.stem + ending)
            try:
                if result.exists() and (got := read(result).depth_m.shape) != shape:
                    found.append(f"{result.name} has the size {got}, its picture {shape}")
            except LeadlineError as error:
                found.append(str(error))
    return found


def files_of(path: Path, out: Path) -> list[tuple[str, int, int]]:
    """Name, inode and time of each result of a picture that is there."""
    there = [out / (path.stem + ending) for ending in ENDINGS]
    return [(it.name, it.stat().st_ino, it.stat().st_mtime_ns) for it in there if it.exists()]


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--model", default="default")
    parser.add_argument("--most-gb", type=float, default=2.0)
    arguments = parser.parse_args(words)
    with tempfile.TemporaryDirectory() as name:
        folder, out, log = Path(name, "pictures"), Path(name, "depth"), Path(name, "log.txt")
        paths = fill(folder, arguments.count)
        first = predict(folder, out, arguments.model, log, kill_at=arguments.count // 2)
        if not first.killed:
            print(f"the first run ended by itself, so nothing was killed:\n{log.read_text()}", file=sys.stderr)
            return 1
        mistakes = broken(paths, out)
        before = {path: files_of(path, out) for path in paths}
        missing = {path for path, files in before.items() if len(files) < len(ENDINGS)}
        unfinished = sum(it.name.startswith(".") for it in out.iterdir())
        num_there = len(paths) - len(missing)
        print(f"killed: {num_there} of {len(paths)} pictures were done, {len(mistakes)} of their files broken; "
              f"{unfinished} unfinished files under hidden names")  # fmt: skip

        second = predict(folder, out, arguments.model, log)
        after = {path: files_of(path, out) for path in paths}
        written = {path for path in paths if after[path] != before[path]}
        mistakes += broken(paths, out)
        mistakes += [f"{path.name} has no result" for path in paths if len(after[path]) < len(ENDINGS)]
        mistakes += [f"{path.name} was done, and done again" for path in sorted(written - missing)]
        if second.exit_code:
            mistakes.append(f"the second run ended with {second.exit_code}: {log.read_text()[-500:]}")
        said = f"{len(missing)} of {len(paths)} pictures written to {out}, {num_there} were there"
        if said not in log.read_text():
            mistakes.append(f"the second run did not say {said!r} but {log.read_text()[-200:]!r}")
    print(f"second run: wrote {len(written)}, missing were {len(missing)}")
    for run, what in ((first, "killed run"), (second, "second run")):
        print(f"{what}: at most {run.peak_gb:.2f} GB; {run.mean_gb(0.1, 0.3):.3f} GB from a tenth to three tenths of "
              f"its pictures, {run.mean_gb(0.8, 1):.3f} GB over the last fifth")  # fmt: skip
        if run.peak_gb > arguments.most_gb:
            mistakes.append(f"the {what} took {run.peak_gb:.2f} GB, wanted at most {arguments.most_gb:g}")
    for mistake in mistakes:
        print(mistake, file=sys.stderr)
    return 1 if mistakes else 0


if __name__ == "__main__":
    sys.exit(main())
