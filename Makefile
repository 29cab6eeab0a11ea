# Two commands: `make demo` trains and draws, `make test` checks everything. Both make .venv first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO := runs/demo


.PHONY: demo test format clean

demo: $(VENV)/ready
	rm -rf $(DEMO)
	$(BIN)/aae train gaussian --data digits --hidden 400 --epochs 250 --generator-weight 6 --sample-every 125 --out $(DEMO)
	@echo "Look at $(DEMO)/report.html and $(DEMO)/figures/"

test: $(VENV)/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal -rs

format: $(VENV)/ready
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) build dist $(DEMO)

$(VENV)/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@
