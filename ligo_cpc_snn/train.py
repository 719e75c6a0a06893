"""Train a detector: `python -m ligo_cpc_snn.train +experiment=quickstart`."""

import sys
from pathlib import Path

from ligo_cpc_snn.config.command_line import entry
from ligo_cpc_snn.config.runtime_schema import RuntimeConfig
from ligo_cpc_snn.config.schema import Config
from ligo_cpc_snn.errors import EXPECTED
from ligo_cpc_snn.runtime import environment, processes
from ligo_cpc_snn.runtime.run_folder import open_run_folder
from ligo_cpc_snn.runtime.task import run_task
from ligo_cpc_snn.wiring.workloads import prefer_learned


def train(cfg: Config) -> int:
    """Run one config; JAX is imported only after its environment is set."""
    run_dir = Path(cfg.run_dir).expanduser().absolute()
    if not processes.started_together(cfg.runtime.distributed):
        prefer_learned(cfg)
        if not cfg.runtime.fallback:  # a platform that is not here is told before a folder is made
            _prepare(cfg.runtime)
        return _train(cfg, run_dir, run_dir, cfg.runtime)
    with processes.ended_together():
        runtime = processes.runtime_of_several(cfg.runtime)
        _prepare(runtime)  # JAX is imported to meet the others
        index, _ = processes.connect()
        runtime = processes.quieter(runtime, index)
        return _train(cfg, run_dir, processes.folder_of(run_dir, index), runtime)


def _prepare(runtime: RuntimeConfig) -> None:
    """Set the environment as `run_task` will, which then finds it set."""
    environment.prepare(
        runtime.platform.value,
        runtime.memory_fraction,
        runtime.compilation_cache,
        runtime.fallback,
    )


def _train(cfg: Config, run_dir: Path, own_folder: Path, runtime: RuntimeConfig) -> int:
    """Train in `run_dir`; lock, log and traceback of this process are in its own folder."""
    with open_run_folder(own_folder) as held:

        def work() -> int:
            from ligo_cpc_snn.wiring.session import run_session

            return run_session(cfg, run_dir, environment.cache_folder())

        return run_task(held, runtime, work, stopped="stopped before anything was trained")


def main() -> int:
    """Entry point of `ligo-train`."""
    return entry(train, description=__doc__, expected_errors=EXPECTED)


if __name__ == "__main__":
    sys.exit(main())
