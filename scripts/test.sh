#!/usr/bin/env bash
# Every check there is, in the order of their cost. Arguments go to pytest:
#   ./scripts/test.sh -k config
# All checks run even after one has failed; the exit code is 1 if any did.

source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

install_package ".[dev]"
export PATH="$PWD/.venv/bin:$PATH"

failed=()
check() {
    local name="$1"
    shift
    heading "$name: $*"
    "$@" || failed+=("$name")
}

check "lint" ruff check .
check "format" ruff format --check .
check "types" mypy
check "import directions" lint-imports
check "advisories" python scripts/audit.py
check "licences" python scripts/licences.py --check
check "tests" pytest -n 2 --dist worksteal "$@"

heading "result"
if [ "${#failed[@]}" -gt 0 ]; then
    printf 'failed: %s\n' "${failed[@]}"
    exit 1
fi
echo "all checks passed"
