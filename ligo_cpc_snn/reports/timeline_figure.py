"""Figure of the time that a search was given: analysed, warm-up, left out."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from ligo_cpc_snn.reports.theme import LIGHT, Theme, blank, themed
from ligo_cpc_snn.reports.words import duration, utc

Span = dict[str, Any]
STATES = ("analysed", "warm-up", "left out")
ROWS = 16  # more stretches share one row in true time
APART_SECONDS = 64.0  # a longer gap begins a row of its own
SPARSE = 3.0  # one row does where the whole is not that much longer than its parts


def stretches(spans: list[Span]) -> list[list[Span]]:
    """Return spans in the order of time, in groups that a row shows well each."""
    ordered = sorted(spans, key=lambda span: span["start"])
    groups = [[ordered[0]]]
    for span in ordered[1:]:
        if span["start"] - max(s["end"] for s in groups[-1]) > APART_SECONDS:
            groups.append([])
        groups[-1].append(span)
    whole = max(s["end"] for s in ordered) - ordered[0]["start"]
    filled = sum(s["end"] - s["start"] for s in ordered)
    return [ordered] if whole <= SPARSE * filled or len(groups) > ROWS else groups


@themed
def timeline(
    spans: list[Span], times: np.ndarray, names: list[str], *, theme: Theme = LIGHT
) -> Figure:
    """Draw the spans by their state, and the triggers above them.

    Args:
        spans: `start`, `end` in GPS s, `state`.
        times: (trigger,) GPS s.
        names: of the catalogue's events among the triggers, otherwise empty.
    """
    rows = stretches(spans)
    figure = blank(8.6, 1.35 + 0.52 * len(rows))
    axes = figure.subplots()
    longest = max(row[-1]["end"] - row[0]["start"] for row in rows)
    size, unit = _unit(longest)
    colours = dict(zip(STATES, (theme.hues[0], theme.hues[4], theme.noise), strict=True))
    for number, row in enumerate(rows):
        start, end = row[0]["start"], max(span["end"] for span in row)
        for span in row:
            place = (span["start"] - start) / size, (span["end"] - span["start"]) / size
            axes.broken_barh([place], (number - 0.22, 0.44), color=colours[span["state"]])
        for time, name in zip(times, names, strict=True):
            if start <= time <= end:
                _mark(axes, (time - start) / size, number - 0.22, name, theme)
    labels = [f"{utc(row[0]['start'], 0)}\n{duration(_length(row))}" for row in rows]
    axes.set_yticks(range(len(rows)), labels, fontsize=7.5)
    axes.set(xlim=(-0.005 * longest / size, 1.005 * longest / size), ylim=(len(rows) - 0.5, -0.75))
    axes.set_xlabel(f"{unit} from the start of the stretch (UTC at the left)")
    axes.xaxis.set_major_locator(MaxNLocator(8))
    axes.grid(visible=False, axis="y")
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    present = [state for state in STATES if any(s["state"] == state for s in spans)]
    figure.legend(
        handles=[Patch(color=colours[state], label=state) for state in present],
        loc="outside upper right", ncols=3, fontsize=8,
    )  # fmt: skip
    return figure


def _length(row: list[Span]) -> float:
    return float(sum(span["end"] - span["start"] for span in row))


def _unit(seconds: float) -> tuple[float, str]:
    for size, unit in ((86400.0, "days"), (3600.0, "hours"), (60.0, "minutes")):
        if seconds > 2 * size:
            return size, unit
    return 1.0, "seconds"


def _mark(axes: Any, x: float, y: float, name: str, theme: Theme) -> None:
    colour = theme.hues[2] if name else theme.hues[1]
    axes.plot(
        x, y - 0.07, marker="v", color=colour, markersize=6 if name else 3.5, linestyle="none"
    )
    if name:
        axes.annotate(
            name, (x, y), xytext=(6, 2.5), textcoords="offset points", fontsize=7.5, color=colour,
            fontweight="bold",
        )  # fmt: skip
