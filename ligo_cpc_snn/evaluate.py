"""Measure sensitivity: `python -m ligo_cpc_snn.evaluate +population=mlgwsc1_ds1 searches=[X]`.

Signals are injected into noise, each search runs over the same files, and its events are
scored as the mock data challenge MLGWSC-1 does: sensitive distance against false alarms.
"""

import sys
from pathlib import Path

from ligo_cpc_snn.config.campaign_schema import CampaignConfig
from ligo_cpc_snn.config.command_line import entry
from ligo_cpc_snn.config.roots import EVALUATION
from ligo_cpc_snn.errors import EXPECTED
from ligo_cpc_snn.runtime import environment
from ligo_cpc_snn.runtime.run_folder import open_run_folder
from ligo_cpc_snn.runtime.task import run_task

BYTES_PER_SAMPLE = 8


def evaluate(cfg: CampaignConfig) -> int:
    """Run one measurement; JAX is imported only after its environment is set."""
    needed = bytes_needed(cfg)
    with open_run_folder(Path(cfg.output_dir), needed, setting="output_dir") as folder:

        def work() -> int:
            from ligo_cpc_snn.wiring.campaign import run_campaign

            return run_campaign(cfg, folder, environment.cache_folder())

        stopped = "stopped: what is done is kept, the same command continues"
        return run_task(folder, cfg.runtime, work, stopped=stopped)


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
