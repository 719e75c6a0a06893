"""Measure sensitivity: `python -m ligo_cpc_snn.evaluate +population=mlgwsc1_ds1 searches=[X]`.

Signals are injected into noise, each search runs over the same files, and its events are
scored as the mock data challenge MLGWSC-1 does: sensitive distance against false alarms.
"""

import logging
import sys
import traceback
from contextlib import suppress
from pathlib import Path

from ligo_cpc_snn.config.campaign_schema import CampaignConfig
from ligo_cpc_snn.config.command_line import entry
from ligo_cpc_snn.config.roots import EVALUATION
from ligo_cpc_snn.errors import UserError
from ligo_cpc_snn.runtime import environment, logs
from ligo_cpc_snn.runtime.run_folder import open_run_folder

log = logging.getLogger(__name__)

# What bad input or a bad machine ends in: one line without a traceback.
EXPECTED = (UserError, OSError, ValueError, ArithmeticError)
BYTES_PER_SAMPLE = 8


def evaluate(cfg: CampaignConfig) -> int:
    """Run one measurement; JAX is imported only after its environment is set."""
    needed = bytes_needed(cfg)
    with open_run_folder(Path(cfg.output_dir), needed, setting="output_dir") as folder:
        logs.setup(folder, cfg.runtime.log_level)
        try:
            chosen = environment.prepare(
                cfg.runtime.platform.value,
                cfg.runtime.memory_fraction,
                cfg.runtime.compilation_cache,
            )
            environment.verify_platform(chosen)
            log.info(chosen.line())
            from ligo_cpc_snn.wiring.campaign import run_campaign

            return run_campaign(cfg, folder, environment.cache_folder())
        except KeyboardInterrupt:
            log.warning("stopped: what is done is kept, the same command continues")
            return 130
        except Exception:
            # The terminal gets one line from `entry`: whoever wants more finds it here.
            with suppress(OSError):
                (folder / "traceback.txt").write_text(traceback.format_exc(), encoding="utf-8")
            raise


def bytes_needed(cfg: CampaignConfig) -> int:
    """Return the space that the strain of a measurement takes, where it is not made yet."""
    if (Path(cfg.output_dir) / "injections.hdf").exists():
        return 0
    seconds = cfg.background_seconds + cfg.foreground_seconds
    samples = seconds * cfg.data.sample_rate_hz * len(cfg.data.detectors)
    return round(1.05 * BYTES_PER_SAMPLE * samples)


def main() -> int:
    """Entry point of `ligo-evaluate`."""
    return entry(evaluate, description=__doc__, expected_errors=EXPECTED, root=EVALUATION)


if __name__ == "__main__":
    sys.exit(main())
