"""Figures of sensitivity: distance against false alarms, efficiency, found and missed, timing."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter, PercentFormatter

from ligo_cpc_snn.reports.published import PUBLISHED, RATES
from ligo_cpc_snn.reports.sensitivity_files import SearchScore, SensitivityFiles
from ligo_cpc_snn.reports.theme import LIGHT, Theme, blank, note, themed

MARKERS = "osD^vPX*"
MOST_PANELS = 4
MOST_PER_MONTH = 3e4  # no search is run at more
PLAIN_MPC = (50, 100, 200, 500, 1000, 2000, 3000, 5000, 10000)
QUANTITIES = (
    ("chirp_mass", "chirp mass (solar masses)"),
    ("mass_ratio", "mass ratio"),
    ("distance", "distance (Mpc)"),
)


@themed
def sensitive_distance(files: SensitivityFiles, *, theme: Theme = LIGHT) -> Figure:
    """Draw sensitive distance against the rate of false alarms, all searches on one figure.

    The band is one standard deviation, of the finite number of injections. Published values
    stand beside it where the measurement is of a data set that has them.
    """
    figure = blank(8.6, 4.9)
    axes = figure.subplots()
    for number, search in enumerate(files.searches):
        _distance_curve(axes, search, theme.hues[number % len(theme.hues)])
    _published(axes, files.summary.get("published"), theme)
    rates = [a["per_month"] for a in (s.arrays for s in files.searches) if a["per_month"].size]
    low = min([0.8, *(float(r.min()) for r in rates)]) if _has_published(files) else None
    axes.set(xscale="log", xlabel="false alarms per month", ylabel="sensitive distance (Mpc)")
    axes.set_xlim(left=low, right=MOST_PER_MONTH)
    axes.margins(y=0.08)
    if axes.get_legend_handles_labels()[0]:
        figure.legend(loc="outside right upper", handlelength=1.6)
    return figure


def _distance_curve(axes: Axes, search: SearchScore, colour: str) -> None:
    curve = search.arrays
    kept = np.isfinite(curve["distance_error"]) & (curve["per_month"] <= MOST_PER_MONTH)
    if not kept.any():
        axes.plot([], [], color=colour, label=f"{search.name}: nothing found")
        return
    rate, value, error = (curve[n][kept] for n in ("per_month", "distance", "distance_error"))
    axes.fill_between(
        rate, value - error, value + error, step="post", color=colour, alpha=0.2, linewidth=0
    )
    axes.step(rate, value, where="post", color=colour, linewidth=2, label=search.name)
    # The lowest rate resolved is one false alarm in the whole background.
    axes.plot(rate[0], value[0], marker="o", markersize=4.5, color=colour)


def _has_published(files: SensitivityFiles) -> bool:
    return files.summary.get("published") in PUBLISHED


def _published(axes: Axes, name: str | None, theme: Theme) -> None:
    """Draw published distances faintly, one marker and label for each search."""
    for number, (search, values) in enumerate(PUBLISHED.get(name or "", {}).items()):
        marker = MARKERS[number % len(MARKERS)]
        axes.plot(
            RATES, values, color=theme.noise, linestyle=":", linewidth=1, marker=marker,
            markersize=5.5, markerfacecolor=theme.paper, label=f"{search} (published)",
        )  # fmt: skip


@themed
def efficiency(files: SensitivityFiles, *, theme: Theme = LIGHT) -> Figure:
    """Draw the fraction found against optimal network SNR at one rate of false alarms."""
    figure = blank(7.8, 4.2)
    axes = figure.subplots()
    axes.axhline(0.5, color=theme.noise, linestyle=":", linewidth=1.2)
    for number, search in enumerate(files.searches):
        shown = search.reference
        if shown is None or "network_snr" not in shown["by"]:
            continue
        colour, half = theme.hues[number % len(theme.hues)], shown["snr_50"]
        label = search.name
        if half is not None:
            label += f"   half at {half['value']:.1f} ({half['low']:.1f} to {half['high']:.1f})"
        shift = 0.06 * (number - (len(files.searches) - 1) / 2)
        _bars(
            axes, shown["by"]["network_snr"], colour, MARKERS[number % len(MARKERS)], label, shift
        )
        if half is not None:
            snr = np.linspace(0, float(np.nanmax(files.injections["network_snr"])), 300)
            rising = 1 / (1 + np.exp(-(snr - half["value"]) / shown["efficiency_width"]))
            axes.plot(snr, rising, color=colour, linewidth=1.4)
    axes.set(ylim=(-0.02, 1.04), xlabel="optimal network SNR", ylabel="signals found")
    if "network_snr" in files.injections:
        axes.set_xlim(0, min(25.0, float(files.injections["network_snr"].max()) + 0.5))
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="lower right", bbox_to_anchor=(0.995, 0.03))
    return figure


def _bars(
    axes: Axes, rows: list[dict[str, Any]], colour: str, marker: str, label: str, shift: float
) -> None:
    middle = np.array([(row["from"] + row["to"]) / 2 for row in rows]) + shift
    value, low, high = (np.array([row[key] for row in rows]) for key in ("value", "low", "high"))
    axes.errorbar(
        middle, value, yerr=[value - low, high - value], color=colour, marker=marker,
        markersize=4.5, linestyle="none", elinewidth=1, label=label,
    )  # fmt: skip


@themed
def found_missed(files: SensitivityFiles, *, theme: Theme = LIGHT) -> Figure:
    """Draw chirp mass against distance, found ones coloured by their statistic."""
    shown = files.searches[:MOST_PANELS]
    rows, columns = (len(shown) + 1) // 2, min(len(shown), 2)
    figure = blank(4.7 * columns + 0.4, 3.7 * rows)
    panels = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).ravel()
    x, y = files.injections["distance"], files.injections["chirp_mass"]
    for panel, search in zip(panels, shown, strict=False):
        found, statistic = search.found, search.arrays["statistic"]
        panel.scatter(
            x[~found], y[~found], marker="x", s=14, linewidths=0.8, color=theme.noise, alpha=0.7
        )
        if found.any():
            low, high = np.quantile(statistic[found], [0, 0.95])
            points = panel.scatter(
                x[found], y[found], c=statistic[found], s=20, cmap="viridis",
                norm=Normalize(low, max(high, low + 1e-6)), edgecolors=theme.ink, linewidths=0.3,
            )  # fmt: skip
            figure.colorbar(points, ax=panel, label="statistic", extend="max")
        panel.set_title(f"{search.name}: {int(found.sum())} of {found.size}")
        panel.set_xscale("log")
        panel.xaxis.set_major_locator(FixedLocator(PLAIN_MPC))
        panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        panel.xaxis.set_minor_formatter(NullFormatter())
    for panel in panels[len(shown) :]:
        panel.set_visible(False)
    figure.supxlabel("distance (Mpc)", fontsize=9.5)
    figure.supylabel("chirp mass (solar masses)", fontsize=9.5)
    return figure


@themed
def timing_errors(files: SensitivityFiles, *, theme: Theme = LIGHT) -> Figure:
    """Draw how far the events of found injections are from their mergers."""
    figure = blank(7.8, 3.6)
    axes = figure.subplots()
    offsets = [1000 * search.arrays["offset_seconds"][search.found] for search in files.searches]
    everything = np.concatenate([o[np.isfinite(o)] for o in offsets])
    reach = max(10.0, float(np.quantile(np.abs(everything), 0.99))) if everything.size else 10.0
    bins = int(np.clip(2 * np.sqrt(everything.size), 12, 60))
    edges = np.linspace(-reach, reach, bins + 1)
    for number, (search, values) in enumerate(zip(files.searches, offsets, strict=True)):
        colour = theme.hues[number % len(theme.hues)]
        label = search.name
        if values.size:
            label += f"   median error {np.median(np.abs(values)):.0f} ms"
        heights = np.histogram(np.clip(values, -reach, reach), edges)[0]
        axes.stairs(heights, edges, color=colour, fill=True, alpha=0.15)
        axes.stairs(heights, edges, color=colour, linewidth=1.5, label=label)
    axes.axvline(0, color=theme.ink, linewidth=0.8)
    axes.set_xlabel("event's time minus merger at the geocentre (ms)")
    axes.set_ylabel("injections")
    axes.legend(loc="upper left")
    note(axes, "the first and last bin hold what is farther", y=0.95)
    return figure


@themed
def breakdown(files: SensitivityFiles, *, theme: Theme = LIGHT) -> Figure:
    """Draw the fraction found by chirp mass, mass ratio and distance."""
    figure = blank(9.6, 3.5)
    panels = figure.subplots(1, len(QUANTITIES), sharey=True)
    for axes, (name, label) in zip(panels, QUANTITIES, strict=True):
        for number, search in enumerate(files.searches):
            if search.reference is None:
                continue
            rows = search.reference["by"][name]
            width = min(row["to"] - row["from"] for row in rows)
            shift = 0.12 * width * (number - (len(files.searches) - 1) / 2)
            colour = theme.hues[number % len(theme.hues)]
            _bars(axes, rows, colour, MARKERS[number % len(MARKERS)], search.name, shift)
        axes.set_xlabel(label)
    panels[0].set_ylim(0, min(1.02, 1.1 * panels[0].get_ylim()[1]))
    panels[0].set_ylabel("signals found")
    panels[0].yaxis.set_major_formatter(PercentFormatter(1.0))
    panels[0].legend(loc="upper left", fontsize=7.5)
    return figure
