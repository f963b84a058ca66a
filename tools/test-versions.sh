#!/bin/sh
# Runs the core's tests on Python 3.12 and 3.13 where the machine has them; 3.11 ran them already.
set -eu

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
        "$environment/bin/python" -m pip install --quiet --constraint constraints.txt "pip>=25.1"
        "$environment/bin/python" -m pip install --quiet --constraint constraints.txt --editable . --group test
        touch "$environment/installed"
    fi
    echo "Python $version:"
    "$environment/bin/python" -m pytest -q -n 2 -p no:cacheprovider tests
done
