"""Quantile functions of the priors: a source's parameter from a uniform random number.

In float64 on the host: the same sources on every device, whether or not JAX's 64-bit
numbers are switched on.
"""

import numpy as np
from jaxtyping import Float
from scipy.integrate import cumulative_trapezoid
from scipy.special import expit, ndtr

from ligo_cpc_snn.config.signals_schema import Distribution, PriorConfig
from ligo_cpc_snn.signals.cosmology import comoving_volume_quantile

NODES = 16384


def quantile(prior: PriorConfig, fraction: Float[np.ndarray, "n"]) -> Float[np.ndarray, "n"]:
    """Return the values below which fractions of the prior lie.

    Args:
        prior: Kind and bounds.
        fraction: Above 0 and below 1.

    Returns:
        Values between the prior's bounds, in its unit, float64.
    """
    low, high = prior.bounds
    return np.clip(_unbounded_quantile(prior, low, high, fraction), low, high)


def _unbounded_quantile(
    prior: PriorConfig, low: float, high: float, u: Float[np.ndarray, "n"]
) -> Float[np.ndarray, "n"]:
    match prior.kind:
        case Distribution.fixed | Distribution.uniform:
            return low + u * (high - low)
        case Distribution.log_uniform:
            return power_law_quantile(low, high, -1.0, u)
        case Distribution.power_law:
            return power_law_quantile(low, high, prior.index, u)
        case Distribution.power_law_peak:
            masses = np.geomspace(low, high, NODES)
            return density_quantile(masses, power_law_peak_density(prior, masses), u)
        case Distribution.comoving_volume:
            return comoving_volume_quantile(low, high, prior.index, u)
        case Distribution.sine:
            return np.arccos(np.cos(low) + u * (np.cos(high) - np.cos(low)))
        case Distribution.cosine:
            return np.arcsin(np.sin(low) + u * (np.sin(high) - np.sin(low)))


def power_law_quantile(
    low: float | Float[np.ndarray, "n"],
    high: float | Float[np.ndarray, "n"],
    index: float,
    fraction: Float[np.ndarray, "n"],
) -> Float[np.ndarray, "n"]:
    """Return quantiles of p(x) proportional to x^index from `low` > 0 to `high`."""
    power = index + 1
    span = np.log(high / low)
    if power == 0:
        return low * np.exp(fraction * span)
    # From the end that holds more, so that no power overflows.
    if power > 0:
        return high * np.exp(np.log1p((1 - fraction) * np.expm1(-power * span)) / power)
    return low * np.exp(np.log1p(fraction * np.expm1(power * span)) / power)


def power_law_peak_density(
    prior: PriorConfig, values: Float[np.ndarray, "node"]
) -> Float[np.ndarray, "node"]:
    """Return the density of `power_law_peak`, up to a factor.

    A power law and a Gaussian, each cut at the prior's bounds and normalised there, are
    mixed as 1 - peak_fraction to peak_fraction; the sum is multiplied by `smooth_rise`.

    Reference: Talbot and Thrane 2018, ApJ 856, 173; Abbott et al. 2023 (GWTC-3),
    PRX 13, 011048, appendix B 1 b; `index` is their -alpha.
    """
    low, high = prior.low, prior.high
    power = prior.index + 1
    span = np.log(high / low)
    relative = values / low
    norm = low * (span if power == 0 else np.expm1(power * span) / power)
    law = relative**prior.index / norm
    widths = (np.array([low, high]) - prior.peak) / prior.peak_width
    inside = np.sqrt(2 * np.pi) * prior.peak_width * np.diff(ndtr(widths))
    peak = np.exp(-(((values - prior.peak) / prior.peak_width) ** 2) / 2) / inside
    mixed = (1 - prior.peak_fraction) * law + prior.peak_fraction * peak
    return mixed * smooth_rise(values, low, prior.smoothing)


def smooth_rise(
    values: Float[np.ndarray, "node"], low: float, width: float
) -> Float[np.ndarray, "node"]:
    """Return a window that rises from 0 at `low` to 1 at `low + width`.

    Reference: Talbot and Thrane 2018, ApJ 856, 173: 1 / (exp(w/x + w/(x - w)) + 1) at x
    above `low`, with w the width.
    """
    above = values - low
    window = (above >= width).astype(float)
    rising = (above > 0) & (above < width)
    x = above[rising]
    with np.errstate(over="ignore"):  # at the first nodes: exp(-infinity) is the 0 it should be
        window[rising] = expit(-width / x - width / (x - width))
    return window


def density_quantile(
    nodes: Float[np.ndarray, "node"],
    density: Float[np.ndarray, "node"],
    fraction: Float[np.ndarray, "n"],
) -> Float[np.ndarray, "n"]:
    """Return quantiles of a density given at rising nodes, up to a factor."""
    below = cumulative_trapezoid(density, nodes, initial=0)
    return np.interp(fraction * below[-1], below, nodes)
