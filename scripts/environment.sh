# shellcheck shell=bash
# Sourced by the other scripts: makes .venv in the checkout and installs the package into it.
# Linux and macOS, Python 3.11 to 3.13; uv is used where it is installed, pip otherwise.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

heading() { printf '\n== %s\n' "$*"; }

find_python() {
    local candidate
    for candidate in "${PYTHON:-}" python3.13 python3.12 python3.11 python3 python; do
        [ -n "$candidate" ] && command -v "$candidate" >/dev/null 2>&1 || continue
        if "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))'; then
            command -v "$candidate"
            return
        fi
    done
    return 1
}

make_environment() {
    # An environment whose Python went away (an upgraded system) is made anew.
    if [ -x .venv/bin/python ] && .venv/bin/python -c 'import sys' 2>/dev/null; then
        return
    fi
    rm -rf .venv
    local python
    if command -v uv >/dev/null 2>&1; then
        python="$(find_python || echo '>=3.11,<3.14')"
        uv venv --quiet --python "$python" .venv
        return
    fi
    if ! python="$(find_python)"; then
        echo "error: no Python 3.11, 3.12 or 3.13 found: install one, or uv" \
             "(https://docs.astral.sh/uv), or set PYTHON=/path/to/python" >&2
        exit 1
    fi
    if ! "$python" -m venv .venv; then
        rm -rf .venv
        echo "error: $python cannot make an environment: install its venv module" \
             "(Debian, Ubuntu: apt install python3-venv)" >&2
        exit 1
    fi
}

# Arguments: what to install, such as '.[dev]'.
install_package() {
    heading "environment: .venv with $1"
    make_environment
    if command -v uv >/dev/null 2>&1; then
        uv pip install --quiet --python .venv/bin/python -e "$1"
    else
        .venv/bin/python -m pip --version >/dev/null 2>&1 || .venv/bin/python -m ensurepip --upgrade
        .venv/bin/python -m pip install --quiet --disable-pip-version-check -e "$1"
    fi
    .venv/bin/python --version
}
