"""Interactive figures of detection: ROC, efficiency, and the statistic around an event."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from ligo_cpc_snn.reports.detection_figures import area_text, fraction_above
from ligo_cpc_snn.reports.event_figures import detector_names
from ligo_cpc_snn.reports.live import add_band, add_line, chart, hue, numbers, plain, ramp
from ligo_cpc_snn.reports.theme import LIGHT, envelope

Arrays = dict[str, np.ndarray]
NEAR_SECONDS = (-1.0, 0.5)  # of the whitened strain around an event
MOST_POINTS = 30_000  # of a curve; more are drawn as their extremes


def efficiency(snrs: Sequence[float], curves: Sequence[Mapping[str, Any]]) -> go.Figure:
    """Draw the fraction of signals found against SNR, one curve per false-positive rate."""
    figure = chart(
        x="optimal network SNR", y="signals found", yaxis={"tickformat": ".0%", "range": [0, 1.02]}
    )
    for index, curve in enumerate(curves):
        add_efficiency(figure, snrs, curve, hue(index), _rate_name(curve))
    return figure


def add_efficiency(
    figure: go.Figure, snrs: Sequence[float], curve: Mapping[str, Any], colour: str, name: str,
    **more: Any,
) -> None:  # fmt: skip
    """Add an efficiency with its band of 95 %; the interval is told at each point."""
    value, low, high = (
        np.array([rate[key] for rate in curve["rates"]]) for key in ("value", "low", "high")
    )
    add_band(figure, np.asarray(snrs, float), low, high, colour, group=name, **more)
    add_line(
        figure, snrs, value, name, colour, mode="lines+markers",
        customdata=[numbers(pair) for pair in zip(low, high, strict=True)],
        meta={"columns": ["low", "high"]},
        hover="SNR %{x:g}: %{y:.2%}<br>95 %: %{customdata[0]:.2%} to %{customdata[1]:.2%}",
        **more,
    )  # fmt: skip


def _rate_name(curve: Mapping[str, Any]) -> str:
    half = curve["snr_50"]
    told = f"half at SNR {half:.1f}" if half is not None else "half: not reached"
    return f"FPR {curve['threshold']['nominal_rate']:g} per window ({told})"


def roc(
    noise: np.ndarray, signal: np.ndarray, snrs: Sequence[float], areas: Sequence[Mapping[str, Any]]
) -> go.Figure:
    """Draw one ROC per SNR, false positives on a logarithmic axis.

    Args:
        noise: (n,) scores of noise windows.
        signal: (snr, m) scores of signal windows.
        snrs: network SNR of each row.
        areas: AUC of each row, for the legend.
    """
    figure = chart(x="false-positive rate per window", y="true-positive rate")
    least = 1 / noise.size
    thresholds = _thresholds(noise)
    false = np.append(fraction_above(noise, thresholds), 1)
    for index, colour in enumerate(ramp(len(snrs))):
        area = f", AUC {area_text(areas[index]['value'])}" if index < len(areas) else ""
        found = np.append(fraction_above(signal[index], thresholds), 1)
        add_line(
            figure, false, found, f"SNR {snrs[index]:g}{area}", colour, step=True,
            hover="FPR %{x:.2g}: %{y:.2%}",
        )  # fmt: skip
    grid = np.geomspace(least, 1, 60)
    add_line(figure, grid, grid, "chance", LIGHT.noise, line={"dash": "dot", "width": 1.2})
    figure.add_vrect(
        least, min(10 * least, 1), fillcolor=LIGHT.noise, opacity=0.18, line_width=0,
        annotation={"text": "under 10 noise windows", "font": {"size": 11}, "name": "wide",
                    "x": float(np.log10(least)), "yanchor": "bottom"},
        annotation_position="top left",
    )  # fmt: skip
    ticks = {"tickformat": "~g", "dtick": 1 if least <= 0.01 else "D2"}  # a phone has no room
    figure.update_xaxes(type="log", range=[float(np.log10(least)), 0], **ticks)
    return figure.update_yaxes(range=[-0.01, 1.01], tickformat=".0%")


def _thresholds(noise: np.ndarray) -> np.ndarray:
    """Return noise scores as thresholds, falling: all of the loudest, then a few hundred."""
    ordered = np.unique(noise)[::-1]
    ranks = np.unique(np.round(np.geomspace(1, max(ordered.size - 1, 1), 400)).astype(int))
    return ordered[ranks[ranks < ordered.size]]  # nothing is above the first


def event(arrays: Arrays) -> go.Figure:
    """Draw the statistic over the whole span above the whitened strain around the event.

    Args:
        arrays: of event.npz.
    """
    with_strain = "whitened" in arrays
    figure = chart(x="", y="", height=620 if with_strain else 430)
    if with_strain:
        figure = make_subplots(2, 1, vertical_spacing=0.16, figure=figure)
        _strain(figure, arrays)
    else:
        figure = make_subplots(1, 1, figure=figure)
    time = arrays["gps"] - float(arrays["event_gps"])
    values = arrays["statistic"]
    if values.size > MOST_POINTS:
        index, values = envelope(values, MOST_POINTS // 2)
        time = time[index.astype(int)]
    add_line(
        figure, time, values, "statistic", hue(0), hover="%{x:+.3f} s: %{y:.2f}", row=1,
        line={"width": 1.2},
    )  # fmt: skip
    loudest = int(np.argmax(arrays["statistic"]))
    offset = float(arrays["gps"][loudest] - float(arrays["event_gps"]))
    add_line(
        figure, [offset], arrays["statistic"][[loudest]], f"loudest, {offset:+.3f} s", hue(1),
        mode="markers", marker={"symbol": "triangle-down", "size": 11, "color": hue(1)}, row=1,
        hover="%{x:+.3f} s: %{y:.2f}",
    )  # fmt: skip
    if np.isfinite(float(arrays["threshold"])):
        figure.add_hline(
            float(arrays["threshold"]), line={"color": hue(1), "dash": "dash", "width": 1.2},
            annotation={"text": "threshold", "font": {"color": hue(1), "size": 11}}, row=1, col=1,
        )  # fmt: skip
    figure.add_vline(0, line={"color": hue(2), "width": 5}, opacity=0.3)
    figure.update_xaxes(
        title_text=f"seconds from GPS {float(arrays['event_gps']):.2f}", row=1, col=1
    )
    figure.update_yaxes(title_text="statistic (logit)", row=1, col=1)
    return figure


def _strain(figure: go.Figure, arrays: Arrays) -> None:
    """Draw the whitened strain of each detector near the event, one below the other."""
    start = float(arrays["whitened_gps_start"]) - float(arrays["event_gps"])
    time = start + np.arange(arrays["whitened"].shape[1]) / float(arrays["sample_rate_hz"])
    near = (time > NEAR_SECONDS[0]) & (time < NEAR_SECONDS[1])
    names = detector_names(arrays)
    if not near.any():
        return
    step = 2.2 * float(np.abs(arrays["whitened"][:, near]).max())
    for index, (name, trace) in enumerate(zip(names, arrays["whitened"], strict=True)):
        add_line(
            figure, time[near], trace[near] - index * step, f"{name}, whitened", hue(index + 3),
            row=2, line={"width": 1.1}, hover="%{x:+.4f} s",
        )  # fmt: skip
    figure.update_yaxes(
        tickvals=[-index * step for index in range(len(names))], ticktext=[plain(n) for n in names],
        row=2, col=1,
    )  # fmt: skip
    figure.update_xaxes(
        title_text="seconds from the merger, whitened strain", range=[-0.2, 0.1], row=2, col=1
    )
