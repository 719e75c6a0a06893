"""Search strain for mergers: `ligo-search --detector bbh_o3 --event GW150914`.

Events, false-alarm rates and a report page come to the folder given by --output; a search
that was stopped continues where it was when the same command is given again.
With --follow a trigger is told when the strain that decides it is there: half of the whitening
filter (filter_seconds / 2 of the detector) and triggers.cluster_seconds after its peak.
"""

import math
import sys
from pathlib import Path
from typing import Any

from ligo_cpc_snn.config.command_line import entry
from ligo_cpc_snn.config.roots import SEARCH
from ligo_cpc_snn.config.search_arguments import to_overrides
from ligo_cpc_snn.config.search_schema import SearchConfig
from ligo_cpc_snn.errors import EXPECTED
from ligo_cpc_snn.runtime import environment
from ligo_cpc_snn.runtime.run_folder import open_run_folder
from ligo_cpc_snn.runtime.task import run_task
from ligo_cpc_snn.search.detector_files import find_detector
from ligo_cpc_snn.wiring.search_split_folders import folder_of
from ligo_cpc_snn.wiring.workloads import prefer_learned

USUAL_PER_MONTH = 1000.0  # false alarms at which detectors are compared in one line


def search(cfg: SearchConfig) -> int:
    """Run one search; JAX is imported only after its environment is set."""
    find_detector(cfg.detector)  # a wrong name is told at once, before a folder is made
    prefer_learned(cfg)
    folder = folder_of(Path(cfg.output_dir), cfg.part)
    with open_run_folder(folder, setting="output_dir") as output_dir:

        def work() -> int:
            if cfg.follow is not None:
                from ligo_cpc_snn.wiring.follow import follow

                return follow(cfg, output_dir)
            from ligo_cpc_snn.wiring.search import run_search, search_part

            if cfg.part is not None:
                return search_part(cfg, output_dir, environment.cache_folder())
            return run_search(cfg, output_dir, environment.cache_folder())

        stopped = "stopped: what is done is kept, the same command continues"
        return run_task(output_dir, cfg.runtime, work, stopped=stopped)


def list_detectors() -> int:
    """Print the detectors that come with the package."""
    environment.prepare("cpu", 0.5, cache=False)
    from ligo_cpc_snn.search.weights import load_detector, shipped_detectors

    names = shipped_detectors()
    if not names:
        print("no detector comes with this installation: train one by python -m ligo_cpc_snn.train")
    for name in names:
        detector = load_detector(name)
        rate = f"{detector.sample_rate_hz} Hz"
        print(f"{name}: {', '.join(detector.detectors)}, {rate}; {summary(detector.card)}")
    return 0


def summary(card: dict[str, Any]) -> str:
    """Return what a model card says in one line: noise, signals, and how far it sees."""
    data, numbers = card.get("data", {}), card.get("numbers", {})
    parts = [f"{data['source']} noise"] if "source" in data else []
    signals = card.get("config", {}).get("data", {}).get("signals", {})
    if masses := _masses(signals.get("population", {})):
        parts.append(masses)
    if "approximant" in data:
        parts.append(str(data["approximant"]))
    rates = [x for x in numbers.get("sensitivity", {}).get("rates", []) if x["distance"]]
    if rates:
        rate = min(rates, key=lambda x: abs(math.log(x["per_month"] / USUAL_PER_MONTH)))
        parts.append(
            f"sensitive distance {rate['distance']:.0f} Mpc at {rate['per_month']:g} false "
            "alarms a month"
        )
    return ", ".join(parts) or "nothing in its card"


def _masses(population: dict[str, Any]) -> str:
    """Say which masses of the heavier body were drawn."""
    prior = population.get("mass_1")
    if prior is None:
        return ""
    low, high = prior["low"], prior["high"]
    return f"heavier mass {low:g} to {high:g} solar ({population.get('mass_frame')} frame)"


def main() -> int:
    """Entry point of `ligo-search`."""
    if "--list-detectors" in sys.argv[1:]:
        return list_detectors()
    return entry(
        search,
        description=__doc__,
        expected_errors=EXPECTED,
        root=SEARCH,
        translate=to_overrides,
    )
