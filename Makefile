PYTHON ?= python3
BIN := .venv/bin

# Python may keep what it compiles, even where a container tells it not to: else each process that the tests start would
# compile PyTorch, Flower and Ray anew, which takes longer than what most of them do.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: setup demo check test test-all docs bench bench-install scale results report-check

# A virtual environment with the tested versions; done again only when the project file or the versions change. Python
# compiles a module when it is first imported, and most of those that pip would compile never are.
setup: .venv/.ready

.venv/.ready: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "fedctr needs Python 3.11 or newer; name one with make PYTHON=...")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --no-compile --constraint constraints.txt --editable . --group dev
	touch $@

# The main job: label correction on MovieLens-100K.
demo: setup
	$(BIN)/fedctr bench experiments/movielens-100k.toml

# What the documentation needs on top, in the same environment.
.venv/.docs: .venv/.ready
	$(BIN)/python -m pip install --quiet --no-compile --constraint constraints.txt --editable ".[docs]"
	touch $@

# Lint and types.
check: .venv/.docs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: check
	$(BIN)/pytest --numprocesses auto --dist worksteal -m "not exhaustive"

# The tests that make test leaves out, too: every strategy with every model, every tutorial, more runs on Ray.
test-all: check
	$(BIN)/pytest --numprocesses auto --dist worksteal

# The documentation as a site in build/site; a warning is an error.
docs: .venv/.docs
	$(BIN)/python docs/pictures.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --config-file docs/mkdocs.yml

# fedctr beside other ways to do the same work, those that are installed: make bench, or make bench BENCH=quick.
BENCH ?= full

bench: setup
	$(BIN)/python experiments/benchmarks/gauc/bench.py $(BENCH)
	$(BIN)/python experiments/benchmarks/bench.py $(BENCH)

# Environments of their own for the other libraries; without them they are left out of the comparison.
bench-install: setup
	$(BIN)/python experiments/benchmarks/install.py pfl gauc/fuxictr gauc/torch_rechub gauc/recbole gauc/torchmetrics

# Up to a million users through the whole of fedctr; about 20 minutes on 2 cores.
scale: setup
	$(BIN)/python experiments/benchmarks/scale/scale.py

# experiments/RESULTS.md from run folders and grids: make results RUNS="runs/paper runs/drift",
# with those on files of invented content after --generated.
results: setup
	$(BIN)/python experiments/results.py $(RUNS)

# Reports of every kind, and one of a million users, opened in headless Chromium at desktop and phone width, light and dark;
# needs chromium, nodejs and npm. That of a run as well: make report-check RUNS=runs/movielens-100k.
report-check: setup
	$(BIN)/python experiments/report-check/check.py $(RUNS)
