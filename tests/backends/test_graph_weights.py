import numpy as np
import pytest
from safetensors.numpy import save_file

from leadline.backends.graph_weights import CheckpointWeights, Site, Wanted, read_wanted, save_wanted
from leadline.errors import LeadlineError


def site(**change: object) -> Site:
    whole = Site("w", (1, 3), np.array([2, 1, 1], np.float32), np.array([1, 0.5], np.float32), np.array([1]))
    return whole._replace(**change)  # type: ignore[arg-type]


def test_weights_of_a_hand_worked_site() -> None:
    weights = np.array([[9, 9, 9], [1, 7, -4], [12.7, -6, 0.6]], np.float32)  # (out, in); rows 1 and 2 are of the site
    parts = dict(site().parts("a", weights))
    # Columns: 1·(2, 7, -4) and .5·(25.4, -6, .6), channel 1 apart: the largest are 4 and 12.7.
    np.testing.assert_allclose(parts["a/apart"], [[7, -3]])
    np.testing.assert_allclose(parts["a/scales"], [4 / 127, 12.7 / 127])
    assert parts["a/weight"].tolist() == [[64, 127], [0, 0], [-127, 3]]  # 2 / (4 / 127) = 63.5, to the even
    assert "b/apart" not in dict(site(outliers=np.array([], np.int64)).parts("b", weights))


def test_what_is_wanted_is_read_as_it_was_written(tmp_path) -> None:
    save_wanted(tmp_path / "sites", Wanted({"a": site(), "b": site(span=(0, 2))}, ["v"], ["y", "x.T"]))
    found = read_wanted(tmp_path / "sites")
    assert found.plain == ["x.T", "y"] and found.convolutions == ["v"]
    assert list(found.sites) == ["a", "b"] and found.sites["b"].span == (0, 2)
    np.testing.assert_array_equal(found.sites["a"].smooth, [2, 1, 1])


def test_all_that_is_wanted_comes_by_its_name(tmp_path) -> None:
    stored = {"w": np.ones((3, 3), np.float32), "v": np.array([[[2.54, 1]]], np.float32), "x": np.ones(2, np.float32)}
    save_file(stored, tmp_path / "model.safetensors")
    found = dict(CheckpointWeights(tmp_path).of(Wanted({"a": site()}, ["v"], ["x"])))
    assert set(found) == {"x", "a/weight", "a/scales", "a/apart", "v/weight", "v/scales"}
    assert found["v/weight"].tolist() == [[[127, 50]]] and found["v/scales"].tolist() == pytest.approx([0.02])


def test_weights_of_a_checkpoint_are_scaled_and_turned(tmp_path) -> None:
    stored = {"x": np.array([[1, -2], [3, 4]], np.int8), "x.int8_scale": np.array([[0.5], [2]], np.float32)}
    save_file(stored | {"y": np.array([1, 2], np.float16)}, tmp_path / "model.safetensors")
    found = dict(CheckpointWeights(tmp_path).plain(["x.T", "x", "y"]))
    assert found["x"].tolist() == [[0.5, -1], [6, 8]] and found["x.T"].tolist() == [[0.5, 6], [-1, 8]]
    assert found["y"].dtype == np.float32
    with pytest.raises(LeadlineError, match="model.safetensors is not a whole file"):
        dict(CheckpointWeights(tmp_path).plain(["z"]))


def test_integers_without_all_of_their_scales_are_refused(tmp_path) -> None:
    stored = {"x": np.ones((4, 64), np.int8), "x.int8_scale": np.ones((2, 1), np.float32)}
    save_file(stored, tmp_path / "model.safetensors")
    with pytest.raises(LeadlineError, match=r"model\.safetensors: x: whole numbers with 2 scales, wanted 8"):
        dict(CheckpointWeights(tmp_path).plain(["x"]))


@pytest.mark.parametrize("content", [b"", b"xx" * 100])
def test_broken_sites_are_one_line(tmp_path, content: bytes) -> None:
    (tmp_path / "sites").write_bytes(content)
    with pytest.raises(LeadlineError, match="does not say how weights become 8-bit .*copy the folder again"):
        read_wanted(tmp_path / "sites")
    with pytest.raises(LeadlineError, match="sites.*copy the folder again"):
        save_file({"a": np.zeros(1)}, tmp_path / "sites")
        read_wanted(tmp_path / "sites")
