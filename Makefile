# Everything runs in a virtual environment of its own, made on first use; only python3 (3.11 or newer) and make are needed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input

.PHONY: demo test long soak lint format bench picture screenshots pages docs clean
.DELETE_ON_ERROR:

demo: $(VENV)/.installed  ## simulate a night, find its twitches, draw the map
	$(BIN)/twitchmap demo

# Radios and browsers in the tests wait more than they work, so four at a time suit two cores. Files are begun in
# the order of tests/conftest.py, the longest first; xdist's own would begin with those of the most tests. Where
# Python is told to keep no bytecode, as in many containers, each of the some hundred processes that tests start
# would compile the package for itself.
# TWITCHMAP_REAL_DATA=FOLDER adds the tests on real recordings.
test long: export PYTHONDONTWRITEBYTECODE :=
test: WHICH := not long
long: WHICH := long
test long: $(VENV)/.tests  ## the tests; those that take long: whole evenings, training, every page for everybody
	$(BIN)/python -m pytest -m "$(WHICH) and not soak" -n 4 --dist loadfile --no-loadscope-reorder

soak: $(VENV)/.tests  ## the long storms
	$(BIN)/python -m pytest -m soak --timeout=3600

lint: $(VENV)/.lint
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

format: $(VENV)/.lint
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: $(VENV)/.tests  ## speed, memory, start-up and bytes a night
	$(BIN)/python benchmarks/bench.py
	$(BIN)/python benchmarks/recording.py
	$(BIN)/python benchmarks/review.py

screenshots: $(VENV)/.tests  ## every page of the review, light and dark, for a screen and a phone
	$(BIN)/python tests/make_screenshots.py

picture: $(VENV)/.installed  ## docs/map.svg, from the simulated night of the demo
	rm -rf build/picture && $(BIN)/twitchmap demo --out build/picture --no-open
	cp build/picture/map.svg docs/map.svg

pages: $(VENV)/.tests  ## the parts of docs/ that say what the program says, and its figures
	$(BIN)/python docs/made.py

docs: $(VENV)/.docs  ## the web site in build/docs; nothing is fetched, and any warning is an error
	rm -rf build/docs
	$(BIN)/python -m sphinx --quiet --fail-on-warning --keep-going --fresh-env --doctree-dir build/doctrees --conf-dir docs . build/docs

clean:
	rm -rf build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis

# pip before 25.1 knows no dependency groups, so it is brought up to date first.
$(VENV)/.installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "twitchmap needs Python 3.11 or newer, as python3 or named: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "This Python cannot make virtual environments; on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet --upgrade 'pip>=25.1'
	$(PIP) install --quiet --editable .
	@touch $@

$(VENV)/.tests: $(VENV)/.installed
	$(PIP) install --quiet --editable '.[cluster,pandas,parquet,pdf,plots,virtual]' --group test
	@touch $@

$(VENV)/.lint: $(VENV)/.tests
	$(PIP) install --quiet --group lint
	@touch $@

$(VENV)/.docs: $(VENV)/.installed
	$(PIP) install --quiet --group docs
	@touch $@
