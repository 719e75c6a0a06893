"""Interactive figures of sensitivity: distance against false alarms, efficiency, found ones."""

from collections.abc import Iterator

import numpy as np
import plotly.graph_objects as go

from ligo_cpc_snn.reports.live import add_band, add_line, chart, hue, numbers, plain, table_of
from ligo_cpc_snn.reports.published import PUBLISHED, RATES
from ligo_cpc_snn.reports.sensitivity_figures import MOST_PER_MONTH, PLAIN_MPC
from ligo_cpc_snn.reports.sensitivity_files import SearchScore, SensitivityFiles
from ligo_cpc_snn.reports.theme import LIGHT

MOST_POINTS = 700  # of a curve; a step of fewer Mpc than a pixel is no step
SHOWN = ("distance", "chirp_mass", "mass_ratio", "network_snr")
VIRIDIS = "Viridis"


def sensitive_distance(
    measured: list[tuple[str, SearchScore]], published: str | None = None
) -> go.Figure:
    """Draw sensitive distance against the rate of false alarms; the legend toggles searches.

    Args:
        measured: label and search.
        published: data set whose published values stand beside them.
    """
    figure = chart(x="false alarms per month", y="sensitive distance (Mpc)", height=500)
    low = 1.0
    for number, (label, search) in enumerate(measured):
        low = min([low, *_distance_curve(figure, label, search, hue(number))])
    for search_name, values in PUBLISHED.get(published or "", {}).items():
        add_line(
            figure, RATES, values, f"{search_name} (published)", LIGHT.noise,
            mode="lines+markers", line={"dash": "dot", "width": 1.2},
            hover="%{x:g} a month: %{y:.0f} Mpc",
        )  # fmt: skip
    ends = [float(np.log10(0.8 * low)), float(np.log10(MOST_PER_MONTH))]
    return figure.update_xaxes(type="log", range=ends, tickformat="~g", exponentformat="none")


def _distance_curve(
    figure: go.Figure, label: str, search: SearchScore, colour: str
) -> Iterator[float]:
    """Draw one search, and yield its lowest rate if it found anything at all."""
    curve = search.arrays
    kept = np.isfinite(curve["distance_error"]) & (curve["per_month"] <= MOST_PER_MONTH)
    if not kept.any():
        add_line(figure, [], [], f"{label}: nothing found", colour, visible="legendonly")
        return
    rows = np.flatnonzero(kept)
    rows = rows[np.unique(np.geomspace(1, rows.size, MOST_POINTS).astype(int)) - 1]
    rate, value, error = (curve[n][rows] for n in ("per_month", "distance", "distance_error"))
    add_band(figure, rate, value - error, value + error, colour, group=label, step=True)
    add_line(
        figure, rate, value, label, colour, step=True, customdata=[[v] for v in numbers(error)],
        meta=table_of(["standard deviation (Mpc)"]),
        hover="%{x:.3g} a month: %{y:.0f} ± %{customdata[0]:.0f} Mpc",
    )  # fmt: skip
    # The lowest rate resolved is one false alarm in the whole background.
    add_line(
        figure, rate[:1], value[:1], label, colour, mode="markers", showlegend=False,
        marker={"size": 8, "color": colour}, hoverinfo="skip", hovertemplate=None,
    )  # fmt: skip
    yield float(rate[0])


def efficiency(files: SensitivityFiles) -> go.Figure:
    """Draw the fraction found against optimal network SNR at the rate of the page's figures."""
    figure = chart(
        x="optimal network SNR", y="signals found",
        yaxis={"tickformat": ".0%", "range": [-0.02, 1.04]},
    )  # fmt: skip
    largest = float(np.nanmax(files.injections["network_snr"]))
    for number, search in enumerate(files.searches):
        shown = search.reference
        if shown is None or "network_snr" not in shown["by"]:
            continue
        rows, half = shown["by"]["network_snr"], shown["snr_50"]
        colour, name = hue(number), search.name
        value, low, high = (np.array([r[key] for r in rows]) for key in ("value", "low", "high"))
        if half is not None:
            name += f", half at {half['value']:.1f} ({half['low']:.1f} to {half['high']:.1f})"
            snr = np.linspace(0, largest, 150)
            rising = 1 / (1 + np.exp(-(snr - half["value"]) / shown["efficiency_width"]))
            add_line(figure, snr, rising, name, colour, showlegend=False, hoverinfo="skip",
                     hovertemplate=None)  # fmt: skip
        add_line(
            figure, [(r["from"] + r["to"]) / 2 for r in rows], value, name, colour, mode="markers",
            marker={"color": colour, "size": 7}, legendgroup=name,
            error_y={"type": "data", "symmetric": False, "array": numbers(high - value),
                     "arrayminus": numbers(value - low), "thickness": 1, "color": colour},
            hover="SNR %{x:.1f}: %{y:.1%}",
        )  # fmt: skip
    return figure.update_xaxes(range=[0, min(25.0, largest + 0.5)])


def found_missed(files: SensitivityFiles) -> go.Figure:
    """Draw chirp mass against distance; found ones are coloured by statistic, each tells more."""
    figure = chart(x="distance (Mpc)", y="chirp mass (solar masses)", height=480)
    names = [name for name in SHOWN if name in files.injections]
    table = np.stack([files.injections[name] for name in names], axis=1)
    for number, search in enumerate(files.searches):
        found, statistic = search.found, search.arrays["statistic"]
        visible = True if number == 0 else "legendonly"
        told = [numbers([*row, s]) for row, s in zip(table, statistic, strict=True)]
        scale = {}
        if found.any():
            low, high = np.quantile(statistic[found], [0, 0.95])
            scale = {"colorscale": VIRIDIS, "cmin": float(low), "cmax": float(high)}
        for chosen, what, marker in (
            (~found, "missed", {"symbol": "x-thin", "size": 6,
                                "line": {"color": LIGHT.noise, "width": 1}}),
            (found, "found", {"color": numbers(statistic[found]), "size": 8, **scale,
                              "line": {"color": LIGHT.ink, "width": 0.4}}),
        ):  # fmt: skip
            rows = np.flatnonzero(chosen)
            figure.add_scatter(
                x=numbers(files.injections["distance"][rows]),
                y=numbers(files.injections["chirp_mass"][rows]), mode="markers", marker=marker,
                name=plain(f"{search.name}, {rows.size} {what}"), visible=visible,
                customdata=[told[row] for row in rows], meta=table_of([*names, "statistic"]),
                hovertemplate=_hover([*names, "statistic"], what),
            )  # fmt: skip
    ticks = {"tickvals": list(PLAIN_MPC), "ticktext": [f"{mpc:g}" for mpc in PLAIN_MPC]}
    return figure.update_xaxes(type="log", **ticks)


def _hover(names: list[str], what: str) -> str:
    rows = [f"{n.replace('_', ' ')} %{{customdata[{i}]:.4g}}" for i, n in enumerate(names)]
    return "<br>".join([what, *rows]) + "<extra></extra>"
