"""Figures over training steps: losses, progress, spikes, resources."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from ligo_cpc_snn.reports.history import History
from ligo_cpc_snn.reports.panels import RATES, Panel, loss_names, readable
from ligo_cpc_snn.reports.theme import LIGHT, Theme, blank, themed


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]


def _shade_phases(axes: Axes, history: History, theme: Theme) -> None:
    phases = history.phases()
    character = 0.075 / _inches(axes) * max(phases[-1][2], 1) if phases else 0.0  # width in steps
    free_from = -np.inf
    for index, (phase, first, last) in enumerate(phases):
        if index % 2:
            axes.axvspan(first, last, color=theme.noise, alpha=0.12, linewidth=0)
        half = len(phase) * character / 2
        if (first + last) / 2 - half >= free_from:  # a name that would overlap is left out
            free_from = (first + last) / 2 + half
            axes.annotate(
                phase, ((first + last) / 2, 1.0), xycoords=("data", "axes fraction"),
                ha="center", va="bottom", fontsize=7.5, alpha=0.8, annotation_clip=False,
            )  # fmt: skip
    if phases:
        axes.set_xlim(0, max(phases[-1][2], 1))


def _inches(axes: Axes) -> float:
    """Return about how wide a panel is."""
    place = axes.get_subplotspec()
    columns = place.get_gridspec().ncols if place else 1
    return 0.85 * float(axes.figure.get_figure(root=True).get_size_inches()[0]) / columns


def running_mean(values: np.ndarray, points: int) -> np.ndarray:
    """Return the mean of `points` neighbours, shorter at the ends."""
    kernel = np.ones(points)
    return np.convolve(values, kernel, "same") / np.convolve(np.ones_like(values), kernel, "same")


def phase_parts(steps: np.ndarray, history: History) -> list[np.ndarray]:
    """Return the indices of each phase's points: a curve does not run on into another phase."""
    ends = [last for _, _, last in history.phases()][:-1]
    cuts = np.searchsorted(steps, ends, side="right")
    return [part for part in np.split(np.arange(len(steps)), cuts) if len(part)]


def _draw(
    axes: Axes, history: History, name: str, theme: Theme, *,
    hue: int = 0, validation_hue: int = 0, prefix: str = "", smooth: bool = True,
) -> list[float]:  # fmt: skip
    """Draw training and validation of one number; return all its values."""
    steps, values = history.series(name, "train")
    colour = theme.hues[hue % len(theme.hues)]
    for number, part in enumerate(phase_parts(steps, history)):
        label = (prefix or "training") if number == 0 else None
        _draw_train(axes, steps[part], values[part], colour, label, smooth)
    val_steps, val_values = history.series(name, "validation")
    colour = theme.hues[validation_hue % len(theme.hues)]
    for number, part in enumerate(phase_parts(val_steps, history)):
        label = f"{prefix}{', ' if prefix else ''}validation" if number == 0 else None
        axes.plot(
            val_steps[part], val_values[part], color=colour, marker="o", markersize=4,
            linestyle="--", linewidth=1.1, label=label,
        )  # fmt: skip
    return [*values, *val_values]


def _draw_train(
    axes: Axes, steps: np.ndarray, values: np.ndarray, colour: str, label: str | None, smooth: bool
) -> None:
    points = 2 * (len(values) // 50) + 1  # odd, so that the mean is centred
    if smooth and points > 1:
        axes.plot(steps, values, color=colour, linewidth=0.7, alpha=0.35)
        values = running_mean(values, points)
    marker = "." if len(values) < 4 else None
    axes.plot(steps, values, color=colour, linewidth=1.5, label=label, marker=marker)


def spans_decades(values: Sequence[float]) -> bool:
    """Whether values ask for a logarithmic axis: none negative, and over a factor of 20 apart.

    Zeros are left out: a frozen part of the network has a gradient of zero all the time.
    """
    known = np.asarray(values)
    positive = known[known > 0]
    return positive.size > 0 and known.min() >= 0 and positive.max() > 20 * positive.min()


def _draw_panel(axes: Axes, panel: Panel, history: History, theme: Theme) -> None:
    names = panel.names(history)
    drawn: list[float] = []
    for index, name in enumerate(names):
        prefix = readable(name) if len(names) > 1 else ""
        second = index if len(names) > 1 else 1
        drawn += _draw(
            axes, history, name, theme,
            hue=index, validation_hue=second, prefix=prefix, smooth=panel.smooth,
        )  # fmt: skip
    if panel.limits:
        axes.set_ylim(*panel.limits)
    elif panel.log and spans_decades(drawn):
        axes.set_yscale("log")
    else:
        axes.set_ylim(bottom=min(0.0, *drawn), top=None)
    axes.set_ylabel(panel.label)
    _finish(axes, legend=len(_labels(axes)) > 1)
    axes.set_title(panel.title, pad=16)


def _labels(axes: Axes) -> list[str]:
    return list(axes.get_legend_handles_labels()[1])


def _finish(axes: Axes, *, legend: bool) -> None:
    axes.set_xlabel("step (updates applied)")
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    if legend:
        axes.legend(loc="best", fontsize=7.5)


@themed
def losses(history: History, *, theme: Theme = LIGHT) -> Figure:
    """Draw each loss against the step, training and validation, phases shaded."""
    names = loss_names(history)
    columns = len(names) if len(names) <= 3 else 2
    rows = -(-len(names) // columns)
    figure = blank((6.4, 8.6, 10.2)[columns - 1], 2.9 * rows)
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in grid[len(names) :]:
        axes.set_axis_off()
    for axes, name in zip(grid, names, strict=False):
        title = "Loss" if name == "loss" else f"{_capital(readable(name))} loss"
        _draw_loss(axes, name, history, theme)
        _shade_phases(axes, history, theme)
        axes.set_title(title, pad=16)
    return figure


def _draw_loss(axes: Axes, name: str, history: History, theme: Theme) -> None:
    if spans_decades(_draw(axes, history, name, theme, validation_hue=1)):
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_ylabel("loss (nats)")
    _finish(axes, legend=True)


@themed
def curves(history: History, panels: Sequence[Panel], *, theme: Theme = LIGHT) -> Figure:
    """Draw panels of logged numbers against the step, side by side, phases shaded."""
    figure = blank(8.6 if len(panels) > 1 else 6.4, 3.0)
    for axes, panel in zip(
        figure.subplots(1, len(panels), squeeze=False).ravel(), panels, strict=True
    ):
        _draw_panel(axes, panel, history, theme)
        _shade_phases(axes, history, theme)
    return figure


@themed
def spike_rates(
    history: History, silent_below: float, saturated_above: float, *, theme: Theme = LIGHT
) -> Figure:
    """Draw spike rates against the step, with the silent and saturated regions hatched.

    Args:
        history: logged values.
        silent_below: spikes per neuron and frame under which a layer is silent.
        saturated_above: the same, over which it is saturated.
    """
    figure = blank(6.8, 3.4)
    axes = figure.subplots()
    _draw_panel(axes, RATES, history, theme)
    _shade_phases(axes, history, theme)
    rates = [
        value
        for name in RATES.names(history)
        for split in ("train", "validation")
        for value in history.series(name, split)[1]
    ]
    lowest = min([silent_below, *(rate for rate in rates if rate > 0)])
    axes.set(yscale="log", ylim=(lowest / 3, 1.0))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    style: dict[str, Any] = {"color": theme.hues[1], "alpha": 0.13, "linewidth": 0}
    axes.axhspan(lowest / 3, silent_below, **style)
    axes.axhspan(saturated_above, 1.0, **style)
    left = axes.get_xlim()[1] * 0.01
    axes.text(left, silent_below * 0.93, "silent", va="top", fontsize=8, alpha=0.85)
    axes.text(left, saturated_above * 1.05, "saturated", va="bottom", fontsize=8, alpha=0.85)
    return figure
