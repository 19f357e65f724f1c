import csv
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch

from leadline.backends.torch_model import TorchBackend
from leadline.data.catalog import open_dataset
from leadline.data.sample import DepthDataset, Sample
from leadline.data.splits import ids_digest, make_splits, select
from leadline.errors import LeadlineError
from leadline.evaluation.backend_scorer import BackendScorer
from leadline.evaluation.evaluation import Evaluation, evaluate, evaluate_protocols, reports
from leadline.evaluation.metrics import METRICS
from leadline.evaluation.protocols import PROTOCOLS, Protocol
from leadline.evaluation.scorer import ImageEstimate, ScoredBy, ScoredImage, Scorer
from leadline.evaluation.scoring import score_images
from leadline.geometry.depth import Output
from leadline.models.checkpoint import load_model, save_checkpoint
from leadline.models.model import DepthModel
from leadline.reporting.calibration_plot import save_report
from leadline.training.settings import RunSettings


class Constant:
    """`values` everywhere, or twice that where the mirror image is averaged."""

    name, runtime = "constant", "a test"

    def __init__(self, values: float, output: Output = Output.METRES, concurrency: int = 1) -> None:
        self.values, self.output, self.concurrency = values, output, concurrency

    def open_image(self, dataset: DepthDataset, index: int) -> ScoredImage:
        truth = dataset.ground_truth(index)
        depth_m = truth.depth_m[None]
        return ScoredImage(truth, lambda flip: ImageEstimate(torch.full_like(depth_m, self.values * (1 + flip))))


class OneSample:
    """A data set of one sample."""

    def __init__(self, sample: Sample) -> None:
        self.sample = sample

    def __getitem__(self, index: int) -> Sample:
        return self.sample


def estimated(model: DepthModel, sample: Sample, flip: bool = False) -> torch.Tensor:
    scorer = BackendScorer(TorchBackend(model, "tiny"))
    return scorer.open_image(cast(DepthDataset, OneSample(sample)), 0).estimate(flip).values


def scored(scorer: Scorer, rooms: Path, rules: list[Protocol]) -> list[Evaluation]:
    dataset = open_dataset(rooms)
    chosen = select(dataset, "official/test")
    return reports(ScoredBy("it"), rooms, dataset, "official/test", rules, score_images(scorer, dataset, chosen, rules))


REAL = Path(__file__).parents[3] / "shared" / "data" / "nyu-v2-labelled"


def test_every_picture_is_scored_once_and_matches_a_plain_computation(
    rooms: Path, tiny_checkpoint: Path, tiny_model: DepthModel
) -> None:
    report = evaluate(tiny_checkpoint, data=rooms, split="all", protocol="report")
    dataset = open_dataset(rooms)
    assert report.ids == dataset.ids
    errors, truths = [], []
    for index in range(len(dataset)):
        sample = dataset[index]
        pred_m = estimated(tiny_model, sample)[0].numpy().astype(np.float64)
        truth_m = sample.depth_m.numpy().astype(np.float64)
        errors.append(pred_m - truth_m)
        truths.append(truth_m)
    rms = [np.sqrt(np.mean(error**2)) for error in errors]
    assert report.per_image["rms"] == pytest.approx(np.mean(rms), rel=1e-5)
    assert report.pooled["rms"] == pytest.approx(np.sqrt(np.mean(np.square(errors))), rel=1e-5)
    assert report.pooled["abs_rel"] == pytest.approx(np.mean(np.abs(errors) / np.array(truths)), rel=1e-5)


def test_the_files_hold_what_the_contract_says(rooms: Path, tiny_checkpoint: Path, tmp_path: Path) -> None:
    report = evaluate(tiny_checkpoint, data=rooms, split="official/test", protocol="report")
    report.save(tmp_path / "out")
    result = json.loads((tmp_path / "out" / "metrics.json").read_text())
    contract = ["model", "data", "split", "protocol", "num_images", "per_image", "pooled"]
    assert list(result) == [*contract, "protocol_digest", "data_digest", "runtime", "leadline"]
    assert result["runtime"] == TorchBackend(load_model(tiny_checkpoint), "").runtime
    assert list(result["per_image"]) == list(result["pooled"]) == list(METRICS)
    rows = list(csv.DictReader((tmp_path / "out" / "per_image.csv").open()))
    assert len(rows) == result["num_images"] == 8
    assert list(rows[0]) == ["id", *METRICS]
    # Any average can be recomputed from the rows.
    for name in METRICS:
        assert np.mean([float(row[name]) for row in rows]) == pytest.approx(result["per_image"][name], rel=1e-12)


def test_a_model_is_tested_on_nothing_that_it_was_trained_on(
    rooms: Path, tiny_model: DepthModel, tmp_path: Path
) -> None:
    settings = RunSettings.model_validate({"data": {"split": "report", "split_seed": 1}}).model_dump()
    dataset = open_dataset(rooms)
    known = ids_digest(dataset)
    records = {
        "here": {"data": "rooms", "data_ids": known},
        "renamed": {"data": "halls", "data_ids": known},
        "before ids were kept": {"data": "rooms"},
        "elsewhere": {"data": "halls", "data_ids": "else"},
        "grown": {"data": "rooms", "data_ids": "else"},
    }
    for name, record in records.items():
        save_checkpoint(tmp_path / name, tiny_model, {"settings": settings, **record}, "# tiny\n")
    of_seed = [[dataset.ids[index] for index in make_splits(dataset, "report", seed)["test"]] for seed in (0, 1)]
    assert of_seed[0] != of_seed[1]
    for name, seed in {"here": 1, "renamed": 1, "before ids were kept": 1, "elsewhere": 0}.items():
        assert evaluate(tmp_path / name, data=rooms, split="report/test", protocol="report").ids == of_seed[seed]
    with pytest.raises(
        LeadlineError, match=r"has other pictures than when .*/grown was trained.* --split RUN/splits/test"
    ):
        evaluate(tmp_path / "grown", data=rooms, split="report/test", protocol="report")
    # The makers' test is nobody's to divide.
    report = evaluate(tmp_path / "grown", data=rooms, split="official/test", protocol="report")
    assert report.indices == select(dataset, "official/test")


def test_the_mirror_is_averaged_where_the_protocol_says(rooms: Path, tiny_model: DepthModel) -> None:
    sample = open_dataset(rooms)[0]
    image = sample.image[None]
    with torch.inference_mode():
        mean_m = (tiny_model(image) + tiny_model(image.flip(-1)).flip(-1)) / 2
    scale = tiny_model.view_size(float(sample.intrinsics[0, 0]), *image.shape[-2:]).scale
    # bfloat16, where it is native, keeps 3 digits.
    flipped = estimated(tiny_model, sample, flip=True)
    assert torch.allclose(flipped, mean_m * scale, rtol=0.02)
    assert not torch.allclose(flipped, estimated(tiny_model, sample), rtol=1e-4)


def test_metres_follow_the_focal_length_that_the_data_set_gives(rooms: Path, tiny_model: DepthModel) -> None:
    sample = open_dataset(rooms)[0]
    twice = sample._replace(intrinsics=sample.intrinsics * torch.tensor([[2.0, 1, 1], [1, 2.0, 1], [1, 1, 1]]))
    unknown = sample._replace(intrinsics=torch.full((3, 3), torch.nan))
    one, two, none = (estimated(tiny_model, it) for it in (sample, twice, unknown))
    assert torch.allclose(two, 2 * one)
    focal_px = float(sample.intrinsics[0, 0]) / 2  # the working width is half the pictures'
    assert torch.allclose(one, none * focal_px / 40.0)


def test_a_cropping_protocol_refuses_other_sizes(rooms: Path, tiny_checkpoint: Path) -> None:
    with pytest.raises(LeadlineError, match="crops 480×640 depth maps, got 72×96"):
        evaluate(tiny_checkpoint, data=rooms, protocol="nyu-eigen")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"protocol": "nyu-eigne"}, "did you mean 'nyu-eigen'"),
        ({"split": "oficial/test"}, "did you mean 'official/test'"),
        ({"data": "nowhere"}, "no data set at nowhere"),
        ({"model": "nowhere"}, "unknown model 'nowhere'"),
    ],
)
def test_mistakes_are_named(rooms: Path, tiny_checkpoint: Path, words: dict[str, str], message: str) -> None:
    arguments = {"model": str(tiny_checkpoint), "data": str(rooms), "protocol": "report", **words}
    with pytest.raises(LeadlineError, match=message):
        evaluate(arguments.pop("model"), **arguments)


@pytest.mark.skipif(not REAL.exists(), reason="needs the labelled NYU pictures beside the repository")
def test_the_bundled_model_on_a_few_real_pictures(tmp_path: Path) -> None:
    ids = tmp_path / "ids.txt"
    ids.write_text("1\n200\n600\n1200\n")
    report = evaluate(data=REAL, split=str(ids), protocol="nyu-eigen")
    assert report.ids == ["1", "200", "600", "1200"]
    assert report.per_image["delta1"] > 0.5


def test_several_protocols_at_once_give_what_each_gives_alone(rooms: Path, tiny_checkpoint: Path) -> None:
    names = ["report", "report-in-range", "nyu-multitask"]
    together = evaluate_protocols(tiny_checkpoint, data=rooms, split="official/test", protocols=names)
    assert [report.protocol for report in together] == names
    for report in together:
        alone = evaluate(tiny_checkpoint, data=rooms, split="official/test", protocol=report.protocol)
        assert torch.equal(report.sums, alone.sums)
    assert not torch.equal(together[0].sums, together[1].sums)


def test_mirrored_and_plain_protocols_do_not_share_a_prediction(rooms: Path) -> None:
    """A predictor that answers 1 m, or 2 m where the mirror is averaged: rms differs by exactly that."""
    dataset = open_dataset(rooms)
    rules = [PROTOCOLS["report"].model_copy(update={"flip": flip}) for flip in (False, True)]
    plain, mirrored = scored(Constant(1.0), rooms, rules)
    depth_m = torch.cat([dataset[index].depth_m.flatten() for index in plain.indices]).double()
    assert plain.pooled["rms"] == pytest.approx((depth_m - 1).square().mean().sqrt().item())
    assert mirrored.pooled["rms"] == pytest.approx((depth_m - 2).square().mean().sqrt().item())


def test_several_images_at_a_time_give_the_same_in_the_same_order(rooms: Path) -> None:
    one, three = (scored(Constant(2.0, concurrency=n), rooms, [PROTOCOLS["report"]])[0] for n in (1, 3))
    assert torch.equal(one.sums, three.sums) and one.ids == three.ids


def test_two_processes_give_the_same_to_the_last_digit(rooms: Path, tiny_checkpoint: Path) -> None:
    one, two = (
        evaluate(tiny_checkpoint, data=rooms, split="official/test", protocol="report", processes=processes)
        for processes in (1, 2)
    )
    assert torch.equal(one.sums, two.sums)
    assert one.to_json() == two.to_json()


def test_scoring_forks_no_process(rooms: Path, tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fork() -> int:
        raise AssertionError("a copy of a process in which torch has started threads can hang")

    monkeypatch.setattr("os.fork", fork)
    assert len(evaluate(tiny_checkpoint, data=rooms, split="official/test", protocol="report").ids) == 8


@pytest.fixture
def one_cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Ray starts once, for all that a test asks of a cluster: it takes ten seconds."""
    ray = pytest.importorskip("ray", reason="a cluster needs Ray")
    stop = ray.shutdown
    monkeypatch.setattr(ray, "init", partial(ray.init, ignore_reinit_error=True))
    monkeypatch.setattr(ray, "shutdown", lambda: None)
    yield
    stop()


@pytest.mark.usefixtures("one_cluster")
def test_a_cluster_gives_the_same_to_the_last_digit(
    rooms: Path, tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("leadline.evaluation.scoring.SHARE", 3)  # of 8
    here, there = (
        evaluate(tiny_checkpoint, data=rooms, split="official/test", protocol="report", cluster=cluster)
        for cluster in (False, True)
    )
    assert torch.equal(here.sums, there.sums)
    assert here.to_json() == there.to_json()
    with pytest.raises(LeadlineError, match="^protocol .*crops 480×640 depth maps, got 72×96"):
        evaluate(tiny_checkpoint, data=rooms, split="official/test", cluster=True)


def test_a_mistake_in_another_process_is_still_one_line(rooms: Path, tiny_checkpoint: Path) -> None:
    with pytest.raises(LeadlineError, match="crops 480×640 depth maps, got 72×96"):
        evaluate(tiny_checkpoint, data=rooms, split="official/test", processes=2)


def test_the_datas_digest_follows_the_truth_and_the_choice_of_pictures(rooms: Path) -> None:
    dataset, rules = open_dataset(rooms), [PROTOCOLS["report"]]

    def digest(chosen: list[int], scorer: Scorer) -> str:
        rows = score_images(scorer, dataset, chosen, rules)
        return reports(ScoredBy("it"), rooms, dataset, "some", rules, rows)[0].data_digest

    assert digest([0, 1], Constant(1.0)) == digest([1, 0], Constant(2.0))
    assert digest([0, 1], Constant(1.0)) != digest([0, 2], Constant(1.0))


def test_values_without_a_unit_are_not_scored_as_metres(rooms: Path) -> None:
    with pytest.raises(LeadlineError, match="protocol 'report' wants metres, got disparity up to scale and shift"):
        scored(Constant(1.0, Output.DISPARITY), rooms, [PROTOCOLS["report"]])


def test_the_median_protocol_forgives_a_factor(rooms: Path) -> None:
    one, three = (scored(Constant(it), rooms, [PROTOCOLS["median"]])[0] for it in (1.0, 3.0))
    assert three.per_image == pytest.approx(one.per_image, rel=1e-4)
    assert three.per_image["rms"] < scored(Constant(3.0), rooms, [PROTOCOLS["report"]])[0].per_image["rms"]


def test_a_protocol_that_scores_nothing_is_refused_and_unscored_pictures_are_counted(
    rooms: Path, flat_model: DepthModel
) -> None:
    dataset, near = open_dataset(rooms), Protocol(name="near", valid_range_m=(0.0, 1e-6))
    scorer = BackendScorer(TorchBackend(flat_model, "flat"))
    with pytest.raises(LeadlineError, match="protocol 'near' scores no pixel of these pictures"):
        reports(ScoredBy("it"), rooms, dataset, "all", [near], score_images(scorer, dataset, [0, 1], [near]))
    rows = list(score_images(scorer, dataset, [0, 1], [PROTOCOLS["metric"]]))
    rows[1].scores[0].sums.zero_()
    (report,) = reports(ScoredBy("it"), rooms, dataset, "all", [PROTOCOLS["metric"]], rows)
    assert report.num_unscored == 1


def test_a_broken_picture_is_one_line_in_python_too(rooms: Path, tiny_checkpoint: Path, tmp_path: Path) -> None:
    shutil.copytree(rooms, tmp_path / "rooms")
    (tmp_path / "rooms" / "rgb" / "00001.png").write_bytes(b"")
    with pytest.raises(LeadlineError, match=r"^[^\n]*00001\.png is empty \(0 bytes\): copy or download it again$"):
        evaluate(tiny_checkpoint, data=tmp_path / "rooms", split="all", protocol="report")


def test_a_curve_that_cannot_be_drawn_leaves_the_older_evaluation(
    rooms: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (report,) = scored(Constant(1.0), rooms, [PROTOCOLS["report"]])
    report.save(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def fail(*args: object) -> None:
        raise MemoryError

    monkeypatch.setattr("leadline.reporting.calibration_plot.reliability_figure", fail)
    (other,) = scored(Constant(2.0), rooms, [PROTOCOLS["report"]])
    with pytest.raises(MemoryError):
        save_report(replace(other, calibration=torch.ones(2, 3)), tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_saving_leaves_nothing_of_an_older_evaluation(
    rooms: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (report,) = scored(Constant(1.0), rooms, [PROTOCOLS["report"]])
    (tmp_path / "calibration.png").write_bytes(b"of another model")
    report.save(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"metrics.json", "per_image.csv"}
    renamed = []
    move = os.replace

    def note(source: Path, target: Path) -> None:
        renamed.append((target.name, (tmp_path / "metrics.json").exists()))
        move(source, target)

    monkeypatch.setattr(os, "replace", note)
    report.save(tmp_path)
    assert renamed == [("per_image.csv", False), ("metrics.json", False)]
