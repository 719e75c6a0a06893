"""Figures of detection: ROC, efficiency against SNR, distributions of the statistic."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from ligo_cpc_snn.reports.theme import LIGHT, Theme, blank, themed


def fraction_above(
    scores: Float[np.ndarray, " n"], thresholds: Float[np.ndarray, " m"]
) -> Float[np.ndarray, " m"]:
    """Return the fraction of scores above each threshold."""
    ordered = np.sort(scores)
    return 1 - np.searchsorted(ordered, thresholds, side="right") / ordered.size


def area_text(area: float) -> str:
    """Return an AUC to four places that reads 1 only where no pair is ordered wrongly."""
    return f"{area:.4f}" if area == 1 or area < 0.99995 else ">0.9999"


@themed
def roc_curves(
    noise_scores: Float[np.ndarray, " n"],
    signal_scores: Float[np.ndarray, "snr m"],
    snrs: Sequence[float],
    areas: Sequence[dict[str, float]] = (),
    *,
    theme: Theme = LIGHT,
) -> Figure:
    """Draw one ROC per SNR, false positives on a logarithmic axis.

    Args:
        noise_scores: (n,) scores of noise windows.
        signal_scores: (snr, m) scores of signal windows.
        snrs: network SNR of each row.
        areas: AUC of each row as `value`, `low`, `high`, for the legend.
    """
    figure = blank(7.6, 4.4)
    axes = figure.subplots()
    count = len(noise_scores)
    thresholds = np.unique(noise_scores)[::-1]
    false = fraction_above(noise_scores, thresholds)
    keep = false > 0
    grid = np.geomspace(1 / count, 1, 200)
    axes.plot(grid, grid, color=theme.noise, linestyle=":", linewidth=1.2, label="chance")
    for index, colour in enumerate(theme.ramp_colours(len(snrs))):
        found = fraction_above(signal_scores[index], thresholds)
        area = f"  {area_text(areas[index]['value']):>7}" if index < len(areas) else ""
        label = f"{snrs[index]:>4g}{area}"
        # "post": what a rate allows is what the last threshold within it finds.
        points = np.append(false[keep], 1), np.append(found[keep], 1)
        axes.step(*points, where="post", color=colour, label=label)
    unresolved = 10 / count
    axes.axvspan(1 / count, unresolved, color=theme.noise, alpha=0.18, linewidth=0)
    axes.set(xscale="log", xlim=(1 / count, 1), ylim=(-0.01, 1.01))
    axes.set_xlabel("false-positive rate per window")
    axes.set_ylabel("true-positive rate")
    axes.text(
        np.sqrt(unresolved / count), 0.015, "under 10\nnoise windows",
        ha="center", va="bottom", fontsize=7.5, alpha=0.85,
    )  # fmt: skip
    title = " SNR      AUC" if len(areas) else " SNR"
    _ordered_legend(figure, axes, title)
    return figure


def _ordered_legend(figure: Figure, axes: Any, title: str) -> None:
    """Put the legend beside the panel, loudest first as the curves lie."""
    handles, labels = axes.get_legend_handles_labels()
    legend = figure.legend(
        handles[::-1], labels[::-1], loc="outside right center", title=title,
        prop={"family": "DejaVu Sans Mono", "size": 8.5}, alignment="left",
    )  # fmt: skip
    legend.get_title().set_fontfamily("DejaVu Sans Mono")
    legend.get_title().set_fontsize(8.5)


@themed
def efficiency_curves(
    snrs: Sequence[float], curves: Sequence[dict[str, Any]], *, theme: Theme = LIGHT
) -> Figure:
    """Draw the fraction of signals found against SNR, one curve per false-positive rate.

    Args:
        snrs: network SNRs.
        curves: `efficiency` of metrics.json: `threshold`, `rates` with intervals, `snr_50`.
    """
    figure = blank(7.6, 4.2)
    axes = figure.subplots()
    markers = "osD^vP"
    axes.axhline(0.5, color=theme.noise, linestyle=":", linewidth=1.2)
    for index, curve in enumerate(curves):
        value, low, high = (
            np.array([rate[key] for rate in curve["rates"]]) for key in ("value", "low", "high")
        )
        colour = theme.hues[index % len(theme.hues)]
        half = curve["snr_50"]
        label = f"{curve['threshold']['nominal_rate']:g}"
        label += f"   (half at SNR {half:.1f})" if half is not None else "   (half: not reached)"
        axes.fill_between(snrs, low, high, color=colour, alpha=0.22, linewidth=0)
        axes.plot(snrs, value, color=colour, marker=markers[index % 6], markersize=5, label=label)
        if half is not None:
            axes.plot([half, half], [0, 0.5], color=colour, linestyle=":", linewidth=1)
    margin = 0.02 * (max(snrs) - min(snrs)) or 0.5
    axes.set(ylim=(0, 1.02), xlim=(min(snrs) - margin, max(snrs) + margin))
    axes.set_xlabel("optimal network SNR")
    axes.set_ylabel("signals found")
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.legend(
        title="false-positive rate per window", title_fontsize=8.5, loc="lower right",
        alignment="left", bbox_to_anchor=(0.99, 0.03),
    )  # fmt: skip
    return figure


def _edges(arrays: Sequence[np.ndarray], bins: int = 70) -> Float[np.ndarray, " edges"]:
    joined = np.concatenate([np.ravel(array) for array in arrays])
    low, high = joined.min(), joined.max()
    pad = 0.02 * (high - low) or 0.5
    return np.linspace(low - pad, high + pad, bins + 1)


@themed
def score_histograms(
    noise_scores: Float[np.ndarray, " n"],
    signal_scores: Float[np.ndarray, "snr m"],
    snrs: Sequence[float],
    thresholds: Sequence[dict[str, Any]] = (),
    *,
    theme: Theme = LIGHT,
) -> Figure:
    """Draw the distribution of the statistic for noise and for signals of each SNR.

    Args:
        noise_scores: (n,) scores of noise windows.
        signal_scores: (snr, m) scores of signal windows.
        snrs: network SNR of each row.
        thresholds: `value` and `nominal_rate` of the thresholds to mark.
    """
    figure = blank(7.6, 4.2)
    axes = figure.subplots()
    edges = _edges([noise_scores, signal_scores])
    width = edges[1] - edges[0]

    def density(scores: np.ndarray) -> np.ndarray:
        heights = np.histogram(scores, edges)[0] / (scores.size * width)
        return np.where(heights > 0, heights, np.nan)

    floor = 0.5 / (max(noise_scores.size, signal_scores.shape[1]) * width)
    heights = np.nan_to_num(density(noise_scores), nan=floor)
    axes.stairs(heights, edges, baseline=floor, fill=True, color=theme.noise, alpha=0.5)
    axes.stairs(heights, edges, baseline=floor, color=theme.ink, linewidth=1, label="noise")
    for row, snr, colour in zip(signal_scores, snrs, theme.ramp_colours(len(snrs)), strict=True):
        heights = np.nan_to_num(density(row), nan=floor)
        axes.stairs(heights, edges, baseline=floor, color=colour, linewidth=1.4, label=f"{snr:>4g}")
    axes.set(yscale="log", xlim=(edges[0], edges[-1]))
    axes.set_ylim(bottom=floor)
    for threshold in thresholds:
        axes.axvline(threshold["value"], color=theme.ink, linestyle="--", linewidth=0.9)
        axes.annotate(
            f"FPR {threshold['nominal_rate']:g}", (threshold["value"], 1.015),
            xycoords=("data", "axes fraction"), fontsize=7.5, va="bottom", ha="center", rotation=90,
        )  # fmt: skip
    axes.set_xlabel("ranking statistic of the window (logit)")
    axes.set_ylabel("probability density")
    _ordered_legend(figure, axes, " SNR")
    return figure
