from pathlib import Path

import pytest

from leadline.errors import LeadlineError
from leadline.io.camera_files import read_camera
from leadline.io.json_files import read_json
from leadline.io.text_files import MAX_BYTES, read_text
from leadline.io.toml import read_toml
from robustness.fuzz import fuzz
from robustness.mutation import mutate
from robustness.readers import Reader, build_readers


@pytest.fixture(scope="module")
def readers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Reader]:
    return build_readers(tmp_path_factory.mktemp("fuzz") / "whole")


def test_no_exception_but_our_own_comes_out_of_any_reader(readers: dict[str, Reader]) -> None:
    assert len(readers) >= 22
    for name, reader in readers.items():
        outcome = fuzz(name, reader, seed=0, count=12)
        assert not outcome.foreign, name
        assert outcome.num_refused > 0, name


def test_the_same_seed_is_the_same_damage() -> None:
    data = bytes(range(256))
    assert mutate(data, "0 a 1", False) == mutate(data, "0 a 1", False)
    assert len({mutate(data, f"0 a {number}", False) for number in range(20)}) > 15


def test_what_is_foreign_is_counted(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("whole")
    reads = iter([None, ValueError("of a library"), LeadlineError("ours"), None])

    def read() -> None:
        if error := next(reads):
            raise error

    outcome = fuzz("a", Reader(tmp_path / "a", read), 0, 3)
    assert (outcome.num_read, outcome.num_refused, len(outcome.foreign)) == (1, 1, 1)
    assert (tmp_path / "a").read_text() == "whole"


@pytest.mark.parametrize("text", ['{"format": ' + "9" * 5000 + "}", "[" * 100_000, '{"a": ' * 100_000])
def test_json_of_absurd_depth_or_length_is_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(LeadlineError, match=r"config.json is not valid JSON: .{5,200}$"):
        read_json(tmp_path / "config.json")


@pytest.mark.parametrize(
    "text", ["x = " + "9" * 5000, "x = " + "[" * 3000 + "]" * 3000, "[" + "a." * 3000 + "b]\nx = ["]
)
def test_toml_of_absurd_depth_or_length_is_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "recipe.toml").write_text(text)
    with pytest.raises(LeadlineError, match=r"recipe.toml is not valid TOML: .{5,200}$"):
        read_toml(tmp_path / "recipe.toml")


def test_a_text_file_beyond_the_longest_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "a.json").open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(LeadlineError, match="wanted a text file of at most 64,000,000"):
        read_text(tmp_path / "a.json")


def test_yaml_aliases_are_refused(tmp_path: Path) -> None:
    (tmp_path / "camera.yaml").write_text("a: &a [1, 2]\nK: [*a, *a, 1, 2, 3, 4, 5]\n")
    with pytest.raises(LeadlineError, match="it has YAML aliases"):
        read_camera(tmp_path / "camera.yaml")
