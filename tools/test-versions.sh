#!/bin/sh
# Runs the core's tests on Python 3.13 where the machine has it; 3.11 runs all of them. What both
# run is tried on 3.12, between them, by the contracts, what is imported, and whole pipelines.
set -eu

BETWEEN="tests/*/test_contracts.py tests/test_contracts.py tests/test_imports.py
    tests/test_pipeline.py tests/test_saving.py tests/sources tests/cli"

works() { "$1" -c "import ssl, venv" 2>/dev/null; }

find_python() {
    for python in "python$1" "${PYENV_ROOT:-$HOME/.pyenv}/versions/$1".*/bin/python; do
        if works "$python"; then echo "$python"; return; fi
    done
}

for version in 3.12 3.13; do
    python=$(find_python "$version")
    if [ -z "$python" ]; then
        echo "Python $version is not on this machine: its tests are left out."
        continue
    fi
    environment=.venv/python-$version
    if [ ! -f "$environment/installed" ]; then
        "$python" -m venv "$environment"
        "$environment/bin/python" -m pip install --quiet --no-compile --constraint constraints.txt "pip>=25.1"
        "$environment/bin/python" -m pip install --quiet --no-compile --constraint constraints.txt --editable . --group test
        touch "$environment/installed"
    fi
    tests=tests
    if [ "$version" = 3.12 ]; then tests=$BETWEEN; fi
    log=$environment/tests.log
    # shellcheck disable=SC2086  # several paths
    if ! "$environment/bin/python" -m pytest -q -n 2 -p no:cacheprovider $tests > "$log" 2>&1; then
        cat "$log"
        exit 1
    fi
    echo "Python $version: $(tail -n 1 "$log")"
done
