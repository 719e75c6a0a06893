"""Flame charts of a profile: the stages of a whole run, and the inside of one traced call."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure

from ligo_cpc_snn.reports.theme import LIGHT, Theme, blank, themed

SECTION_RUN, SECTION_CALL = "Whole run", "Inside one call"
LINES_SHOWN = 6  # threads or streams of a traced call: the busiest
WIDTH = 9.6  # inches
WIDTH_PER_LETTER = 0.0075  # of the chart, at the size that names are written in


class Bar(NamedTuple):
    """A bar of a flame chart: on its row, in s, with the name whose colour it has."""

    row: int
    begin: float
    seconds: float
    name: str
    family: str


@themed
def stages_flame(record: Mapping[str, Any], *, theme: Theme = LIGHT) -> Figure:
    """Draw the stages of a run by thread and depth, with memory over time below them.

    Args:
        record: of `profile.json`.
    """
    bars, rows = stage_bars(record["spans"])
    figure = blank(WIDTH, 2.6 + 0.28 * rows)
    flame, memory = figure.subplots(2, 1, sharex=True, height_ratios=[0.28 * rows + 0.4, 1.5])
    end = max(bar.begin + bar.seconds for bar in bars)
    draw_bars(flame, bars, end, theme)
    samples = np.array(record["memory"].get("samples") or [[0.0, 0, 0], [end, 0, 0]], dtype=float)
    memory.fill_between(samples[:, 0], samples[:, 1] / 1e9, color=theme.noise, alpha=0.5, lw=0)
    memory.plot(samples[:, 0], samples[:, 1] / 1e9, color=theme.hues[0], label="process")
    if samples[:, 2].any():
        memory.plot(samples[:, 0], samples[:, 2] / 1e9, color=theme.hues[1], label="device")
        memory.legend()
    memory.set(xlabel="time (s)", ylabel="memory (GB)", ylim=(0, None))
    return figure


@themed
def call_flame(trace: Mapping[str, Any], *, theme: Theme = LIGHT) -> Figure:
    """Draw the events of one traced call by line and depth."""
    bars, rows = event_bars(trace["events"])
    figure = blank(WIDTH, 1.1 + 0.28 * rows)
    axes = figure.subplots()
    scaled = [bar._replace(begin=1e3 * bar.begin, seconds=1e3 * bar.seconds) for bar in bars]
    draw_bars(axes, scaled, 1e3 * float(trace["seconds"]), theme)
    axes.set(xlabel="time (ms)")
    return figure


def stage_bars(spans: Sequence[Mapping[str, Any]]) -> tuple[list[Bar], int]:
    """Return the bars of stages, one block of rows for each thread, and the number of rows.

    The colour is that of the stage just inside the whole.
    """
    threads = list(dict.fromkeys(span["thread"] for span in spans))
    bars, first = [], 0
    for thread in threads:
        own = [span for span in spans if span["thread"] == thread]
        for span in own:
            path = span["path"]
            family = path[min(1, len(path) - 1)]
            row = first + len(path) - 1
            bars.append(Bar(row, span["begin"], span["seconds"], path[-1], family))
        first += max(len(span["path"]) for span in own)
    return bars, first


def event_bars(events: Sequence[Mapping[str, Any]]) -> tuple[list[Bar], int]:
    """Return the bars of a trace's events on the busiest lines, and the number of rows."""
    busy: dict[str, float] = {}
    for event in events:
        # XLA's own operations first: they are what a call is for.
        weight = 1.0 if event["operation"] else 1e-6
        busy[event["line"]] = busy.get(event["line"], 0.0) + weight * event["seconds"]
    bars, first = [], 0
    for line in sorted(busy, key=lambda line: -busy[line])[:LINES_SHOWN]:
        own = list(nested([event for event in events if event["line"] == line]))
        for depth, event in own:
            name = event["name"]
            family = name.rstrip("0123456789.") if event["operation"] else ""
            bars.append(Bar(first + depth, event["begin"], event["seconds"], name, family))
        first += 1 + max(depth for depth, _ in own)
    return bars, first


def nested(events: Sequence[Mapping[str, Any]]) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Yield events of one line with their depth: how many of them are under way."""
    ends: list[float] = []
    for event in sorted(events, key=lambda e: (e["begin"], -e["seconds"])):
        ends = [end for end in ends if end > event["begin"]]
        yield len(ends), event
        ends.append(event["begin"] + event["seconds"])


def draw_bars(axes: Axes, bars: Sequence[Bar], end: float, theme: Theme) -> None:
    """Draw bars with their names where there is room; the families that take longest have hues."""
    taken: dict[str, float] = {}
    for bar in bars:
        if bar.family:
            taken[bar.family] = taken.get(bar.family, 0.0) + bar.seconds
    ranked = sorted(taken, key=lambda family: -taken[family])
    hues = dict(zip(ranked, theme.hues, strict=False))
    corners = [
        [(b.begin, b.row), (b.begin, b.row + 0.9), (b.begin + b.seconds, b.row + 0.9),
         (b.begin + b.seconds, b.row)]
        for b in bars
    ]  # fmt: skip
    colours = [hues.get(bar.family, theme.noise) for bar in bars]
    axes.add_collection(
        PolyCollection(corners, facecolors=colours, edgecolors=theme.paper, linewidths=0.3)
    )
    for bar in bars:
        room = int(bar.seconds / max(end, 1e-12) / WIDTH_PER_LETTER)
        if room >= 3:
            name = bar.name if len(bar.name) <= room else f"{bar.name[: room - 1]}…"
            axes.text(
                bar.begin + bar.seconds / 2, bar.row + 0.47, name, ha="center", va="center",
                fontsize=7, color=theme.paper, clip_on=True,
            )  # fmt: skip
    axes.set(xlim=(0, end), ylim=(max((bar.row for bar in bars), default=0) + 1.05, -0.05))
    axes.set_yticks([])
    axes.grid(visible=False)
    axes.spines["left"].set_visible(False)
