# Everything a newcomer needs: `make deblur`, `make test`. Set-up is part of each.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
IN ?= examples/blurry.jpg
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet

.PHONY: deblur test test-slow lint format clean

deblur: $(VENV)/installed
	@$(BIN)/resharp deblur "$(IN)" --overwrite

test: $(VENV)/installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m pytest -n 2 -m "not slow"

test-slow: $(VENV)/installed-test
	$(BIN)/python -m pytest -m slow

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
