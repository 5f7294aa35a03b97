PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.hilum-installed

.PHONY: help setup config serve demo test test-fast crash-test test-gpu train-gpu test-docker ohif axe check format pictures sbom lock clean

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-11s %s\n", $$1, $$2}'

# compiled once, here: a role starts fast the first time, and where it may write nothing
$(STAMP): requirements-dev.lock pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	VIRTUAL_ENV=$(VENV) $(BIN)/uv pip sync --quiet --compile-bytecode --require-hashes requirements-dev.lock
	VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install --quiet --no-deps --editable .
	touch $@

setup: $(STAMP)  ## install into .venv, and nothing else

serve: $(STAMP)  ## run the service from config.toml
	@exec $(BIN)/hilum serve

demo: $(STAMP)  ## send a real film to the running service and show what comes back
	@$(BIN)/hilum demo

test: $(STAMP)  ## all tests
	$(BIN)/python -m pytest -n 3 --dist loadgroup

# of pure functions: no server, no database, no browser; films that are decoded at a part need large ones
FAST := tests/inference tests/scp/config tests/scp/matching/test_prior.py tests/scp/test_archive.py tests/training/data \
	tests/house/test_rooms.py tests/house/test_architecture_page.py

test-fast: $(STAMP)  ## a minute of tests, for the developer's loop
	$(BIN)/python -m pytest -q -n 2 --dist loadgroup $(FAST) --ignore tests/inference/image/test_reduced.py

crash-test: $(STAMP)  ## send films and kill processes, for hours: FILMS=2000 KILLS=100 SEED=1
	$(BIN)/python -m tests.faults.points
	$(BIN)/python -m tests.faults.crash --films $(or $(FILMS),2000) --kills $(or $(KILLS),100) --seed $(or $(SEED),1)

test-gpu: $(STAMP)  ## the tests that need a CUDA device
	$(BIN)/python -m pytest -m gpu

train-gpu: $(STAMP)  ## train the network on a GPU, to the end: DATA=folder of the films, OUT=runs/gpu
	HILUM=$(BIN)/hilum training/train_gpu.sh

test-docker:  ## build the image, run both compose files, break them; needs root (INSTALL=1 installs what it needs)
	docker/test.sh

# the prebuilt viewer, which the tests open answered studies in
OHIF := @ohif/app@3.13.2
OHIF_SHA512 := 5997719a9986eeba85816f5924b71b82bdd70ad2e2d4a0cd3e831a798e4f3deea3e06e1f8c48e393271933a0ba664d85f3b04ac457e9abe8dde715d907d13c10

ohif: .peers/ohif/package/dist/index.html  ## fetch the OHIF viewer for the tests, by npm

.peers/ohif/package/dist/index.html:
	mkdir -p .peers/ohif
	cd .peers/ohif && npm pack --silent $(OHIF) >/dev/null
	echo "$(OHIF_SHA512)  $$(ls .peers/ohif/*.tgz)" | sha512sum --check --quiet
	tar -xzf .peers/ohif/*.tgz -C .peers/ohif && rm .peers/ohif/*.tgz
	touch $@

# what judges whether everybody can use the pages
AXE := axe-core@4.14.1
AXE_SHA512 := 1477dafa598d8d065f273d6af302aa203c02e83131707b7fa648cd41bd3d6b734f8c22a0dab86ee6a6f64b8afbe804b214d36db85a2826965edfb3a0b9d546b5

axe: .peers/axe/package/axe.min.js  ## fetch axe-core for the tests, by npm

.peers/axe/package/axe.min.js:
	mkdir -p .peers/axe
	cd .peers/axe && npm pack --silent $(AXE) >/dev/null
	echo "$(AXE_SHA512)  $$(ls .peers/axe/*.tgz)" | sha512sum --check --quiet
	tar -xzf .peers/axe/*.tgz -C .peers/axe && rm .peers/axe/*.tgz
	touch $@

check: $(STAMP)  ## format, lint, types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(STAMP)  ## make the format right
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

pictures: $(STAMP)  ## renew the pictures of README and docs, with the shipped network; look at each
	$(BIN)/python tests/support/pictures.py

# what the service is made of, and with it what it is developed, trained and shown with
COMPILE := uv pip compile --quiet --upgrade --generate-hashes --no-emit-index-url pyproject.toml
config: $(STAMP)  ## renew config.toml from the settings' own texts and defaults
	$(BIN)/hilum config > config.toml.part && mv config.toml.part config.toml

sbom: $(STAMP)  ## what the service is made of, with versions and hashes: .artefacts/hilum.cdx.json (CycloneDX)
	mkdir -p .artefacts
	$(BIN)/cyclonedx-py requirements requirements.lock --pyproject pyproject.toml --output-reproducible -o .artefacts/hilum.cdx.json

lock: $(STAMP)  ## renew both locks from pyproject.toml
	$(BIN)/$(COMPILE) -o requirements.lock
	$(BIN)/$(COMPILE) -c requirements.lock --extra dev --extra training --extra demo -o requirements-dev.lock

clean:  ## remove the environment and caches (never data_dir)
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache
