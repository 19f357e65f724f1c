"""The benchmark that kills a run: it passes on a run that is right, and sees what is wrong."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from leadline.writers import write_depth_png, write_npz


@pytest.fixture(scope="module")
def script() -> ModuleType:
    path = Path(__file__).parents[1] / "benchmarks" / "many_pictures.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec and spec.loader
    module = sys.modules[path.stem] = importlib.util.module_from_spec(spec)  # its dataclass asks for it
    spec.loader.exec_module(module)
    return module


def test_a_killed_run_is_finished_by_the_next(
    script: ModuleType, tiny_checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert script.main(["--count", "200", "--model", str(tiny_checkpoint), "--most-gb", "8"]) == 0
    printed = capsys.readouterr()
    assert not printed.err
    assert "0 of their files broken" in printed.out and "second run: wrote" in printed.out


def test_half_files_and_wrong_sizes_are_seen(script: ModuleType, tmp_path: Path) -> None:
    paths = [tmp_path / f"{name}.jpg" for name in "abc"]
    depth_m, valid = np.ones((6, 8), np.float32), np.ones((6, 8), bool)
    for path in paths:
        Image.new("RGB", (8, 6)).save(path)
        write_depth_png(tmp_path / f"{path.stem}_depth.png", depth_m, valid)
        write_npz(tmp_path / f"{path.stem}.npz", depth_m, valid, None)
    assert script.broken(paths, tmp_path) == []
    half = tmp_path / "b.npz"
    half.write_bytes(half.read_bytes()[:200])
    write_depth_png(tmp_path / "c_depth.png", depth_m[:5], valid[:5])
    found = script.broken(paths, tmp_path)
    assert len(found) == 2
    assert "b.npz cannot be read as depth" in found[0]
    assert found[1] == "c_depth.png has the size (5, 8), its picture (6, 8)"


def test_memory_is_that_of_the_looks_in_a_part_of_the_run(script: ModuleType) -> None:
    # Of the 100 pictures from 50 to 150: 60 is a tenth, 80 three tenths, 140 nine tenths.
    looks = [(50, 9.0), (60, 1.0), (80, 3.0), (90, 7.0), (140, 5.0), (150, 5.5)]
    watched = script.Watched(seen=[(done, int(gb * 1e9)) for done, gb in looks])
    assert watched.mean_gb(0.1, 0.3) == 2
    assert watched.mean_gb(0.8, 1) == 5.25
    assert watched.peak_gb == 9
