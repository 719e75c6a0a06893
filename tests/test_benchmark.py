"""`ligo-benchmark`: its stages run, and a missed ceiling is told and changes the exit code."""

import json
import os
import subprocess
import sys

import pytest

from ligo_cpc_snn import benchmark
from ligo_cpc_snn.benchmarking.timing import Timing, time_together

SMALL = ["data.sample_rate_hz=1024", "training.batch_size=2", "model.snn.widths=[8]"]


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "ligo_cpc_snn.benchmark", "--repeats=1", *SMALL, *arguments],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_every_stage_is_measured():
    """No number is asserted: how fast it is depends on the machine, and so does the exit code."""
    done = run("--json")
    result = json.loads(done.stdout)
    stages = {"data", "cpc", "bridge", "forward", "training step", "snn", "snn gradient"}
    assert stages <= set(result["stages"])
    assert all(row["median_ms"] > 0 for row in result["stages"].values())
    assert done.returncode == (1 if result["missed"] else 0)
    table = benchmark.as_table(result)
    assert "training step" in table
    assert "spyx.nn.run" in table


def test_a_wrong_key_or_platform_is_one_line():
    wrong = run("modle.snn.widths=[8]")
    assert wrong.returncode == 1
    assert wrong.stderr.count("\n") == 1
    assert "model" in wrong.stderr
    absent = run(LIGO_PLATFORM="cuda", JAX_PLATFORMS="")
    assert absent.returncode == 1
    assert absent.stderr.count("\n") == 1


def test_medians_lie_between_their_quartiles():
    got = time_together({"one": lambda: sum(range(1000)), "other": lambda: None}, repeats=5)
    assert set(got) == {"one", "other"}
    for timing in got.values():
        assert isinstance(timing, Timing)
        assert 0 < timing.low <= timing.median <= timing.high


def test_a_missed_ceiling_changes_the_exit_code(monkeypatch, capsys):
    result = {"missed": ["cpc"]}
    monkeypatch.setattr(benchmark, "measure", lambda overrides, repeats: result)
    assert benchmark.main(["--json"]) == 1
    assert json.loads(capsys.readouterr().out) == result
    result["missed"] = []
    assert benchmark.main(["--json"]) == 0


@pytest.mark.parametrize("repeats", ["x", "1.5"])
def test_a_wrong_number_of_repeats_is_an_error(repeats):
    with pytest.raises(SystemExit):
        benchmark.main([f"--repeats={repeats}"])
