"""One training in two processes, as `torchrun` starts it: one writes, all agree."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import tomli_w
import torch
from safetensors.torch import load_file

from leadline.training.run import Run, Status
from leadline.training.settings import STAGES, RunSettings

NUM_PROCESSES = 2


def free_port() -> int:
    with socket.socket() as meeting:
        meeting.bind(("127.0.0.1", 0))
        port: int = meeting.getsockname()[1]
        return port


def test_two_processes_train_one_model_stage_after_stage(
    rooms: Path, tiny_settings: RunSettings, tmp_path: Path
) -> None:
    once = {"epochs": 1, "data": {**tiny_settings.model_dump(exclude_none=True)["data"], "validation": 0.0}}
    values = {**tiny_settings.model_dump(exclude_none=True), STAGES: [{"epochs": 2}, once, {"epochs": 1, "runs": 2}]}
    recipe = tmp_path / "tiny.toml"
    recipe.write_text(tomli_w.dumps(values))
    out = tmp_path / "run"
    command = ["train", str(recipe), "--data", str(rooms), "--out", str(out)]
    torchrun = ["torch.distributed.run", f"--nproc-per-node={NUM_PROCESSES}", f"--master-port={free_port()}"]
    done = subprocess.run(
        [sys.executable, "-m", *torchrun, "-m", "leadline", *command],
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    first, last, mean = Run(out).stages
    assert [run.status for run in (first, last, mean)] == [Status.DONE] * 3
    assert [len(run.read_rows()) for run in (first, last, mean)] == [2, 0, 1]
    for run in (first, last):
        state = torch.load(run.state_file, weights_only=True)
        pictures = len(run.split_file("train").read_text().split())
        # Each step is a batch in each process.
        steps = pictures // (tiny_settings.data.batch_size * NUM_PROCESSES)
        assert state["global_step"] == steps * (state["epoch"] + 1)
    one, other, both = (load_file(run.best / "model.safetensors") for run in (*mean.trained, mean))
    assert all(torch.allclose(both[name].float(), (one[name] + other[name]).float() / 2, atol=1e-6) for name in both)
    kept = load_file(last.best / "model.safetensors")
    averaged = torch.load(last.state_file, weights_only=True)["state_dict"]
    assert all(torch.equal(value, averaged[f"model.{name}"]) for name, value in kept.items())
