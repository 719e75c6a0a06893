"""Masses of a binary: the lighter body from a mass ratio, and the chirp mass."""

import numpy as np
from jaxtyping import Float
from scipy.integrate import cumulative_trapezoid

from ligo_cpc_snn.config.signals_schema import Distribution, PriorConfig
from ligo_cpc_snn.signals.priors import NODES, power_law_quantile, smooth_rise

# All kinds of mass ratio are power laws; a fixed one has equal bounds.
INDICES = {Distribution.fixed: 0.0, Distribution.uniform: 0.0, Distribution.log_uniform: -1.0}


def companion_mass(
    mass_ratio: PriorConfig,
    smallest: float,
    mass_1: Float[np.ndarray, "n"],
    fraction: Float[np.ndarray, "n"],
) -> Float[np.ndarray, "n"]:
    """Draw the mass ratio given mass_1, and return mass_2.

    The prior of the ratio is cut where mass_2 is `smallest` and normalised for each mass_1.
    With `smoothing`, it rises over that many solar masses above `smallest`. As a function
    of mass_2 the density differs between sources in its bounds only.

    Args:
        mass_ratio: Fixed, uniform, log-uniform or power law, above 0 and at most 1.
        smallest: In solar masses; 0 cuts nothing.
        mass_1: In solar masses.
        fraction: Above 0 and below 1.

    Returns:
        mass_2 in solar masses.

    Reference: Abbott et al. 2023 (GWTC-3), PRX 13, 011048, appendix B 1 b.
    """
    low, high = mass_ratio.bounds
    heaviest = high * mass_1
    lightest = np.minimum(np.maximum(low * mass_1, smallest), heaviest)
    index = INDICES.get(mass_ratio.kind, mass_ratio.index)
    if mass_ratio.smoothing == 0:
        drawn = power_law_quantile(lightest, heaviest, index, fraction)
    else:
        nodes = np.geomspace(smallest, heaviest.max(), NODES)
        density = nodes**index * smooth_rise(nodes, smallest, mass_ratio.smoothing)
        below = cumulative_trapezoid(density, nodes, initial=0)
        first, last = (np.interp(end, nodes, below) for end in (lightest, heaviest))
        drawn = np.interp(first + fraction * (last - first), below, nodes)
    return np.clip(drawn, lightest, heaviest)


def chirp_mass(
    mass_1: Float[np.ndarray, "n"], mass_2: Float[np.ndarray, "n"]
) -> Float[np.ndarray, "n"]:
    """Return (mass_1 mass_2)^(3/5) / (mass_1 + mass_2)^(1/5)."""
    return (mass_1 * mass_2) ** 0.6 / (mass_1 + mass_2) ** 0.2
