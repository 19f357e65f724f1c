"""The benchmark beside `transformers`: the peer is what it says, everything takes turns, ratios by hand."""

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from PIL import Image

pytest.importorskip("transformers", reason="needs the extra hf")


@pytest.fixture(scope="module")
def script() -> ModuleType:
    path = Path(__file__).parents[1] / "benchmarks" / "predict_pipeline.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_peer_is_the_published_architecture_and_writes_16_bits(script: ModuleType, tmp_path: Path) -> None:
    network = script.in_our_precision(script.depth_anything_small())
    # Its makers say 24.8 M.
    assert sum(it.numel() for it in network.parameters()) == pytest.approx(24.8e6, abs=0.05e6)
    picture = tmp_path / "a.jpg"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)).save(picture)
    (tmp_path / "out").mkdir()
    script.predict_with_peer(script.peer(network, 42, 56), [picture], tmp_path / "out")
    with Image.open(tmp_path / "out" / "a.png") as written:
        values = np.asarray(written)
        assert written.size == (80, 60) and written.mode == "I;16"
    assert values.max() >= 65534 and len(np.unique(values)) > 100
    small = torch.zeros(1, 3, 42, 56, device=network.device)
    assert network(pixel_values=small).predicted_depth.dtype == torch.float32


def test_all_take_turns_and_the_first_round_does_not_count(script: ModuleType) -> None:
    order: list[str] = []
    runs = {name: lambda name=name: order.append(name) for name in "abc"}
    seconds = script.take_turns(runs, 2)
    assert "".join(order) == "abcbcacab"
    assert {name: len(each) for name, each in seconds.items()} == {"a": 2, "b": 2, "c": 2}


def test_ratios_are_paired_by_round(script: ModuleType) -> None:
    seconds = {"leadline x": [1.0, 2.0, 4.0], "peer": [3.0, 4.0, 20.0]}  # 3, 2 and 5 times as fast
    assert script.ratios(seconds) == [("leadline x", "peer", (3, 0.75), 2, 5)]
