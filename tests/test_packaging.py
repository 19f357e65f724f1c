"""What the package says of itself agrees with its other files."""

import tomllib
from pathlib import Path

import yaml
from packaging.requirements import Requirement
from packaging.version import Version

from leadline import __version__

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def read_constraints() -> dict[str, Version]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line.split("==") for line in lines if not line.startswith("#")]
    return {name.lower().replace("_", "-"): Version(version) for name, version in pins}


def test_constraints_satisfy_every_requirement():
    pinned = read_constraints()
    extras = PROJECT["optional-dependencies"].values()
    wanted = [Requirement(text) for group in (PROJECT["dependencies"], *extras) for text in group]
    outside = [
        str(requirement)
        for requirement in wanted
        if requirement.name != PROJECT["name"]
        and not requirement.specifier.contains(pinned[requirement.name.lower().replace("_", "-")], prereleases=True)
    ]
    assert outside == []


def test_citation_and_changelog_name_this_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == __version__
    assert citation["authors"] == PROJECT["authors"]
    assert f"## [{__version__}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_metadata_gives_no_address():
    assert "urls" not in PROJECT
    assert all(set(author) == {"name"} for author in PROJECT["authors"])
