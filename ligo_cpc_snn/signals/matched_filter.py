"""Signal-to-noise ratios: optimal, and by matched filter in whitened strain."""

import numpy as np
from jaxtyping import Complex, Float
from scipy import signal


def optimal_snr(
    spectra: Complex[np.ndarray, "*batch frequency"],
    frequencies: Float[np.ndarray, "frequency"],
    asd: Float[np.ndarray, "frequency"],
    weight: Float[np.ndarray, "frequency"] | None = None,
) -> Float[np.ndarray, "*batch"]:
    """Return the root of 4 times the integral of |h|^2 over the power spectral density.

    Args:
        spectra: Fourier transforms of signals in strain/Hz.
        frequencies: Even, in Hz.
        asd: One-sided amplitude spectral density in strain/sqrt(Hz), more than 0.
        weight: What the signals are multiplied with, as a band-pass; none: 1.

    Returns:
        Optimal signal-to-noise ratios.

    Reference: Allen et al. 2012, PRD 85, 122006, eq. 4.3.
    """
    whitened = np.asarray(spectra) / asd * (1.0 if weight is None else weight)
    step = frequencies[1] - frequencies[0]
    return np.sqrt(4 * step * np.sum(np.abs(whitened) ** 2, axis=-1))


def matched_filter(
    whitened_strain: Float[np.ndarray, "time"], whitened_template: Float[np.ndarray, "template"]
) -> Complex[np.ndarray, "lag"]:
    """Return the complex signal-to-noise ratio of a template at each lag.

    The real part is the template's, the imaginary part that of the template a quarter of a
    turn later; the modulus is the largest over its phase. In noise of the filter's spectral
    density each part has the variance 1, in a signal the modulus is its optimal ratio.

    Args:
        whitened_strain: As `conditioning.whitening.whiten` gives it.
        whitened_template: Of any norm, at the same sample rate.

    Returns:
        Shape (time - template + 1,): at `lag`, the template's first sample is on the
        strain's sample `lag`.

    Raises:
        ValueError: The template is longer than the strain, or nothing.

    Reference: Allen et al. 2012, PRD 85, 122006, eqs. 4.1-4.6.
    """
    norm = np.linalg.norm(np.asarray(whitened_template, np.float64))
    if whitened_template.size > whitened_strain.size or norm == 0:
        raise ValueError(
            f"template of {whitened_template.size} samples and norm {norm:g} for strain of "
            f"{whitened_strain.size} samples: expected a shorter one, of a norm above 0"
        )
    both = signal.hilbert(np.asarray(whitened_template, np.float64)) / norm
    return signal.oaconvolve(np.asarray(whitened_strain, np.float64), both[::-1], mode="valid")
