import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import capture_files as files
import numpy as np
import pytest
import torch
from PIL import Image

from depth_writers import WRITERS
from leadline.data.catalog import open_dataset
from leadline.data.sample import DepthDataset, Sample
from leadline.errors import LeadlineError
from leadline.evaluation.evaluation import evaluate
from leadline.evaluation.prediction_files import FilesScorer
from leadline.evaluation.scorer import ImageEstimate
from leadline.geometry.depth import Output
from leadline.models.model import DepthModel
from leadline.prediction.files import output_stems, predict_files


@pytest.fixture
def dataset(rooms: Path) -> DepthDataset:
    return open_dataset(rooms)


@pytest.fixture
def first(dataset: DepthDataset) -> Sample:
    return dataset[0]


def estimate(folder: Path, dataset: DepthDataset, index: int = 0) -> ImageEstimate:
    return FilesScorer(folder, dataset).open_image(dataset, index).estimate(False)


def ramp(sample: Sample) -> np.ndarray:
    height, width = sample.depth_m.shape[-2:]
    return np.linspace(1, 5, height * width, dtype=np.float32).reshape(height, width)


ENDINGS_OF_OURS = {"_depth.png": WRITERS[".png"]}


@pytest.mark.parametrize("ending", [*WRITERS, *ENDINGS_OF_OURS])
def test_each_format_is_read_in_metres(dataset: DepthDataset, first: Sample, tmp_path: Path, ending: str) -> None:
    {**WRITERS, **ENDINGS_OF_OURS}[ending](tmp_path / f"{first.id}{ending}", ramp(first))
    scorer = FilesScorer(tmp_path, dataset)
    assert scorer.output is Output.METRES and scorer.name == tmp_path.name
    np.testing.assert_allclose(estimate(tmp_path, dataset).values[0, 0], ramp(first), atol=5.1e-4)


@pytest.mark.parametrize(("times", "told"), [(100, "100"), (0.01, "0.01"), (5, None), (np.nan, None)])
def test_values_in_another_unit_are_told_once(
    dataset: DepthDataset, first: Sample, tmp_path: Path, caplog: pytest.LogCaptureFixture, times: float, told: str
) -> None:
    for index in range(2):
        np.save(tmp_path / f"{dataset.ids[index]}.npy", (dataset[index].depth_m[0] * times).numpy())
    scorer = FilesScorer(tmp_path, dataset)
    for index in range(2):
        scorer.open_image(dataset, index)
    messages = [
        f"{tmp_path}: values of {first.id} are {told} times the true metres (median): in another unit, or no metres? "
        "Say scale or output in predictions.toml"
    ]
    assert caplog.messages == (messages if told else [])


def test_the_scale_and_the_kind_of_answer_are_taken_from_the_folder(
    dataset: DepthDataset, first: Sample, tmp_path: Path
) -> None:
    Image.fromarray(np.full(first.depth_m.shape[-2:], 512, np.uint16)).save(tmp_path / f"{first.id}.png")
    (tmp_path / "predictions.toml").write_text('name = "theirs"\noutput = "disparity"\nscale = 0.00390625\n')
    scorer = FilesScorer(tmp_path, dataset)
    assert (scorer.name, scorer.output) == ("theirs", Output.DISPARITY)
    assert torch.equal(estimate(tmp_path, dataset).values[0], torch.full_like(first.depth_m, 2.0))


def test_a_smaller_map_is_brought_to_the_pictures_size(dataset: DepthDataset, first: Sample, tmp_path: Path) -> None:
    np.save(tmp_path / f"{first.id}.npy", np.full((3, 4), 2.5))
    assert torch.equal(estimate(tmp_path, dataset).values[0], torch.full_like(first.depth_m, 2.5))


@pytest.mark.parametrize("key", ["uncertainty_m", "uncertainty"])
def test_uncertainty_comes_along(dataset: DepthDataset, first: Sample, tmp_path: Path, key: str) -> None:
    np.savez(tmp_path / f"{first.id}.npz", **{"depth_m": ramp(first), key: 2 * ramp(first)})
    values, uncertainty = estimate(tmp_path, dataset)
    assert uncertainty is not None and torch.equal(uncertainty, 2 * values)


@pytest.mark.parametrize("uncertainty", [np.zeros((2, 6, 8)), np.zeros((6, 8), bool)])
def test_uncertainty_that_is_no_map_of_numbers_is_one_line(
    dataset: DepthDataset, first: Sample, tmp_path: Path, uncertainty: np.ndarray
) -> None:
    np.savez(tmp_path / f"{first.id}.npz", depth_m=ramp(first), uncertainty=uncertainty)
    with pytest.raises(LeadlineError, match=r"must have one channel.*, got .*6, 8\)"):
        estimate(tmp_path, dataset)


def test_the_pictures_own_name_serves_where_it_is_not_the_id(rooms: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    lines = (rooms / "index.csv").read_text().splitlines()
    name = lines[1].split(",")[0]
    (data / "index.csv").write_text("\n".join([lines[0], lines[1].replace(name, "first", 1)]))
    for folder in ("rgb", "depth"):
        (data / folder).symlink_to(rooms.resolve() / folder)
    dataset = open_dataset(data)
    sample = dataset[0]
    np.save(tmp_path / f"{dataset.stems[0]}.npy", ramp(sample))
    assert sample.id == "first" and dataset.stems[0] != "first"
    np.testing.assert_array_equal(estimate(tmp_path, dataset).values[0, 0], ramp(sample))


def test_files_score_as_the_model_that_wrote_them(
    rooms: Path, tiny_checkpoint: Path, tiny_model: DepthModel, tmp_path: Path
) -> None:
    focal_px = float(open_dataset(rooms)[0].intrinsics[0, 0])
    pictures = sorted((rooms / "rgb").iterdir())
    list(predict_files(pictures, tmp_path, tiny_model, formats=["npz"], focal_px=focal_px))
    model, files = (
        evaluate(it, data=rooms, split="official/test", protocol="report")
        for it in (tiny_checkpoint, f"files:{tmp_path}")
    )
    assert torch.equal(model.sums, files.sums)
    assert files.model == tmp_path.name


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (None, b"", "holds no prediction of '00001': wanted 00001 with one of .npz, .npy"),
        ("00001.npz", b"PK", "is no whole .npz file with an array depth_m"),
        ("00001.npy", b"\x93NUMPY", "is missing or no .npy array"),
        ("00001.png", b"\x89PNG", "00001.png"),
        ("predictions.toml", b"output = 'inches'", "output: Input should be 'metres', 'depth' or 'disparity'; known"),
        ("predictions.toml", b"=", "is not valid TOML"),
    ],
)
def test_mistakes_are_one_line(
    dataset: DepthDataset, first: Sample, tmp_path: Path, name: str | None, content: bytes, message: str
) -> None:
    if name:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(LeadlineError, match=message) as caught:
        estimate(tmp_path, dataset)
    assert "\n" not in str(caught.value)


def test_a_map_on_its_side_is_refused(dataset: DepthDataset, first: Sample, tmp_path: Path) -> None:
    np.save(tmp_path / f"{first.id}.npy", ramp(first).T)
    with pytest.raises(LeadlineError, match="turn it as the depth is"):
        estimate(tmp_path, dataset)


@pytest.mark.parametrize(("size", "told"), [((24, 24), 1), ((12, 32), 1), ((12, 16), 0), ((7, 9), 0)])
def test_maps_of_another_aspect_are_told_once(
    dataset: DepthDataset, tmp_path: Path, caplog: pytest.LogCaptureFixture, size: tuple[int, int], told: int
) -> None:
    for index in range(2):
        np.save(tmp_path / f"{dataset.ids[index]}.npy", np.full(size, 2.5))
    scorer = FilesScorer(tmp_path, dataset)
    for index in range(2):
        scorer.open_image(dataset, index)
    height, width = size
    said = f"{dataset.ids[0]}.npy has {width}×{height} pixels, and its truth 96×72: taken for the whole image, squeezed"
    assert [said in message for message in caplog.messages] == [True] * told


@pytest.mark.parametrize("size", [(1, 1), (1, 96)])
def test_a_number_or_a_row_is_no_map(
    dataset: DepthDataset, first: Sample, tmp_path: Path, size: tuple[int, int]
) -> None:
    np.save(tmp_path / f"{first.id}.npy", np.full(size, 2.5))
    with pytest.raises(LeadlineError, match="wanted a map of about 96×72: write one value for each pixel"):
        estimate(tmp_path, dataset)


def test_colours_are_not_depth(dataset: DepthDataset, first: Sample, tmp_path: Path) -> None:
    Image.new("RGB", (8, 6)).save(tmp_path / f"{first.id}.png")
    with pytest.raises(LeadlineError, match=r"must have one channel, got shape \(6, 8, 3\); store depth"):
        estimate(tmp_path, dataset)


def test_a_missing_folder_is_named(dataset: DepthDataset, tmp_path: Path) -> None:
    with pytest.raises(LeadlineError, match="no folder of predictions at"):
        FilesScorer(tmp_path / "none", dataset)


def write_pictures(root: Path, rooms: Path, names: dict[str, str]) -> DepthDataset:
    """A data set of copies of one picture, by id."""
    lines = ["id,rgb,depth"]
    for name, path in names.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(rooms / "rgb" / "00001.png", root / path)
        lines.append(f"{name},{path},depth.png")
    shutil.copy(rooms / "depth" / "00001.png", root / "depth.png")
    (root / "index.csv").write_text("\n".join(lines))
    return open_dataset(root)


@pytest.mark.parametrize("write", [files.write_scannet, files.write_polycam, files.write_replica])
def test_what_predict_writes_of_a_layouts_images_is_found(tmp_path: Path, write: Callable[[Path], Path]) -> None:
    dataset = open_dataset(write(tmp_path / "room"))
    stems = output_stems([dataset.picture_file(index) for index in range(len(dataset))], tmp_path / "out")
    for index, stem in enumerate(stems):
        stem.parent.mkdir(parents=True, exist_ok=True)
        np.save(f"{stem}.npy", dataset.ground_truth(index).depth_m[0].numpy())
    found = evaluate(f"files:{tmp_path / 'out'}", data=tmp_path / "room", split="all", protocol="metric")
    assert found.pooled["abs_rel"] == 0 and found.ids == dataset.ids and not found.unread


def test_an_id_that_is_another_pictures_name_misleads_nobody(rooms: Path, tmp_path: Path) -> None:
    dataset = write_pictures(tmp_path / "set", rooms, {"0": "1.png", "1": "2.png", "2": "3.png"})
    (tmp_path / "maps").mkdir()
    for number in (1, 2, 3):
        np.save(tmp_path / "maps" / f"{number}.npy", np.full((72, 96), float(number), np.float32))
    assert [estimate(tmp_path / "maps", dataset, index).values.max().item() for index in range(3)] == [1, 2, 3]


def test_one_map_serves_no_two_pictures(rooms: Path, tmp_path: Path) -> None:
    dataset = write_pictures(tmp_path / "set", rooms, {"k1": "0001.png", "k2": "0001.PNG"})
    (tmp_path / "maps").mkdir()
    np.save(tmp_path / "maps" / "0001.npy", np.ones((72, 96), np.float32))
    with pytest.raises(LeadlineError, match="2 pictures are named 0001: name predictions by id, as 'k1'"):
        estimate(tmp_path / "maps", dataset)


@pytest.mark.parametrize("cut", [True, False])
def test_a_damaged_or_unclear_npz_is_one_line(dataset: DepthDataset, first: Sample, tmp_path: Path, cut: bool) -> None:
    path = tmp_path / f"{first.id}.npz"
    np.savez(path, confidence=ramp(first), distance=ramp(first))
    if cut:
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(LeadlineError, match=r"is no whole \.npz file with an array depth_m"):
        estimate(tmp_path, dataset)


def test_no_image_is_opened_and_no_mirror_image_is_averaged(rooms: Path, tmp_path: Path) -> None:
    dataset = write_pictures(tmp_path / "set", rooms, {"k": "k.png"})
    np.save(tmp_path / "k.npy", np.arange(1, 1 + 72 * 96, dtype=np.float32).reshape(72, 96))
    (tmp_path / "set" / "k.png").unlink()
    image = FilesScorer(tmp_path, dataset).open_image(dataset, 0)
    assert torch.equal(image.truth.depth_m, dataset.ground_truth(0).depth_m)
    assert torch.equal(image.estimate(True).values, image.estimate(False).values)


def test_scoring_maps_imports_no_network(rooms: Path, tmp_path: Path) -> None:
    for index in (0, 1):
        np.save(tmp_path / f"{open_dataset(rooms).ids[index]}.npy", np.full((72, 96), 2.0, np.float32))
    (tmp_path / "ids.txt").write_text("00001\n00002\n")
    program = f"""
import sys
from leadline.evaluation import evaluate
evaluate("files:{tmp_path}", data="{rooms}", split="{tmp_path / "ids.txt"}", protocol="report")
print(*{{"torchvision", "timm", "pytorch_lightning", "transformers", "matplotlib"}} & set(sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "\n"


# Holes


def with_holes(sample: Sample, hole: float, rows: int = 9) -> np.ndarray:
    """The true depth, with no prediction in the first rows."""
    values = sample.depth_m[0].double().numpy()
    values[:rows] = hole
    return values


@pytest.mark.parametrize("hole", [0.0, np.nan, -1.0, np.inf, -np.inf, 1e39])
def test_holes_are_left_out_counted_and_told(
    rooms: Path, first: Sample, tmp_path: Path, caplog: pytest.LogCaptureFixture, hole: float
) -> None:
    (tmp_path / "only.txt").write_text(first.id)
    np.save(tmp_path / f"{first.id}.npy", with_holes(first, hole))
    report = evaluate(f"files:{tmp_path}", data=rooms, split=str(tmp_path / "only.txt"), protocol="report")
    assert report.num_holes == [9 * 96] and report.hole_share == 9 / 72
    assert report.per_image["abs_rel"] < 1e-6 and report.per_image["delta1"] == 1
    assert "no prediction at 12 % of the scored pixels, in 1 of 1 pictures" in caplog.text
    report.save(tmp_path / "out")
    text = (tmp_path / "out" / "metrics.json").read_text()
    assert json.loads(text)["hole_share"] == 0.125 and "NaN" not in text and "Infinity" not in text


def test_0_of_16_bits_is_a_hole(rooms: Path, first: Sample, tmp_path: Path) -> None:
    (tmp_path / "only.txt").write_text(first.id)
    millimetres = np.rint(with_holes(first, 0) * 1000).astype(np.uint16)
    Image.fromarray(millimetres).save(tmp_path / f"{first.id}.png")
    report = evaluate(f"files:{tmp_path}", data=rooms, split=str(tmp_path / "only.txt"), protocol="metric")
    assert report.hole_share == 0.125 and report.per_image["abs_rel"] < 1e-3


def test_a_resize_mixes_no_depth_with_a_hole(dataset: DepthDataset, first: Sample, tmp_path: Path) -> None:
    values = np.full((36, 48), 2, np.float32)
    values[10, 20] = 0
    np.save(tmp_path / f"{first.id}.npy", values)
    brought = estimate(tmp_path, dataset).values
    assert set(brought[brought.isfinite()].tolist()) == {2.0}
    holes = brought.isnan()[0, 0].nonzero()
    assert holes.amin(0).tolist() == [19, 39] and holes.amax(0).tolist() == [22, 42]  # 2×2 pixels and those beside


def test_a_picture_without_any_prediction_is_refused(rooms: Path, first: Sample, tmp_path: Path) -> None:
    (tmp_path / "only.txt").write_text(first.id)
    np.save(tmp_path / f"{first.id}.npy", np.zeros((72, 96), np.float32))
    with pytest.raises(LeadlineError, match=f"{first.id}: no prediction at any of the 6912 scored pixels"):
        evaluate(f"files:{tmp_path}", data=rooms, split=str(tmp_path / "only.txt"), protocol="report")


@pytest.mark.parametrize("times", [1.0, 1e-3, 1e-7, 1e6])
@pytest.mark.parametrize("protocol", ["median", "aligned"])
def test_the_unit_of_a_disparity_does_not_matter(
    rooms: Path, dataset: DepthDataset, first: Sample, tmp_path: Path, times: float, protocol: str
) -> None:
    (tmp_path / "only.txt").write_text(first.id)
    (tmp_path / "aligned.toml").write_text('alignment = "scale-shift"\n')
    (tmp_path / "predictions.toml").write_text('output = "disparity"\n')
    np.save(tmp_path / f"{first.id}.npy", (times / first.depth_m[0]).numpy())
    rules = "median" if protocol == "median" else str(tmp_path / "aligned.toml")
    report = evaluate(f"files:{tmp_path}", data=rooms, split=str(tmp_path / "only.txt"), protocol=rules)
    assert report.per_image["abs_rel"] < 1e-5 and report.hole_share == 0


def test_a_disparity_of_0_has_a_depth_only_where_a_shift_is_forgiven(
    rooms: Path, first: Sample, tmp_path: Path
) -> None:
    (tmp_path / "only.txt").write_text(first.id)
    (tmp_path / "aligned.toml").write_text('alignment = "scale-shift"\n')
    (tmp_path / "predictions.toml").write_text('output = "disparity"\n')
    disparity = (1 / first.depth_m[0]).numpy()
    np.save(tmp_path / f"{first.id}.npy", disparity - disparity.min())
    num_farthest = int((disparity == disparity.min()).sum())
    shares = {}
    for rules in ("median", str(tmp_path / "aligned.toml")):
        report = evaluate(f"files:{tmp_path}", data=rooms, split=str(tmp_path / "only.txt"), protocol=rules)
        shares[Path(rules).stem] = report.hole_share
    assert shares == {"median": num_farthest / (72 * 96), "aligned": 0}


@pytest.mark.parametrize(
    ("per_metre", "said"), [(256, "256 per metre, as KITTI's? Say scale = 0.00390625"), (5000, "TUM's"), (1000, "")]
)
def test_whole_numbers_of_a_known_unit_are_told(
    dataset: DepthDataset, first: Sample, tmp_path: Path, caplog: pytest.LogCaptureFixture, per_metre: int, said: str
) -> None:
    values = (first.depth_m[0] * per_metre).numpy().astype(np.uint16)
    Image.fromarray(values).save(tmp_path / f"{first.id}.png")
    estimate(tmp_path, dataset)
    assert [said in message for message in caplog.messages] == [True] * bool(said)
    caplog.clear()
    (tmp_path / "predictions.toml").write_text(f"scale = {1 / per_metre}")
    estimate(tmp_path, dataset)
    assert caplog.messages == []


@pytest.mark.parametrize(("code", "dtype"), [(65535, np.uint16), (65504, np.float16), (1e10, np.float32)])
def test_values_that_may_mean_nothing_are_told(
    dataset: DepthDataset, first: Sample, tmp_path: Path, caplog: pytest.LogCaptureFixture, code: float, dtype: type
) -> None:
    values = (first.depth_m[0].numpy() * (1000 if dtype is np.uint16 else 1)).astype(dtype)
    values[:, : values.shape[1] // 4] = code
    np.save(tmp_path / f"{first.id}.npy", values)
    estimate(tmp_path, dataset)
    (message,) = caplog.messages
    assert f"25.0% of the values of {first.id} are {code:.10g}, " in message and "write 0 or NaN" in message


def test_one_of_two_files_of_a_picture_is_scored_and_told(
    dataset: DepthDataset, first: Sample, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for ending in (".npz", "_depth.png"):  # as `leadline predict` leaves them
        {**WRITERS, **ENDINGS_OF_OURS}[ending](tmp_path / f"{first.id}{ending}", first.depth_m[0].numpy())
    estimate(tmp_path, dataset)
    assert caplog.messages == []
    WRITERS[".tiff"](tmp_path / f"{first.id}.tiff", first.depth_m[0].numpy())
    estimate(tmp_path, dataset)
    (message,) = caplog.messages
    assert f"{first.id}.npz is scored, {first.id}.tiff beside it not" in message


@pytest.mark.parametrize("output", ["depth", "disparity"])
@pytest.mark.parametrize("hole", [0.0, -1.0, 1e10])
def test_holes_of_values_without_a_unit_are_told(
    dataset: DepthDataset, first: Sample, tmp_path: Path, caplog: pytest.LogCaptureFixture, output: str, hole: float
) -> None:
    """One number at a quarter of the pixels, far from the others' 1 to 5, draws the whole alignment to it."""
    (tmp_path / "predictions.toml").write_text(f'output = "{output}"\n')
    values = ramp(first)
    values[:, : values.shape[1] // 4] = hole
    np.save(tmp_path / f"{first.id}.npy", values)

    estimate(tmp_path, dataset)

    (message,) = caplog.messages
    assert f"25.0% of the values of {first.id} are {hole:.10g}, far from all others, and scored as {output}" in message


@pytest.mark.parametrize("lowest", [0.0, 1.0])
def test_an_end_that_others_are_near_is_no_hole(
    dataset: DepthDataset, first: Sample, tmp_path: Path, caplog: pytest.LogCaptureFixture, lowest: float
) -> None:
    """A sky is 0 at many pixels, and a clipped map ends at one number: both go on without a gap."""
    (tmp_path / "predictions.toml").write_text('output = "disparity"\n')
    np.save(tmp_path / f"{first.id}.npy", np.maximum(ramp(first) - 2, lowest))

    estimate(tmp_path, dataset)

    assert caplog.messages == []


@pytest.mark.parametrize(("output", "other"), [("depth", "disparity"), ("disparity", "depth")])
def test_values_that_are_the_other_way_around_are_told(
    dataset: DepthDataset, first: Sample, tmp_path: Path, caplog: pytest.LogCaptureFixture, output: str, other: str
) -> None:
    depth_m = first.depth_m[0].numpy()
    values = {"depth": depth_m, "disparity": 1 / depth_m}
    (tmp_path / "predictions.toml").write_text(f'output = "{output}"\n')
    np.save(tmp_path / f"{first.id}.npy", values[output])
    estimate(tmp_path, dataset)
    assert caplog.messages == []

    np.save(tmp_path / f"{first.id}.npy", values[other])
    estimate(tmp_path, dataset)

    (message,) = caplog.messages
    assert f"values of {first.id} fall where the true {output} rises: are they {other}?" in message
