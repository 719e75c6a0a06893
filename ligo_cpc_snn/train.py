"""Train a detector: `python -m ligo_cpc_snn.train +experiment=quickstart`."""

import sys
from pathlib import Path

from ligo_cpc_snn.config.command_line import entry
from ligo_cpc_snn.config.schema import Config


def train(cfg: Config) -> int:
    """Run one config; JAX is imported only after its environment is set."""
    from ligo_cpc_snn.runtime import environment, logs
    from ligo_cpc_snn.runtime.run_folder import open_run_folder

    with open_run_folder(Path(cfg.run_dir)) as run_dir:
        logs.setup(run_dir, cfg.runtime.log_level)
        chosen = environment.prepare(
            cfg.runtime.platform.value, cfg.runtime.memory_fraction, cfg.runtime.compilation_cache
        )
        environment.verify_platform(chosen)

        from ligo_cpc_snn.wiring.session import run_session

        return run_session(cfg, run_dir, environment.cache_folder())


def main() -> int:
    """Entry point of `ligo-train`."""
    return entry(train, description=__doc__)


if __name__ == "__main__":
    sys.exit(main())
