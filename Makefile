# Relay. `make run` tries it, `make test` proves it; each does all of its own set-up into .venv.

PYTHON ?= python3
BIN := .venv/bin
PLUGINS := $(patsubst %/pyproject.toml,%,$(wildcard plugins/*/pyproject.toml))
TESTS := $(sort $(dir $(wildcard tests/*/*.py tests/core/*/*.py plugins/*/tests/*.py)))
EDITABLE := -e '.[embedded]' $(foreach plugin,$(PLUGINS),-e ./$(plugin))
MANIFESTS := setup.cfg pyproject.toml constraints.txt $(wildcard plugins/*/pyproject.toml)
INSTALL := $(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --constraint constraints.txt
CONFIG ?= config/relay.yaml
URL := http://127.0.0.1:8080

export ALL

.PHONY: run test check bench pins
.DEFAULT_GOAL := test

.venv/.uv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Relay needs Python 3.11 or newer; this is $$($(PYTHON) --version). Name another with: make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo "Python's venv is missing. On Debian and Ubuntu: apt-get install python3-venv"; exit 1; }
	@$(PYTHON) -m venv .venv
	@$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt uv
	@touch $@

.venv/.run: .venv/.uv $(MANIFESTS)
	@$(INSTALL) $(EDITABLE)
	@touch $@

.venv/.dev: .venv/.uv $(MANIFESTS)
	@$(INSTALL) $(EDITABLE) --group dev
	@touch $@ .venv/.run

run: .venv/.run
	@key=$$($(BIN)/relay keys create --organisation try --config $(CONFIG)) && \
	printf '%s\n' '' "Relay serves on $(URL). Your key: $$key" 'Make the first call:' '' \
		"curl -N $(URL)/v1/chat/completions -H 'Authorization: Bearer $$key' -H 'Content-Type: application/json' -d '{\"model\":\"gpt-4o-mini\",\"stream\":true,\"messages\":[{\"role\":\"user\",\"content\":\"Hello!\"}]}'" '' \
	| $(BIN)/relay serve --config $(CONFIG) --say -

test: .venv/.dev
	@$(BIN)/python -m pytest -q -n 2 --dist loadfile

check: .venv/.dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check -q .
	@$(BIN)/mypy -p relay $(foreach plugin,$(PLUGINS),-p relay_$(notdir $(plugin)))
	@$(BIN)/mypy --no-error-summary tests/conftest.py $(TESTS)
	@$(BIN)/relay docs --check

bench: .venv/.dev
	@$(BIN)/python -m tests.speed

pins: .venv/.uv
	@(echo '-e .[embedded]'; for plugin in $(PLUGINS); do echo "-e ./$$plugin"; done) > .pins.in
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --no-annotate --no-header --group dev .pins.in -o .pins.out
	@(grep -v -e '^-e' -e '^rocket-relay' .pins.out; $(BIN)/uv --version | sed 's/^uv \([0-9.]*\).*/uv==\1/') | sort -u > constraints.txt
	@rm .pins.in .pins.out
