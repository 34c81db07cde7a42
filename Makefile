# Seatrial's own commands. `make up` starts a cluster, `make test` runs the tests; both need only Python 3.11 and make.

PYTHON ?= python3
BIN := .venv/bin
WORKERS ?= 2

.PHONY: setup up test check lint types layers duplicates soak bench pictures lock clean

setup: .venv/installed  ## Build .venv with everything that Seatrial and its tests need

.venv/installed: requirements/dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Seatrial needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version). Try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	$(BIN)/python -m compileall -q sim api scenarios
	@touch $@

up: setup  ## Start the default cluster and leave it running
	$(BIN)/seatrial up
	@command -v seatrial >/dev/null || printf '\nIts commands are at hand after: export PATH="%s:$$PATH"\n' '$(CURDIR)/$(BIN)'

test: setup  ## Run the tests
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup -q

check: lint types layers duplicates test  ## Everything that a change must pass

lint: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: setup
	$(BIN)/mypy

layers: setup
	$(BIN)/lint-imports --no-logo

duplicates: setup
	$(BIN)/pylint --disable=all --enable=duplicate-code --min-similarity-lines=10 --ignore-imports=y --ignore-signatures=y sim api scenarios

soak: setup  ## What takes longer than continuous integration may
	$(BIN)/python -m pytest -n $(WORKERS) -q -m soak --soak

bench: setup  ## Measure, and write the figures to docs/benchmarks.md
	$(BIN)/python -m benchmarks

pictures: setup  ## Take the pictures of docs/pictures anew; needs a Chromium and a font with Hangul
	$(BIN)/python docs/pictures.py

lock: setup  ## Renew requirements/dev.lock from pyproject.toml
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --generate-hashes --no-header --quiet --no-emit-index-url -o requirements/dev.lock

clean:
	rm -rf .venv build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
