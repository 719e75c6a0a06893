"""Figures of the data: spectral densities and the population."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ligo_cpc_snn.reports.theme import LIGHT, Theme, blank, frequency_ticks, themed

Arrays = dict[str, np.ndarray]

PREFIX = "population_"
LABELS = {
    "mass_1": "heavier mass (M☉)",
    "mass_2": "lighter mass (M☉)",
    "chirp_mass": "chirp mass (M☉)",
    "mass_ratio": "mass ratio",
    "chi_eff": "effective spin",
    "chi_p": "precessing spin",
    "frequency_hz": "frequency (Hz)",
    "quality": "quality Q",
    "distance": "distance (Mpc)",
    "redshift": "redshift",
    "network_snr": "network SNR",
}
SCATTERS = (("mass_1", "mass_2"), ("frequency_hz", "quality"), ("distance", "network_snr"))
WIDE = 30.0  # ratio of the 99th to the 1st percentile from which an axis is logarithmic


@themed
def spectral_densities(data: Arrays, *, theme: Theme = LIGHT) -> Figure:
    """Draw the densities that the noise was whitened with, a panel for each detector.

    Args:
        data: `psd_frequencies` (frequency,) Hz, `psd_asd` (number, detector, frequency) in
            strain/sqrt(Hz), `psd_detectors` (detector,).
    """
    f, asd = data["psd_frequencies"], data["psd_asd"]
    names = [str(name) for name in data["psd_detectors"]]
    lowest, highest = np.percentile(asd, [0.1, 99.9])  # a notch in one curve is no matter
    figure = blank(8.6, 3.5)
    panels = figure.subplots(1, len(names), squeeze=False, sharey=True).ravel()
    for index, (axes, name) in enumerate(zip(panels, names, strict=True)):
        curves, colour = asd[:, index], theme.hues[index % len(theme.hues)]
        if len(curves) > 1:
            low, high = np.percentile(curves, [5, 95], axis=0)
            faint = min(0.35, 5 / len(curves))  # many curves must not become a wall
            axes.plot(f, curves.T, color=theme.ink, linewidth=0.4, alpha=faint)
            axes.fill_between(
                f, low, high, color=colour, alpha=0.35, linewidth=0, zorder=2, label="5 to 95 %"
            )
        axes.plot(f, np.median(curves, axis=0), color=colour, linewidth=1.4, label="median")
        limits = float(f[f > 0].min()), float(f.max())
        axes.set(xscale="log", yscale="log", xlim=limits, ylim=(lowest / 2, highest * 2))
        frequency_ticks(axes.xaxis, *limits)
        axes.set_xlabel("frequency (Hz)")
        axes.set_ylabel("strain / √Hz")
        axes.set_title(f"{name}: {len(curves)} curve{'s' * (len(curves) > 1)}")
        if len(curves) > 1:
            axes.legend(loc="upper right")
    return figure


def shown_parameters(data: Arrays) -> Arrays:
    """Return the parameters that vary, by name, in the order of `LABELS`."""
    found = {name: np.ravel(data[PREFIX + name]) for name in LABELS if PREFIX + name in data}
    return {name: v for name, v in found.items() if np.unique(v[np.isfinite(v)]).size > 1}


@themed
def population(data: Arrays, *, theme: Theme = LIGHT) -> Figure:
    """Draw the sources: two scatter plots above, a histogram of each parameter below.

    Args:
        data: `population_<name>` (n,) for the names of `LABELS`.
    """
    shown = shown_parameters(data)
    pairs = [pair for pair in SCATTERS if all(name in shown for name in pair)]
    columns = 4 if len(shown) > 3 else max(len(shown), 1)
    rows = -(-len(shown) // columns)
    figure = blank(8.6, (3.3 if pairs else 0) + 1.75 * rows)
    ratios = [3.3, 1.75 * rows] if pairs else [1.0]
    parts: Any = figure.subfigures(len(ratios), 1, height_ratios=ratios, squeeze=False)
    if pairs:
        upper = parts[0, 0].subplots(1, len(pairs), squeeze=False)[0]
        for axes, (x, y) in zip(upper, pairs, strict=True):
            _scatter(axes, shown[x], shown[y], LABELS[x], LABELS[y], theme)
    grid = parts[-1, 0].subplots(rows, columns, squeeze=False).ravel()
    for axes in grid[len(shown) :]:
        axes.set_axis_off()
    for number, (axes, (name, values)) in enumerate(zip(grid, shown.items(), strict=False)):
        _histogram(axes, values, LABELS[name], theme)
        if number % columns:
            axes.set_ylabel(" ")
    return figure


def _scatter(
    axes: Axes, x: np.ndarray, y: np.ndarray, x_label: str, y_label: str, theme: Theme
) -> None:
    axes.scatter(x, y, s=5, color=theme.hues[0], alpha=0.35, linewidth=0)
    for values, scale in ((x, axes.set_xscale), (y, axes.set_yscale)):
        if _wide(values):
            scale("log")
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)


def _histogram(axes: Axes, values: np.ndarray, label: str, theme: Theme) -> None:
    values = values[np.isfinite(values)]
    wide = _wide(values)
    bins: Any = np.geomspace(values.min(), values.max(), 33) if wide else 32
    axes.hist(values, bins, color=theme.hues[0], alpha=0.8, linewidth=0)
    if wide:
        axes.set_xscale("log")
    axes.set_xlabel(label)
    axes.set_ylabel("sources")


def _wide(values: np.ndarray) -> bool:
    values = values[np.isfinite(values)]
    if values.min() <= 0:
        return False
    low, high = np.percentile(values, [1, 99])
    return bool(high > WIDE * low)
