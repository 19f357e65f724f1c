import shutil
from pathlib import Path

import pytest
import torch
from pytorch_lightning.plugins.io import TorchCheckpointIO

import leadline.io.atomic
import leadline.training.trainer
from leadline.cli.main import main
from leadline.errors import LeadlineError
from leadline.training.run import Run
from leadline.training.settings import RunSettings
from leadline.training.trainer import WholeStates
from leadline.training.training import train

STATE = {"pytorch-lightning_version": "2.6.0", "epoch": 3}


def test_a_state_is_written_beside_its_target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    renamed = []
    replace = leadline.io.atomic.os.replace

    def note(source: Path, target: Path) -> None:
        renamed.append((Path(source).parent, Path(target)))
        replace(source, target)

    monkeypatch.setattr(leadline.io.atomic.os, "replace", note)
    path = tmp_path / "checkpoints" / "last.ckpt"
    WholeStates().save_checkpoint(STATE, str(path))
    assert renamed == [(path.parent, path)]
    assert WholeStates().load_checkpoint(path, weights_only=True) == STATE


def test_a_state_that_cannot_be_written_leaves_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "last.ckpt"
    WholeStates().save_checkpoint(STATE, path)

    def full(*args: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OSError, match="no space left"):
        WholeStates().save_checkpoint({"epoch": 4}, path)
    assert WholeStates().load_checkpoint(path, weights_only=True) == STATE


@pytest.mark.parametrize("content", [b"", b"PK", b"no state"])
def test_a_broken_state_is_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "last.ckpt").write_bytes(content)
    with pytest.raises(LeadlineError, match="is no whole state of a run") as caught:
        WholeStates().load_checkpoint(tmp_path / "last.ckpt", weights_only=True)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("keep", [0.1, 0.5, 0.9])
def test_a_state_that_is_cut_anywhere_is_one_line_with_its_path(tmp_path: Path, keep: float) -> None:
    path = tmp_path / "last.ckpt"
    torch.save({**STATE, "state_dict": {str(place): torch.zeros(1000) for place in range(50)}}, path)
    path.write_bytes(path.read_bytes()[: int(keep * path.stat().st_size)])
    with pytest.raises(LeadlineError, match=r"last\.ckpt is no whole state of a run \(.+\); delete it"):
        WholeStates().load_checkpoint(path, weights_only=True)


@pytest.mark.parametrize("other", [torch.zeros(3), {"state_dict": {}}], ids=["a tensor", "weights alone"])
def test_what_is_no_state_of_a_run_is_one_line(tmp_path: Path, other: object) -> None:
    torch.save(other, tmp_path / "last.ckpt")
    with pytest.raises(LeadlineError, match="is no whole state of a run .it holds something else"):
        WholeStates().load_checkpoint(tmp_path / "last.ckpt", weights_only=True)


def test_a_state_that_may_not_be_read_is_not_called_broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise PermissionError("not yours")

    monkeypatch.setattr(TorchCheckpointIO, "load_checkpoint", fail)
    with pytest.raises(PermissionError, match="not yours"):
        WholeStates().load_checkpoint(tmp_path / "last.ckpt", weights_only=True)


def test_where_there_is_an_apple_gpu_the_processor_trains(
    rooms: Path, tmp_path: Path, tiny_settings: RunSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leadline.training.trainer, "pick_device", lambda: torch.device("mps"))
    once = tiny_settings.model_copy(update={"epochs": 1})
    assert train(once, rooms, Run(tmp_path / "run")).is_dir()


def test_a_run_with_a_broken_state_says_how_to_go_on(
    rooms: Path, tmp_path: Path, tiny_settings: RunSettings, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Run(tmp_path / "run")
    shutil.rmtree(train(tiny_settings.model_copy(update={"epochs": 1}), rooms, run))
    run.state_file.write_bytes(b"")
    assert main(["train", "--resume", str(tmp_path / "run")]) == 2
    assert capsys.readouterr().err.endswith("delete it, and --resume begins the run again\n")
