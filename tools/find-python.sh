#!/bin/sh
# Prints the Python interpreter to build with: $PYTHON if set, else the first found that is 3.11 or newer.
set -eu

for candidate in ${PYTHON:-} python3 python3.14 python3.13 python3.12 python3.11 /usr/bin/python3; do
    if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        echo "$candidate"
        exit 0
    fi
done
echo "no Python 3.11 or newer found" >&2
exit 1
