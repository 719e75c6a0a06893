"""Simulated signals in strain: when they arrive, what they are, and their strain in detectors."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Complex, Float
from scipy import fft

from ligo_cpc_snn.config.campaign_schema import InjectionConfig
from ligo_cpc_snn.config.durations import duration_fault
from ligo_cpc_snn.config.signals_schema import SignalsConfig
from ligo_cpc_snn.evaluation.challenge import Table
from ligo_cpc_snn.signals.masses import chirp_mass
from ligo_cpc_snn.signals.population import REFERENCE_CHIRP_MASS
from ligo_cpc_snn.signals.projection import project
from ligo_cpc_snn.signals.waveforms import DISTANCE_MPC, polarizations
from ligo_cpc_snn.strain.curves import Asd
from ligo_cpc_snn.strain.detectors import greenwich_sidereal_angle

CHUNK = 16  # signals at a time
AFTER = 0.1  # share of a signal's length that follows its merger
SPINS = {f"spin_{body}{axis}": f"spin{body}{axis}" for body in (1, 2) for axis in "xyz"}
NAMES = {  # ours to PyCBC's
    "mass_1": "mass1",
    "mass_2": "mass2",
    "right_ascension": "ra",
    "declination": "dec",
    "polarization": "polarization",
    "inclination": "inclination",
    "phase": "coa_phase",
    "distance": "distance",
} | SPINS

Sources = Mapping[str, Float[np.ndarray, "n"]]


def arrival_times(
    rng: np.random.Generator, start: float, end: float, cfg: InjectionConfig
) -> Float[np.ndarray, "n"]:
    """Return times of injections in a segment, in GPS s, each at random after the one before.

    Args:
        rng: Source of randomness.
        start, end: Of the segment, GPS s.
        cfg: Spacing, and how near to the ends a merger may be.
    """
    most = int((end - start) / cfg.spacing_seconds) + 2
    steps = cfg.spacing_seconds + rng.uniform(0, cfg.spread_seconds, most)
    # The first comes anywhere within one spacing, and in what there is of a short segment.
    room = end - start - 2 * cfg.edge_seconds
    steps[0] = rng.uniform(0, max(0.0, min(cfg.spacing_seconds, room)))
    times = start + cfg.edge_seconds + np.cumsum(steps)
    return times[times <= end - cfg.edge_seconds]


def to_table(sources: Sources, gps: Float[np.ndarray, "n"]) -> Table:
    """Return sources under the challenge's names, with its derived columns."""
    table = {theirs: np.asarray(sources[ours], np.float64) for ours, theirs in NAMES.items()}
    masses = chirp_mass(table["mass1"], table["mass2"])
    return table | {
        "tc": gps,
        "mchirp": masses,
        "q": table["mass1"] / table["mass2"],
        "chirp_distance": table["distance"] * (REFERENCE_CHIRP_MASS / masses) ** (5 / 6),
    }


def from_table(
    table: Table, attributes: Mapping[str, Any]
) -> tuple[dict[str, Float[np.ndarray, "n"]], Float[np.ndarray, "n"]]:
    """Return sources and times of an injections file, spins perhaps from its attributes.

    Raises:
        ValueError: A parameter is in neither.
    """
    count, sources = table["tc"].size, {}
    for ours, theirs in NAMES.items():
        if theirs not in table and theirs not in attributes:
            raise ValueError(f"injections have no {theirs}, neither as dataset nor as attribute")
        value = table[theirs] if theirs in table else np.full(count, float(attributes[theirs]))
        sources[ours] = value
    swap = sources["mass_2"] > sources["mass_1"]
    for first in [name for name in NAMES if "_1" in name]:
        second = first.replace("_1", "_2")
        a, b = sources[first], sources[second]
        sources[first], sources[second] = np.where(swap, b, a), np.where(swap, a, b)
    return sources, table["tc"]


@dataclass(frozen=True)
class Injector:
    """Makes the strain of sources.

    Args:
        signals: Approximant, modes, reference frequency, length.
        detectors: Names.
        sample_rate_hz: Sample rate in Hz.
        band_hz: Where signals begin and end, in Hz: recorded noise that was interpolated has
            nothing above, a signal there would be alone.
    """

    signals: SignalsConfig
    detectors: Sequence[str]
    sample_rate_hz: int
    band_hz: tuple[float, float]

    def __post_init__(self) -> None:
        fault = duration_fault(self.signals, self.band_hz[0], 0.0)
        if fault is not None:
            raise ValueError(fault)

    @property
    def samples(self) -> int:
        """Length of one signal in samples."""
        return round(self.signals.duration_seconds * self.sample_rate_hz)

    @property
    def before(self) -> int:
        """Samples before the merger."""
        return self.samples - round(AFTER * self.samples)

    def frequencies(self) -> Float[np.ndarray, "frequency"]:
        """Frequencies of the spectra in Hz."""
        return np.fft.rfftfreq(self.samples, 1 / self.sample_rate_hz)

    def spectra(
        self, sources: Sources, gps: Float[np.ndarray, "n"]
    ) -> Complex[np.ndarray, "n detector frequency"]:
        """Return the transforms of the strain, strain/Hz, t = 0 the merger at the geocentre."""
        f = self.frequencies()
        cfg = self.signals
        low, high = self.band_hz
        plus, cross = polarizations(
            cfg.approximant, sources, f, cfg.reference_hz, lowest_hz=low, modes=cfg.modes
        )
        # The Earth's turn from the first source's time to each is a smaller right ascension.
        turn = np.array([greenwich_sidereal_angle(float(t)) for t in gps])
        turned = {"right_ascension": sources["right_ascension"] - (turn - turn[0])}
        sky = dict(sources) | turned
        strain = project(plus, cross, sky, f, self.detectors, float(gps[0]))
        scaled = np.asarray(strain) * (DISTANCE_MPC / sources["distance"])[:, None, None]
        return np.where(f <= high, scaled, 0.0)

    def chunks(
        self, sources: Sources, gps: Float[np.ndarray, "n"]
    ) -> Iterator[tuple[slice, Complex[np.ndarray, "m detector frequency"]]]:
        """Yield the spectra of a few sources at a time; one length, so compiled once."""
        for first in range(0, gps.size, CHUNK):
            part = slice(first, min(first + CHUNK, gps.size))
            padded = np.minimum(np.arange(first, first + CHUNK), gps.size - 1)
            few = {name: np.asarray(values)[padded] for name, values in sources.items()}
            yield part, self.spectra(few, gps[padded])[: part.stop - part.start]

    def inject(
        self,
        sources: Sources,
        gps: Float[np.ndarray, "n"],
        start: float,
        samples: int,
        curves: Mapping[str, Asd],
    ) -> tuple[dict[str, Float[np.ndarray, "time"]], Float[np.ndarray, "n detector"]]:
        """Return the strain of all sources in a segment, and their optimal SNRs.

        Args:
            sources: Parameters, as `population.draw` gives them.
            gps: Times of merger at the geocentre, GPS s.
            start: Of the segment, GPS s.
            samples: Length of the segment; what a signal has beyond it is lost.
            curves: Spectral density of each detector's noise, for the SNRs.
        """
        strain = {name: np.zeros(samples) for name in self.detectors}
        snr = np.zeros((gps.size, len(self.detectors)))
        f = self.frequencies()
        densities = np.stack([curves[name].at(f) for name in self.detectors])
        for part, spectra in self.chunks(sources, gps):
            power = np.sum(np.abs(spectra / densities) ** 2, axis=-1)
            snr[part] = np.sqrt(4 * power / self.signals.duration_seconds)
            late = (gps[part] - start) * self.sample_rate_hz
            whole = np.floor(late)
            shift = np.exp(-2j * np.pi * f * ((late - whole) / self.sample_rate_hz)[:, None])
            waves = fft.irfft(spectra * shift[:, None], self.samples) * self.sample_rate_hz
            waves = np.roll(waves, self.before, axis=-1)
            for wave, merger in zip(waves, whole.astype(int).tolist(), strict=True):
                _add(strain, self.detectors, wave, merger - self.before)
        return strain, snr


def _add(
    strain: dict[str, Float[np.ndarray, "time"]],
    detectors: Sequence[str],
    wave: Float[np.ndarray, "detector sample"],
    first: int,
) -> None:
    """Add one signal where it lies within the strain, in place: the array is the caller's own."""
    for row, name in zip(wave, detectors, strict=True):
        low, high = max(first, 0), min(first + row.size, strain[name].size)
        strain[name][low:high] += row[low - first : high - first]
