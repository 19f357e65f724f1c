"""The scripts of examples/ run as a user runs them, on tiny data."""

import math
import re
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import leadline
from leadline.cli.main import main
from leadline.models import DepthModel, checkpoint_files, save_checkpoint
from leadline.training.settings import RunSettings

EXAMPLES = Path(__file__).parents[1] / "examples"


class Run:
    """Runs examples in this process, in which torch is imported already, and the commands that they start too."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        monkeypatch.setattr(subprocess, "run", self._command)
        self._monkeypatch, self._capsys = monkeypatch, capsys

    def __call__(self, script: str, *arguments: object) -> str:
        """What an example prints."""
        self._monkeypatch.setattr(sys, "argv", [script, *map(str, arguments)])
        runpy.run_path(str(EXAMPLES / script), run_name="__main__")
        return self._capsys.readouterr().out

    def _command(self, command: list[str], *, check: bool) -> None:
        assert check and command[:3] == [sys.executable, "-m", "leadline"]
        assert main(command[3:]) == 0, command


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    return Run(monkeypatch, capsys)


def number(pattern: str, text: str) -> float:
    found = re.search(pattern, text)
    assert found, text
    return float(found[1])


def test_predict_prints_what_it_saves(tmp_path: Path):
    image = tmp_path / "hall.jpg"
    Image.open(EXAMPLES / "room_1.jpg").resize((160, 120)).save(image)

    command = [sys.executable, EXAMPLES / "predict.py", image, tmp_path / "out"]  # a user's process of its own
    text = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, timeout=200).stdout

    with np.load(tmp_path / "out" / "hall.npz") as saved:
        depth_m = saved["depth_m"]
    assert depth_m.shape == (120, 160)
    assert number(r"median ([\d.]+) m", text) == pytest.approx(float(np.median(depth_m)), abs=0.01)
    assert number(r"depth at \(80, 60\): ([\d.]+) m", text) == pytest.approx(float(depth_m[60, 80]), abs=0.01)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"hall.npz", "hall_depth.png", "hall_color.png"}


def test_own_data_trains_and_scores_by_scene(run: Run, tmp_path: Path):
    text = run("own_data.py", tmp_path, "--max-steps", 2)

    assert "16 images" in text
    assert math.isfinite(number(r"abs_rel on 4 test images: ([\d.]+)", text))
    assert (tmp_path / "run" / "checkpoints" / "best" / "model.safetensors").is_file()


def test_evaluate_names_the_better_model_of_each_image(
    run: Run, rooms: Path, tiny_model: DepthModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(checkpoint_files, "BUNDLE", tmp_path / "bundled")
    for name in ("base", "fast"):
        record = {"settings": RunSettings().model_dump()}
        save_checkpoint(tmp_path / "bundled" / name, tiny_model, record=record, card="")
        torch.nn.init.normal_(tiny_model.head.conv.weight, std=0.1)  # another for the second
    ids = leadline.open_dataset(rooms).ids[:2]
    split = tmp_path / "two.txt"
    split.write_text("\n".join(ids), encoding="utf-8")

    text = run("evaluate.py", rooms, split, "metric")

    scores = [leadline.evaluate(name, data=rooms, split=str(split), protocol="metric") for name in ("base", "fast")]
    base, fast = ([row["abs_rel"] for row in evaluation.rows()] for evaluation in scores)
    assert base != fast
    better = ["base" if first < second else "fast" for first, second in zip(base, fast, strict=True)]
    assert text.splitlines()[2:] == [f"{image}: {name} is better" for image, name in zip(ids, better, strict=True)]


def test_the_gallery_shows_depth_surface_and_plan_of_a_room(run: Run, tmp_path: Path):
    room = tmp_path / "room_1.jpg"  # a name whose focal length the script knows
    Image.open(EXAMPLES / "room_1.jpg").save(room, quality=95)

    text = run("gallery.py", tmp_path / "out", room)

    assert text == f"wrote {tmp_path / 'out' / 'room_1.jpg'}\n"
    sheet = np.asarray(Image.open(tmp_path / "out" / "room_1.jpg").convert("RGB"), dtype=int)
    panels = [sheet[top : top + 300, left : left + 400] for top in (26, 394) for left in (0, 410)]
    shrunk = np.asarray(Image.open(room).resize((400, 300)), dtype=int)
    assert np.abs(panels[0] - shrunk).mean() < 8
    # Near is bright: the chairs at the foot, not the wall under the window.
    assert panels[1][-20:].sum(2).mean() > panels[1][200:220, 140:240].sum(2).mean() + 100
    unseen = [(np.abs(panel - 238).max(2) <= 4).mean() for panel in panels]
    assert unseen[0] < 0.02 and 0.05 < unseen[2] < 0.5 < unseen[3] < 0.95
