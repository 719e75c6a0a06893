"""The score of one search over the files of a measurement, and what its figures need."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from ligo_cpc_snn.evaluation.challenge import Events, Table
from ligo_cpc_snn.evaluation.found import equal_bins, found_in_bins, half_efficiency, timing
from ligo_cpc_snn.evaluation.matching import (
    MONTH_SECONDS,
    FalseAlarms,
    Matched,
    match,
    rate_grid,
)
from ligo_cpc_snn.evaluation.sensitivity import (
    LIMITS,
    sensitivity,
    sensitivity_curve,
    volume_shares,
)
from ligo_cpc_snn.search.calibration import timing_by_snr
from ligo_cpc_snn.signals.masses import chirp_mass

BINS = 6  # of masses and distances
SNR_STEP = 1.0  # of the efficiency curve
FEWEST_IN_BIN = 5
SNR_EDGES = (0.0, 6.0, 8.0, 10.0, 12.0, 15.0, 20.0, 30.0, 1e4)  # of errors of times
REACH_SECONDS = 1.0  # an event is taken for an injection's so far from it, where times are told


class Score(NamedTuple):
    """Numbers for sensitivity.json, and arrays for sensitivity.npz."""

    summary: dict[str, Any]
    arrays: dict[str, np.ndarray]


def score(
    foreground: Events,
    background: Events,
    background_seconds: float,
    table: Table,
    attributes: Mapping[str, Any],
    per_month: Sequence[float],
) -> Score:
    """Score the events of a search by the challenge's rules.

    Args:
        foreground: Events of the strain with injections.
        background: Events of noise alone.
        background_seconds: Length of that noise.
        table: The injections.
        attributes: Of their file.
        per_month: Rates of false alarms to report; those that the background cannot resolve
            are named in the summary.
    """
    matched = match(foreground, table["tc"])
    near = match(_reaching(foreground), table["tc"])
    known = all(name in attributes for name in LIMITS)
    shares = volume_shares(table, attributes, of_month=known)
    arguments = (background.statistic, background_seconds)
    asked = sensitivity_curve(matched.statistic, shares, *arguments, list(per_month))
    whole = sensitivity_curve(matched.statistic, shares, *arguments, rate_grid(*arguments))
    rates = [
        {"false_alarms": alarms.to_dict(), **reach.to_dict()}
        | {"distance_by_largest_injected": _of_injected(matched, table, attributes, alarms)}
        | _details(matched, table, alarms)
        | _timing_by_snr(near, table, alarms)
        for alarms, reach in asked.points
    ]
    summary = {
        "limits": "of a month of injections" if known else "largest injected",
        "background_events": int(background.gps.size),
        "background_seconds": background_seconds,
        "resolved_per_month": MONTH_SECONDS / background_seconds,
        "foreground_events": int(foreground.gps.size),
        "foreground_events_without_injection": int(matched.false.sum()),
        "rates": rates,
        "refused": asked.refused,
    }
    per_injection = {"statistic": matched.statistic, "offset_seconds": matched.offset_seconds}
    return Score(summary, whole.arrays() | per_injection)


def injection_arrays(table: Table) -> dict[str, np.ndarray]:
    """Return what figures show of the injections."""
    arrays = {
        "chirp_mass": chirp_mass(table["mass1"], table["mass2"]),
        "mass_ratio": _mass_ratio(table),
        "distance": table["distance"],
        "gps": table["tc"],
    }
    return arrays | {name: table[name] for name in ("network_snr",) if name in table}


def _of_injected(matched: Matched, table: Table, attributes: Any, alarms: FalseAlarms) -> float:
    """Return the distance that the challenge's program gives for these files.

    It takes the largest distance among these injections, not a month's: of a few hundred of
    data set 1 that makes the distance some 5 % smaller.
    """
    shares = volume_shares(table, attributes)
    return sensitivity(matched.statistic > alarms.threshold, shares).distance


def _details(matched: Matched, table: Table, alarms: FalseAlarms) -> dict[str, Any]:
    found = matched.statistic > alarms.threshold
    quantities = {
        "chirp_mass": chirp_mass(table["mass1"], table["mass2"]),
        "mass_ratio": _mass_ratio(table),
        "distance": table["distance"],
    }
    by = {
        name: found_in_bins(found, values, equal_bins(values, BINS))
        for name, values in quantities.items()
    }
    details = {"timing": timing(matched.offset_seconds[found])}
    if "network_snr" in table:
        details |= _efficiency(found, table["network_snr"])
        by["network_snr"] = found_in_bins(found, *_snr_bins(table["network_snr"]))
    return details | {"by": by}


def _reaching(events: Events) -> Events:
    """Return events that claim all times within `REACH_SECONDS`, to see those that are late."""
    return events._replace(tolerance=np.full(events.gps.size, REACH_SECONDS))


def _timing_by_snr(near: Matched, table: Table, alarms: FalseAlarms) -> dict[str, Any]:
    """Return errors of the loudest events within `REACH_SECONDS` of injections, by SNR."""
    if "network_snr" not in table:
        return {}
    found = near.statistic > alarms.threshold
    errors = timing_by_snr(near.offset_seconds[found], table["network_snr"][found], edges=SNR_EDGES)
    return {"timing_by_snr": [row._asdict() for row in errors]}


def _efficiency(found: Bool[np.ndarray, "n"], snr: Float[np.ndarray, "n"]) -> dict[str, Any]:
    fitted = half_efficiency(found, snr)
    if fitted is None:
        return {"snr_50": None, "efficiency_width": None}
    return {"snr_50": fitted[0].to_dict(), "efficiency_width": fitted[1]}


def _snr_bins(snr: Float[np.ndarray, "n"]) -> tuple[Float[np.ndarray, "n"], list[float]]:
    """Return edges one apart, and one last bin for the few that are louder."""
    edges = np.arange(np.floor(snr.min()), np.ceil(snr.max()) + SNR_STEP, SNR_STEP)
    above = np.array([np.count_nonzero(snr >= edge) for edge in edges])
    kept = edges[above >= FEWEST_IN_BIN]
    return snr, [float(edge) for edge in (*kept, edges[-1]) if edge <= edges[-1]]


def _mass_ratio(table: Table) -> Float[np.ndarray, "n"]:
    pair = np.sort([table["mass1"], table["mass2"]], axis=0)
    return pair[0] / pair[1]
