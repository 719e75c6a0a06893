"""`pytest --run-benchmarks --benchmark-scale=tiny`: the benchmark through pytest."""

import json
import os
import subprocess
import sys

import pytest


@pytest.mark.bench
def test_benchmark(benchmark_options):
    """Measure a scale with the peers that are installed; print its table.

    It fails on a stage that cannot be measured and, given --benchmark-against, on a slower one;
    missed aims are printed: how fast this machine is is no fault of the code's.
    """
    scale, compare = benchmark_options
    arguments = [f"--scale={scale}", "--peers", "--json"]
    arguments += [f"--compare={compare}"] if compare else []
    done = subprocess.run(
        [sys.executable, "-m", "ligo_cpc_snn.benchmark", *arguments],
        env=os.environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout, done.stderr
    from ligo_cpc_snn.benchmarking.tables import as_text

    result = json.loads(done.stdout)
    print(as_text(result), done.stderr, sep="\n")
    assert result["stages"]["training step"]["median_ms"] > 0
    slower = [x["stage"] for x in result.get("compared", []) if x["slower"]]
    assert not slower, done.stderr
