#!/usr/bin/env bash
# Runs the tests, in an environment that it sets up itself (Debian packages too).
#   bash tests/run.sh                 everything: what CI runs
#   bash tests/run.sh fast            linters, types, examples and unit tests: what to run before each commit
#   SKIP_SETUP=1 bash tests/run.sh    with the environment that is there already
# The tests use the package in this folder; the built wheel is tested in an environment of its own.
set -euo pipefail
cd "$(dirname "$0")/.."
mode="${1:-full}"
case "$mode" in full | fast) ;; *) echo "usage: bash tests/run.sh [fast]" >&2; exit 2 ;; esac
export CI="${CI:-false}"
venv="${PLIVO_NB_VENV:-.venv}"
[ "${venv#/}" != "$venv" ] || venv="$PWD/$venv"
# Tests of real calls and pages depend on a machine that may be busy with something else: one that fails is run
# once more, and the summary names it (RERUN). Unit tests are not.
again=(--reruns 1 -rfEsR)
started=$SECONDS
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

say() { printf '\n== %s (at %d s)\n' "$1" $((SECONDS - started)); }

# A command of a package's name counts too: npm comes with some builds of nodejs.
missing_packages() {
    local name
    while read -r name; do
        dpkg-query -W -f='${Status}' "$name" 2>/dev/null | grep -q 'ok installed' && continue
        command -v "$name" >/dev/null || echo "$name"
    done < tests/apt.txt
}

set_up() {
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
}

# Branch coverage of every Python process that the command starts, its threads included.
measured() { COVERAGE_PROCESS_START="$PWD/pyproject.toml" COVERAGE_FILE="$PWD/.coverage" "$@"; }

# The sdist is built, the wheel from it; the wheel works where nothing else is: no tests, no clone.
build_and_install() {
    python -m build --outdir "$scratch/dist" . >"$scratch/build.log" 2>&1 || { cat "$scratch/build.log"; return 1; }
    ls "$scratch/dist"
    python3 -m venv "$scratch/clean"
    "$scratch/clean/bin/pip" install --quiet --disable-pip-version-check "$scratch"/dist/*.whl
    (
        cd "$scratch"
        unset PYTHONPATH
        clean/bin/python -W error tests_of_the_wheel.py
        clean/bin/plivo-nb --help >/dev/null
        clean/bin/plivo-nb check --seconds 2
    )
}

run_notebooks() { pytest --nbval --nbval-current-env --nbval-cell-timeout 60 -n 2 --dist loadfile -q "$@"; }

# A notebook makes real calls too. Its cells depend on those before: one that fails is run once more from its top.
rerun_failed_notebooks() {
    local failed
    mapfile -t failed < <(python -c "
import json
failed = json.load(open('.pytest_cache/v/cache/lastfailed', encoding='utf-8'))
print(*sorted({test.split('::')[0] for test in failed if test.startswith('notebooks/')}), sep='\\n', end='')")
    [ "${#failed[@]}" -gt 0 ] || return 1
    printf 'RERUN %s\n' "${failed[@]}"
    run_notebooks "${failed[@]}"
}

if [ -z "${SKIP_SETUP:-}" ] && { [ "$mode" = full ] || [ ! -x "$venv/bin/pytest" ]; }; then set_up; fi
export PATH="$venv/bin:$PATH" MPLBACKEND=Agg
export PYTHONPATH="$PWD"

say "ruff, mypy, import-linter"
ruff format --check .
ruff check .
mypy &
mypy_pid=$!
lint-imports
wait "$mypy_pid"

if [ "$mode" = fast ]; then
    say "unit tests and examples"
    pytest tests/unit plivo_nb --doctest-modules -n 2 -q
    say "all passed"
    exit
fi

say "sdist and wheel, installed in a clean environment"
cp tests/wheel.py "$scratch/tests_of_the_wheel.py"
build_and_install

say "unit tests and examples"
coverage erase
measured pytest tests/unit plivo_nb --doctest-modules -n 2 -q

say "integration tests"
measured pytest tests/integration -n 2 --dist loadgroup "${again[@]}" -q -m "not alone"

say "integration tests with sound cards"
measured pytest tests/integration/sound "${again[@]}" -q

say "integration tests that measure time"
pytest tests/integration --ignore=tests/integration/sound "${again[@]}" -q -m alone

say "browser tests"
pytest tests/browser "${again[@]}" -q

say "notebooks"
run_notebooks notebooks || rerun_failed_notebooks

say "branch coverage of the unit and integration tests, those that measure time excepted"
coverage combine --quiet
coverage report

say "all passed"
