"""What the allocator's settings gain: `python -m ligo_cpc_snn.benchmarking.allocators`.

Three processes take the same training step in turns: with glibc as it is, with the settings that
`runtime/allocator.py` makes in the running process, and with the variables of `scripts/launch.sh`
set before it began. What counts is the ratio within a round: the machine's noise meets all three.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from ligo_cpc_snn.config.compose import load
from ligo_cpc_snn.runtime.allocator import VARIABLES

# A variable that changes nothing: keep_pages leaves an allocator alone that the user has set.
VARIANTS: dict[str, dict[str, str]] = {
    "glibc's own": {"MALLOC_PERTURB_": "0"},
    "mallopt": {},
    "launch.sh": VARIABLES,
}
# The setting for which the gain is stated: batch of 16, 2 detectors, 1 s at 4096 Hz.
SETTING = ["training.batch_size=16", "data.sample_rate_hz=4096", "data.window_seconds=1.0"]
ROUNDS, STEPS = 15, 3
MODULE = "ligo_cpc_snn.benchmarking.allocators"


def main(arguments: list[str] | None = None) -> int:
    """Print seconds per step of each variant, and its gain over glibc's own."""
    parser = argparse.ArgumentParser("allocators", description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="turns of each process")
    parser.add_argument("--steps", type=int, default=STEPS, help="training steps in a turn")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("overrides", nargs="*", help="of any config key")
    options = parser.parse_args(arguments)
    overrides = [*SETTING, *options.overrides]
    if options.worker:
        return work(overrides)
    result = measure(overrides, options.rounds, options.steps)
    print(json.dumps(result, indent=2))
    return 0


def measure(overrides: list[str], rounds: int, steps: int) -> dict[str, Any]:
    """Take turns between one process for each variant.

    Returns:
        For each variant: median s per step, and median and quartiles of its gain in a round.
    """
    workers = {name: _start(variables, overrides) for name, variables in VARIANTS.items()}
    try:
        about = {name: _answer(worker)["allocator"] for name, worker in workers.items()}
        for worker in workers.values():
            _seconds(worker, steps)  # the first touches of all memory
        seconds = {name: [0.0] * rounds for name in workers}
        for i in range(rounds):
            names = list(workers)  # the turns of a round follow each other, in changing order
            for name in names[i % len(names) :] + names[: i % len(names)]:
                seconds[name][i] = _seconds(workers[name], steps) / steps
    finally:
        for worker in workers.values():
            worker.kill()
            worker.communicate()
    own = np.array(seconds["glibc's own"])
    return {
        name: {
            "allocator": about[name],
            "step_ms": 1e3 * float(np.median(taken)),
            "gain": [float(x) for x in np.quantile(own / np.array(taken), [0.5, 0.25, 0.75])],
        }
        for name, taken in seconds.items()
    }


def _start(variables: Mapping[str, str], overrides: list[str]) -> "subprocess.Popen[str]":
    clean = {name: x for name, x in os.environ.items() if not name.startswith("MALLOC_")}
    return subprocess.Popen(
        [sys.executable, "-m", MODULE, "--worker", *overrides],
        env={**clean, **variables},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def _seconds(worker: "subprocess.Popen[str]", steps: int) -> float:
    assert worker.stdin is not None
    worker.stdin.write(f"{steps}\n")
    worker.stdin.flush()
    return float(_answer(worker)["seconds"])


def _answer(worker: "subprocess.Popen[str]") -> dict[str, Any]:
    """Return a worker's next line of JSON; others are a library's."""
    assert worker.stdout is not None
    for line in worker.stdout:
        if line.startswith("{"):
            answer: dict[str, Any] = json.loads(line)
            return answer
    raise ChildProcessError(f"a worker ended with exit code {worker.wait()}: see its message above")


def work(overrides: list[str]) -> int:
    """Take as many training steps as each line asks for, and answer with the seconds."""
    from ligo_cpc_snn.runtime import environment

    report = environment.prepare("cpu", 0.5, cache=True)
    import jax

    from ligo_cpc_snn.benchmarking import stages

    step, _ = stages.training_step(stages.prepare_setting(load(overrides)))
    print(json.dumps({"allocator": report.allocator}), flush=True)
    for line in sys.stdin:
        begun = time.perf_counter()
        for _ in range(int(line)):
            jax.block_until_ready(step())
        print(json.dumps({"seconds": time.perf_counter() - begun}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
