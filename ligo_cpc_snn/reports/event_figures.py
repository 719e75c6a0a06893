"""Figures of a recorded event: the statistic around it, and the background it stands out from."""

from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ligo_cpc_snn.reports.theme import LIGHT, Theme, blank, envelope, note, themed

Arrays = dict[str, np.ndarray]


def _statistic(axes: Axes, event: Arrays, theme: Theme) -> None:
    """Draw the statistic against seconds from the event, its threshold and its loudest point."""
    offset = event["gps"] - float(event["event_gps"])
    index, values = envelope(event["statistic"])
    axes.axvline(0, color=theme.hues[2], linewidth=5, alpha=0.3, label="merger")
    axes.plot(
        offset[index.astype(int)], values, color=theme.hues[0], linewidth=0.9, label="statistic"
    )
    threshold = float(event["threshold"])
    if np.isfinite(threshold):
        axes.axhline(threshold, color=theme.hues[1], linestyle="--", linewidth=1.2)
    loudest = int(np.argmax(event["statistic"]))
    axes.plot(
        offset[loudest], event["statistic"][loudest], marker="v", markersize=7, linestyle="none",
        color=theme.hues[1], label=f"loudest, {offset[loudest]:+.3f} s",
    )  # fmt: skip
    axes.set_ylabel("ranking statistic (logit)")


@themed
def event_statistic(event: Arrays, *, theme: Theme = LIGHT) -> Figure:
    """Draw the statistic over the whole span, and half a second of it above the whitened strain.

    Args:
        event: arrays of event.npz: `gps` (n,) s, `statistic` (n,), `event_gps`, `event_name`,
            `threshold`; for the strain `whitened` (detector, time), `whitened_gps_start`,
            `sample_rate_hz`, `detectors`.
    """
    with_strain = "whitened" in event
    figure = blank(8.6, 5.6 if with_strain else 4.6)
    halves: Any = figure.subfigures(2, 1, height_ratios=[1, 1.05])
    top, bottom = halves
    whole = top.subplots()
    _statistic(whole, event, theme)
    gps = event["gps"] - float(event["event_gps"])
    whole.set_xlim(gps[0], gps[-1])
    whole.set_xlabel(f"seconds from GPS {float(event['event_gps']):.2f}")
    whole.set_title(f"{event['event_name']!s}: the whole span")
    whole.margins(y=0.12)
    whole.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=3, fontsize=7.5)
    if np.isfinite(float(event["threshold"])):
        whole.annotate(
            "threshold ", (1, float(event["threshold"])), xycoords=("axes fraction", "data"),
            ha="right", va="bottom", fontsize=7.5, color=theme.hues[1],
        )  # fmt: skip
    panels = bottom.subplots(1, 2 if with_strain else 1, squeeze=False).ravel()
    _zoom(panels[0], event, theme)
    if with_strain:
        _whitened(panels[1], event, theme)
    return figure


def _zoom(axes: Axes, event: Arrays, theme: Theme) -> None:
    _statistic(axes, event, theme)
    axes.set_xlim(-0.5, 0.5)
    axes.margins(y=0.12)
    axes.set_xlabel("seconds from the event")
    axes.set_title("One second around it")


def _whitened(axes: Axes, event: Arrays, theme: Theme) -> None:
    """Draw the whitened strain of each detector from 0.2 s before to 0.1 s after the event."""
    rate = float(event["sample_rate_hz"])
    start = float(event["whitened_gps_start"]) - float(event["event_gps"])
    time = start + np.arange(event["whitened"].shape[1]) / rate
    near = (time > -0.2) & (time < 0.1)
    names = detector_names(event)
    if not near.any():
        note(axes, "the whitened strain saved does not cover the event", x=0.02, y=0.5)
    else:
        step = 2.2 * np.abs(event["whitened"][:, near]).max()
        for index, trace in enumerate(event["whitened"]):
            colour = theme.hues[index % len(theme.hues)]
            axes.plot(time[near], trace[near] - index * step, color=colour, linewidth=0.9)
        axes.set_yticks([-index * step for index in range(len(names))], names)
    axes.axvline(0, color=theme.hues[2], linewidth=5, alpha=0.3)
    axes.set_xlim(-0.2, 0.1)
    axes.xaxis.set_major_locator(MaxNLocator(7))
    axes.set_xlabel("seconds from the event")
    axes.set_ylabel("strain (offset per detector)")
    axes.set_title("Whitened strain")


def detector_names(event: Arrays) -> list[str]:
    """Return the detectors of the whitened strain; numbers where the file does not name them."""
    count = len(event["whitened"])
    names = [str(name) for name in event.get("detectors", np.array([]))]
    return names if len(names) == count else [f"detector {i + 1}" for i in range(count)]


def backgrounds(event: Arrays) -> list[tuple[str, Float[np.ndarray, " n"], float | None]]:
    """Return (name, values, live time in s or None) of each background saved, if not empty."""
    found = []
    for key, name in (("background_slides", "time slides"), ("background_zero_lag", "zero lag")):
        values = np.ravel(event.get(key, np.array([])))
        seconds = event.get(f"{key}_seconds")
        if values.size:
            found.append((name, values, None if seconds is None else float(seconds)))
    return found


@themed
def event_background(event: Arrays, *, theme: Theme = LIGHT) -> Figure:
    """Draw the background's distribution, and how much of it is above each statistic.

    Args:
        event: arrays of event.npz with `background_zero_lag` (n,), `background_slides` (m,) and
            optionally their live times `background_zero_lag_seconds`, `background_slides_seconds`.
    """
    samples = backgrounds(event)
    loudest = float(np.max(event["statistic"]))
    figure = blank(8.6, 3.6)
    left, right = figure.subplots(1, 2)
    everything = np.concatenate([values for _, values, _ in samples])
    edges = np.linspace(everything.min(), max(everything.max(), loudest), 60)
    hourly = all(seconds for _, _, seconds in samples)
    for index, (name, values, seconds) in enumerate(samples):
        colour = theme.hues[0] if name == "time slides" else theme.ink
        counts = np.histogram(values, edges)[0]
        left.stairs(counts, edges, color=colour, fill=index == 0, alpha=0.45 if index == 0 else 1)
        left.stairs(counts, edges, color=colour, label=f"{name} ({values.size})", linewidth=1.3)
        _survival(right, values, seconds if hourly else None, colour, name)
    left.set(yscale="log", xlabel="ranking statistic (logit)", ylabel="background values per bin")
    left.set_ylim(bottom=0.6)
    left.set_title("Background")
    unit = "above it, per hour" if hourly else "fraction above it"
    right.set(yscale="log", xlabel="ranking statistic (logit)", ylabel=f"background {unit}")
    right.set_title("False alarms")
    for axes in (left, right):
        axes.set_xlim(edges[0], edges[-1] + 0.04 * (edges[-1] - edges[0]))
        axes.axvline(
            loudest,
            color=theme.hues[2],
            linewidth=4,
            alpha=0.5,
            label=f"loudest of {event['event_name']!s}'s span",
        )
        if np.isfinite(float(event["threshold"])):
            axes.axvline(
                float(event["threshold"]), color=theme.hues[1], linestyle="--", linewidth=1.2,
                label="threshold",
            )  # fmt: skip
    right.legend(loc="best", fontsize=7.5)
    return figure


def _survival(
    axes: Axes, values: np.ndarray, seconds: float | None, colour: Any, name: str
) -> None:
    ordered = np.sort(values)[::-1]
    above = np.arange(1, len(ordered) + 1)
    heights = above * 3600 / seconds if seconds else above / len(ordered)
    axes.step(ordered, heights, color=colour, where="post", linewidth=1.4, label=name)
