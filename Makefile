# Everything a newcomer needs: `make deblur`, `make test`. Set-up is part of each.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
IN ?= examples/blurry.jpg
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet

.PHONY: deblur test test-slow test-browser train-default train-accelerator bench docs types wheel lint format clean

deblur: $(VENV)/installed
	@$(BIN)/resharp deblur "$(IN)" --overwrite

# The web page; prints its address, opens nothing. WEB="--port 8080" and the like.
WEB ?=
.PHONY: web
web: $(VENV)/installed-web
	@$(BIN)/resharp web $(WEB)

test: $(VENV)/installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m pytest -n 2 -m "not slow and not browser"

test-slow: $(VENV)/installed-test
	$(BIN)/python -m pytest -m slow

# Spoilt files, options and configurations, INPUTS of them from number START on: some 10 minutes on two cores.
INPUTS ?= 20000
START ?= 0
.PHONY: test-fuzz
test-fuzz: $(VENV)/installed-test
	FUZZ_INPUTS=$(INPUTS) FUZZ_START=$(START) $(BIN)/python -m pytest -m fuzz -s tests/fuzz

# The pages in a real browser: Debian's package chromium, or Chrome.
test-browser: $(VENV)/installed-test
	$(BIN)/python -m pytest -m browser -rs

# The three stages of the laptop model, from sharp photographs alone; interrupted, or after MINUTES, it goes on.
DATA ?= photos
MINUTES ?=
OPTIONS ?=
TRUNK ?=
train-default: $(VENV)/installed
	$(BIN)/python tools/train_stages.py --data "$(DATA)" $(if $(TRUNK),--trunk "$(TRUNK)") $(if $(MINUTES),--minutes $(MINUTES)) -- $(OPTIONS)

# The same stages of a wider model within MINUTES on an accelerator; the results are in runs/accelerator.
train-accelerator: $(VENV)/installed
	@mkdir -p runs
	$(BIN)/python tools/train_on_accelerator.py pack "$(DATA)" --out runs/accelerator.tar
	$(BIN)/python tools/train_on_accelerator.py run --data runs/accelerator.tar --out runs/accelerator \
	  --minutes $(or $(MINUTES),25) $(OPTIONS)

# Seconds beside other networks (docs/bench.md): PEER_PYTHON has spandrel, PEER_COMMAND is NAME=COMMAND.
PEER_PYTHON ?=
PEER_COMMAND ?=
bench: $(VENV)/installed-test
	$(BIN)/resharp bench peers --out runs/bench --overwrite $(if $(PEER_PYTHON),--peer-python "$(PEER_PYTHON)") \
	  $(if $(PEER_COMMAND),--peer-command "$(PEER_COMMAND)") $(OPTIONS)

# The site, in site/; warnings are errors.
docs: $(VENV)/installed-test
	$(BIN)/mkdocs build --strict

# The types of what is meant to be called from other programs; pyproject.toml says which parts.
types: $(VENV)/installed-test
	$(BIN)/mypy

# A wheel and a source archive in dist/, checked; then the wheel alone restores the example, far from the sources.
wheel: $(VENV)/installed-test
	rm -rf dist build/wheel
	$(BIN)/python -m build
	$(BIN)/twine check --strict dist/*
	$(PYTHON) -m venv build/wheel
	build/wheel/bin/python -m pip --disable-pip-version-check install --quiet dist/*.whl
	cp examples/blurry.jpg build/wheel/blurry.jpg
	cd build/wheel && bin/resharp deblur blurry.jpg --overwrite && bin/resharp info

lint: $(VENV)/installed-test
	$(BIN)/ruff check .

format: $(VENV)/installed-test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The stamps are written last, so an interrupted installation is started again.
$(VENV)/installed: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) -e .
	@touch $@

$(VENV)/installed-web: pyproject.toml $(VENV)/installed
	$(PIP) -e '.[web]'
	@touch $@

$(VENV)/installed-test: pyproject.toml $(VENV)/installed
	$(PIP) -e '.[test]'
	@touch $@

clean:
	rm -rf $(VENV) build dist
