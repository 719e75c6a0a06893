"""Amplitude spectral densities: the analytic aLIGO design, curves from files, and sets of them.

Amplitudes, not powers: a power of 1e-46 underflows in float32, its root does not.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

ALIGO_LOWEST_HZ = 10.0  # the fit is not meant for lower frequencies
STEPS_PER_SCALE = 8  # of a perturbation
LIKELY_POWER = 1e-30  # detectors have amplitudes of 1e-24 to 1e-18, powers below 1e-36


@dataclass(frozen=True, eq=False)
class Asd:
    """An amplitude spectral density; equal only to itself, so that it can be a key.

    Args:
        frequencies: In Hz, positive and increasing.
        values: One-sided density in strain/sqrt(Hz), positive.
        name: Where it comes from, for messages.
    """

    frequencies: Float[np.ndarray, "frequency"]
    values: Float[np.ndarray, "frequency"]
    name: str = "spectral density"

    def __post_init__(self) -> None:
        if self.frequencies.shape != self.values.shape or self.frequencies.size < 2:
            raise ValueError(
                f"{self.name}: {self.frequencies.shape} frequencies and {self.values.shape} "
                "values: expected two or more pairs"
            )
        if not (self.frequencies[0] > 0 and np.all(np.diff(self.frequencies) > 0)):
            raise ValueError(f"{self.name}: expected positive frequencies in increasing order")
        if not np.all(np.isfinite(self.values) & (self.values > 0)):
            raise ValueError(f"{self.name}: expected finite values > 0 in strain/sqrt(Hz)")

    def at(self, frequencies: Float[np.ndarray, "n"]) -> Float[np.ndarray, "n"]:
        """Return the density at other frequencies, straight between points on log axes.

        Outside the curve its first or last value is held, so that nothing is divided by 0.

        Args:
            frequencies: In Hz, >= 0.

        Returns:
            Density in strain/sqrt(Hz).
        """
        points = np.maximum(frequencies, self.frequencies[0])
        logs = np.interp(np.log(points), np.log(self.frequencies), np.log(self.values))
        return np.exp(logs)


def aligo_asd(frequencies: Float[np.ndarray, "frequency"]) -> Float[np.ndarray, "frequency"]:
    """Return the design sensitivity of Advanced LIGO from an analytic fit.

    Args:
        frequencies: In Hz; below 10 Hz the value at 10 Hz is returned.

    Returns:
        One-sided density in strain/sqrt(Hz).

    Reference: Ajith 2011, PRD 84, 084037: fit to the zero-detuning, high-power design; within
    2 % of that curve from 20 to 4000 Hz, but for its narrow lines.
    """
    x = np.maximum(np.asarray(frequencies, np.float64), ALIGO_LOWEST_HZ) / 245.4
    power = 0.0152 * x**-4 + 0.2935 * x**2.25 + 2.7951 * x**1.5 - 6.5080 * x**0.75 + 17.7622
    return np.sqrt(1e-48 * power)


def aligo_curve(highest_hz: float = 8192.0) -> Asd:
    """Return the analytic aLIGO design as a curve from 10 Hz to `highest_hz`."""
    frequencies = np.geomspace(ALIGO_LOWEST_HZ, highest_hz, 2048)
    return Asd(frequencies, aligo_asd(frequencies), "analytic aLIGO design")


def perturbed(curve: Asd, rng: np.random.Generator, *, rms: float, octaves: float) -> Asd:
    """Return a curve times a smooth random factor, as a detector's sensitivity drifts.

    The logarithm of the factor is a Gaussian process over the logarithm of frequency, of mean
    0 and covariance rms^2 exp(-(distance / octaves)^2 / 2).

    Args:
        curve: The curve.
        rng: Source of randomness.
        rms: Of the logarithm of the amplitude.
        octaves: Scale over which the factor changes.
    """
    x = np.log2(curve.frequencies)
    step = octaves / STEPS_PER_SCALE
    # White noise smoothed by a kernel whose own autocorrelation is the covariance wanted.
    offsets = np.arange(-3 * STEPS_PER_SCALE, 3 * STEPS_PER_SCALE + 1) / STEPS_PER_SCALE
    kernel = np.exp(-(offsets**2))
    points = int(np.ceil((x[-1] - x[0]) / step)) + 2
    white = rng.standard_normal(points + kernel.size - 1)
    smooth = np.convolve(white, rms * kernel / np.linalg.norm(kernel), mode="valid")
    factor = np.exp(np.interp(x, x[0] + step * np.arange(points), smooth))
    return Asd(curve.frequencies, curve.values * factor, f"{curve.name}, perturbed")


def read_asd(path: str | Path) -> Asd:
    """Read a curve from a text file of two columns, Hz and strain/sqrt(Hz).

    Args:
        path: The file; lines that start with `#` or `%` are skipped.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It does not hold two columns of an amplitude spectral density.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f"spectral density file {path}: no such file")
    try:
        table = np.loadtxt(path, comments=("#", "%"), ndmin=2)
    except (ValueError, UnicodeDecodeError) as error:
        raise ValueError(
            f"spectral density file {path}: not a table of numbers ({error})"
        ) from error
    if table.shape[1] != 2:
        raise ValueError(
            f"spectral density file {path}: {table.shape[1]} columns, expected 2, "
            "Hz and strain/sqrt(Hz)"
        )
    table = table[table[:, 0] > 0]
    if table.size and np.median(table[:, 1]) < LIKELY_POWER:
        raise ValueError(
            f"spectral density file {path}: its median, {np.median(table[:, 1]):.1e}, is that of "
            "a power spectral density; take the square root of the second column"
        )
    return Asd(table[:, 0], table[:, 1], str(path))
