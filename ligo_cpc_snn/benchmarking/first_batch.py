"""From a cold start to the first batch: `python -m ligo_cpc_snn.benchmarking.first_batch`.

The child process finds no compiled program and no probed flag: its cache folder is empty.
Python's own compiled files and the operating system's file cache are warm.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from typing import Any

from ligo_cpc_snn.errors import UserError


def cold_start(overrides: list[str]) -> dict[str, float]:
    """Start a process and return its seconds until the first batch, in all and by part.

    Raises:
        UserError: the process failed; with its last line.
    """
    with tempfile.TemporaryDirectory() as empty:
        child = {k: v for k, v in os.environ.items() if not k.startswith("JAX_COMPILATION_CACHE")}
        begun = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-m", __spec__.name, *overrides],
            env=child
            | {"LIGO_CACHE_DIR": empty, "LIGO_STARTED": repr(time.time())}
            | {"JAX_TRACEBACK_FILTERING": "off"},  # so that the last line is the error
            capture_output=True,
            text=True,
            check=False,
        )
        seconds = time.monotonic() - begun
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise UserError(f"the process that makes the first batch failed: {reason}")
    return {"whole process": seconds, **json.loads(done.stdout.splitlines()[-1])}


def main(overrides: list[str]) -> dict[str, Any]:
    """Make the first batch of a config and return how long each part took, in s."""
    started = float(os.environ["LIGO_STARTED"])
    from ligo_cpc_snn.config.compose import load
    from ligo_cpc_snn.runtime import environment

    cfg = load(overrides)
    runtime = cfg.runtime
    chosen = environment.prepare(runtime.platform.value, runtime.memory_fraction, cache=True)
    environment.verify_platform(chosen)
    import jax

    from ligo_cpc_snn.dataset.sampling import build_sampler
    from ligo_cpc_snn.runtime.devices import memory_budget_bytes
    from ligo_cpc_snn.wiring.data import prepare_data

    imported = time.time()
    budget = memory_budget_bytes(runtime)
    data = prepare_data(cfg, cache_dir=environment.cache_folder(), budget_bytes=budget)
    jax.block_until_ready(data.supply.banks)
    made = time.time()
    sample = jax.jit(build_sampler(cfg.data, cfg.training.batch_size))
    jax.block_until_ready(sample(data.supply.banks, jax.random.key(0), 10.0, 20.0))
    ready = time.time()
    return {
        "first batch": ready - started,
        "imports and platform": imported - started,
        "banks": made - imported,
        "sampler compiled and run": ready - made,
        "signals": cfg.data.signals.bank_size + cfg.data.signals.validation_bank_size,
        "noise seconds": sum(b.seconds for b in (*data.noise.training, *data.noise.validation)),
    }


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1:])))
