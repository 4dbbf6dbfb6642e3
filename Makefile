# Everything a newcomer needs: `make deblur`, `make test`. Set-up is part of each.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
IN ?= examples/blurry.jpg
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet

.PHONY: deblur test test-slow train-default lint format clean

deblur: $(VENV)/installed
	@$(BIN)/resharp deblur "$(IN)" --overwrite

test: $(VENV)/installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m pytest -n 2 -m "not slow"

test-slow: $(VENV)/installed-test
	$(BIN)/python -m pytest -m slow

# Both stages of the shipped model, from sharp photographs alone; interrupted, it goes on where it was.
DATA ?= photos
RUN ?= $(BIN)/resharp train --data "$(DATA)"
train-default: $(VENV)/installed
	$(RUN) configs/fast.toml --out runs/fast
	$(RUN) configs/fast_denoiser.toml --init runs/fast/model --out runs/fast_denoiser

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

$(VENV)/installed-test: pyproject.toml $(VENV)/installed
	$(PIP) -e '.[test]'
	@touch $@

clean:
	rm -rf $(VENV) build dist
