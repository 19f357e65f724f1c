import logging
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from leadline.backends.onnx import FileBackend, open_onnx
from leadline.errors import LeadlineError
from leadline.geometry.camera import Camera, CameraSource
from leadline.geometry.depth import Output

onnx = pytest.importorskip("onnx", reason="needs onnx to build the files")
pytest.importorskip("onnxruntime", reason="needs the extra onnx")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

Shape = list[int | str]
FREE: Shape = ["n", 3, "h", "w"]
IMAGENET = {"leadline.mean": "[0.5, 0.25, 0.0]", "leadline.std": "[0.5, 0.25, 1.0]"}


def write(
    path: Path,
    nodes: list[Any],
    inputs: list[tuple[str, int, Shape]],
    outputs: list[tuple[str, int, Shape | None]],
    constants: dict[str, Tensor],
    metadata: dict[str, str],
) -> Path:
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info(*entry) for entry in inputs],
        [helper.make_tensor_value_info(*entry) for entry in outputs],
        [numpy_helper.from_array(value.numpy(), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 18)])
    helper.set_model_props(model, metadata)
    onnx.save(model, path)
    return path


def mean_file(
    path: Path,
    shape: Shape = FREE,
    keep: bool = True,
    added: Tensor | None = None,
    metadata: dict[str, str] | None = None,
    answer: Shape | None = None,
) -> Path:
    """A file that answers the mean over the channels it is fed, (N, 1, H, W) or (N, H, W), plus a constant."""
    added = torch.zeros(1) if added is None else added
    nodes = [
        helper.make_node("ReduceMean", ["picture", "axes"], ["mean"], keepdims=int(keep)),
        helper.make_node("Add", ["mean", "added"], ["depth"]),
    ]
    if answer is None:
        answer = [shape[0], *([1] if keep else []), *shape[2:]]
    return write(
        path,
        nodes,
        [("picture", TensorProto.FLOAT, shape)],
        [("depth", TensorProto.FLOAT, answer)],
        {"axes": torch.tensor([1]), "added": added},
        metadata or {},
    )


def estimated(backend: FileBackend, image: Tensor, *focal_px: float | None) -> Tensor:
    """Values (B, 1, H, W) of images (B, 3, H, W) in [0, 1], of a focal length each or of none."""
    height, width = image.shape[-2:]
    cameras = [None if focal is None else Camera.from_focal_px(focal, width, height) for focal in focal_px]
    estimate = backend.estimate(list(image.permute(0, 2, 3, 1).numpy()), cameras or [None] * len(image))
    assert estimate.values.dtype == np.float32 and estimate.relative_error is None
    return torch.from_numpy(estimate.values)[:, None]


def plain(*rgb: float, height: int = 5, width: int = 7) -> Tensor:
    """A picture of one colour, (1, 3, height, width)."""
    return torch.tensor(rgb).view(1, 3, 1, 1).expand(1, 3, height, width)


@pytest.mark.parametrize("keep", [True, False], ids=["N1HW", "NHW"])
def test_a_batch_of_odd_size_is_answered_at_its_own_size(tmp_path: Path, keep: bool) -> None:
    backend = open_onnx(mean_file(tmp_path / "a.onnx", keep=keep))
    image = torch.rand(3, 3, 5, 7, generator=torch.manual_seed(0))
    torch.testing.assert_close(estimated(backend, image), image.mean(1, keepdim=True))


def test_a_file_that_says_nothing_is_fed_plain_rgb_and_answers_metres_and_that_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        backend = open_onnx(mean_file(tmp_path / "a.onnx"))
    assert "fed RGB in [0, 1] and its answers are taken for metres" in caplog.text
    assert str(tmp_path / "a.toml") in caplog.text
    assert backend.output is Output.METRES
    assert backend.name == str(tmp_path / "a.onnx")
    values = estimated(backend, plain(0.25, 0.5, 1.0))
    torch.testing.assert_close(values, torch.full((1, 1, 5, 7), 1.75 / 3))


def test_metadata_say_how_the_picture_is_fed_and_what_the_values_mean(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        backend = open_onnx(mean_file(tmp_path / "a.onnx", metadata={**IMAGENET, "leadline.output": "disparity"}))
    assert caplog.text == ""
    assert backend.output is Output.DISPARITY
    # ((1 - 0.5) / 0.5 + (1 - 0.25) / 0.25 + 1 / 1) / 3 = (1 + 3 + 1) / 3
    values = estimated(backend, plain(1.0, 1.0, 1.0))
    torch.testing.assert_close(values, torch.full((1, 1, 5, 7), 5 / 3))


def test_a_toml_file_beside_it_has_the_last_word(tmp_path: Path) -> None:
    path = mean_file(tmp_path / "a.onnx", metadata={**IMAGENET, "leadline.output": "disparity"})
    (tmp_path / "a.toml").write_text('output = "depth"\nmean = [0, 0, 0]\n', encoding="utf-8")
    backend = open_onnx(path)
    assert backend.output is Output.DEPTH
    # (1 / 0.5 + 1 / 0.25 + 1 / 1) / 3: the standard deviations are still the metadata's
    values = estimated(backend, plain(1.0, 1.0, 1.0))
    torch.testing.assert_close(values, torch.full((1, 1, 5, 7), 7 / 3))


def test_metadata_of_others_are_left_alone(tmp_path: Path) -> None:
    path = mean_file(tmp_path / "a.onnx", metadata={"author": "x", "leadline.version": "1", "mean": "no JSON"})
    assert open_onnx(path).output is Output.METRES


def test_what_it_should_know_and_does_not_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    open_onnx(mean_file(tmp_path / "a.onnx", metadata={"leadline.Output": "disparity"}))
    assert "a.onnx, metadata: Output is passed over; known keys behind 'leadline.': mean, std, output" in caplog.text


def test_a_focal_length_does_not_count_twice(tmp_path: Path) -> None:
    nodes = [helper.make_node("ReduceMean", ["picture", "axes"], ["mean"])]
    nodes.append(helper.make_node("Add", ["mean", "focal_px"], ["depth"]))
    path = write(
        tmp_path / "a.onnx",
        nodes,
        [("picture", TensorProto.FLOAT, ["n", 3, 4, 6]), ("focal_px", TensorProto.FLOAT, [1])],
        [("depth", TensorProto.FLOAT, ["n", 1, 4, 6])],
        {"axes": torch.tensor([1])},
        {"leadline.focal_px": "5"},
    )
    with pytest.raises(LeadlineError, match="would follow it twice; give trained_focal_px"):
        open_onnx(path)


def test_a_fixed_size_is_fed_and_its_answer_brought_back_bilinearly(tmp_path: Path) -> None:
    ramp = torch.tensor([0.0, 1.0]).view(1, 1, 1, 2)
    backend = open_onnx(mean_file(tmp_path / "a.onnx", shape=[1, 3, 1, 2], added=ramp))
    image = torch.cat([plain(0.5, 0.5, 0.5, height=2, width=4)] * 3)
    values = estimated(backend, image)
    # The two answers, 0.5 and 1.5, stand at columns 0.5 and 2.5 of the four.
    expected = torch.tensor([0.5, 0.75, 1.25, 1.5]).expand(3, 1, 2, 4)
    torch.testing.assert_close(values, expected)


def test_a_fixed_height_alone_leaves_the_picture_its_width(tmp_path: Path) -> None:
    columns = torch.tensor([1.0, 2.0, 4.0])
    backend = open_onnx(mean_file(tmp_path / "a.onnx", shape=[1, 3, 2, "w"], added=columns))
    values = estimated(backend, plain(0.0, 0.0, 0.0, height=6, width=3))
    torch.testing.assert_close(values, columns.expand(1, 1, 6, 3))


def test_an_answer_of_another_size_than_it_was_fed_is_brought_back(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("ReduceMean", ["picture", "axes"], ["mean"]),
        helper.make_node("AveragePool", ["mean"], ["depth"], kernel_shape=[2, 2], strides=[2, 2]),
    ]
    path = write(
        tmp_path / "half.onnx",
        nodes,
        [("picture", TensorProto.FLOAT, FREE)],
        [("depth", TensorProto.FLOAT, None)],
        {"axes": torch.tensor([1])},
        {},
    )
    image = torch.tensor([0.0, 0.0, 1.0, 1.0]).expand(1, 3, 2, 4)
    values = estimated(open_onnx(path), image)
    torch.testing.assert_close(values, torch.tensor([0.0, 0.25, 0.75, 1.0]).expand(1, 1, 2, 4))


def test_metres_follow_the_focal_length_where_both_are_known(tmp_path: Path) -> None:
    metadata = {"leadline.focal_px": "5.0"}
    backend = open_onnx(mean_file(tmp_path / "a.onnx", shape=[1, 3, 3, 4], metadata=metadata))
    image = plain(0.5, 0.5, 0.5, height=6, width=8)
    # 20 pixels in the picture are 10 in what is fed: twice the file's 5, so things look half as far as they are.
    known = estimated(backend, image, 20.0)
    unknown = estimated(backend, image)
    torch.testing.assert_close(known, torch.full((1, 1, 6, 8), 1.0))
    torch.testing.assert_close(unknown, torch.full((1, 1, 6, 8), 0.5))


@pytest.mark.parametrize(
    ("shape", "metadata", "focal_px"),
    [
        (FREE, {}, None),
        (FREE, {"leadline.working_size": "[32, 48]"}, None),
        (FREE, {"leadline.focal_px": "50"}, 50.0),  # of the image as it is fed, which is as it is
        ([1, 3, 40, 60], {"leadline.focal_px": "50"}, 100.0),  # fed at half the size
        # Seen at half the height of 80 and half the width of 120.
        (FREE, {"leadline.working_size": "[40, 60]", "leadline.trained_focal_px": "50"}, 100.0),
        # The same area, but sides of 48 and 64 are multiples of 16.
        (
            FREE,
            {
                "leadline.working_size": "[40, 60]",
                "leadline.trained_focal_px": "50",
                "leadline.multiple_px": "16",
            },
            50 * (80 * 120 / (48 * 64)) ** 0.5,
        ),
    ],
)
def test_the_assumed_camera_is_what_the_metadata_tell(
    tmp_path: Path, shape: Shape, metadata: dict[str, str], focal_px: float | None
) -> None:
    backend = open_onnx(mean_file(tmp_path / "a.onnx", shape=shape, metadata=metadata))
    camera = backend.assumed_camera(80, 120)
    assert (camera and camera.focal_px) == (focal_px and pytest.approx(focal_px))
    assert camera is None or (camera.width, camera.height, camera.source) == (120, 80, CameraSource.ASSUMED)


def test_the_working_size_is_told_or_that_which_is_asked_for(tmp_path: Path) -> None:
    told = {"leadline.working_size": "[32, 48]"}
    assert open_onnx(mean_file(tmp_path / "a.onnx", metadata=told)).working_size == (32, 48)
    assert open_onnx(mean_file(tmp_path / "a.onnx", shape=[1, 3, 4, 6])).working_size == (4, 6)
    assert open_onnx(mean_file(tmp_path / "a.onnx", shape=[1, 3, 4, "w"])).working_size is None


def test_a_focal_length_that_the_file_itself_takes_is_that_of_what_it_is_fed(tmp_path: Path) -> None:
    # Answers the focal length itself, in place of NaN 7; it is fed pictures of 4×6.
    nodes = [
        helper.make_node("ReduceMean", ["picture", "axes"], ["mean"]),
        helper.make_node("IsNaN", ["focal_px"], ["unknown"]),
        helper.make_node("Where", ["unknown", "seven", "focal_px"], ["known"]),
        helper.make_node("Add", ["mean", "known"], ["depth"]),
    ]
    path = write(
        tmp_path / "focal.onnx",
        nodes,
        [("picture", TensorProto.FLOAT, ["n", 3, 4, 6]), ("focal_px", TensorProto.FLOAT, [1])],
        [("depth", TensorProto.FLOAT, ["n", 1, 4, 6])],
        {"axes": torch.tensor([1]), "focal_px": torch.full((1,), torch.nan), "seven": torch.tensor([7.0])},
        {},
    )
    values = estimated(open_onnx(path), torch.zeros(2, 3, 8, 12), 50.0, None)
    torch.testing.assert_close(values, torch.tensor([25.0, 7.0]).view(2, 1, 1, 1).expand(2, 1, 8, 12))


def test_values_without_a_scale_do_not_follow_the_focal_length(tmp_path: Path) -> None:
    metadata = {"leadline.focal_px": "5.0", "leadline.output": "disparity"}
    backend = open_onnx(mean_file(tmp_path / "a.onnx", metadata=metadata))
    values = estimated(backend, plain(0.5, 0.5, 0.5), 20.0)
    torch.testing.assert_close(values, torch.full((1, 1, 5, 7), 0.5))


@pytest.mark.parametrize(
    ("shape", "answer"),
    [
        (["n", 4, "h", "w"], ["n", 1, "h", "w"]),
        ([2, 3, "h", "w"], [2, 1, "h", "w"]),
        (["n", 3, "w"], ["n", 1, "w"]),
        (["n", "h", "w", 3], ["n", "h", "w"]),  # as TensorFlow's are, which would be fed 3 columns
        (["n", "h", "w", 3], ["n", "h", "w", 1]),
    ],
)
def test_an_input_that_is_no_picture_is_refused(tmp_path: Path, shape: Shape, answer: Shape) -> None:
    path = mean_file(tmp_path / "a.onnx", shape=shape, answer=answer)
    wanted = r"must take float32 pictures \(N, 3, H, W\) with N dynamic or 1, got tensor\(float\) \(" + str(shape[0])
    with pytest.raises(LeadlineError, match=wanted):
        open_onnx(path)


def test_half_precision_pictures_are_refused(tmp_path: Path) -> None:
    identity = [helper.make_node("ReduceMean", ["picture", "axes"], ["depth"])]
    path = write(
        tmp_path / "half.onnx",
        identity,
        [("picture", TensorProto.FLOAT16, FREE)],
        [("depth", TensorProto.FLOAT16, ["n", 1, "h", "w"])],
        {"axes": torch.tensor([1])},
        {},
    )
    with pytest.raises(LeadlineError, match=r"got tensor\(float16\) \(n, 3, h, w\): export it so"):
        open_onnx(path)


def test_several_inputs_and_several_outputs_are_refused_by_name(tmp_path: Path) -> None:
    two_in = write(
        tmp_path / "in.onnx",
        [helper.make_node("Add", ["picture", "focal"], ["depth"])],
        [("picture", TensorProto.FLOAT, FREE), ("focal", TensorProto.FLOAT, [1])],
        [("depth", TensorProto.FLOAT, FREE)],
        {},
        {},
    )
    with pytest.raises(LeadlineError, match=r"must have one input, a picture, got 2 \(picture, focal\)"):
        open_onnx(two_in)
    two_out = write(
        tmp_path / "out.onnx",
        [helper.make_node("Split", ["picture"], ["depth", "fov"], axis=1, num_outputs=2)],
        [("picture", TensorProto.FLOAT, FREE)],
        [("depth", TensorProto.FLOAT, ["n", 2, "h", "w"]), ("fov", TensorProto.FLOAT, ["n", 1, "h", "w"])],
        {},
        {},
    )
    with pytest.raises(LeadlineError, match=r"must have one output, the depth, got 2 \(depth, fov\)"):
        open_onnx(two_out)


@pytest.mark.parametrize("declared", [True, False], ids=["declared", "found out when it runs"])
def test_an_answer_that_is_no_depth_map_is_refused(tmp_path: Path, declared: bool) -> None:
    path = write(
        tmp_path / "a.onnx",
        [helper.make_node("Identity", ["picture"], ["depth"])],
        [("picture", TensorProto.FLOAT, FREE)],
        [("depth", TensorProto.FLOAT, FREE if declared else ["n", "c", "h", "w"])],
        {},
        {},
    )
    with pytest.raises(LeadlineError, match=r"must answer depth \(N, 1, H, W\) or \(N, H, W\), got \(.+, 3, .+, .+\)"):
        estimated(open_onnx(path), plain(0.1, 0.2, 0.3))


def test_several_maps_of_one_picture_are_no_depth(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.onnx",
        [helper.make_node("Squeeze", ["picture", "axes"], ["depth"])],
        [("picture", TensorProto.FLOAT, [1, 3, "h", "w"])],
        [("depth", TensorProto.FLOAT, ["c", "h", "w"])],
        {"axes": torch.tensor([0])},
        {},
    )
    with pytest.raises(LeadlineError, match=r"must answer depth \(N, 1, H, W\) or \(N, H, W\), got \(3, 5, 7\)"):
        estimated(open_onnx(path), plain(0.1, 0.2, 0.3))


def test_a_picture_that_the_network_fails_on_is_one_line(tmp_path: Path) -> None:
    path = mean_file(tmp_path / "a.onnx", added=torch.tensor([1.0, 2.0, 3.0]))
    with pytest.raises(
        LeadlineError, match=r"a\.onnx fails on an image of 5×7 .*: export it for a fixed size"
    ) as mistake:
        estimated(open_onnx(path), plain(0.1, 0.2, 0.3))
    assert "\n" not in str(mistake.value)


def test_a_missing_and_a_broken_file_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(LeadlineError, match="is no file: wanted an ONNX file"):
        open_onnx(tmp_path / "none.onnx")
    path = mean_file(tmp_path / "a.onnx")
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(LeadlineError, match=r"a\.onnx is no ONNX file that can be run \(.+\): export") as mistake:
        open_onnx(path)
    assert "\n" not in str(mistake.value)


@pytest.mark.parametrize(
    ("metadata", "toml", "wanted"),
    [
        ({"leadline.mean": "0.5, 0.5, 0.5"}, "", "a.onnx, metadata: all but output and precision must be JSON"),
        ({"leadline.output": "feet"}, "", "a.onnx, metadata: output: Input should be 'metres', 'depth' or 'disparity'"),
        ({"leadline.std": "[1, 0, 1]"}, "", "a.onnx, metadata: std.1: Input should be greater than 0"),
        (
            {"leadline.mean": "[NaN, 0, 0]"},
            "",
            "a.onnx, metadata: all but output and precision must be JSON, got '[NaN, 0, 0]'",
        ),
        ({"leadline.mean": "[1e30, 0, 0]"}, "", "a.onnx, metadata: mean.0: Input should be less than or equal to"),
        (
            {"leadline.mean": "[123.675, 116.28, 103.53]"},
            "",
            "a.onnx, metadata: mean and std are of RGB in [0, 1], got",
        ),
        ({}, "std = [58.4, 57.1, 57.4]", "a.toml: mean and std are of RGB in [0, 1], got"),
        ({"leadline.focal_px": "0.8"}, "", "a.onnx, metadata: focal_px: Input should be greater than 3"),
        (
            {"leadline.trained_focal_px": "4.5", "leadline.working_size": "[48, 64]"},
            "",
            "a.onnx, metadata: no camera has a focal length of 4.5 px for an image of 64×48 pixels",
        ),
        ({"leadline.working_size": "[48, 1000000000]"}, "", "a.onnx, metadata: working_size.1: Input should be less"),
        ({"leadline.mean": "[" * 100_000}, "", "a.onnx, metadata: all but output and precision must be JSON, got '[[["),
        ({}, "std = [nan, 1, 1]", "a.toml: std.0: Input should be"),
        ({}, "mean = [0.5, 0.5]", "a.toml: mean.2: Field required"),
        ({}, "means = 1", "a.toml: means: Extra inputs are not permitted; known keys: mean, std, output, focal_px"),
        ({}, "mean = ", "a.toml is not valid TOML"),
    ],
)
def test_what_makes_no_sense_is_refused_where_it_stands(
    tmp_path: Path, metadata: dict[str, str], toml: str, wanted: str
) -> None:
    path = mean_file(tmp_path / "a.onnx", metadata=metadata)
    if toml:
        (tmp_path / "a.toml").write_text(toml, encoding="utf-8")
    with pytest.raises(LeadlineError) as mistake:
        open_onnx(path)
    assert wanted in str(mistake.value)


def test_without_the_package_its_name_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(LeadlineError, match=r'pip install "leadline\[onnx\]"'):
        open_onnx(tmp_path / "a.onnx")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_an_answer_that_is_not_finite_is_an_error(tmp_path: Path, value: float) -> None:
    backend = open_onnx(mean_file(tmp_path / "a.onnx", added=torch.tensor([value])))
    with pytest.raises(LeadlineError, match=r"a\.onnx answers numbers that are not finite \(100% of the pixels\)"):
        backend.estimate([np.ones((4, 6, 3), np.float32)], [None])


def test_some_infinite_pixels_are_without_an_answer(tmp_path: Path) -> None:
    added = torch.zeros(1, 1, 4, 6)
    added[..., 0, :] = torch.inf
    backend = open_onnx(mean_file(tmp_path / "a.onnx", ["n", 3, 4, 6], added=added))
    values = backend.estimate([np.ones((4, 6, 3), np.float32)], [None]).values
    assert np.isinf(values[0, 0]).all() and np.isfinite(values[0, 1:]).all()


def test_one_pixel_of_nan_is_an_error_too(tmp_path: Path) -> None:
    added = torch.zeros(1, 1, 4, 6)
    added[..., 0, 0] = torch.nan
    backend = open_onnx(mean_file(tmp_path / "a.onnx", ["n", 3, 4, 6], added=added))
    with pytest.raises(LeadlineError, match=r"\(4% of the pixels\)"):
        backend.estimate([np.ones((4, 6, 3), np.float32)], [None])
