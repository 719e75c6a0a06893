"""Figures of a search's candidates: statistic, whitened strain and Q-transforms of each."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from scipy.signal import butter, sosfiltfilt

from ligo_cpc_snn.reports.theme import LIGHT, Theme, blank, envelope, frequency_ticks, note, themed

Arrays = dict[str, np.ndarray]

STRAIN_FROM, STRAIN_TO = -0.25, 0.1  # of the whitened strain shown, s
SHOWN_HZ = (30.0, 350.0)  # of the thick lines
SHORTEST = 100  # samples that can be band-passed


def candidate_arrays(candidates: Arrays, index: int) -> Arrays:
    """Return the arrays of one candidate of candidates.npz by their own names."""
    prefix = f"{index}_"
    return {n.removeprefix(prefix): v for n, v in candidates.items() if n.startswith(prefix)}


@themed
def candidate(
    arrays: Arrays,
    detectors: list[str],
    *,
    peak: float,
    threshold: float | None,
    q_times: np.ndarray,
    event_offset: float | None = None,
    theme: Theme = LIGHT,
) -> Figure:
    """Draw the statistic and the whitened strain around a candidate above its Q-transforms.

    Args:
        arrays: `statistic_time`, `statistic` (frame,); `whitened_time` (time,), `whitened`
            (detector, time); `q_energy` (detector, time, frequency), `q_frequencies`. Times in s
            from the candidate's. A picture without its arrays says so.
        detectors: names.
        peak: the candidate's statistic.
        threshold: of the search.
        q_times: of the Q-transforms.
        event_offset: the candidate's time minus the catalogue's, s, to mark the latter.
    """
    figure = blank(8.6, 5.3)
    halves: Any = figure.subfigures(2, 1, height_ratios=[1, 1.05])
    left, right = halves[0].subplots(1, 2, width_ratios=[1.15, 1])
    _statistic(left, arrays, peak, threshold, theme)
    _whitened(right, arrays, detectors, theme)
    panels = halves[1].subplots(1, len(detectors), squeeze=False, sharey=True)[0]
    _q_transforms(halves[1], panels, arrays, detectors, q_times)
    if event_offset is not None:
        for axes in (left, right, *panels):
            axes.axvline(-event_offset, color=theme.hues[2], linewidth=4, alpha=0.4, zorder=0.5)
    return figure


def _statistic(
    axes: Axes, arrays: Arrays, peak: float, threshold: float | None, theme: Theme
) -> None:
    axes.set_title("Ranking statistic")
    axes.set_xlabel("seconds from the candidate")
    axes.set_ylabel("statistic (logit)")
    time, values = arrays.get("statistic_time", np.zeros(0)), arrays.get("statistic", np.zeros(0))
    if not values.size:
        note(axes, "not at hand", x=0.02, y=0.5)
        return
    index, shown = envelope(values)
    axes.plot(time[index.astype(int)], shown, color=theme.hues[0], linewidth=1)
    axes.plot(0, peak, marker="v", markersize=7, color=theme.hues[1], linestyle="none")
    low, high = float(values.min()), max(float(values.max()), peak)
    if threshold is not None:
        low, high = min(low, threshold), max(high, threshold)
        axes.axhline(threshold, color=theme.hues[1], linestyle="--", linewidth=1.1)
        axes.annotate(
            "threshold", (1, threshold), xycoords=("axes fraction", "data"), ha="right",
            va="bottom", xytext=(-2, 2), textcoords="offset points", fontsize=7.5,
            color=theme.hues[1],
        )  # fmt: skip
    axes.set_xlim(time[0], time[-1])
    span = high - low or 1.0
    axes.set_ylim(low - 0.06 * span, high + 0.12 * span)
    axes.annotate(
        f"{peak:.2f}", (0, peak), xytext=(7, 0), textcoords="offset points", va="center",
        fontsize=8, fontweight="bold",
    )  # fmt: skip


def _whitened(axes: Axes, arrays: Arrays, detectors: list[str], theme: Theme) -> None:
    axes.set_title("Whitened strain")
    axes.set_xlabel("seconds from the candidate")
    time, strain = arrays.get("whitened_time", np.zeros(0)), arrays.get("whitened")
    near = (time > STRAIN_FROM) & (time < STRAIN_TO)
    if strain is None or not near.any():
        note(axes, "not at hand", x=0.02, y=0.5)
        axes.set_yticks([])
        return
    step = 2.1 * float(np.abs(strain[:, near]).max())
    smooth = _band_passed(time, strain)
    for index, (trace, inner) in enumerate(zip(strain, smooth, strict=True)):
        colour = theme.hues[index % len(theme.hues)]
        axes.plot(time[near], trace[near] - index * step, color=colour, linewidth=0.6, alpha=0.4)
        axes.plot(time[near], inner[near] - index * step, color=colour, linewidth=1.4)
    axes.set_yticks([-index * step for index in range(len(detectors))], detectors)
    axes.set_xlim(STRAIN_FROM, STRAIN_TO)
    axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))


def _band_passed(time: np.ndarray, strain: np.ndarray) -> np.ndarray:
    """Return strain in `SHOWN_HZ`, where the eye finds a chirp; as it is where too short."""
    order = butter(4, SHOWN_HZ, "bandpass", fs=1 / float(np.median(np.diff(time))), output="sos")
    return sosfiltfilt(order, strain) if time.size > SHORTEST else strain


def _q_transforms(
    figure: Any, panels: Any, arrays: Arrays, detectors: list[str], times: np.ndarray
) -> None:
    energy, frequencies = arrays.get("q_energy"), arrays.get("q_frequencies")
    # One scale for all detectors, so that the louder is seen to be louder.
    top = max(float(energy.max()), 2.0) if energy is not None else 2.0
    mesh: Any = None
    for index, (axes, name) in enumerate(zip(panels, detectors, strict=True)):
        axes.set_title(f"{name}, Q-transform")
        axes.set_xlabel("seconds from the candidate")
        axes.grid(visible=False)
        if energy is None or frequencies is None:
            note(axes, "none: within 1 s of a gap, or strain not at hand", x=0.02, y=0.5)
            axes.set_yticks([])
            continue
        mesh = axes.pcolormesh(
            times, frequencies, np.maximum(energy[index].T, 1), shading="nearest",
            norm=LogNorm(1, top), cmap="viridis", rasterized=True,
        )  # fmt: skip
        axes.set_yscale("log")
        axes.set_ylim(float(frequencies[0]), float(frequencies[-1]))
        frequency_ticks(axes.yaxis, float(frequencies[0]), float(frequencies[-1]))
        axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
        if not index:
            axes.set_ylabel("frequency (Hz)")
    if mesh is not None:
        figure.colorbar(mesh, ax=list(panels), pad=0.01, label="energy / median")
