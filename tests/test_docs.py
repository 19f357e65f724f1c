"""The documentation agrees with the files and the commands that it names."""

import re
import shlex
from pathlib import Path

import pytest

import leadline
from leadline.cli.main import COMMANDS, app

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(path for path in DOCS.rglob("*.md") if "_build" not in path.parts)
OTHERS = [
    ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "research/LOG.md", "examples/README.md")
]
ALL = [*PAGES, *OTHERS]


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def blocks(markdown: str, language: str) -> list[str]:
    """The fenced blocks of a language, without their indentation."""
    found = re.findall(rf"^( *)```{language}\n(.*?)^\1```$", markdown, flags=re.MULTILINE | re.DOTALL)
    return [re.sub(rf"^{indent}", "", block, flags=re.MULTILINE) for indent, block in found]


def links(markdown: str) -> list[str]:
    prose = re.sub(r"^( *)```.*?^\1```$", "", markdown, flags=re.MULTILINE | re.DOTALL)
    return [target for target in re.findall(r"\]\(([^)\s]+)\)", prose) if not target.startswith("https://")]


def anchors(markdown: str) -> set[str]:
    """The ids that headings get."""
    headings = re.findall(r"^#+ (.*)$", markdown, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def commands(markdown: str) -> list[str]:
    """The lines of its shell blocks that call leadline, continued lines joined."""
    lines = "\n".join(blocks(markdown, "")).replace("\\\n", " ").splitlines()
    return [line for line in lines if line.startswith("leadline ")]


def test_parsing_of_markdown():
    text = (
        "## Some `Title`, 2\n\n[a](b.md#c)\n\n1. x\n\n   ```\n   leadline models \\\n       x\n   [no](link)\n   ```\n"
    )
    assert anchors(text) == {"some-title-2"}
    assert links(text) == ["b.md#c"]
    assert [line.split() for line in commands(text)] == [["leadline", "models", "x"]]


@pytest.mark.parametrize("path", ALL, ids=name_of)
def test_relative_links_lead_somewhere(path: Path):
    broken = []
    for target in links(path.read_text(encoding="utf-8")):
        name, _, anchor = target.partition("#")
        file = path.parent / name if name else path
        if not file.exists() or (anchor and anchor not in anchors(file.read_text(encoding="utf-8"))):
            broken.append(target)
    assert broken == []


def test_the_index_lists_every_page():
    listed = "\n".join(blocks((DOCS / "index.md").read_text(encoding="utf-8"), r"\{toctree\}")).split("\n")
    pages = {path.relative_to(DOCS).with_suffix("").as_posix() for path in PAGES}
    assert pages - {"index"} == {line for line in listed if line and not line.startswith(":")}


@pytest.mark.parametrize("path", [*PAGES, ROOT / "README.md", ROOT / "examples" / "README.md"], ids=name_of)
def test_commands_are_understood(path: Path):
    for command in commands(path.read_text(encoding="utf-8")):
        words = shlex.split(command, comments=True)[1:]
        app.parse_args(words, exit_on_error=False, print_error=False)


@pytest.mark.parametrize("path", [*PAGES, ROOT / "README.md"], ids=name_of)
def test_python_is_valid_and_public(path: Path):
    for block in blocks(path.read_text(encoding="utf-8"), "python"):
        compile(block, str(path), "exec")
        assert set(re.findall(r"\bleadline\.(\w+)", block)) <= set(leadline.__all__)


def test_the_page_of_the_command_line_has_every_command_with_its_example() -> None:
    page = (DOCS / "reference" / "cli.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| .*\| `(\w+)` \| `(leadline .*)` \|$", page, flags=re.MULTILINE)
    assert rows == [(line.split()[1], line) for commands in COMMANDS.values() for _, line in commands]
