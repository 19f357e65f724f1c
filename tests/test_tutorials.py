"""The commands of tutorials, run one after the other as they stand there.

Robotics runs whole; the researcher's with fewer, smaller images and small models of the bundled names, because
`base` and `fast` score for minutes, and so the captures', which train for one epoch. Those of the student train longer;
tests/test_docs.py checks that they are understood.
"""

import re
import runpy
import shlex
from pathlib import Path

import pytest

from leadline.cli.main import main
from leadline.data.synthetic import synthesize
from leadline.models import DepthModel, checkpoint_files, save_checkpoint
from leadline.training.settings import RunSettings

ROOT = Path(__file__).parents[1]


def commands(persona: str) -> list[str]:
    """What a tutorial has typed into leadline, continued lines joined."""
    text = (ROOT / "docs" / "tutorials" / f"{persona}.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    return [line for line in lines if line.startswith("leadline ")]


def test_the_commands_for_robotics_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "examples").symlink_to(ROOT / "examples", target_is_directory=True)
    typed = commands("robotics")
    assert len(typed) >= 5
    for line in typed:
        assert main(shlex.split(line)[1:]) == 0, line


@pytest.fixture
def small_models(tmp_path: Path, tiny_model: DepthModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """Models named base and fast that answer at once."""
    for name in ("base", "fast"):
        save_checkpoint(
            tmp_path / "bundled" / name, tiny_model, record={"settings": RunSettings().model_dump()}, card=""
        )
    monkeypatch.setattr(checkpoint_files, "BUNDLE", tmp_path / "bundled")


@pytest.mark.usefixtures("small_models")
def test_the_commands_for_researchers_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    synthesize(tmp_path / "nyu-labelled", 5, seed=0, height=480, width=640)  # of the size that NYU's protocols want
    size = "--count 24 --height 240 --width 320"
    typed = [line.replace(size, "--count 8 --height 72 --width 96") for line in commands("researcher")]
    assert size in commands("researcher")[0] and len(typed) == 9
    for line in typed:
        if not line.startswith(("leadline data download", "leadline data prepare")):
            assert main(shlex.split(line)[1:]) == 0, line
    assert {path.name for path in (tmp_path / "scores" / "base").iterdir()} >= {"metrics.json", "per_image.csv"}
    assert (tmp_path / "compared" / "compare.md").is_file() and (tmp_path / "report.html").is_file()


@pytest.mark.usefixtures("small_models")
def test_the_commands_for_captures_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("av", reason="needs the extra video")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "examples").symlink_to(ROOT / "examples", target_is_directory=True)
    size = "--count 24 --height 240 --width 320"
    typed = [line.replace(size, "--count 12 --height 72 --width 96") for line in commands("captures")]
    assert size in commands("captures")[0] and len(typed) == 10
    for line in typed:
        if line.startswith("leadline data check"):
            runpy.run_path(str(ROOT / "examples" / "phone_captures.py"))["main"](Path("rooms"), Path("captures"))
        assert main(shlex.split(line.replace("--epochs 3", "--epochs 1 --data.workers 0"))[1:]) == 0, line
    assert {path.name for path in (tmp_path / "scores").iterdir()} == {"before", "calibrated", "mine"}
    assert (tmp_path / "compared" / "compare.md").is_file() and list((tmp_path / "depth").iterdir())
