"""Figures of transients: simulated glitches, those found in noise, an event's Q-transform."""

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.mlab import specgram
from matplotlib.ticker import MaxNLocator

from ligo_cpc_snn.reports.theme import LIGHT, Theme, blank, frequency_ticks, themed

Arrays = dict[str, np.ndarray]

NAMES = {
    "sine_gaussian": "Sine-Gaussian",
    "blip": "Blip",
    "scattered_light": "Scattered light",
    "low_frequency_burst": "Low-frequency",
}
TRACES = 3  # of each family
LOWEST_HZ = 15.0  # of spectrograms
RANGE = 300.0  # of a spectrogram's colours, largest over smallest energy


def families(data: Arrays) -> list[tuple[str, Float[np.ndarray, "n time"]]]:
    """Return the name and the whitened strain of each family of which there is any."""
    found = []
    for number, name in enumerate(data["glitch_families"]):
        strain = data["glitch_strain"][data["glitch_family"] == number]
        if len(strain):
            found.append((NAMES.get(str(name), str(name).replace("_", " ")), strain))
    return found


@themed
def glitch_gallery(data: Arrays, *, theme: Theme = LIGHT) -> Figure:
    """Draw waveforms of each simulated family, and a spectrogram of the first of them.

    Args:
        data: `glitch_strain` (n, time) whitened, middle of the glitch in the middle;
            `glitch_family` (n,) numbers into `glitch_families`; `sample_rate_hz`.
    """
    shown, rate = families(data), float(data["sample_rate_hz"])
    figure = blank(8.6, 4.6)
    grid = figure.subplots(2, len(shown), squeeze=False, sharex="col", height_ratios=[1.2, 1])
    for column, (name, strain) in enumerate(shown):
        half = _half_width(strain[:TRACES], rate)
        upper, lower = grid[:, column]
        _traces(upper, strain[:TRACES], rate, theme, column)
        _spectrogram(lower, strain[0], rate, half)
        upper.set_title(name, fontsize=9.5)
        for axes in (upper, lower):
            axes.set_xlim(-half, half)
            axes.xaxis.set_major_locator(MaxNLocator(3, symmetric=True))
        lower.set_xlabel("time (s)")
        upper.set_ylabel("whitened strain" if column == 0 else " ")
        lower.set_ylabel("frequency (Hz)" if column == 0 else " ")
    return figure


def _half_width(strain: Float[np.ndarray, "n time"], rate: float) -> float:
    """Return the time in s around the middle that holds 99 % of each one's energy, and more."""
    middle = strain.shape[1] / 2
    away = np.abs(np.arange(strain.shape[1]) - middle)
    order = np.argsort(away)
    energy = np.cumsum(strain[:, order] ** 2, axis=1)
    last = [int(np.searchsorted(e, 0.99 * e[-1])) for e in energy]
    return float(min(1.4 * away[order][min(max(last), away.size - 1)] + 8, middle) / rate)


def _traces(axes: Axes, strain: np.ndarray, rate: float, theme: Theme, column: int) -> None:
    time = (np.arange(strain.shape[1]) - strain.shape[1] / 2) / rate
    for number, trace in enumerate(strain):
        scaled = trace / max(np.abs(trace).max(), 1e-30)
        colour = theme.hues[column % len(theme.hues)]
        axes.plot(time, scaled - 2.2 * number, color=colour, linewidth=0.9)
    axes.set_yticks([])
    axes.grid(visible=False)


def _spectrogram(axes: Axes, trace: np.ndarray, rate: float, half: float) -> None:
    segment = int(np.clip(2 ** round(np.log2(half * rate / 4)), 32, 1024))
    # Quiet beyond its ends, so that the picture reaches them.
    padded = np.pad(trace, segment)
    spectra = specgram(
        padded, NFFT=segment, Fs=rate, noverlap=segment - max(segment // 16, 1), pad_to=4 * segment
    )
    energy, f, t = (np.asarray(part, np.float64) for part in spectra)
    f, energy = f[1:], energy[1:]
    top = energy.max()
    axes.pcolormesh(
        t - padded.size / 2 / rate, f, np.maximum(energy, top / RANGE), shading="nearest",
        norm=LogNorm(top / RANGE, top), cmap="viridis", rasterized=True,
    )  # fmt: skip
    _frequency_axis(axes, max(LOWEST_HZ, f[0]), rate / 2)


def _frequency_axis(axes: Axes, low: float, high: float) -> None:
    axes.set_yscale("log")
    axes.set_ylim(low, high)
    frequency_ticks(axes.yaxis, low, high)
    axes.grid(visible=False)


@themed
def real_transients(data: Arrays, detectors: list[str], *, theme: Theme = LIGHT) -> Figure:
    """Draw SNR against frequency of the transients that the scan found, by detector.

    Args:
        data: `transient_snr`, `transient_frequency_hz` (n,), `transient_detector` (n,) numbers.
        detectors: names of those numbers.
    """
    figure = blank(6.8, 3.6)
    axes = figure.subplots()
    for number, marker in zip(np.unique(data["transient_detector"]).tolist(), "o^sD", strict=False):
        own = data["transient_detector"] == number
        name = detectors[number] if number < len(detectors) else f"detector {number}"
        axes.plot(
            data["transient_frequency_hz"][own], data["transient_snr"][own], marker,
            color=theme.hues[number % len(theme.hues)], markersize=5, alpha=0.7, linestyle="none",
            label=f"{name}: {np.count_nonzero(own)}",
        )  # fmt: skip
    loud = data["transient_snr"].max() > 10 * data["transient_snr"].min()
    axes.set(xscale="log", yscale="log" if loud else "linear")
    frequency_ticks(axes.xaxis, *axes.get_xlim())
    axes.set_xlabel("frequency (Hz)")
    axes.set_ylabel("SNR of the loudest tile")
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncol=4)  # a marker inside reads as a point
    return figure


@themed
def q_transforms(q: Arrays, *, theme: Theme = LIGHT) -> Figure:
    """Draw the Q-transform of an event in each detector, before and after whitening.

    Args:
        q: `times` (time,) s from the event, `frequencies` (frequency,) Hz, `before` and `after`
            (detector, time, frequency) energies over their median, `detectors`, `event_name`.
    """
    names = [str(name) for name in q["detectors"]]
    figure = blank(8.6, 2.5 * len(names) + 0.2)
    grid = figure.subplots(len(names), 2, squeeze=False, sharex=True, sharey=True)
    for row, name in enumerate(names):
        for axes, key in zip(grid[row], ("before", "after"), strict=True):
            energy = q[key][row].T
            top = float(energy.max())
            mesh = axes.pcolormesh(
                q["times"], q["frequencies"], np.maximum(energy, 1), shading="nearest",
                norm=LogNorm(1, max(top, 2)), cmap="viridis", rasterized=True,
            )  # fmt: skip
            figure.colorbar(mesh, ax=axes, pad=0.01, label="energy / median")
            _frequency_axis(axes, float(q["frequencies"].min()), float(q["frequencies"].max()))
            axes.set_title(f"{name}, {key} whitening")
            axes.set_xlabel("seconds from the event")
            axes.set_ylabel("frequency (Hz)")
    return figure
