import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from leadline.backends.base import require_metres
from leadline.backends.table import open_backend
from leadline.errors import LeadlineError
from leadline.evaluation.evaluation import evaluate
from leadline.evaluation.scale_calibration import calibrate
from leadline.geometry.depth import Output
from leadline.models.checkpoint import load_model, read_config


def write_mean_net(path: Path, output: Output) -> Path:
    """An ONNX file that predicts the mean of an image's channels, from 0 to 1."""
    onnx = pytest.importorskip("onnx", reason="needs onnx to build the file")
    pytest.importorskip("onnxruntime", reason="needs the extra onnx")
    float32, make = onnx.TensorProto.FLOAT, onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("ReduceMean", ["image", "axes"], ["depth"])],
        "mean",
        [make("image", float32, ["n", 3, "h", "w"])],
        [make("depth", float32, ["n", 1, "h", "w"])],
        [onnx.numpy_helper.from_array(np.array([1]), "axes")],
    )
    model = onnx.helper.make_model(graph, ir_version=10, opset_imports=[onnx.helper.make_opsetid("", 18)])
    metadata = {"leadline.mean": "[0, 0, 0]", "leadline.std": "[1, 1, 1]", "leadline.output": output.value}
    onnx.helper.set_model_props(model, metadata)
    onnx.save(model, path)
    return path


def stripes(first: int) -> np.ndarray:
    """Grey stripes 8 pixels wide, each lighter by 20 of 255 than the one before, (16, 48)."""
    return np.broadcast_to((first + 20 * (np.arange(48) // 8)).astype(np.uint8), (16, 48))


def true_m(grey: np.ndarray) -> np.ndarray:
    """Of a disparity of 2 · value + 0.25, the value being from 0 to 1."""
    return (1 / (2 * (grey / 255) + 0.25)).astype(np.float32)


def test_five_points_make_metres_of_disparity(tmp_path: Path) -> None:
    net, grey, out = write_mean_net(tmp_path / "net.onnx", Output.DISPARITY), stripes(40), tmp_path / "calibrated"
    Image.fromarray(grey).save(tmp_path / "a.png")
    lines = [f"{x},8,{true_m(grey)[8, x]}" for x in (4, 12, 20, 28, 44)]
    (tmp_path / "points.csv").write_text("\n".join(lines))
    with pytest.raises(LeadlineError, match=r"disparity without a unit, wanted metres.*leadline calibrate"):
        require_metres(open_backend(net))
    found = calibrate(net, out, distances=tmp_path / "points.csv", picture=tmp_path / "a.png")
    assert (found.scale, found.shift) == pytest.approx((2, 0.25), rel=1e-4)
    assert found.space is Output.DISPARITY and found.helps and found.error_after == pytest.approx(0, abs=1e-4)
    backend = open_backend(out)
    require_metres(backend)
    image = np.repeat(grey[..., None], 3, axis=2)
    np.testing.assert_allclose(backend.estimate([image], [None]).values[0], true_m(grey), rtol=1e-3)
    (how,) = json.loads((out / "calibrated.json").read_text())["how"]
    assert how["measured"] == "5 distances in 1 picture, focal length unknown"


@pytest.fixture
def striped(tmp_path: Path) -> Path:
    """A data set of 4 striped images of other greys, with their depth."""
    root = tmp_path / "striped"
    root.mkdir()
    lines = ["id,rgb,depth"]
    for number in range(4):
        grey = stripes(10 * number)
        Image.fromarray(grey).save(root / f"{number}.png")
        np.save(root / f"{number}.npy", true_m(grey))
        lines.append(f"{number},{number}.png,{number}.npy")
    (root / "index.csv").write_text("\n".join(lines))
    return root


def test_labelled_images_make_metres_of_disparity(striped: Path, tmp_path: Path) -> None:
    net, out = write_mean_net(tmp_path / "net.onnx", Output.DISPARITY), tmp_path / "calibrated"
    found = calibrate(net, out, data=striped)
    assert (found.scale, found.shift) == pytest.approx((2, 0.25), rel=1e-4)
    assert found.measured == "4 pictures of striped"
    assert evaluate(out, data=striped, split="all", protocol="metric").per_image["abs_rel"] < 1e-3


def test_metres_of_a_file_are_scaled_where_that_helps(striped: Path, tmp_path: Path) -> None:
    net, out = write_mean_net(tmp_path / "net.onnx", Output.METRES), tmp_path / "calibrated"
    found = calibrate(net, out, data=striped)
    # Values rise where the depth falls, but a scale is all that metres get.
    assert (found.shift, found.space) == (0, Output.METRES) and found.helps
    image = np.full((2, 3, 3), 51, np.uint8)
    assert open_backend(out).estimate([image], [None]).values == pytest.approx(0.2 * found.scale)


def test_a_leadline_model_stays_a_checkpoint_and_is_scaled_wherever_it_is_used(
    rooms: Path, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    out = tmp_path / "calibrated"
    found = calibrate(tiny_checkpoint, out, data=rooms, split="official/train")
    assert found.helps
    assert "calibrations" not in read_config(tiny_checkpoint)["record"]
    (kept,) = read_config(out)["record"]["calibrations"]
    assert kept["scale"] == found.scale
    before, after = (load_model(path).settings.head for path in (tiny_checkpoint, out))
    assert after.max_depth_m == pytest.approx(found.scale * before.max_depth_m)
    scores = [evaluate(path, data=rooms, split="official/test", protocol="metric") for path in (tiny_checkpoint, out)]
    assert scores[1].per_image["abs_rel"] < scores[0].per_image["abs_rel"]
    # What no scale changes is as it was.
    assert scores[1].per_image["silog"] == pytest.approx(scores[0].per_image["silog"], rel=1e-4)


def test_nothing_is_written_where_a_scale_does_not_help(rooms: Path, tiny_checkpoint: Path, tmp_path: Path) -> None:
    calibrate(tiny_checkpoint, tmp_path / "once", data=rooms)
    found = calibrate(tmp_path / "once", tmp_path / "twice", data=rooms)
    assert found.scale == pytest.approx(1, rel=1e-5) and not found.helps
    assert not (tmp_path / "twice").exists()


def test_it_is_fitted_to_one_thing(rooms: Path, tiny_checkpoint: Path, tmp_path: Path) -> None:
    for words in ({}, {"data": rooms, "distances": tmp_path / "a.csv"}):
        with pytest.raises(LeadlineError, match="a CSV file of distances or to a data set: name one of them"):
            calibrate(tiny_checkpoint, tmp_path / "out", **words)


def test_a_folder_that_holds_something_else_is_refused_first(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "diary.txt").write_text("")
    with pytest.raises(LeadlineError, match="diary.txt"):
        calibrate("fast.onnx", tmp_path / "out", data=tmp_path / "nowhere")
