# Every target makes its own environment first, in .venv, from constraints.txt.
PYTHON ?= python3
BIN := .venv/bin
# Threads that wait without spinning: two spinning ones are several times slower on a busy machine.
export OMP_WAIT_POLICY = PASSIVE
export GOMP_SPINCOUNT = 0

.PHONY: setup models demo test check docs bench clean

setup: .venv/.ready

.venv/.ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	PIP_CONSTRAINT= $(BIN)/python -m pip install --quiet --upgrade "pip==26.3"
	$(BIN)/python -m pip install --quiet "torch==2.13.0" --constraint constraints.txt
	$(BIN)/python -m pip install --quiet --editable ".[landmarks,render,export,web,docs,dev]" --constraint constraints.txt
	touch $@

models: setup
	$(BIN)/pcfh models fetch

demo: setup
	$(BIN)/pcfh demo demo-out

test: models
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: setup
	$(BIN)/properdocs build --strict

bench: setup
	$(BIN)/python -m bench step

clean:
	rm -rf .venv demo-out build
