"""Train a detector: `python -m ligo_cpc_snn.train +experiment=quickstart`."""

import logging
import sys
import traceback
from contextlib import suppress
from pathlib import Path

from ligo_cpc_snn.config.command_line import entry
from ligo_cpc_snn.config.schema import Config
from ligo_cpc_snn.errors import UserError
from ligo_cpc_snn.runtime import environment, logs
from ligo_cpc_snn.runtime.run_folder import open_run_folder

log = logging.getLogger(__name__)

# What bad input or a bad machine ends in: one line without a traceback.
EXPECTED = (UserError, OSError, ValueError, ArithmeticError)


def train(cfg: Config) -> int:
    """Run one config; JAX is imported only after its environment is set."""
    with open_run_folder(Path(cfg.run_dir)) as run_dir:
        logs.setup(run_dir, cfg.runtime.log_level)
        try:
            chosen = environment.prepare(
                cfg.runtime.platform.value,
                cfg.runtime.memory_fraction,
                cfg.runtime.compilation_cache,
            )
            environment.verify_platform(chosen)
            log.info(chosen.line())
            from ligo_cpc_snn.wiring.session import run_session

            return run_session(cfg, run_dir, environment.cache_folder())
        except KeyboardInterrupt:
            log.warning("stopped before anything was trained")
            return 130
        except Exception:
            # The terminal gets one line from `entry`: whoever wants more finds it here.
            with suppress(OSError):
                (run_dir / "traceback.txt").write_text(traceback.format_exc(), encoding="utf-8")
            raise


def main() -> int:
    """Entry point of `ligo-train`."""
    return entry(train, description=__doc__, expected_errors=EXPECTED)


if __name__ == "__main__":
    sys.exit(main())
