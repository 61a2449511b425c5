# Short names for the plain lines in README.md and CONTRIBUTING.md.
PYTHON ?= python3
.PHONY: demo test check lock bench looks pictures

demo: .venv/.core
	.venv/bin/wayline demo

test: .venv/.dev
	.venv/bin/python -m pytest -n 2 --dist loadfile

check: .venv/.dev
	.venv/bin/ruff check . && .venv/bin/ruff format --check . && .venv/bin/mypy && .venv/bin/lint-imports

bench: .venv/.dev
	.venv/bin/python -m tests.benchmarks

# the pictures in the README, anew: a demo bank, its pages in Chromium
pictures: .venv/.dev
	.venv/bin/wayline demo --no-app --customers 8000 --home artefacts/bank
	.venv/bin/python -m tests.doors.looks demo=artefacts/bank --pictures data/pictures

# every page in every look, kept in artefacts/looks
looks: .venv/.dev
	.venv/bin/wayline demo --no-app --customers 8000 --home artefacts/bank
	.venv/bin/python -m tests.doors.looks demo=artefacts/bank --out artefacts/looks

.venv/.core: requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	.venv/bin/pip install --quiet --require-hashes -r requirements.lock
	.venv/bin/pip install --quiet --no-deps --no-build-isolation -e .
	touch $@

.venv/.dev: requirements-dev.lock pyproject.toml
	$(PYTHON) -m venv .venv
	.venv/bin/pip install --quiet --require-hashes -r requirements-dev.lock
	.venv/bin/pip install --quiet --no-deps --no-build-isolation -e .
	touch $@

# needs uv (pip install uv); the locks hold versions and hashes and no address of any index
lock:
	uv pip compile pyproject.toml --extra build --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-annotate --custom-compile-command "make lock" -o requirements.lock
	uv pip compile pyproject.toml --extra build --extra dev --extra postgres --extra spark --universal \
	  --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate -c requirements.lock \
	  --custom-compile-command "make lock" -o requirements-dev.lock
