"""Sphinx settings of the documentation; `make docs` builds it into docs/_build."""

from pathlib import Path

from cyclopts.docs import generate_markdown_docs

import leadline
from leadline.cli.main import app

BUILD = Path(__file__).parent / "_build"

project = "leadline"
author = "The leadline developers"
copyright = author
smartquotes = False  # they would make one dash of the two of a flag
version = release = leadline.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
myst_heading_anchors = 4
highlight_language = "text"
html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["leadline.css"]
html_title = f"leadline {version}"
html_show_sphinx = False
html_copy_source = False

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_class_signature = "separated"

# reference/api.md: public names are imported when first asked for, and autodoc only sees what has been.
for name in leadline.__all__:
    setattr(leadline, name, getattr(leadline, name))
leadline.__doc__ = ""  # the page has an introduction of its own

# reference/cli.md includes this file.
BUILD.mkdir(exist_ok=True)
commands = generate_markdown_docs(app, generate_toc=False, no_root_title=True, heading_level=2, usage_name="leadline")
(BUILD / "cli.md").write_text(commands, encoding="utf-8")
