import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from leadline.backends.openvino import open_openvino
from leadline.backends.table import open_predictor
from leadline.data.sample import UNKNOWN_INTRINSICS, Batch
from leadline.errors import LeadlineError

openvino = pytest.importorskip("openvino", reason="needs the extra openvino")


def network(path: Path, shape: list[int], dtype: type = np.float32) -> Path:
    """Twice the mean of a picture's channels."""
    from openvino import opset13 as ops

    picture = ops.parameter(shape, dtype, name="picture")
    mean = ops.reduce_mean(picture, np.array([1]), keep_dims=True)
    openvino.serialize(openvino.Model([ops.multiply(mean, np.array(2, dtype))], [picture]), path)
    return path


def of(image: torch.Tensor) -> Batch:
    return Batch(image, image[:, :1], image[:, :1] > 0, UNKNOWN_INTRINSICS[None], ["a"], [""])


def test_another_makers_network_is_fed_what_the_file_beside_it_says(tmp_path: Path) -> None:
    path = network(tmp_path / "net.xml", [-1, 3, -1, -1])
    path.with_suffix(".toml").write_text("mean = [0.5, 0.5, 0.5]\nstd = [0.25, 0.25, 0.25]\noutput = 'disparity'\n")
    predictor = open_predictor(path, None)
    image = torch.rand(1, 3, 5, 7)
    expected = 2 * ((image - 0.5) / 0.25).mean(1, keepdim=True)
    torch.testing.assert_close(predictor(of(image), flip=False).values, expected)
    assert (predictor.name, predictor.output.value) == (str(path), "disparity")


def test_a_file_of_one_size_is_fed_that_size(tmp_path: Path) -> None:
    predictor = open_openvino(network(tmp_path / "net.xml", [1, 3, 4, 6]))
    assert predictor(of(torch.full((1, 3, 8, 12), 0.3)), flip=True).values.shape == (1, 1, 8, 12)


@pytest.mark.parametrize(("shape", "dtype"), [([1, 4, -1, -1], np.float32), ([-1, 3, -1, -1], np.float64)])
def test_an_input_that_is_no_picture_is_refused(shape: list[int], dtype: type, tmp_path: Path) -> None:
    with pytest.raises(LeadlineError, match=r"must take float32 pictures \(N, 3, H, W\) .*, got f(32|64) \("):
        open_openvino(network(tmp_path / "net.xml", shape, dtype))


def test_broken_and_missing_files_are_one_line(tmp_path: Path) -> None:
    path = network(tmp_path / "net.xml", [-1, 3, -1, -1])
    path.with_suffix(".bin").unlink()
    (tmp_path / "text.xml").write_text("no network")
    for broken in (path, tmp_path / "text.xml"):
        with pytest.raises(LeadlineError, match="is no OpenVINO file that can be read .*, with its .bin$"):
            open_openvino(broken)
    with pytest.raises(LeadlineError, match="is no file"):
        open_openvino(tmp_path / "nix.xml")


def test_without_openvino_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(LeadlineError, match=r'pip install "leadline\[openvino\]"'):
        open_openvino(tmp_path / "net.xml")
