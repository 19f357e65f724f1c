"""What axe-core, which knows the rules by which pages can be read by everyone, finds in a page of the browser."""

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from chromium import Page

from leadline.errors import LeadlineError
from leadline.serving.static_page import fetch_package

VERSION = "4.14.1"
SHA512 = "FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ=="
_RUN = """axe.run({ resultTypes: ["violations"] }).then(({ violations }) => violations
  .filter(({ impact }) => impact === "serious" || impact === "critical")
  .map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 160)).join(" ")}`))"""


@cache
def _source() -> str:
    with TemporaryDirectory() as folder:
        try:
            package = fetch_package("axe-core", VERSION, SHA512, Path(folder))
        except LeadlineError as error:
            pytest.skip(str(error))
        return (package / "axe.min.js").read_text(encoding="utf-8")


def grave_violations(page: Page) -> list[str]:
    """Rules of which axe-core calls the breach serious or critical, and where they are broken."""
    page.run(f"{_source()}; 0")
    found: list[str] = page.run(_RUN)
    return found
