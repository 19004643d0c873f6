# The commands of the project. Everything is installed into .venv, once: stamp files remember what is there.
#
#   make generate [ARGS="--key 'd minor' --form fugue --seed 7"]   compose a piece into out/
#   make test     the whole test suite      make lint    ruff     make types   mypy
#   make demo     the web page (Space)      make bench   the benchmarks of speed
#   make docs     the documentation site    make clean   remove what can be made again
#   make fuzz     100,000 damaged inputs
#   make reproduce  from the corpus to the shipped weights (hours; goes on where it was ended)
#   make locks    hashes of what an install brings     make sbom   a list of it (CycloneDX)
#   make coverage the suite once, in one process, with what it did not reach

PYTHON ?= python3
OUT ?= out
ARGS ?=
PYTEST_ARGS ?= -n 2
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
PLAIN := $(VENV)/.installed
SPACE := $(VENV)/.installed-space
DEV := $(VENV)/.installed-dev

.PHONY: generate test fuzz coverage demo lint types locks sbom validate reproduce bench results docs clean
.DELETE_ON_ERROR:

generate: $(PLAIN)
	$(BIN)/musicgpt generate --out $(OUT) $(ARGS)

demo: $(SPACE)
	$(BIN)/musicgpt demo $(ARGS)

test: $(DEV)
	$(BIN)/python -m pytest $(PYTEST_ARGS)

# Only the process of the tests itself is counted: not the commands, workers and killed runs that they start.
coverage: $(DEV)
	$(BIN)/python -m pytest -p no:xdist --cov --cov-report=term-missing:skip-covered $(ARGS)

lint: $(DEV)
	$(BIN)/ruff check . && $(BIN)/ruff format --check .

types: $(DEV)
	$(BIN)/mypy

# Hashes of all packages that a plain install and the Space bring, in the versions of constraints.txt, for every system and Python.
LOCK := $(BIN)/uv pip compile pyproject.toml --constraints constraints.txt --universal --python-version 3.11 --generate-hashes \
    --no-annotate --no-header --no-emit-index-url --quiet
locks: constraints.txt pyproject.toml | $(BIN)/python
	$(PIP) uv
	mkdir -p locks
	$(LOCK) --output-file locks/plain.txt
	$(LOCK) --extra space --output-file locks/space.txt

# What an install of the Space is made of, with its hashes; licences stand in docs/dependencies.md.
SBOM ?= $(OUT)/sbom.json
CYCLONEDX ?= $(BIN)/cyclonedx-py
sbom:
	command -v $(CYCLONEDX) || $(PIP) cyclonedx-bom
	mkdir -p $(dir $(SBOM))
	$(CYCLONEDX) requirements --pyproject pyproject.toml --output-reproducible --output-file $(SBOM) locks/space.txt

# The validation loss of the shipped model in nats a note; needs the corpus in ../shared/data.
validate: $(DEV)
	$(BIN)/python -m training.validate --checkpoint shipped --split validation

# From the corpus in ../shared/data to files like the shipped ones, in runs/reproduce; the same command goes on after an end of any kind.
reproduce: $(DEV)
	$(BIN)/python -m training.reproduce $(ARGS)

# Damaged and hostile inputs for everything that strangers' bytes reach, guided by coverage, with ceilings on memory and time.
fuzz: $(DEV)
	$(PIP) --editable '.[fuzz]'
	$(BIN)/python -m tests.fuzz $(ARGS)

# Speed, each beside what it is measured against, in one run. The tokenizer is measured where the corpus is.
bench: $(DEV)
	for name in generate train metrics space_load; do $(BIN)/python -m benchmarks.$$name || exit 1; done
	if [ -d ../shared/data/wtc/midi ]; then $(BIN)/python -m benchmarks.tokenizer ../shared/data/wtc/midi; fi

# Everything that is said of metrics and of the shipped weights, measured anew into docs/metrics.md and docs/results.md (needs the
# corpus); the pieces are kept in SETS.
SETS ?= ../sets
results: $(DEV)
	$(BIN)/python -m benchmarks.measures --sets $(SETS)
	$(BIN)/python -m benchmarks.results --sets $(SETS)

docs: $(DEV)
	$(BIN)/mkdocs build --strict

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)

# torch comes first and by its exact version: some package indexes answer an open range with a build for GPUs of several GB.
$(PLAIN): pyproject.toml setup.py constraints.txt | $(BIN)/python
	@echo "Installing MusicGPT into $(VENV); this takes some minutes, once."
	$(PIP) "$$(grep '^torch==' constraints.txt)"
	$(PIP) --editable .
	$(BIN)/python musicgpt/engine/build.py --if-needed || echo "Going on without the engine."
	touch $@

$(SPACE): $(PLAIN)
	$(PIP) --editable '.[space]'
	touch $@

$(DEV): $(PLAIN)
	$(PIP) --editable '.[dev]'
	touch $@ $(SPACE)

clean:
	rm -rf build dist site *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis .coverage htmlcov
