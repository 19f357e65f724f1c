"""The README stays short, and its text holds on a package index, where relative links and images lead nowhere."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
LINK = re.compile(r"\[([^\]]*)\]\(([^)]*)\)")


def rendered_words(markdown: str) -> list[str]:
    """Words that a reader sees: text, code and table cells, without addresses and marks."""
    seen = LINK.sub(r"\1", markdown)
    return [word for word in re.split(r"[\s|]+", seen) if re.search(r"\w", word)]


def test_words_are_what_a_reader_sees():
    text = "# Title\n\n![two words](a b c.png) and [one](docs/x.md)\n\n| a | `b c` |\n|---|---|\n"
    assert rendered_words(text) == ["Title", "!two", "words", "and", "one", "a", "`b", "c`"]


def test_readme_has_at_most_500_words():
    assert len(rendered_words(README)) <= 500


def test_readme_names_the_two_commands():
    assert "make demo" in README and "make test" in README


def test_on_a_package_index_no_link_or_image_is_relative():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    description = README
    for rule in settings["tool"]["hatch"]["metadata"]["hooks"]["fancy-pypi-readme"]["substitutions"]:
        description = re.sub(rule["pattern"], rule["replacement"], description)

    assert not [target for _, target in LINK.findall(description) if not target.startswith("https://")]
    assert "quickstart (docs/quickstart.md in the repository)" in " ".join(description.split())
