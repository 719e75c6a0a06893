"""`scripts/fuzz.py` says that a target failed, in whichever way its process ended."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "fuzz.py"
# Fuzzers of two faults; the real one may be absent, and neither fault can be asked of it.
KILLED = "import os, signal\nos.kill(os.getpid(), signal.SIGALRM)\n"
IDLE = """
import contextlib
import sys

def instrument_imports(include):
    return contextlib.nullcontext()

def Setup(arguments, one):
    pass

def Fuzz():
    print("stat::number_of_executed_units: 0", file=sys.stderr)
"""


def fuzz(folder: Path, *before: str) -> subprocess.CompletedProcess[str]:
    command = [*before, "--seconds", "1", "--output", "found", "--json", "table.json", "catalogue"]
    return subprocess.run(
        [sys.executable, *command],
        capture_output=True,
        text=True,
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(folder)},
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize(
    ("fuzzer", "told"), [(KILLED, "exit -14, see log.txt"), (IDLE, "nothing was read, see log.txt")]
)
def test_a_target_that_did_not_run_is_no_success(tmp_path: Path, fuzzer: str, told: str) -> None:
    (tmp_path / "atheris.py").write_text(fuzzer, encoding="utf-8")
    done = fuzz(tmp_path, str(SCRIPT))
    assert done.returncode == 1, done.stderr
    assert done.stdout.strip().endswith(f"findings: {told}")
    assert json.loads((tmp_path / "table.json").read_text())[0]["executions"] == 0
    assert (tmp_path / "found" / "catalogue" / "log.txt").is_file()


def test_without_atheris_one_line_says_how_to_get_it(tmp_path: Path) -> None:
    hidden = "import runpy, sys; sys.modules['atheris'] = None; sys.argv[0] = sys.argv.pop(1); "
    run = "runpy.run_path(sys.argv[0], run_name='__main__')"
    done = fuzz(tmp_path, "-c", hidden + run, str(SCRIPT))
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last == "error: no atheris here: pip install 'ligo-cpc-snn[fuzz]'"
    assert done.stdout == ""
    assert not (tmp_path / "table.json").exists()
