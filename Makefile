# The commands that CI runs are the ones a person runs.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Most modules of large libraries are never imported: Python compiles the others when they are.
PIP := --quiet --no-compile
# Also where it is told not to: tests start hundreds of processes.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo test tests fast search lint types layers docs examples versions clean

demo: $(VENV)/core
	$(BIN)/reviewml demo

# One after the other: tests fill two cores, and clusters of theirs would wait for the rest too long.
test: lint types layers docs tests versions

tests: $(VENV)/installed
	$(BIN)/python -m pytest -q -n 3 --durations 25 -m "slow or not slow"

fast: $(VENV)/installed
	$(BIN)/python -m pytest -q -n 3 --durations 10

# Properties on new random examples, and on many more of them.
search: $(VENV)/installed
	REVIEWML_EXAMPLES=10000 $(BIN)/python -m pytest -q -n 2 --hypothesis-profile search -m "hypothesis and (slow or not slow)"
	REVIEWML_EXAMPLES=10000 $(BIN)/python -m pytest -q -n 2 -m "slow or not slow" tests/sources/test_json_round_trip.py

lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/installed
	$(BIN)/mypy

layers: $(VENV)/installed
	$(BIN)/lint-imports

docs: $(VENV)/installed
	$(BIN)/mkdocs build --quiet --strict

# The core's tests on 3.13, and some of them on 3.12, where the machine has these.
versions: $(VENV)/installed
	sh tools/test-versions.sh

# Without transformers, whose torch is larger than all the rest.
$(VENV)/core: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install $(PIP) --constraint constraints.txt "pip>=25.1"
	$(BIN)/python -m pip install $(PIP) --constraint constraints.txt --editable ".[plot]"
	touch $@

$(VENV)/installed: $(VENV)/core
	$(BIN)/python -m pip install $(PIP) --constraint constraints.txt --editable packages/snowflake-double --editable ".[all,openvino,ray,snowflake-double]" --group dev
	touch $@

clean:
	rm -rf $(VENV) build dist site demo
