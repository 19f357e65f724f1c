"""Benchmarks: what is timed, in which order; never how long it took."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from leadline.cli.main import main
from leadline.errors import LeadlineError
from leadline.evaluation.speed import bench as module
from leadline.evaluation.speed.bench import benchmark, make_images, phase_by_phase, side_by_side
from leadline.evaluation.speed.phases import Phases, open_phases
from leadline.evaluation.speed.results import END_TO_END, PHASES, Benchmark
from leadline.export import export
from leadline.io.depth_files import read_depth_png
from leadline.models.checkpoint import load_model
from leadline.models.model import DepthModel
from leadline.prediction.files import predict_files

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def small_matrices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PEAK_SIDE", 16)


def test_every_phase_of_every_round_is_there(tmp_path: Path, tiny_checkpoint: Path) -> None:
    paths = make_images(tmp_path, 3, 60, 80)
    names = [str(tiny_checkpoint), f"{tiny_checkpoint}/"]
    result = benchmark(names, paths, devices=[CPU], batches=[1, 2], rounds=3)
    assert [(it.model, it.batch) for it in result.entries] == [(name, batch) for batch in (1, 2) for name in names]
    for entry in result.entries:
        assert tuple(entry.seconds) == (*PHASES, END_TO_END)
        assert all(len(rounds) == 3 and min(rounds) > 0 for rounds in entry.seconds.values())
        assert len(entry.peak_gflops) == 3 and min(entry.peak_gflops) > 0
        assert (entry.height, entry.width, entry.device) == (36, 48, "cpu")
        assert entry.num_parameters == sum(it.numel() for it in load_model(tiny_checkpoint).parameters())
        assert entry.num_multiply_adds > 0
    assert len({it.num_multiply_adds for it in result.entries}) == 1  # for a picture, whatever the batch
    assert result.num_images == 3


def test_models_take_turns_and_each_round_begins_with_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_checkpoint: Path
) -> None:
    order: list[str] = []

    def named(name: str, device: torch.device) -> Phases:
        phases = open_phases(str(tiny_checkpoint), device)
        return replace(phases, name=name)

    def noted(phases: Phases, *_: object) -> float:
        order.append(phases.name)
        return 1.0

    monkeypatch.setattr(module, "open_phases", named)
    monkeypatch.setattr(module, "side_by_side", noted)
    benchmark(["a", "b", "c"], make_images(tmp_path, 1, 40, 60), devices=[CPU], rounds=3)
    assert "".join(order) == "abcbcacababc"  # the first is the warm-up


@pytest.mark.usefixtures("traced_once")
@pytest.mark.parametrize("suffix", ["onnx", "xml"])
def test_a_file_is_timed_beside_its_model(
    suffix: str, tmp_path: Path, tiny_checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("onnxruntime" if suffix == "onnx" else "openvino")
    file, out = tmp_path / f"tiny.{suffix}", tmp_path / "bench.json"
    export(tiny_checkpoint, file)
    words = ["bench", str(tiny_checkpoint), str(file), "--size", "40x60", "--device", "cpu", "--rounds", "1"]
    assert main([*words, "--out", str(out)]) == 0
    assert capsys.readouterr().out.count("in model") == 2
    model, exported = Benchmark.model_validate_json(out.read_text(encoding="utf-8")).entries
    assert tuple(model.seconds) == (*PHASES, END_TO_END)
    assert tuple(exported.seconds) == ("decode", "model", "write", END_TO_END)
    assert (exported.device, exported.dtype, exported.num_parameters, exported.gflops) == ("cpu", "float32", None, None)


@pytest.mark.parametrize("batch", [1, 3])
def test_either_way_writes_what_predict_writes(
    batch: int, tmp_path: Path, tiny_checkpoint: Path, tiny_model: DepthModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = make_images(tmp_path, 3, 60, 80)
    phases = replace(open_phases(str(tiny_checkpoint), CPU), concurrency=2)
    list(predict_files(paths[-batch:], tmp_path / "predicted", tiny_model, formats=["depth"]))
    for number, way in enumerate((phase_by_phase, side_by_side)):
        out = tmp_path / str(number)
        way(phases, [paths[start : start + batch] for start in range(0, 3, batch)], out)
        # Side by side each batch has a place, in turns; two workers have three.
        last = out if way is phase_by_phase else out / str((3 // batch - 1) % 3)
        for place, path in enumerate(paths[-batch:]):
            ours = read_depth_png(last / f"{place}.png").depth_m
            theirs = read_depth_png(tmp_path / "predicted" / f"{path.stem}_depth.png").depth_m
            # A batch may be summed in another order, and bfloat16 has steps of 0.4 %.
            np.testing.assert_allclose(ours, theirs, rtol=0 if batch == 1 else 0.01, atol=0 if batch == 1 else 0.01)


def test_batches_are_filled_up_and_must_be_of_one_size(tmp_path: Path, tiny_checkpoint: Path) -> None:
    paths = make_images(tmp_path, 3, 40, 60)
    run = module._Run(open_phases(str(tiny_checkpoint), CPU), paths, 2)
    assert run.batches == [[paths[0], paths[1]], [paths[2], paths[0]]]
    Image.new("RGB", (80, 50)).save(paths[1])
    with pytest.raises(LeadlineError, match="one size, got 40×60, 50×80: take a batch of 1"):
        run.one_round(tmp_path / "out", counted=True)


def test_values_beyond_16_bits_are_still_written_as_pictures(tmp_path: Path) -> None:
    values = np.linspace(1, 4000, 600, dtype=np.float32).reshape(1, 1, 20, 30)
    module._write(tmp_path, values)
    assert read_depth_png(tmp_path / "0.png").valid.mean() == 1


def test_made_up_pictures_are_as_rough_as_photographs(tmp_path: Path) -> None:
    path = make_images(tmp_path, 2, 480, 640)[0]
    with Image.open(path) as picture:
        assert picture.size == (640, 480) and picture.format == "JPEG"
        pixels = np.asarray(picture, dtype=np.float32)
    neighbours = np.corrcoef(pixels[:, 1:].ravel(), pixels[:, :-1].ravel())[0, 1]
    # examples/*.jpg at this size: 0.984 to 0.996, 32 to 82 KiB, deviations of 34 to 74
    assert 0.98 < neighbours < 0.999 and 30 < path.stat().st_size / 1024 < 90 and 30 < pixels.std() < 80
    assert path.read_bytes() != (tmp_path / "picture-00001.jpg").read_bytes()


def test_the_command_prints_tables_and_writes_json(
    tmp_path: Path, tiny_checkpoint: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "bench.json"
    monkeypatch.chdir(tiny_checkpoint.parent)  # a long path would make a list of the table
    words = [tiny_checkpoint.name, "--size", "40x60", "--batch", "1", "2", "--device", "cpu", "--rounds", "2"]
    assert main(["bench", *words, "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "8 synthetic images of 40×60, 2 rounds" in printed
    for word in (*PHASES, END_TO_END, "GFLOP/s", "of the peak", "images/s", "34×51"):
        assert word in printed, word
    result = Benchmark.model_validate_json(out.read_text(encoding="utf-8"))
    assert [entry.batch for entry in result.entries] == [1, 2]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--size", "480"], "--size must be HEIGHTxWIDTH in pixels such as 480x640, got '480'"),
        (["--size", "0x4"], "got '0x4'"),
        (["--size", "4x4", "--data", "x.jpg"], "give one of them"),
        (["--device", "gpu9"], "no device 'gpu9' here: take"),
        (["--device", "meta"], "no device 'meta' here: take"),
        (["--data", "nowhere.jpg"], "nowhere.jpg does not exist"),
        (["--batch", "0"], "--batch"),
        (["files:x"], "files:x are predictions made elsewhere, which can only be scored"),
    ],
)
def test_mistakes_are_one_line(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", *words]) == 2
    error = capsys.readouterr().err
    assert message in error and len(error.splitlines()) == 1
