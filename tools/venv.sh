#!/bin/sh
# Makes .venv with exactly the packages of requirements-dev.lock; an environment whose interpreter is gone is made anew.
set -eu

works() { .venv/bin/python -c 'import sys, pip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

if [ -d .venv ] && ! works; then
    echo "The environment .venv does not work any more: making it anew."
    rm -r .venv
fi
if [ ! -d .venv ]; then
    "$(tools/find-python.sh)" -m venv .venv
fi
.venv/bin/python -m pip install --quiet --disable-pip-version-check --requirement requirements-dev.lock
