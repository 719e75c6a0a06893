"""Train a detector: `python -m ligo_cpc_snn.train +experiment=quickstart`."""

import sys
from pathlib import Path

from ligo_cpc_snn.config.command_line import entry
from ligo_cpc_snn.config.schema import Config
from ligo_cpc_snn.errors import UserError
from ligo_cpc_snn.runtime import environment
from ligo_cpc_snn.runtime.run_folder import open_run_folder
from ligo_cpc_snn.runtime.task import run_task

# What bad input or a bad machine ends in: one line without a traceback.
EXPECTED = (UserError, OSError, ValueError, ArithmeticError)


def train(cfg: Config) -> int:
    """Run one config; JAX is imported only after its environment is set."""
    with open_run_folder(Path(cfg.run_dir)) as run_dir:

        def work() -> int:
            from ligo_cpc_snn.wiring.session import run_session

            return run_session(cfg, run_dir, environment.cache_folder())

        return run_task(run_dir, cfg.runtime, work, stopped="stopped before anything was trained")


def main() -> int:
    """Entry point of `ligo-train`."""
    return entry(train, description=__doc__, expected_errors=EXPECTED)


if __name__ == "__main__":
    sys.exit(main())
