"""Captures as data of evaluation and training: the depth of most has another size than its images."""

from collections.abc import Callable
from pathlib import Path

import capture_files as files
import pytest
import torch

from leadline.data.catalog import open_dataset
from leadline.data.conversion import convert
from leadline.data.loader import DepthDataModule
from leadline.data.settings import DataSettings
from leadline.evaluation.evaluation import evaluate

WRITERS: dict[str, Callable[[Path], Path]] = {
    "record3d": files.write_record3d_export,
    "stray": files.write_stray,
    "polycam": files.write_polycam,
    "nerfstudio": files.write_nerfstudio,
    "pcd": files.write_pcds,
    "sens": lambda path: files.write_sens(path.with_suffix(".sens")),
}
COPIED = ("record3d", "polycam", "nerfstudio")
"""Those whose images lie in files and are upright, so that they are copied as they are."""


@pytest.mark.parametrize("kind", WRITERS)
def test_a_capture_is_scored_as_the_folder_that_it_is_converted_to(
    tmp_path: Path, tiny_checkpoint: Path, kind: str
) -> None:
    source = WRITERS[kind](tmp_path / "room")
    convert(source, tmp_path / "folder")
    first, second = (
        evaluate(str(tiny_checkpoint), data=path, split="all", protocol="metric")
        for path in (source, tmp_path / "folder")
    )
    assert first.ids == second.ids == open_dataset(source).ids
    assert 0 < first.pooled["abs_rel"] < float("inf")
    if kind in COPIED:
        assert second.pooled == pytest.approx(first.pooled, rel=5e-3)  # depth is rounded to millimetres


@pytest.mark.parametrize("kind", WRITERS)
def test_a_capture_gives_batches_of_stored_depth(tmp_path: Path, kind: str) -> None:
    dataset = open_dataset(WRITERS[kind](tmp_path / "room"))
    splits = {"train": [0, 1], "val": [0], "test": []}
    settings = DataSettings(workers=0, batch_size=2, cache=False)
    (batch,) = DepthDataModule(dataset, splits, settings, 24 * 32, seed=7, multiple_px=8).train_dataloader()
    assert batch.image.shape[0] == 2 and bool(batch.valid.flatten(1).any(dim=1).all())
    depths = batch.depth_m[batch.valid]
    assert float(depths.min()) > 1.3 and float(depths.max()) < 1.51
    assert bool(torch.isfinite(batch.intrinsics).all())
