"""The searches that a measurement of sensitivity runs over its files."""

import hashlib
import json
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import astuple, replace
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ligo_cpc_snn.config.campaign_schema import CampaignConfig
from ligo_cpc_snn.config.search_schema import SearchConfig, StrainInput
from ligo_cpc_snn.config.signals_schema import MassKind, PopulationConfig, SpinKind
from ligo_cpc_snn.evaluation.backgrounds import KINDS, first_curve
from ligo_cpc_snn.evaluation.challenge import settings_of, stamp
from ligo_cpc_snn.runtime.devices import memory_room_bytes
from ligo_cpc_snn.search.engine import Engine, joined
from ligo_cpc_snn.search.inputs import opened
from ligo_cpc_snn.search.matched.bank import build_bank, load_bank
from ligo_cpc_snn.search.matched.placement import BankRanges
from ligo_cpc_snn.search.matched.search import run_matched_filter
from ligo_cpc_snn.search.matched.settings import MatchedFilterSettings
from ligo_cpc_snn.search.outputs import write_events
from ligo_cpc_snn.search.trained import TrainedDetector
from ligo_cpc_snn.search.triggers import Triggers, find_triggers
from ligo_cpc_snn.strain.replacing import write_whole
from ligo_cpc_snn.wiring.campaign_asked import MATCHED_FILTER
from ligo_cpc_snn.wiring.campaign_slides import check_slides
from ligo_cpc_snn.wiring.choices import prepared_search
from ligo_cpc_snn.wiring.search import settings_of as settings_of_search
from ligo_cpc_snn.wiring.search import wanted_of
from ligo_cpc_snn.wiring.search_progress import Progress
from ligo_cpc_snn.wiring.search_stretches import search_plan

log = logging.getLogger(__name__)

MINIMAL_MATCH = 0.97
# Of precessing signals: aligned templates match them less whatever their number, and spins up
# to 0.99 at 0.97 would need some ten times as many.
PRECESSING_MATCH, PRECESSING_SPIN = 0.93, 0.6
SLIDES = "slides"
CHOICES = "choices.json"  # that a measurement began with and keeps


class Search(NamedTuple):
    """A search: `run` takes a strain file and the events file to write, and says how it went.

    `identity` changes with whatever decides its events, so that old ones are not taken for its.
    `check` says of a strain file of noise whether time slides would give its background.
    """

    identity: str
    run: Callable[[Path, Path], dict[str, Any]]
    check: Callable[[Path], dict[str, Any]] | None = None


def build_search(
    detector: TrainedDetector | None, cfg: CampaignConfig, folder: Path, cache_dir: Path
) -> Search:
    """Return the search of a trained detector, or the matched filter.

    Args:
        detector: None: the matched filter.
        cfg: Of the measurement.
        folder: For what the search keeps: its progress, a template bank.
        cache_dir: Of downloads.
    """
    if detector is None:
        return _matched_filter(cfg, folder)
    return _detector(detector, cfg, folder, cache_dir)


def _detector(
    detector: TrainedDetector, cfg: CampaignConfig, folder: Path, cache_dir: Path
) -> Search:
    """Return the search of `ligo-search`, without a threshold: each local maximum is an event."""
    asked = SearchConfig(detector=detector.name, runtime=cfg.runtime)
    base, detector = _begun_with(folder / CHOICES, asked, detector)
    decisive = settings_of_search(base, detector)
    identity = _digest([sorted(decisive.items()), astuple(base.triggers), base.stretch_seconds])
    # One for all files: it is compiled once.
    engine = Engine(
        detector,
        chunk_seconds=base.chunk_seconds,
        streams=base.streams,
        psd_seconds=base.psd_seconds,
        keep_features=False,
        budget_bytes=memory_room_bytes(cfg.runtime),
    )

    def search(strain: Path, events: Path) -> dict[str, Any]:
        settings = replace(base, strain=StrainInput(files=[str(strain)]))
        # Another version or other settings begin anew, beside what these left.
        progress = Progress(folder / f"progress_{strain.stem}_{identity}", decisive)
        with opened(settings.strain, wanted_of(settings, detector), cache_dir) as plan:
            found = search_plan(plan, engine, progress)
        peaks = find_triggers(
            *joined(found.parts),
            threshold=-np.inf,
            cluster_seconds=settings.triggers.cluster_seconds,
            time_offset_seconds=detector.time_offset_seconds,
        )
        triggers = Triggers(peaks.gps, peaks.statistic, np.zeros((peaks.gps.size, 0)))
        write_events(events, triggers, settings.triggers.timing_seconds)
        rates, frames = found.throughput, sum(part.gps.size for part in found.parts)
        return {
            "events": int(peaks.gps.size),
            "analysed_seconds": frames * detector.frame_seconds,
            "hours_per_minute": rates.hours_per_minute,
            "times_real_time_per_core": rates.times_real_time_per_core,
        }

    def check(noise: Path) -> dict[str, Any]:
        settings = replace(base, strain=StrainInput(files=[str(noise)]))
        return check_slides(detector, settings, cache_dir, memory_room_bytes(cfg.runtime))

    return Search(identity, search, check)


def _begun_with(
    file: Path, cfg: SearchConfig, detector: TrainedDetector
) -> tuple[SearchConfig, TrainedDetector]:
    """Return config and detector with the choices of the measurement's first start.

    Others would give its events another identity, and all files would be searched again.
    """
    settled, prepared, _ = prepared_search(cfg, detector, file)
    if not file.exists():
        kept = {
            "streams": settled.streams,
            "chunk_seconds": settled.chunk_seconds,
            "precision": prepared.kernels.precision.value,
        }
        write_whole(file, json.dumps(kept, indent=1).encode())
    return settled, prepared


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
        told = run_matched_filter(strain, events, load_bank(path), settings)
        return told | {"analysed_seconds": told["seconds"]}

    version = metadata.version("ligo-cpc-snn")
    return Search(_digest([MATCHED_FILTER, version, astuple(settings), astuple(ranges)]), search)


def bank_ranges(population: PopulationConfig) -> BankRanges:
    """Return the masses and aligned spins of a population, for a template bank."""
    heavy, light = population.mass_1, population.mass_2
    low = min(heavy.bounds[0], light.bounds[0])
    if population.mass_kind is MassKind.ratio:
        low = max(population.mass_ratio.bounds[0] * heavy.bounds[0], population.smallest_mass_2)
    precessing = population.spin_kind is SpinKind.precessing
    names = ("spin_1", "spin_2") if precessing else ("spin_1z", "spin_2z")
    spin = max(abs(edge) for name in names for edge in getattr(population, name).bounds)
    if precessing:
        log.info(
            "precessing signals: templates of aligned spins to %g, minimal match %g",
            min(spin, PRECESSING_SPIN), PRECESSING_MATCH,
        )  # fmt: skip
    return BankRanges(
        mass_low=low,
        mass_high=max(heavy.bounds[1], light.bounds[1]),
        spin=min(spin, PRECESSING_SPIN if precessing else 0.99),
        minimal_match=PRECESSING_MATCH if precessing else MINIMAL_MATCH,
    )


class Done(NamedTuple):
    """A search that was run: its name, the folder of its events, what is said of its runs."""

    name: str
    events: Path
    said: dict[str, Any]
    slides: dict[str, Any] | None = None  # do they give the background?


def run_searches(
    searches: Mapping[str, TrainedDetector | None],
    cfg: CampaignConfig,
    folder: Path,
    strain: dict[str, Path],
    cache_dir: Path,
) -> Iterator[Done]:
    """Run each search over background and foreground, unless its events are there already.

    Args:
        searches: By label; None: the matched filter.
        cfg: Of the measurement.
        folder: `searches/<label>` in it takes the events.
        strain: Files by kind, background and foreground.
        cache_dir: Of downloads.
    """
    for label, detector in searches.items():
        own = folder / "searches" / label
        own.mkdir(parents=True, exist_ok=True)
        search, said = build_search(detector, cfg, own, cache_dir), {}
        for kind, path in strain.items():
            events, identity = own / f"{kind}.hdf", f"{settings_of(path)} {search.identity}"
            told = _read_said(own, kind, identity)
            if told is not None and settings_of(events) == identity:
                log.info("%s: events of the %s are there already", label, kind)
            else:
                began = time.perf_counter()
                told = search.run(path, events)
                _write_said(own, kind, identity, told)
                stamp(events, identity)
                log.info("%s: %s searched in %.1f s", label, kind, time.perf_counter() - began)
            said[kind] = told
        yield Done(label, own, said, _checked(search, own, strain[KINDS[0]]))


def _checked(search: Search, own: Path, noise: Path) -> dict[str, Any] | None:
    """Return what is known of a search's time slides, found now or before."""
    if search.check is None:
        return None
    identity = f"{settings_of(noise)} {search.identity}"
    told = _read_said(own, SLIDES, identity)
    if told is None:
        told = search.check(noise)
        _write_said(own, SLIDES, identity, told)
    return told


def _read_said(own: Path, kind: str, identity: str) -> dict[str, Any] | None:
    """Return what was said of an earlier run, None if it was another or there was none."""
    file = own / f"{kind}.json"
    if not file.is_file():
        return None
    before: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return before["said"] if before["identity"] == identity else None


def _write_said(own: Path, kind: str, identity: str, said: dict[str, Any]) -> None:
    text = json.dumps({"identity": identity, "said": said}, indent=2, allow_nan=False)
    write_whole(own / f"{kind}.json", text.encode())


def _digest(parts: Sequence[Any]) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]
