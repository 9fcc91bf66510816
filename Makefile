# With python3 (3.11 or newer) and make alone: `make demo` does the main job, `make test` passes the tests.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
WORKERS ?= 2
# One BLAS and OpenMP thread a test process: two test processes already fill two cores.
ONE_THREAD := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1
# Old packages warn of newer ones, and of Python.
OLD_WARNINGS := -W default::DeprecationWarning -W default::PendingDeprecationWarning
WITHOUT_TORCH := tests/test_results.py tests/test_lowest_versions.py tests/cli/test_tables.py tests/reading tests/methods/trimming tests/methods/variance

.PHONY: install install-docs demo test test-offline test-kernels test-stores test-lowest test-all check format bench docs package dist clean

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "runspread needs Python 3.11 or newer; call make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[train,dev]'
	touch $(STAMP)

demo: install
	$(BIN)/runspread demo

test: install
	$(ONE_THREAD) $(BIN)/pytest -n $(WORKERS) --dist loadfile -q

# In a network namespace with the loopback alone: nothing may be fetched or sent.
test-offline: install
	unshare -rn sh -c 'ip link set lo up; $(ONE_THREAD) $(BIN)/pytest -n $(WORKERS) --dist loadfile -q'

# What ranks, ties or chooses, again under other kernels of OpenBLAS and NumPy than this processor's own.
test-kernels: install
	$(ONE_THREAD) $(BIN)/python tests/other_kernels.py -n $(WORKERS) --dist loadfile -q

# The contract of stores and what is published into them, against an S3 server that has needs of its own (moto).
test-stores: install
	test -x .venv-stores/bin/python || $(PYTHON) -m venv .venv-stores
	.venv-stores/bin/python -m pip install --quiet 'moto[s3]>=5.2' flask flask-cors
	RUNSPREAD_MOTO=$(CURDIR)/.venv-stores/bin/python $(ONE_THREAD) $(BIN)/pytest -q -m '' tests/studies/stores

# What needs no PyTorch, at the lowest versions that pyproject.toml allows, in an environment of its own.
test-lowest:
	test -x .venv-lowest/bin/python || $(PYTHON) -m venv .venv-lowest
	.venv-lowest/bin/python -m pip install --quiet -c constraints-lowest.txt -e '.[import]' pandas pyarrow pytest pytest-xdist hypothesis mpmath
	$(ONE_THREAD) .venv-lowest/bin/pytest -n $(WORKERS) --dist loadfile -q $(OLD_WARNINGS) $(WITHOUT_TORCH)

test-all: install
	$(ONE_THREAD) $(BIN)/pytest -n $(WORKERS) --dist loadfile -q -m ''

check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/basedpyright

format: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: install
	@for script in benchmarks/bench_*.py; do echo "== $$script"; $(BIN)/python $$script || exit 1; done

install-docs: install
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[docs]'

docs: install-docs
	$(BIN)/sphinx-build -q -W -b html docs docs/_build/html
	@echo "open docs/_build/html/index.html"

# The wheel and the source archive, and the wheel tried in an empty environment without torch; `dist`: with torch and the demo too.
package: install
	$(BIN)/python tests/built_package.py

dist: install
	$(BIN)/python tests/built_package.py --demo

clean:
	rm -rf $(VENV) .venv-lowest .venv-stores .pytest_cache .ruff_cache .hypothesis dist build
