"""Tables and lists of a search's report: candidates, events looked for, limits, the detector."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from ligo_cpc_snn.reports.search_files import SearchFiles
from ligo_cpc_snn.reports.words import YEAR, duration, offset, probability, rate, utc

OPEN, SHOWN = 10, 50  # triggers of the table: at once, and unfolded
HEADS = ("#", "Time (UTC)", "Catalogue", "Statistic", "False-alarm rate", "p-value")
Cell = tuple[str, str]  # and its small print


def candidate_rows(files: SearchFiles) -> list[list[Cell]]:
    """Return a row of cells for each of the loudest triggers."""
    return [
        [(str(rank), ""), *_cells(files, row)]
        for rank, row in enumerate(files.loudest_first[:SHOWN], start=1)
    ]


def _cells(files: SearchFiles, row: int) -> list[Cell]:
    columns = files.triggers
    gps = float(columns["time"][row])
    own = [
        f"{name} {columns[f'contribution_{name}'][row]:.2f}"
        for name in files.detectors
        if f"contribution_{name}" in columns and np.isfinite(columns[f"contribution_{name}"][row])
    ]
    return [
        (utc(gps), f"GPS {gps:.3f}"),
        _event_cell(files, row),
        (f"{columns['statistic'][row]:.2f}", ", ".join(own)),
        far_cell(files, row),
        (probability(float(columns["p_value"][row])), ""),
    ]


def _event_cell(files: SearchFiles, row: int) -> Cell:
    event, away = files.event_of(row), float(files.triggers["nearest_event_offset_seconds"][row])
    if not event:
        return "–", ""
    return event, f"{offset(away)} {'after' if away > 0 else 'before'} it"


def far_cell(files: SearchFiles, row: int) -> Cell:
    """Return a trigger's false-alarm rate in words, and its interval."""
    far = float(files.triggers["far_per_year"][row])
    if not np.isfinite(far):
        return "–", ""
    low, high = (float(files.triggers[f"far_{end}_per_year"][row]) for end in ("low", "high"))
    small = f"90 %: {rate(high)} to {rate(low)}" if low > 0 else f"90 %: up to {rate(high)}"
    if files.triggers["extrapolated"][row]:
        return rate(far), f"extrapolated; {small}"
    bound = files.background_seconds and not files.louder_in_background(row)
    return ("below " if bound else "") + rate(far), small


def event_rows(files: SearchFiles) -> list[list[str]]:
    """Return name, time and what became of each catalogue event in the time analysed."""
    order = files.loudest_first
    found = {files.event_of(row): rank for rank, row in reversed(list(enumerate(order)))}
    rows = []
    for name, gps in sorted(files.get("events", {}).items(), key=lambda item: item[1]):
        verdict, far = "no trigger above the threshold", ""
        if name in found:
            verdict = f"trigger {found[name] + 1}"
            far = far_cell(files, order[found[name]])[0]
        rows.append([name, f"{utc(gps, 1)} UTC", verdict, far])
    return rows


def limits(files: SearchFiles) -> list[str]:
    """Return what the numbers cannot say, as sentences."""
    if not files.record:
        return []
    return [*_background_limits(files), *_time_limits(files), *_catalogue_limits(files)]


def _background_limits(files: SearchFiles) -> list[str]:
    seconds = files.background_seconds
    if not seconds:
        return ["No background was made, so no trigger has a false-alarm rate."]
    found = [
        f"The background of {duration(seconds)} resolves false-alarm rates down to "
        f"{rate(YEAR / seconds)}. "
        + (
            "Lower ones are extrapolated and marked."
            if np.any(files.triggers["extrapolated"])
            else "A trigger louder than all of it is given that rate, as an upper bound."
        ),
        "A rate counts the background triggers at least as loud and one more; its interval is "
        "Poisson's, 90 %. The p-value is the probability that noise has one as loud anywhere in "
        f"the {duration(files.searched_seconds)} searched.",
    ]
    consistency = files.get("background.consistency", {})
    return [*found, _consistency(consistency)] if "ks_p_value" in consistency else found


def _consistency(told: Mapping[str, Any]) -> str:
    """Say whether the slides give what separate noise gives."""
    verdict = "agrees" if told.get("consistent", True) else "does NOT agree"
    text = (
        f"The slid background {verdict} with that of separate noise (Kolmogorov-Smirnov p-value "
        f"{probability(float(told['ks_p_value']))}"
    )
    if "rate_ratio" in told:
        low, high = told["rate_ratio_low"], told["rate_ratio_high"]
        text += f"; ratio of rates {told['rate_ratio']:.3g}, interval {low:.3g} to {high:.3g}"
    return text + ")."


def _time_limits(files: SearchFiles) -> list[str]:
    found = []
    warm, lost = float(files.get("seconds.warm_up", 0)), float(files.get("seconds.left_out", 0))
    if warm:
        each = float(files.get("detector.warm_up_seconds", 0))
        found.append(
            f"After each gap {duration(each)} of strain warms the network up and is not searched: "
            f"{duration(warm)} in all."
        )
    if lost:
        reasons: dict[str, float] = {}
        for span in files.get("spans", []):
            if span["state"] == "left out":
                why = str(span["reason"]) or "no reason recorded"
                reasons[why] = reasons.get(why, 0.0) + span["end"] - span["start"]
        told = "; ".join(f"{duration(s)}: {why}" for why, s in sorted(reasons.items()))
        found.append(f"Left out were {duration(lost)} ({told}).")
    return found


def _catalogue_limits(files: SearchFiles) -> list[str]:
    source = files.get("catalogue", "")
    if not source:
        return ["No catalogue of events was at hand, so no trigger is named."]
    near = float(files.get("timing_seconds", 0.3))
    return [f"A trigger within {duration(near)} of an event of the catalogue ({source}) is named."]


def facts(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Return nested values as rows of name and text, in their order."""
    rows: list[tuple[str, str]] = []
    for name, value in values.items():
        words = f"{prefix}{_name(str(name))}"
        if isinstance(value, Mapping):
            rows += facts(value, f"{words}: ")
        elif _shown(value):
            rows.append((words, _text(str(name), value)))
    return rows


def _shown(value: Any) -> bool:
    """Whether a value is anything, and short enough for a row: no table."""
    if isinstance(value, list | tuple):
        return bool(value) and not any(isinstance(part, Mapping | list) for part in value)
    return value is not None and value != ""


def _name(name: str) -> str:
    endings = {"_seconds": " (s)", "_hz": " (Hz)", "_mpc": " (Mpc)", "_bytes": ""}
    for ending, unit in endings.items():
        if name.endswith(ending):
            name = name.removesuffix(ending) + unit
    return name.replace("_", " ")


def _text(name: str, value: Any) -> str:
    if "seed" in name or "gps" in name:
        return str(value)
    if isinstance(value, list):
        return ", ".join(_text(name, part) for part in value)
    if name.endswith("_bytes"):
        return f"{value / 2**30:.2f} GiB"
    return _short(value)


def _short(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if isinstance(value, int):
        return f"{value:,}" if abs(value) >= 10_000 else str(value)
    return f"{value:,.0f}" if 1e4 <= abs(value) < 1e7 else f"{value:.4g}"
