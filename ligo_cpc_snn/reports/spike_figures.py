"""Figure of example windows: strain, latents, spikes, membranes and logits side by side."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec

from ligo_cpc_snn.reports.theme import LIGHT, Theme, blank, envelope, themed

CASES = {"loud": "Loud signal", "quiet": "Quiet signal", "noise": "Noise"}
Arrays = dict[str, np.ndarray]
_TRACES = 5  # membranes drawn


def as_frames(array: np.ndarray) -> Float[np.ndarray, "frames channels"]:
    """Return (frames, channels); a leading detector axis is laid beside the channels."""
    if array.ndim == 2:
        return array
    if array.ndim == 3:
        return np.moveaxis(array, 0, 1).reshape(array.shape[1], -1)
    raise ValueError(f"trace has shape {array.shape}: expected ([detector,] frames, channels)")


@dataclass(frozen=True)
class _Row:
    suffix: str  # of the array's name
    label: str
    height: float
    draw: Callable[[Axes, np.ndarray, Any, Theme], None]


def _strain(axes: Axes, strain: np.ndarray, time: Any, theme: Theme, *, step: float) -> None:
    """Draw detectors below each other, `step` apart; the same in all cases, to be compared."""
    for index, trace in enumerate(strain):
        at, values = envelope(trace)
        axes.plot(time(at), values - index * step, linewidth=0.6, color=theme.hues[index % 7])
    axes.set_yticks([-index * step for index in range(len(strain))])
    axes.set_ylim(-(len(strain) - 0.35) * step, 0.65 * step)


def _image(axes: Axes, latents: np.ndarray, time: Any, theme: Theme) -> None:
    frames = as_frames(latents).astype(float)
    scaled = (frames - frames.mean(0)) / (frames.std(0) + 1e-9)
    extent = (time(-0.5), time(len(scaled) - 0.5), scaled.shape[1] - 0.5, -0.5)
    axes.imshow(
        scaled.T, aspect="auto", extent=extent, cmap=theme.diverging, vmin=-3, vmax=3,
        interpolation="nearest",
    )  # fmt: skip
    axes.grid(False)


def _raster(axes: Axes, spikes: np.ndarray, time: Any, theme: Theme) -> None:
    frames = as_frames(spikes)
    frame, neuron = np.nonzero(frames)
    size = float(np.clip(260 / max(frames.shape[1], 1), 0.8, 5))
    axes.plot(
        time(frame), neuron, linestyle="none", marker="|", markersize=size,
        markeredgewidth=0.7, color=theme.ink, alpha=0.75,
    )  # fmt: skip
    axes.set_ylim(frames.shape[1] - 0.5, -0.5)
    axes.grid(False)
    axes.set_title(
        f"{np.mean(frames != 0):.1%} of {frames.shape[1]} fire per frame",
        fontsize=7.5, fontweight="normal", loc="right", pad=2,
    )  # fmt: skip


def _membranes(axes: Axes, membrane: np.ndarray, time: Any, theme: Theme) -> None:
    frames = as_frames(membrane).astype(float)
    busiest = np.sort(np.argsort(frames.std(0))[::-1][:_TRACES])
    for index, neuron in enumerate(busiest):
        trace = frames[:, neuron]
        colour = theme.hues[index % len(theme.hues)]
        axes.plot(time(np.arange(len(trace))), trace, linewidth=0.7, color=colour)


def _logits(axes: Axes, logits: np.ndarray, time: Any, theme: Theme) -> None:
    values = np.ravel(logits)
    axes.plot(time(np.arange(len(values))), values, color=theme.hues[1], linewidth=1.3)
    axes.axhline(0, color=theme.noise, linewidth=0.8, linestyle=":")


def _rows(traces: Arrays) -> list[_Row]:
    """Rows for the arrays that any case has, from strain to logit."""
    strains = [np.abs(traces[f"{case}_strain"]) for case in CASES if f"{case}_strain" in traces]
    step = max((2.3 * float(np.percentile(strain, 99.9)) for strain in strains), default=1.0)
    numbers = sorted({int(n) for key in traces for n in re.findall(r"_layer(\d+)_spikes$", key)})
    rows = [
        _Row("strain", "whitened\nstrain", 1.1, partial(_strain, step=step or 1.0)),
        _Row("latents", "latent\nfeature", 0.9, _image),
        _Row("bridge_spikes", "bridge\nchannel", 1.2, _raster),
    ]
    for position, number in enumerate(numbers):
        label = f"layer {position + 1}\nneuron"
        rows.append(_Row(f"layer{number}_spikes", label, 1.2, _raster))
    if numbers:
        label = f"layer {len(numbers)}\nmembrane"
        rows.append(_Row(f"layer{numbers[-1]}_membrane", label, 1.0, _membranes))
    rows.append(_Row("frame_logits", "frame\nlogit", 1.0, _logits))
    return [row for row in rows if any(f"{case}_{row.suffix}" in traces for case in CASES)]


def cases(traces: Arrays) -> list[str]:
    """Return the example windows that the traces hold."""
    return [case for case in CASES if any(key.startswith(f"{case}_") for key in traces)]


def _title(case: str, traces: Arrays) -> str:
    snr = traces.get(f"{case}_snr")
    return CASES[case] + (f", SNR {float(snr):.3g}" if snr is not None and case != "noise" else "")


@themed
def example_windows(
    traces: Arrays, detectors: list[str] | None = None, *, theme: Theme = LIGHT
) -> Figure:
    """Draw a loud signal, a quiet signal and noise on their way through the network.

    Args:
        traces: arrays of traces.npz, named `<case>_<what>`, with `sample_rate_hz`,
            `frame_rate_hz`, and optionally `<case>_snr`, `<case>_merger_seconds` (from the
            window's start).
        detectors: names of the strain's rows.
    """
    rows, columns = _rows(traces), cases(traces)
    if not rows or not columns:
        raise ValueError(f"traces hold {sorted(traces)}: expected arrays named loud_strain, ...")
    figure = blank(3.6 * len(columns) + 0.6, sum(row.height for row in rows) * 1.25 + 0.7)
    grid = GridSpec(len(rows), len(columns), figure, height_ratios=[row.height for row in rows])
    for number, row in enumerate(rows):
        first: Axes | None = None
        for column, case in enumerate(columns):
            axes = figure.add_subplot(grid[number, column], sharey=first)
            first = first or axes
            _fill(axes, row, case, traces, theme)
            _decorate(axes, row, left=column == 0, bottom=number == len(rows) - 1)
            if number == 0:
                axes.set_title(_title(case, traces))
        if row.suffix == "strain" and first is not None:
            _name_detectors(first, detectors)
    return figure


def _fill(axes: Axes, row: _Row, case: str, traces: Arrays, theme: Theme) -> None:
    array = traces.get(f"{case}_{row.suffix}")
    rate = float(traces["sample_rate_hz" if row.suffix == "strain" else "frame_rate_hz"])
    seconds = _window_seconds(traces, case)
    if array is None:
        axes.text(0.5, 0.5, "not saved", ha="center", transform=axes.transAxes, alpha=0.7)
        return
    row.draw(axes, array, lambda index: (np.asarray(index, float) + 0.5) / rate, theme)
    axes.set_xlim(0, seconds)
    merger = traces.get(f"{case}_merger_seconds")
    if merger is not None and case != "noise" and np.isfinite(merger):
        axes.axvline(float(merger), color=theme.hues[2], linewidth=1, linestyle="--", alpha=0.9)


def _window_seconds(traces: Arrays, case: str) -> float:
    strain, logits = traces.get(f"{case}_strain"), traces.get(f"{case}_frame_logits")
    if strain is not None:
        return strain.shape[-1] / float(traces["sample_rate_hz"])
    return 1.0 if logits is None else np.size(logits) / float(traces["frame_rate_hz"])


def _decorate(axes: Axes, row: _Row, *, left: bool, bottom: bool) -> None:
    axes.tick_params(labelleft=left, labelbottom=bottom, labelsize=7.5)
    if left:
        axes.set_ylabel(row.label, fontsize=8.5)
    if bottom:
        axes.set_xlabel("time in the window (s)", fontsize=8.5)


def _name_detectors(axes: Axes, detectors: list[str] | None) -> None:
    ticks = axes.get_yticks()
    known = detectors is not None and len(detectors) == len(ticks)
    names = detectors if known else [f"{index + 1}" for index in range(len(ticks))]
    axes.set_yticks(ticks, names)
