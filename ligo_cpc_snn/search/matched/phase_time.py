"""How likely a signal's phase, time and amplitude differ as observed between two detectors.

In noise the difference of phase is uniform, that of time too, and so is the second
detector's share of the squared ratio. Signals, isotropic and uniform in volume, prefer some.

Reference: Nitz et al. 2017, ApJ 849, 118 (the idea; here the amplitudes' noise density is
divided out, and the histogram is of one network signal-to-noise ratio).
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Complex, Float

from ligo_cpc_snn.signals.double_precision import double_precision
from ligo_cpc_snn.signals.projection import network_response

SAMPLES = 1_000_000
NETWORK_SNR = 7.5  # of the signals in the table: those at the edge of being found
MEAN_HZ, SPREAD_HZ = 80.0, 60.0  # of a signal's power: how well it is timed, and phase with it
BINS = (24, 12, 12)  # of time, phase and share
GPS = 0.0  # sources are isotropic: the Earth's rotation matters to nothing
LEAST = 0.02  # of the density relative to noise's, where hardly any signal was drawn


@dataclass(frozen=True, eq=False)
class PhaseTimeTable:
    """Logarithm of the density of signals over that of noise.

    Args:
        log_ratio: On a grid of `BINS`.
        longest: Largest difference of time, s.
    """

    log_ratio: Float[np.ndarray, "time phase share"]
    longest: float

    def at(
        self,
        delay: Float[np.ndarray, "n"],
        first: Complex[np.ndarray, "n"],
        second: Complex[np.ndarray, "n"],
    ) -> Float[np.ndarray, "n"]:
        """Return the logarithm for differences of time (s, first - second) and ratios."""
        return self.log_ratio[_cells(delay, first, second, self.longest)]


@lru_cache(maxsize=16)
def phase_time_table(
    detectors: tuple[str, str],
    sensitivity: float,
    threshold: float,
    longest: float,
    samples: int = SAMPLES,
) -> PhaseTimeTable:
    """Draw signals and count them.

    Args:
        detectors: Their names.
        sensitivity: Of the second detector relative to the first: ratio of optimal ratios.
        threshold: Of both detectors' signal-to-noise ratios.
        longest: Largest difference of time, s.
        samples: How many signals are drawn.
    """
    rng = np.random.default_rng(0)
    delay, snr, weight = _signals(rng, detectors, sensitivity, samples)
    found = (np.abs(snr) >= threshold).all(axis=1) & (np.abs(delay) < longest)
    cells = _cells(delay[found], snr[found, 0], snr[found, 1], longest)
    counts = np.zeros(BINS)
    np.add.at(counts, cells, weight[found])
    density = counts / counts.mean()
    return PhaseTimeTable(np.log(np.maximum(density, LEAST)), longest)


def _signals(
    rng: np.random.Generator, detectors: tuple[str, str], sensitivity: float, n: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return delays, measured complex ratios (n, 2), and weights of isotropic signals."""
    sky = {
        "right_ascension": rng.uniform(0, 2 * np.pi, n),
        "declination": np.arcsin(rng.uniform(-1, 1, n)),
        "polarization": rng.uniform(0, np.pi, n),
    }
    with double_precision():
        plus, cross, arrival = map(np.asarray, network_response(sky, detectors, GPS))
    inclination = rng.uniform(-1, 1, (n, 1))
    response = plus * (1 + inclination**2) / 2 - 1j * cross * inclination
    response = response * [1.0, sensitivity]
    network = np.linalg.norm(response, axis=1)
    snr = NETWORK_SNR * response / network[:, None]
    error = rng.standard_normal((n, 2)) / (2 * np.pi * SPREAD_HZ * np.maximum(np.abs(snr), 1))
    noise = rng.standard_normal((n, 2)) + 1j * rng.standard_normal((n, 2))
    snr = snr * np.exp(2j * np.pi * MEAN_HZ * error) + noise
    arrival = arrival + error
    return arrival[:, 0] - arrival[:, 1], snr, network**3


def _cells(
    delay: np.ndarray, first: np.ndarray, second: np.ndarray, longest: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    time = (delay / longest + 1) / 2
    phase = (np.angle(first * np.conj(second)) / (2 * np.pi)) % 1
    share = np.abs(second) ** 2 / (np.abs(first) ** 2 + np.abs(second) ** 2)
    cells = [
        np.clip((x * count).astype(int), 0, count - 1)
        for x, count in zip((time, phase, share), BINS, strict=True)
    ]
    return cells[0], cells[1], cells[2]
