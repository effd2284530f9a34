#!/bin/sh
# Makes .venv with exactly the packages of requirements-dev.lock; an environment whose interpreter is gone is made anew.
set -eu

if [ -d .venv ] && ! .venv/bin/python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    echo "The interpreter of .venv does not work any more: making .venv anew."
    rm -r .venv
fi
if [ ! -x .venv/bin/python ]; then
    "$(tools/find-python.sh)" -m venv .venv
fi
.venv/bin/python -m pip install --quiet --disable-pip-version-check --requirement requirements-dev.lock
