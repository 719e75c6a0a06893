"""The power chi-squared test: does a trigger's power spread over frequency as the template's?

Reference: Allen 2005, PRD 71, 062001 (chi-squared); Babak et al. 2013, PRD 87, 024033, and
Usman et al. 2016, CQG 33, 215004 (the ratio re-weighted by it).
"""

import numpy as np
from jaxtyping import Complex, Float, Int


def band_starts(power: Float[np.ndarray, "frequency"], bins: int) -> Int[np.ndarray, "bin"]:
    """Return the first frequency of each of `bins` bands that hold equal shares of the power.

    Args:
        power: Of the whitened template at each frequency.
        bins: Number of bands, two or more.
    """
    shares = np.cumsum(power, dtype=np.float64)
    inner = np.searchsorted(shares, shares[-1] * np.arange(1, bins) / bins, side="right")
    return np.concatenate([[0], inner])


def reduced_chi_squared(parts: Complex[np.ndarray, "*n bin"]) -> Float[np.ndarray, "*n"]:
    """Return chi-squared over its 2 p - 2 degrees of freedom; 1 in the mean for noise.

    Args:
        parts: What each of p bands adds to the complex signal-to-noise ratio.

    Reference: Allen 2005, eqs. 4.13 to 4.15.
    """
    bins = parts.shape[-1]
    mean = parts.mean(axis=-1, keepdims=True)
    return np.asarray(bins * np.sum(np.abs(parts - mean) ** 2, axis=-1) / (2 * bins - 2))


def reweighted(
    snr: Float[np.ndarray, "*n"], reduced: Float[np.ndarray, "*n"]
) -> Float[np.ndarray, "*n"]:
    """Return the ratio divided by ((1 + reduced^3) / 2)^(1/6) where reduced is above 1.

    Reference: Usman et al. 2016, eq. 6.
    """
    return snr / ((1 + np.maximum(reduced, 1.0) ** 3) / 2) ** (1 / 6)
