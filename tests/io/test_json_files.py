import json
from pathlib import Path

import pytest

from leadline.errors import LeadlineError
from leadline.io.json_files import format_json, parse_json, read_json


@pytest.mark.parametrize(
    "text",
    ["{", "[" * 100_000, "9" * 5000, '{"a": NaN}', "[-Infinity]", "[1e999]", "", '{"a": 1,}'],
    ids=["cut", "deep", "long", "NaN", "infinite", "too large", "empty", "comma"],
)
def test_what_is_no_json_is_one_line(text: str) -> None:
    with pytest.raises(LeadlineError, match="config.json is not valid JSON: ") as mistake:
        parse_json(text, "config.json")
    assert "\n" not in str(mistake.value) and len(str(mistake.value)) < 300


def test_bytes_that_are_no_text_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(b"\xff\xfe{}")
    with pytest.raises(LeadlineError, match=r"a\.json is not valid JSON"):
        read_json(tmp_path / "a.json")


def test_numbers_that_are_not_finite_are_written_as_null() -> None:
    text = format_json({"a": [1.5, float("nan")], "b": {"c": float("inf")}, "d": (float("-inf"), 2)})
    assert json.loads(text, parse_constant=pytest.fail) == {"a": [1.5, None], "b": {"c": None}, "d": [None, 2]}
    assert text.endswith("}\n")
