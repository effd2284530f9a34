# make demo    set up and watch two nodes elect a master, lose it and take over (under a minute)
# make test    set up and run every check: Rust, Python, namespaces, interoperation with keepalived
# make build   set up and build into .venv          make lint    formats, lints, types, layers
# make unit    the quick tests                      make bench   what many routers cost, beside keepalived (root)
# make clean   remove what make made (not the system packages)
#
# Everything but the system packages stays in this folder: .venv, target and .stamps. Both set-ups can be repeated; what
# is done is not done again.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

.NOTPARALLEL:

export VIRTUAL_ENV := $(CURDIR)/.venv
unexport CONDA_PREFIX PYTHONPATH
export PATH := $(CURDIR)/.venv/bin:$(PATH):$(or $(CARGO_HOME),$(HOME)/.cargo)/bin:/usr/sbin:/sbin
# The interpreter that PyO3 builds for, the same for every cargo command: a change of it would compile everything again.
export PYO3_PYTHON := $(CURDIR)/.venv/bin/python

SOURCES := Cargo.toml Cargo.lock pyproject.toml \
  $(shell find rust cython -name target -prune -o -type f \( -name '*.rs' -o -name '*.toml' -o -name '*.py' -o -name '*.py?' -o -name '*.pxi' \) -print)

.PHONY: help demo test unit lint build bench clean system-demo system-test

help:
	@sed -n 's/^# \{0,1\}//p;/^$$/q' Makefile

demo: system-demo .stamps/build
	keepvip lab demo

test: system-test .stamps/build
	python tools/run_tests.py

unit: .stamps/build
	python tools/run_tests.py unit

lint: .stamps/build
	python tools/run_tests.py lint

build: system-demo .stamps/build

bench: .stamps/build
	python benches/ipvs_codec.py
	python benches/instructions.py
	python benches/density.py --json bench.json --svg bench.svg

system-demo:
	@tools/system.sh demo

system-test:
	@tools/system.sh test

.stamps/venv: requirements-dev.lock tools/venv.sh | system-demo
	tools/venv.sh
	@mkdir -p .stamps && touch $@

.stamps/build: $(SOURCES) .stamps/venv | system-demo
	PIP_QUIET=1 PIP_DISABLE_PIP_VERSION_CHECK=1 maturin develop --release --quiet
	@touch $@

clean:
	rm -rf .stamps .venv target
	rm -f python/keepvip/*.so
