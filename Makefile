# Each target sets up .venv by itself, once, and again when pyproject.toml changes.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test check docs clean

demo: .venv/installed
	$(BIN)/leadline predict examples/*.jpg examples/motorcycle/rgb --out demo_out --format depth,color,npz,sheet
	@echo "look at demo_out/contact_sheet.png"

# Two workers of one thread each are 1.5× faster than one of two threads.
test: .venv/installed-dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile

check: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# A warning fails, so a broken link does; tests/test_docs.py checks the files outside docs/ as well.
docs: .venv/installed-docs
	$(BIN)/sphinx-build -E -W --keep-going -q -b html docs docs/_build/html
	@echo "open docs/_build/html/index.html"

.venv/installed: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

.venv/installed-dev: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --editable ".[dev]"
	touch $@ .venv/installed

.venv/installed-docs: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --editable ".[docs]"
	touch $@ .venv/installed

clean:
	rm -rf .venv demo_out docs/_build
