"""The whole seconds that a config asks for: around events, or of an observing run."""

import math
from collections.abc import Sequence

from igwn_segments import segment, segmentlist

from ligo_cpc_snn.config.data_schema import GwoscConfig
from ligo_cpc_snn.strain.catalogue import Catalogue
from ligo_cpc_snn.strain.client import Run
from ligo_cpc_snn.strain.errors import GwoscError


def requested(cfg: GwoscConfig, detectors: Sequence[str], catalogue: Catalogue) -> segmentlist:
    """Return the whole seconds asked for, in order and without overlap.

    Args:
        cfg: Events and seconds around them, a span, or both; the run only checks the span.
        detectors: Names.
        catalogue: Knows the times of events and runs.

    Raises:
        GwoscError: Nothing is asked for, an event or a run is not known, or the span is not of
            the run.
    """
    spans = segmentlist(
        around(catalogue.event_gps(event), cfg.event_seconds) for event in cfg.events
    )
    span = cfg.span
    if cfg.run is not None and (span is not None or not cfg.events):
        _check_run(cfg.run, _find(cfg.run, catalogue), span, detectors)
    if span is not None:
        spans.append(segment(*span))
    if not spans:
        raise GwoscError(
            f"data.gwosc.start={cfg.start}, end={cfg.end} and hours={cfg.hours}: expected start "
            "in GPS s with end or hours, or data.gwosc.events"
        )
    return spans.coalesce()


def around(gps: float, seconds: float) -> segment:
    """Return the whole seconds around an event, which is in the middle one.

    They are those of the 32 s and 4096 s files that GWOSC releases with events.

    Args:
        gps: GPS time in s.
        seconds: Length; odd and broken lengths are rounded up at both ends.
    """
    middle = math.floor(gps) + 1
    return segment(math.floor(middle - seconds / 2), math.ceil(middle + seconds / 2))


def _find(name: str, catalogue: Catalogue) -> Run:
    runs = catalogue.runs()
    if name not in runs:
        raise GwoscError(f"data.gwosc.run={name}: expected one of {', '.join(runs)}")
    return runs[name]


def _check_run(name: str, run: Run, span: tuple[int, int] | None, detectors: Sequence[str]) -> None:
    extent = f"GPS {run.start} to {run.end} ({(run.end - run.start) / 86400:.0f} days)"
    if span is None:
        raise GwoscError(
            f"data.gwosc.run={name} alone: it is {extent}; give data.gwosc.start in it, with end "
            "or hours"
        )
    if not run.start <= span[0] < span[1] <= run.end:
        raise GwoscError(
            f"data.gwosc.start={span[0]} to {span[1]} is not within data.gwosc.run={name}, {extent}"
        )
    if without := [detector for detector in detectors if detector not in run.detectors]:
        raise GwoscError(
            f"data.detectors has {', '.join(without)}: run {name} has strain of "
            f"{', '.join(run.detectors)}"
        )
