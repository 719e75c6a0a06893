"""The known event nearest to each trigger."""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from ligo_cpc_snn.config.data_schema import GwoscConfig
from ligo_cpc_snn.search.outputs import TriggerTable
from ligo_cpc_snn.search.record import ANALYSED, SearchedSpan
from ligo_cpc_snn.strain.errors import GwoscError
from ligo_cpc_snn.strain.gwosc import known_events, read_events_csv

log = logging.getLogger(__name__)


class KnownEvents(NamedTuple):
    """Events in the order of time, and where the list comes from; empty for no list."""

    names: tuple[str, ...]
    gps: Float[np.ndarray, "event"]
    source: str


def known(events: Mapping[str, float], source: str) -> KnownEvents:
    """Return events (name: GPS time in s) in the order of time, of equal times by name."""
    order = sorted(events, key=lambda name: (events[name], name))
    return KnownEvents(tuple(order), np.array([events[n] for n in order], np.float64), source)


def find_events(
    events_file: str | Path | None, gwosc: GwoscConfig, cache_dir: str | Path, *, ask: bool
) -> KnownEvents:
    """Return the events of the file given, otherwise those of GWOSC, otherwise none.

    Args:
        events_file: GWOSC's event-versions export (CSV), or None.
        gwosc: the server whose answers the cache keeps.
        cache_dir: where they are kept.
        ask: whether the server may be asked, too; a search of files needs no network.

    Raises:
        FileNotFoundError, ValueError: the file cannot be used.
    """
    if events_file is not None:
        return known(read_events_csv(events_file), Path(events_file).name)
    try:
        cfg = gwosc if ask else replace(gwosc, offline=True)
        return known(known_events(cfg, cache_dir), "GWOSC")
    except GwoscError as error:
        if ask:
            log.warning(
                "no catalogue of events, so nearest_event stays empty; give events_file (%s)", error
            )
        else:
            log.info("no catalogue of events here, so nearest_event stays empty (events_file)")
        return known({}, "")


def with_events(table: TriggerTable, events: KnownEvents) -> TriggerTable:
    """Name the event nearest in time to each trigger, however far away, and the time to it."""
    if not events.names or not table.time.size:
        return table
    after = np.searchsorted(events.gps, table.time).clip(0, events.gps.size - 1)
    before = (after - 1).clip(0)
    earlier = np.abs(table.time - events.gps[before]) <= np.abs(table.time - events.gps[after])
    nearest = np.where(earlier, before, after)
    return table._replace(
        nearest_event=tuple(events.names[i] for i in nearest),
        nearest_event_offset_seconds=table.time - events.gps[nearest],
    )


def events_in(events: KnownEvents, spans: Iterable[SearchedSpan]) -> dict[str, float]:
    """Return name and GPS time in s of the events in the time analysed."""
    analysed = [span for span in spans if span.state == ANALYSED]
    return {
        name: float(gps)
        for name, gps in zip(events.names, events.gps, strict=True)
        if any(span.start <= gps < span.end for span in analysed)
    }
