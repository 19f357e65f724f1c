from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict, model_validator

from leadline.errors import LeadlineError
from leadline.io.toml import as_record, read_toml


class Thing(BaseModel):
    model_config = ConfigDict(extra="forbid")

    size: int = 1
    name: str = ""

    @model_validator(mode="after")
    def _named(self) -> "Thing":
        if self.size > 9 and not self.name:
            raise ValueError("a large thing needs a name")
        return self


def test_a_file_becomes_a_record(tmp_path: Path) -> None:
    path = tmp_path / "thing.toml"
    path.write_text('size = 3\nname = "Maß"\n', encoding="utf-8")
    assert as_record(Thing, read_toml(path), str(path)) == Thing(size=3, name="Maß")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"sice": 3}, "here: sice: Extra inputs are not permitted; known keys: size, name"),
        ({"size": "three"}, "here: size: Input should be a valid integer"),
        ({"size": 10}, "here: a large thing needs a name; known keys: size, name"),
    ],
)
def test_the_first_mistake_is_one_line(values: dict[str, object], message: str) -> None:
    with pytest.raises(LeadlineError, match=message) as caught:
        as_record(Thing, values, "here")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"= 1", b"\xff\xfe"])
def test_what_is_no_toml_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "thing.toml"
    path.write_bytes(content)
    with pytest.raises(LeadlineError, match="thing.toml is not valid TOML"):
        read_toml(path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("epochs = " + "9" * 5000, "is not valid TOML"),
        ("x = " + "[" * 3000 + "]" * 3000, "is not valid TOML"),
        ("x = [{y = 0x" + "f" * 5000 + "}]", "a whole number of 20000 bits, wanted at most 64"),
    ],
    ids=["long", "deep", "hexadecimal"],
)
def test_absurd_toml_is_one_line(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "a.toml").write_text(text)
    with pytest.raises(LeadlineError, match=said) as mistake:
        read_toml(tmp_path / "a.toml")
    assert "\n" not in str(mistake.value) and len(str(mistake.value)) < 400
