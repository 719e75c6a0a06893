"""The stretches of noise that were judged bad, and how the thresholds were found."""

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ligo_cpc_snn.reports.theme import LIGHT, Theme, blank, note, themed

Arrays = dict[str, np.ndarray]

TRAINING = "training"  # the only set that bad stretches are cut from


@themed
def rejected_stretches(data: Arrays, *, cut: bool = True, theme: Theme = LIGHT) -> Figure:
    """Draw what each stretch was judged by against time, and how the threshold was found.

    A row for each detector: on the left the largest of its scores, each over its threshold,
    so that one line separates the good from the bad. What was cut is filled, what is bad and was
    kept is hollow.

    Args:
        data: `quality_*` arrays: `gps`, `detector` (number), `set` (number), `peak_to_peak`,
            `reason` (stretch,), `band_power` (stretch, band); `threshold_peak_to_peak` (detector,),
            `threshold_band_power` (detector, band), `candidates` and `errors` (detector, score,
            candidate); `detectors`, `sets`, `reasons`, names, the first reason that of good ones.
        cut: Whether bad stretches were cut from the training noise; from other sets none are.
    """
    names = [str(name) for name in data["quality_detectors"]]
    figure = blank(8.6, 2.6 * len(names) + 0.3)
    grid = figure.subplots(len(names), 2, squeeze=False, width_ratios=[1.7, 1])
    for number, (name, (left, right)) in enumerate(zip(names, grid, strict=True)):
        _scores(left, data, number, theme, cut)
        left.set_title(f"{name}: {shares(data, number, cut)}")
        _validation_curves(right, data, number, theme)
        left.set_xlabel("stretch, in order of time")
        right.set_xlabel("threshold tried (× median)")
    _legend_of_reasons(figure, data)
    return figure


def relative_scores(data: Arrays, number: int) -> Float[np.ndarray, " n"]:
    """Return the largest score over its threshold of each stretch of a detector, by time."""
    rows = _rows(data, number)
    scores = np.column_stack([data["quality_peak_to_peak"], data["quality_band_power"]])[rows]
    limits = [
        data["quality_threshold_peak_to_peak"][number],
        *data["quality_threshold_band_power"][number],
    ]
    return (scores / np.array(limits)).max(axis=1)


def shares(data: Arrays, number: int, cut: bool) -> str:
    """Say how much of a detector's noise was cut, and how much was judged bad and kept."""
    rows = data["quality_detector"] == number
    found = {}
    for index, name in enumerate(data["quality_sets"]):
        bad = data["quality_reason"][rows & (data["quality_set"] == index)] > 0
        if bad.size:
            found[str(name)] = int(bad.sum()), bad.size
    first = "none cut"
    if cut and TRAINING in found:
        bad, of = found.pop(TRAINING)
        first = f"{bad} of {of} training stretches cut ({100 * bad / of:.1f} %)"
    kept = ", ".join(f"{bad} of {of} of {name}" for name, (bad, of) in found.items())
    return f"{first}\njudged bad, but kept: {kept}" if kept else first


def _rows(data: Arrays, number: int) -> np.ndarray:
    own = np.flatnonzero(data["quality_detector"] == number)
    return own[np.argsort(data["quality_gps"][own], kind="stable")]


def _scores(axes: Axes, data: Arrays, number: int, theme: Theme, cut: bool) -> None:
    rows = _rows(data, number)
    relative, reason = relative_scores(data, number), data["quality_reason"][rows]
    gone = cut & (data["quality_sets"][data["quality_set"][rows]] == TRAINING)
    place, markers = np.arange(relative.size), "o^vsDP*X"
    good = reason == 0
    axes.plot(place[good], relative[good], ".", color=theme.noise, markersize=3)
    for index, label in enumerate(data["quality_reasons"][1:], start=1):
        for chosen, fill in (
            ((reason == index) & ~gone, "none"),
            ((reason == index) & gone, "full"),
        ):
            if chosen.any():
                axes.plot(
                    place[chosen], relative[chosen], markers[(index - 1) % 8], markersize=5,
                    color=theme.hues[index % len(theme.hues)], label=str(label),
                    fillstyle=fill, linestyle="none",
                )  # fmt: skip
    axes.axhline(1, color=theme.ink, linestyle="--", linewidth=1)
    axes.set_yscale("log")
    axes.set_ylabel("worst score / threshold")


def _validation_curves(axes: Axes, data: Arrays, number: int, theme: Theme) -> None:
    labels = [str(reason) for reason in data["quality_reasons"][1:]]
    chosen = [
        data["quality_threshold_peak_to_peak"][number],
        *data["quality_threshold_band_power"][number],
    ]
    for index, (label, limit) in enumerate(zip(labels, chosen, strict=True), start=1):
        tried = data["quality_candidates"][number, index - 1]
        errors = data["quality_errors"][number, index - 1]
        if not np.isfinite(errors).any():
            continue
        colour = theme.hues[index % len(theme.hues)]
        axes.plot(tried, errors, color=colour, linewidth=1.2, label=label)
        if np.isfinite(limit):
            nearest = int(np.argmin(np.abs(tried - limit)))
            axes.plot(tried[nearest], errors[nearest], "o", color=colour, markersize=5)
    axes.set(xscale="log", yscale="log")
    axes.set_ylabel("cross-validated error")
    if not axes.lines:
        note(axes, "too little noise to learn from", x=0.02, y=0.5)


def _legend_of_reasons(figure: Figure, data: Arrays) -> None:
    """Put one legend of the reasons beneath; colours are those of both columns."""
    handles = {
        label: handle
        for row in figure.get_axes()
        for handle, label in zip(*row.get_legend_handles_labels(), strict=True)
    }
    order = [str(label) for label in data["quality_reasons"][1:] if str(label) in handles]
    if order:
        figure.legend(
            [handles[label] for label in order], order, loc="outside lower center",
            ncols=len(order), title="score", title_fontsize=8.5,
        )  # fmt: skip
