# The commands that CI runs are the ones a person runs.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test fast lint types layers docs examples versions clean

demo: $(VENV)/core
	$(BIN)/reviewml demo

test: lint types layers docs
	$(BIN)/python -m pytest -q -n 2 -m "slow or not slow"
	$(MAKE) versions

fast: $(VENV)/installed
	$(BIN)/python -m pytest -q

lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/installed
	$(BIN)/mypy

layers: $(VENV)/installed
	$(BIN)/lint-imports

docs: $(VENV)/installed
	$(BIN)/mkdocs build --quiet --strict

# The core's tests on every other Python that the machine has.
versions: $(VENV)/installed
	sh tools/test-versions.sh

# Without transformers, whose torch is larger than all the rest.
$(VENV)/core: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt "pip>=25.1"
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[plot]"
	touch $@

$(VENV)/installed: $(VENV)/core
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[all,openvino,ray,snowflake-double]" --group dev
	touch $@

clean:
	rm -rf $(VENV) build dist site demo
