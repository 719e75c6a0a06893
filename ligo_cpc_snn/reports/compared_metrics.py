"""The saved numbers of several runs, searches or evaluations, aligned in one table."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ligo_cpc_snn.reports.differences import ABSENT
from ligo_cpc_snn.reports.headline import Card, area_text, interval
from ligo_cpc_snn.reports.panels import readable
from ligo_cpc_snn.reports.run_files import RunFiles
from ligo_cpc_snn.reports.search_files import SearchFiles
from ligo_cpc_snn.reports.search_tables import far_cell
from ligo_cpc_snn.reports.sensitivity_files import SearchScore
from ligo_cpc_snn.reports.words import duration

Key = tuple[Any, ...]
Cell = tuple[str, str]  # value, and its small print


@dataclass
class Numbers:
    """Numbers of one column, by group and name; `spread` holds (value, low, high, larger wins)."""

    cells: dict[str, dict[str, Cell]] = field(default_factory=dict)
    spread: dict[tuple[str, str], tuple[float, float, bool]] = field(default_factory=dict)

    def add(self, group: str, name: str, value: str, small: str = "") -> None:
        """Add a number as text."""
        self.cells.setdefault(group, {})[name] = (value, small)

    def rank(self, group: str, name: str, low: float, high: float, *, larger: bool = True) -> None:
        """Tell between which values the number just added lies, and which side is better."""
        self.spread[group, name] = (low, high, larger)


@dataclass(frozen=True)
class Row:
    """A row of the table: a number's name, its cells, and the column that is clearly best."""

    name: str
    cells: list[Cell]
    best: int | None


def aligned(columns: Sequence[Numbers]) -> list[tuple[str, list[Row]]]:
    """Return the rows of each group; a number that a column lacks is a dash there."""
    groups = dict.fromkeys(group for column in columns for group in column.cells)
    found = []
    for group in groups:
        names = _ordered(dict.fromkeys(name for c in columns for name in c.cells.get(group, {})))
        rows = [
            Row(
                name,
                [column.cells.get(group, {}).get(name, (ABSENT, "")) for column in columns],
                best([column.spread.get((group, name)) for column in columns]),
            )
            for name in names
        ]
        found.append((group, rows))
    return found


def _ordered(names: Iterable[str]) -> list[str]:
    """Return names in their order, by their number where each has one that sorts them."""
    names = list(names)
    found = {name: re.findall(r"\d+(?:\.\d+)?", name) for name in names}
    if all(len(numbers) == 1 for numbers in found.values()):
        return sorted(names, key=lambda name: float(found[name][0]))
    return names


def best(spreads: Sequence[tuple[float, float, bool] | None]) -> int | None:
    """Return the column whose interval lies beyond all others', None where intervals overlap."""
    known = [(i, *spread) for i, spread in enumerate(spreads) if spread is not None]
    if len(known) < 2:
        return None
    larger = known[0][3]
    # Mirrored where less is better, so that the best has the highest lower end.
    ends = [(i, low, high) if larger else (i, -high, -low) for i, low, high, _ in known]
    first = max(ends, key=lambda end: end[1])
    return first[0] if all(first[1] > high for i, _, high in ends if i != first[0]) else None


def of_run(files: RunFiles) -> Numbers:
    """Return the numbers of a run: detection by SNR and rate, spikes, and what it cost."""
    numbers = Numbers()
    _detection(numbers, files.metrics.get("detection") or {})
    for name, spikes in files.metrics.get("spikes", {}).items():
        value = f"{spikes['rate']:.4f}"
        numbers.add("Spikes per neuron and frame", readable(name), value)
    run = files.metrics.get("run", {})
    told: tuple[tuple[str, str, Callable[[Any], str]], ...] = (
        ("status", "status", str),
        ("steps", "steps", lambda v: f"{v:,}"),
        ("parameters", "parameters", lambda v: f"{v:,}"),
        ("seconds", "time", duration),
        ("compile_seconds", "compiling", duration),
        ("examples_per_second", "examples a second", lambda v: f"{v:.0f}"),
        ("peak_memory_bytes", "peak memory", lambda v: f"{v / 2**30:.2f} GiB"),
    )
    for key, name, words in told:
        if run.get(key) is not None:
            numbers.add("What it cost", name, words(run[key]))
    return numbers


def _detection(numbers: Numbers, measured: Mapping[str, Any]) -> None:
    snrs = measured.get("snrs", [])
    for snr, area in zip(snrs, measured.get("auc", []), strict=False):
        group, name = "AUC", f"SNR {snr:g}"
        numbers.add(group, name, area_text(area["value"]), interval(area))
        numbers.rank(group, name, area["low"], area["high"])
    for curve in measured.get("efficiency", []):
        group = f"Found at a false-positive rate of {curve['threshold']['nominal_rate']:g} a window"
        for snr, rate in zip(snrs, curve["rates"], strict=True):
            value = f"{100 * rate['value']:.1f} %"
            numbers.add(group, f"SNR {snr:g}", value, interval(rate, True))
            numbers.rank(group, f"SNR {snr:g}", rate["low"], rate["high"])
        half = curve["snr_50"]
        value = "not reached" if half is None else f"{half:.2f}"
        numbers.add(group, "SNR at which half are found", value)


def of_score(search: SearchScore) -> Numbers:
    """Return the numbers of one search of an evaluation, by rate of false alarms."""
    numbers = Numbers()
    for rate in search.summary["rates"]:
        name = f"{rate['false_alarms']['asked_per_month']:g} false alarms a month"
        value, error = rate["distance"], rate["distance_error"]
        if error is not None:
            small = f"threshold {_number(rate['false_alarms']['threshold'])}"
            numbers.add("Sensitive distance", name, f"{value:.0f} ± {error:.0f} Mpc", small)
            numbers.rank("Sensitive distance", name, value - 2 * error, value + 2 * error)
        else:
            numbers.add("Sensitive distance", name, "nothing found")
        part = rate["fraction"]
        found = f"{rate['found']} of {rate['injections']}"
        numbers.add("Injections found", name, found, interval(part, True))
        numbers.rank("Injections found", name, part["low"], part["high"])
        half = rate.get("snr_50")
        if half:
            between = f"{half['low']:.2f} to {half['high']:.2f}"
            numbers.add("SNR found by half", name, f"{half['value']:.2f}", between)
            numbers.rank("SNR found by half", name, half["low"], half["high"], larger=False)
        timing = rate["timing"]
        if timing["found"]:
            value = f"{1000 * timing['median_error']:.0f} ms"
            numbers.add("Median error of times", name, value)
    return numbers


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.3g}"


def of_search(files: SearchFiles) -> Numbers:
    """Return the numbers of a search: time, triggers, and what became of each event."""
    numbers = Numbers()
    group = "The search"
    numbers.add(group, "searched", duration(files.searched_seconds))
    background = files.background_seconds
    numbers.add(group, "background", duration(background) if background else "none")
    numbers.add(group, "detector", str(files.get("detector.name", ABSENT)))
    threshold = files.get("threshold")
    numbers.add(group, "threshold", ABSENT if threshold is None else f"{float(threshold):.3g}")
    numbers.add(group, "triggers", f"{files.triggers['time'].size:,}")
    speed = files.get("throughput.times_real_time_per_core")
    if speed is not None:
        numbers.add(group, "times real time per core", f"{speed:,.0f}")
    first = {files.event_of(row): row for row in reversed(files.loudest_first)}
    for name in files.get("events", {}):
        if name not in first:
            numbers.add("Catalogue events: false-alarm rate", name, "no trigger")
            continue
        row = first[name]
        rate, _ = far_cell(files, row)
        statistic = f"statistic {files.triggers['statistic'][row]:.2f}"
        numbers.add("Catalogue events: false-alarm rate", name, rate, statistic)
    return numbers


def headline(labels: Sequence[str], groups: Sequence[tuple[str, list[Row]]]) -> list[Card]:
    """Return how often each column is clearly best, for the head of the page."""
    won = [row.best for _, rows in groups for row in rows if row.best is not None]
    if not won:
        return []
    counts = np.bincount(won, minlength=len(labels))
    return [
        Card(label, f"{count} of {len(won)}", "numbers in which it is clearly the best")
        for label, count in zip(labels, counts, strict=True)
    ]
