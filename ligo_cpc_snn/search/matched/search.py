"""The matched-filter search from strain files to an events file."""

import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from ligo_cpc_snn.search.false_alarms import false_alarms
from ligo_cpc_snn.search.matched.bank import TemplateBank, load_bank
from ligo_cpc_snn.search.matched.coincidence import (
    MatchedEvents,
    Pairs,
    Slide,
    cluster,
    coincidences,
    rank,
)
from ligo_cpc_snn.search.matched.filtering import SingleTriggers, find_triggers, norms
from ligo_cpc_snn.search.matched.followup import FollowedUp, follow_up
from ligo_cpc_snn.search.matched.phase_time import PhaseTimeTable, phase_time_table
from ligo_cpc_snn.search.matched.segments import FilterData, filter_data
from ligo_cpc_snn.search.matched.settings import MatchedFilterSettings
from ligo_cpc_snn.search.matched.templates import FilterGrid, TemplateSpectra, filter_grid
from ligo_cpc_snn.search.outputs import write_events
from ligo_cpc_snn.search.slides import slide_shifts
from ligo_cpc_snn.search.triggers import Triggers
from ligo_cpc_snn.strain.coincidence import Coincident, coincident
from ligo_cpc_snn.strain.files import read_strain

log = logging.getLogger(__name__)

RATIO_STEP = 0.1  # of the detectors' relative sensitivity, to which tables are made
LEAST_SHIFT_SECONDS = 2.0  # of a time slide: longer than light travel and a peak


class MatchedSearch(NamedTuple):
    """What a search found.

    `events`: clustered, at zero lag; `background`: statistic of the clustered events of all
    time slides, and their live time in s; `seconds`: of coincident strain that was searched;
    `left_out`: of stretches too short for a spectral density.
    """

    events: MatchedEvents
    background: Float[np.ndarray, "n"]
    background_seconds: float
    seconds: float
    left_out: float


@dataclass(frozen=True)
class _Pair:
    """Two detectors' triggers of one stretch."""

    start: float
    duration: float
    triggers: tuple[SingleTriggers, SingleTriggers]
    data: tuple[FilterData, FilterData]


def search_strain(
    stretches: Sequence[Coincident],
    bank: TemplateBank,
    settings: MatchedFilterSettings | None = None,
    *,
    slides: int = 0,
) -> MatchedSearch:
    """Search stretches of coincident strain of two detectors.

    Args:
        stretches: Of one sample rate.
        bank: Templates.
        settings: Of filter, follow-up and ranking.
        slides: Time slides of each stretch for a background, fewer where it is short.
    """
    settings = settings or MatchedFilterSettings()
    grid = filter_grid(bank, settings)
    templates = TemplateSpectra(bank, grid)
    least = 2 * settings.psd_segment_seconds + settings.filter_seconds
    events, background = [], []
    seconds = left_out = background_seconds = 0.0
    for stretch in stretches:
        one = stretch[settings.detectors[0]]
        if one.duration < least:
            log.warning(
                "%.1f s at GPS %.0f left out: a spectral density needs %g s",
                one.duration, one.gps_start, least,
            )  # fmt: skip
            left_out += one.duration
            continue
        found, slid, slid_seconds = _search_stretch(
            stretch, templates, bank.lowest_hz, grid, settings, slides
        )
        events.append(found)
        background += slid
        background_seconds += slid_seconds
        seconds += one.duration
    joined = _joined(events)
    statistic = np.concatenate([np.zeros(0), *(part.statistic for part in background)])
    return MatchedSearch(joined, statistic, background_seconds, seconds, left_out)


def search_files(
    paths: Sequence[str | Path],
    bank: TemplateBank,
    settings: MatchedFilterSettings | None = None,
    *,
    slides: int = 0,
) -> MatchedSearch:
    """Search the time that both detectors have in strain files; see `search_strain`."""
    settings = settings or MatchedFilterSettings()
    segments = [part for path in paths for part in read_strain(path, settings.detectors)]
    return search_strain(coincident(segments, settings.detectors), bank, settings, slides=slides)


def run_matched_filter(
    strain_file: str | Path,
    events_file: str | Path,
    bank: TemplateBank | str | Path,
    settings: MatchedFilterSettings | None = None,
    *,
    slides: int = 0,
) -> dict[str, Any]:
    """Search a strain file and write its events in the format of the challenge.

    Args:
        strain_file: Of any format that `strain.files` reads, with both detectors.
        events_file: To be written: `time`, `stat`, `var`.
        bank: Templates, or the file of a bank.
        settings: Of the search.
        slides: Time slides of each stretch; with some, the file has `far_per_year`, too.

    Returns:
        `seconds` searched and `left_out_seconds`, `templates`, `events`, `wall_seconds`,
        `core_seconds` of processor time, and `times_real_time_per_core`.
    """
    settings = settings or MatchedFilterSettings()
    bank = bank if isinstance(bank, TemplateBank) else load_bank(bank)
    wall, core = time.perf_counter(), time.process_time()
    found = search_files([strain_file], bank, settings, slides=slides)
    events = found.events
    contributions = np.abs(events.snr)
    triggers = Triggers(events.gps, events.statistic, contributions)
    write_events(events_file, triggers, settings.timing_seconds, _rates(found))
    core = time.process_time() - core
    return {
        "seconds": found.seconds,
        "left_out_seconds": found.left_out,
        "templates": bank.size,
        "minimal_match": bank.ranges.minimal_match,
        "events": int(events.gps.size),
        "background_seconds": found.background_seconds,
        "wall_seconds": time.perf_counter() - wall,
        "core_seconds": core,
        "times_real_time_per_core": found.seconds / core,
    }


def _rates(found: MatchedSearch) -> dict[str, np.ndarray]:
    """Return the events' false-alarm rates, nothing without time slides."""
    if not found.background_seconds:
        return {}
    rates = false_alarms(
        found.events.statistic,
        found.background,
        background_seconds=found.background_seconds,
        analysed_seconds=found.seconds,
    )
    return {"far_per_year": rates.far_per_year}


def _search_stretch(
    stretch: Coincident,
    templates: TemplateSpectra,
    lowest_hz: float,
    grid: FilterGrid,
    settings: MatchedFilterSettings,
    slides: int,
) -> tuple[MatchedEvents, list[MatchedEvents], float]:
    pair = _triggers(stretch, templates, lowest_hz, grid, settings)
    strain = stretch[settings.detectors[0]]
    rate = strain.sample_rate_hz
    shifts = slide_shifts((2, strain.strain.size), rate, slides, LEAST_SHIFT_SECONDS)
    lags = [None, *(Slide(shift / rate, pair.start, pair.duration) for shift in shifts)]
    # The pairs of all slides together do not fit the memory: they are found twice, slide by slide.
    sides = _followed_up(pair, lags, templates, grid, settings)
    table = _table(pair, templates, settings)
    ranked = [
        cluster(rank(rows, pair.triggers[0].template, *sides, table, lag), settings.cluster_seconds)
        for rows, lag in _pairs(pair, lags, settings)
    ]
    return ranked[0], ranked[1:], pair.duration * len(shifts)


def _pairs(
    pair: _Pair, lags: Sequence[Slide | None], settings: MatchedFilterSettings
) -> Iterator[tuple[Pairs, Slide | None]]:
    """Yield the coincidences of each slide, with the slide."""
    for lag in lags:
        rows = coincidences(
            *pair.triggers,
            longest=settings.coincidence_seconds,
            network_threshold=settings.network_threshold,
            slide=lag,
        )
        yield rows, lag


def _triggers(
    stretch: Coincident,
    templates: TemplateSpectra,
    lowest_hz: float,
    grid: FilterGrid,
    settings: MatchedFilterSettings,
) -> _Pair:
    data, triggers = [], []
    for name in settings.detectors:
        data.append(filter_data(stretch[name], grid, lowest_hz, settings))
        triggers.append(find_triggers(data[-1], templates, grid, settings))
        log.info("%s: %d triggers of %d templates", name, triggers[-1].gps.size, templates.size)
    one = stretch[settings.detectors[0]]
    return _Pair(one.gps_start, one.duration, (triggers[0], triggers[1]), (data[0], data[1]))


def _followed_up(
    pair: _Pair,
    lags: Sequence[Slide | None],
    templates: TemplateSpectra,
    grid: FilterGrid,
    settings: MatchedFilterSettings,
) -> tuple[FollowedUp, FollowedUp]:
    """Follow up the triggers that coincide in any slide."""
    both = [np.zeros(triggers.gps.size, bool) for triggers in pair.triggers]
    for rows, _ in _pairs(pair, lags, settings):
        for wanted, chosen in zip(both, rows, strict=True):
            wanted[chosen] = True
    sides = []
    for side, wanted in enumerate(both):
        triggers = pair.triggers[side]
        log.info("%d triggers followed up", np.count_nonzero(wanted))
        sides.append(follow_up(triggers, wanted, pair.data[side], templates, grid, settings))
    return sides[0], sides[1]


def _table(
    pair: _Pair, templates: TemplateSpectra, settings: MatchedFilterSettings
) -> PhaseTimeTable | None:
    """Return the table for the detectors' sensitivities to the bank's middle template."""
    if not settings.phase_time:
        return None
    spectra = templates.of(np.array([templates.size // 2]))
    first, second = (float(np.mean(norms(spectra, data))) for data in pair.data)
    ratio = max(round(second / first / RATIO_STEP), 1) * RATIO_STEP
    return phase_time_table(
        settings.detectors, ratio, settings.threshold, settings.coincidence_seconds
    )


def _joined(parts: Sequence[MatchedEvents]) -> MatchedEvents:
    nothing = MatchedEvents(
        np.zeros(0), np.zeros(0), np.zeros(0, np.int64), np.zeros((0, 2)), np.zeros((0, 2))
    )
    return MatchedEvents(*(np.concatenate(column) for column in zip(nothing, *parts, strict=True)))
