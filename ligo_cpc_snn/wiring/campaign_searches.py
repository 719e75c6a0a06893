"""The searches that a measurement of sensitivity runs over its files."""

import hashlib
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import astuple, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ligo_cpc_snn.config.campaign_schema import CampaignConfig
from ligo_cpc_snn.config.search_schema import SearchConfig, StrainInput
from ligo_cpc_snn.config.signals_schema import MassKind, PopulationConfig, SpinKind
from ligo_cpc_snn.evaluation.backgrounds import first_curve
from ligo_cpc_snn.evaluation.challenge import (
    Events,
    settings_of,
    stamp,
    write_events,
)
from ligo_cpc_snn.search.engine import Engine
from ligo_cpc_snn.search.inputs import opened
from ligo_cpc_snn.search.matched.bank import build_bank, load_bank
from ligo_cpc_snn.search.matched.placement import BankRanges
from ligo_cpc_snn.search.matched.search import run_matched_filter
from ligo_cpc_snn.search.matched.settings import MatchedFilterSettings
from ligo_cpc_snn.search.triggers import find_triggers
from ligo_cpc_snn.search.weights import load_detector
from ligo_cpc_snn.wiring.search import wanted_of
from ligo_cpc_snn.wiring.search_progress import Progress, fingerprint
from ligo_cpc_snn.wiring.search_stretches import search_plan

log = logging.getLogger(__name__)

MATCHED_FILTER = "matched_filter"
MINIMAL_MATCH = 0.97


class Search(NamedTuple):
    """A search: `run` takes a strain file and the events file to write, and says how it went.

    `identity` changes with whatever decides its events, so that old ones are not taken for its.
    """

    identity: str
    run: Callable[[Path, Path], dict[str, Any]]


def build_search(name: str, cfg: CampaignConfig, folder: Path, cache_dir: Path) -> Search:
    """Return the search of that name: the matched filter, or a trained detector.

    Args:
        name: `matched_filter`, a shipped detector, a file of weights, or a run folder.
        cfg: Of the measurement.
        folder: For what the search keeps: its progress, a template bank.
        cache_dir: Of downloads.
    """
    if name == MATCHED_FILTER:
        return _matched_filter(cfg, folder)
    return _detector(name, cfg, folder, cache_dir)


def _detector(name: str, cfg: CampaignConfig, folder: Path, cache_dir: Path) -> Search:
    """Return the search of `ligo-search`, without a threshold: each local maximum is an event."""
    detector = load_detector(name)
    missing = [ifo for ifo in detector.detectors if ifo not in cfg.data.detectors]
    if missing:
        raise ValueError(
            f"detector {name} needs strain of {', '.join(missing)}: add it to data.detectors="
            f"{cfg.data.detectors}"
        )
    base = SearchConfig(detector=name)
    print_of_it = fingerprint(detector)[:16]
    # One for all files: it is compiled once.
    engine = Engine(
        detector,
        chunk_seconds=base.chunk_seconds,
        streams=base.streams,
        psd_seconds=base.psd_seconds,
        keep_features=False,
    )

    def search(strain: Path, events: Path) -> dict[str, Any]:
        settings = replace(base, strain=StrainInput(files=[str(strain)]))
        progress = Progress(folder / f"progress_{strain.stem}_{print_of_it}", {})
        with opened(settings.strain, wanted_of(settings, detector), cache_dir) as plan:
            found = search_plan(plan, engine, progress)
        peaks = find_triggers(
            np.concatenate([np.zeros(0), *(part.gps for part in found.parts)]),
            np.concatenate([np.zeros(0, np.float32), *(part.value for part in found.parts)]),
            threshold=-np.inf,
            cluster_seconds=settings.triggers.cluster_seconds,
            time_offset_seconds=detector.time_offset_seconds,
        )
        tolerance = np.full(peaks.gps.size, settings.triggers.timing_seconds)
        write_events(events, Events(peaks.gps, peaks.statistic.astype(np.float64), tolerance))
        rates = found.throughput
        return {
            "events": int(peaks.gps.size),
            "hours_per_minute": rates.hours_per_minute,
            "times_real_time_per_core": rates.times_real_time_per_core,
        }

    return Search(_digest([print_of_it, astuple(base.triggers), base.psd_seconds]), search)


def _matched_filter(cfg: CampaignConfig, folder: Path) -> Search:
    """Return the matched filter with a bank for the population, which is kept in the folder."""
    path = folder / "bank.hdf"
    first, second = cfg.data.detectors[:2]
    settings = MatchedFilterSettings(
        detectors=(first, second), highest_hz=min(900.0, cfg.data.band_hz[1])
    )

    ranges = bank_ranges(cfg.data.signals.population)

    def search(strain: Path, events: Path) -> dict[str, Any]:
        if not path.exists():
            folder.mkdir(parents=True, exist_ok=True)
            curve = first_curve(cfg)
            bank = build_bank(ranges, curve, lowest_hz=cfg.data.highpass_hz, seed=cfg.seed)
            bank.save(path)
        return run_matched_filter(strain, events, load_bank(path), settings)

    return Search(_digest([MATCHED_FILTER, astuple(settings), astuple(ranges)]), search)


def bank_ranges(population: PopulationConfig) -> BankRanges:
    """Return the masses and aligned spins of a population, for a template bank."""
    heavy, light = population.mass_1, population.mass_2
    low = min(heavy.bounds[0], light.bounds[0])
    if population.mass_kind is MassKind.ratio:
        low = max(population.mass_ratio.bounds[0] * heavy.bounds[0], population.smallest_mass_2)
    precessing = population.spin_kind is SpinKind.precessing
    names = ("spin_1", "spin_2") if precessing else ("spin_1z", "spin_2z")
    spin = max(abs(edge) for name in names for edge in getattr(population, name).bounds)
    return BankRanges(
        mass_low=low,
        mass_high=max(heavy.bounds[1], light.bounds[1]),
        spin=min(spin, 0.99),
        minimal_match=MINIMAL_MATCH,
    )


def run_searches(
    cfg: CampaignConfig, folder: Path, strain: dict[str, Path], cache_dir: Path
) -> Iterator[tuple[str, Path, dict[str, Any]]]:
    """Run each search over background and foreground, unless its events are there already.

    Args:
        cfg: Of the measurement.
        folder: `searches/<name>` in it takes the events.
        strain: Files by kind, background and foreground.
        cache_dir: Of downloads.

    Yields:
        Name of the search, folder of its events, and what is said of its runs.
    """
    for name in cfg.searches:
        label = Path(name).name.removesuffix(".safetensors")
        own = folder / "searches" / label
        own.mkdir(parents=True, exist_ok=True)
        search, said = build_search(name, cfg, own, cache_dir), {}
        for kind, path in strain.items():
            events, identity = own / f"{kind}.hdf", f"{settings_of(path)} {search.identity}"
            if settings_of(events) == identity:
                log.info("%s: events of the %s are there already", label, kind)
                continue
            began = time.perf_counter()
            said[kind] = search.run(path, events)
            stamp(events, identity)
            log.info("%s: %s searched in %.1f s", label, kind, time.perf_counter() - began)
        yield label, own, said


def _digest(parts: Sequence[Any]) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]
