#!/usr/bin/env bash
# Sets up all that the tests need (Debian packages too) and runs every one of them.
#   bash tests/run.sh            everything
#   SKIP_SETUP=1 bash tests/run.sh    with the environment that is there already
set -euo pipefail
cd "$(dirname "$0")/.."
export CI="${CI:-false}"
venv="${PLIVO_NB_VENV:-.venv}"
started=$SECONDS

say() { printf '\n== %s (at %d s)\n' "$1" $((SECONDS - started)); }

# A command of a package's name counts too: npm comes with some builds of nodejs.
missing_packages() {
    local name
    while read -r name; do
        dpkg-query -W -f='${Status}' "$name" 2>/dev/null | grep -q 'ok installed' && continue
        command -v "$name" >/dev/null || echo "$name"
    done < tests/apt.txt
}

if [ -z "${SKIP_SETUP:-}" ]; then
    say "Debian packages"
    mapfile -t missing < <(missing_packages)
    if [ "${#missing[@]}" -gt 0 ]; then
        sudo=""
        [ "$(id -u)" -eq 0 ] || sudo="sudo"
        $sudo apt-get update -qq
        DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
    fi
    say "Python packages"
    [ -x "$venv/bin/python" ] || python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check ".[test]"
fi
export PATH="$PWD/$venv/bin:$PATH"
[ "${venv#/}" = "$venv" ] || export PATH="$venv/bin:$PATH"
export MPLBACKEND=Agg

say "ruff, mypy, import-linter"
ruff format --check .
ruff check .
mypy &
mypy_pid=$!
lint-imports
wait "$mypy_pid"

say "unit tests"
pytest tests/unit -n 2 -q

say "integration tests"
pytest tests/integration -n 2 --dist loadgroup -q -m "not alone"

say "integration tests that measure time"
pytest tests/integration -q -m alone

say "browser tests"
pytest tests/browser -q

say "notebooks"
pytest --nbval --nbval-current-env --nbval-cell-timeout 60 -n 2 --dist loadfile -q notebooks

say "all passed"
