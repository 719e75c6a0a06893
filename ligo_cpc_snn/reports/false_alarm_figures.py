"""Figures of a search's false alarms: inverse rates, and the statistic of noise and triggers."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.stats import chi2, poisson

from ligo_cpc_snn.reports.theme import LIGHT, Theme, blank, note, themed
from ligo_cpc_snn.reports.words import YEAR

BANDS = (0.997, 0.954, 0.683)  # probability within, widest first
UNITS = ((YEAR, "years"), (86400.0, "days"), (3600.0, "hours"), (60.0, "minutes"))


@themed
def inverse_far(
    ifar_years: np.ndarray,
    extrapolated: np.ndarray,
    loudest: np.ndarray,
    names: list[str],
    *,
    searched_seconds: float,
    background_seconds: float,
    theme: Theme = LIGHT,
) -> Figure:
    """Draw how many triggers have at least an inverse false-alarm rate, and how many noise makes.

    Args:
        ifar_years: (trigger,) of all triggers, finite.
        extrapolated: (trigger,) whether the rate lies beyond what the background resolves.
        loudest: (trigger,) whether none of the background is as loud, so the rate is a bound.
        names: of the catalogue's events among them, otherwise empty.
        searched_seconds, background_seconds: live times, s.
    """
    size, unit = time_unit(background_seconds)
    ifar = ifar_years * YEAR / size
    order = np.argsort(ifar)
    ifar, extrapolated, loudest = ifar[order], extrapolated[order], loudest[order]
    names = [names[i] for i in order]
    above = np.arange(ifar.size, 0, -1)
    resolved, searched = background_seconds / size, searched_seconds / size
    low = min(0.5 * float(ifar.min()), 0.2 * searched)
    high = 4 * max(float(ifar.max()), resolved, searched)
    figure = blank(8.2, 4.4)
    axes = figure.subplots()
    grid = np.geomspace(low, high, 400)
    mean = searched / grid
    for band, alpha in zip(BANDS, (0.16, 0.2, 0.26), strict=True):
        lower, upper = poisson.interval(band, mean)
        axes.fill_between(
            grid, np.maximum(lower, 1e-3), np.maximum(upper, 1e-3), color=theme.noise, alpha=alpha,
            linewidth=0, step="mid", label=f"noise, {100 * band:.1f} %",
        )  # fmt: skip
    axes.plot(grid, mean, color=theme.ink, linestyle="--", linewidth=1.1, label="noise, expected")
    axes.step(ifar, above, where="pre", color=theme.hues[0], linewidth=1, alpha=0.7)
    bound = loudest & ~extrapolated
    for chosen, marker, label in (
        (~bound & ~extrapolated, "o", "triggers"),
        (bound, ">", "triggers, at least"),
        (extrapolated, "D", "triggers, extrapolated"),
    ):
        if chosen.any():
            axes.plot(
                ifar[chosen], above[chosen], marker, color=theme.hues[0], linestyle="none",
                markersize=7 if marker == ">" else 5, label=label,
                fillstyle="none" if marker == "D" else "full",
            )  # fmt: skip
    _resolution(axes, resolved, high, theme)
    _events(axes, ifar, above, names, theme)
    axes.set(xscale="log", yscale="log", xlim=(low, high), ylim=(0.3, max(3 * above[0], 12)))
    axes.set_xlabel(f"inverse false-alarm rate ({unit})")
    axes.set_ylabel("triggers with at least that")
    axes.legend(loc="lower left", fontsize=7.5)
    return figure


def time_unit(seconds: float) -> tuple[float, str]:
    """Return the largest unit of time, in s, that a time has one of, and its name."""
    return next((u for u in UNITS if seconds >= u[0]), UNITS[-1])


def _resolution(axes: Axes, resolved: float, high: float, theme: Theme) -> None:
    axes.axvspan(resolved, high, color=theme.hues[1], alpha=0.1, linewidth=0)
    axes.axvline(resolved, color=theme.hues[1], linewidth=1.1, linestyle=":")
    axes.annotate(
        "beyond the\nbackground time", (resolved, 0.02), xycoords=("data", "axes fraction"),
        xytext=(4, 2), textcoords="offset points", fontsize=7.5, color=theme.hues[1],
    )  # fmt: skip


def _events(
    axes: Axes, ifar: np.ndarray, above: np.ndarray, names: list[str], theme: Theme
) -> None:
    """Name the catalogue's events, one above the other where they have the same rate."""
    named = [i for i, name in enumerate(names) if name]
    for i in named:
        axes.annotate(
            names[i], (ifar[i], above[i]), xytext=(-7, 3), textcoords="offset points",
            ha="right", va="bottom", fontsize=8, color=theme.hues[2], fontweight="bold",
            bbox={"facecolor": theme.paper, "edgecolor": "none", "alpha": 0.8, "pad": 0.8},
        )  # fmt: skip


@themed
def statistics(
    foreground: np.ndarray,
    background: np.ndarray,
    names: list[str],
    *,
    scale: float,
    searched: str,
    theme: Theme = LIGHT,
) -> Figure:
    """Draw the statistic of the triggers over what the background makes in the same time.

    Args:
        foreground: (trigger,) statistic.
        background: (n,) statistic of the time slides' triggers, perhaps none.
        names: of the catalogue's events among the triggers, otherwise empty.
        scale: time searched over background live time.
        searched: the time searched, in words.
    """
    figure = blank(8.2, 3.9)
    axes = figure.subplots()
    everything = np.concatenate([foreground, background])
    if not everything.size:
        note(axes, "no trigger, neither in the time searched nor in its background", x=0.02, y=0.5)
        return figure
    low, high = float(everything.min()), float(everything.max())
    pad = 0.03 * (high - low) or 0.5
    edges = np.linspace(low - pad, high + 2 * pad, 56)
    floor = 0.6
    if background.size:
        expected = np.histogram(background, edges)[0] * scale
        floor = min(floor, 0.6 * scale)
        style: dict[str, Any] = {"baseline": floor, "color": theme.noise}
        axes.stairs(expected, edges, fill=True, alpha=0.5, **style)
        label = f"time slides ({background.size:,}), scaled to {searched}"
        axes.stairs(expected, edges, linewidth=1.2, label=label, **style)
    if foreground.size:
        counts = np.histogram(foreground, edges)[0]
        middle, some = (edges[1:] + edges[:-1]) / 2, counts > 0
        axes.errorbar(
            middle[some], counts[some], yerr=_poisson_errors(counts[some]),
            fmt="o", color=theme.hues[0], markersize=4.5, linewidth=1,
            label=f"triggers ({foreground.size:,})",
        )  # fmt: skip
        _names(axes, foreground, names, theme)
    top = max(axes.get_ylim()[1], 10.0)
    axes.set(yscale="log", xlim=(edges[0], edges[-1]), ylim=(floor, 4 * top))
    axes.set_xlabel("ranking statistic (logit)")
    axes.set_ylabel("triggers per bin")
    figure.legend(loc="outside upper left", ncols=2, fontsize=8)
    return figure


def _poisson_errors(counts: np.ndarray) -> np.ndarray:
    """Return the distances to the ends of Garwood's (1936) 68 % interval of counts above 0."""
    tail = 0.5 * (1 - 0.683)
    low, high = chi2.ppf(tail, 2 * counts) / 2, chi2.ppf(1 - tail, 2 * counts + 2) / 2
    return np.stack([counts - low, high - counts])


def _names(axes: Axes, foreground: np.ndarray, names: list[str], theme: Theme) -> None:
    for value, name in zip(foreground, names, strict=True):
        if name:
            axes.axvline(value, color=theme.hues[2], linewidth=4, alpha=0.35, zorder=0.5)
            axes.annotate(
                name, (value, 0.98), xycoords=("data", "axes fraction"), rotation=90, ha="right",
                va="top", xytext=(-3, 0), textcoords="offset points", fontsize=7.5,
                color=theme.hues[2], fontweight="bold",
            )  # fmt: skip
