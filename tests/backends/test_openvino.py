import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from leadline.backends.openvino import open_openvino
from leadline.backends.table import open_backend
from leadline.errors import LeadlineError

openvino = pytest.importorskip("openvino", reason="needs the extra openvino")


def network(path: Path, shape: list[int], dtype: type = np.float32) -> Path:
    """Twice the mean of a picture's channels."""
    from openvino import opset13 as ops

    picture = ops.parameter(shape, dtype, name="picture")
    mean = ops.reduce_mean(picture, np.array([1]), keep_dims=True)
    openvino.serialize(openvino.Model([ops.multiply(mean, np.array(2, dtype))], [picture]), path)
    return path


def test_another_makers_network_is_fed_what_the_file_beside_it_says(tmp_path: Path) -> None:
    path = network(tmp_path / "net.xml", [-1, 3, -1, -1])
    path.with_suffix(".toml").write_text("mean = [0.5, 0.5, 0.5]\nstd = [0.25, 0.25, 0.25]\noutput = 'disparity'\n")
    backend = open_backend(path)
    image = np.random.default_rng(0).random((5, 7, 3), dtype=np.float32)
    expected = 2 * ((image - 0.5) / 0.25).mean(-1)
    np.testing.assert_allclose(backend.estimate([image], [None]).values, expected[None], rtol=1e-5, atol=1e-5)
    assert (backend.name, backend.output.value) == (str(path), "disparity")


def test_a_file_of_one_size_is_fed_that_size(tmp_path: Path) -> None:
    backend = open_openvino(network(tmp_path / "net.xml", [1, 3, 4, 6]))
    assert backend.working_size == (4, 6)
    estimate = backend.estimate([np.full((8, 12, 3), 0.25, np.float32)] * 2, [None, None])
    np.testing.assert_array_equal(estimate.values, np.full((2, 8, 12), 0.5))


def test_threads_may_share_a_network_that_answers_one_at_a_time(tmp_path: Path) -> None:
    backend = open_openvino(network(tmp_path / "net.xml", [-1, 3, -1, -1]))
    images = [np.full((64, 48, 3), shade / 32, np.float32) for shade in range(32)]
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda image: backend.estimate([image], [None]).values, images))
    for image, values in zip(images, answers, strict=True):
        np.testing.assert_allclose(values, 2 * image[None, ..., 0], rtol=1e-6)


@pytest.mark.parametrize(
    ("shape", "dtype"), [([1, 4, -1, -1], np.float32), ([-1, 3, -1, -1], np.float64), ([-1, -1, -1, 3], np.float32)]
)
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
