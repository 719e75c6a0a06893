"""What every entry point does around its work: a traceback kept, and gone when it is made good."""

import subprocess
import sys

import pytest

SCRIPT = """
import os, sys
from pathlib import Path
from ligo_cpc_snn.config.runtime_schema import RuntimeConfig
from ligo_cpc_snn.runtime.task import run_task

def work():
    if sys.argv[2] == "fail":
        raise ValueError("no luck with " + os.environ["WANDB_API_KEY"])
    if sys.argv[2] == "stop":
        raise KeyboardInterrupt
    return int(sys.argv[2])

sys.exit(run_task(Path(sys.argv[1]), RuntimeConfig(), work, stopped="stopped by hand"))
"""
KEY = "5ec2e7a9" * 5


@pytest.fixture
def tried(tmp_path, monkeypatch):
    """Return exit code and terminal of a task that fails, is stopped or ends well."""
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    monkeypatch.setenv("LIGO_CACHE_DIR", str(tmp_path / "cache"))

    def run(how: str) -> tuple[int, str]:
        command = [sys.executable, "-c", SCRIPT, str(tmp_path), how]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return done.returncode, done.stderr

    return run


def test_a_traceback_stays_until_the_work_ends_well(tried, tmp_path):
    kept = tmp_path / "traceback.txt"
    assert tried("fail")[0] == 1
    assert "no luck with" in kept.read_text()
    assert KEY not in kept.read_text()
    code, said = tried("stop")
    assert code == 130
    assert "stopped by hand" in said
    assert kept.exists()  # nothing was made good
    assert tried("130")[0] == 130
    assert kept.exists()  # stopped, and its state saved
    assert tried("0")[0] == 0
    assert not kept.exists()
    assert tried("0")[0] == 0  # nor is one expected
