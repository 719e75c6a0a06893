"""Distances and redshifts in the universe of Planck 2018, by interpolation."""

from functools import cache
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.integrate import cumulative_trapezoid

NODES = 8192
LOWEST_REDSHIFT, HIGHEST_REDSHIFT = 1e-7, 100.0


def redshift_at(
    distance: Float[np.ndarray, "n"], stretch_power: float = 0.0
) -> Float[np.ndarray, "n"]:
    """Return the redshifts z of sources at luminosity distances (1 + z)^stretch_power * distance.

    Args:
        distance: In Mpc, above 0.
        stretch_power: 0 where `distance` is the luminosity distance; below 1.

    Returns:
        Redshifts, good to 1e-6 of themselves above 1e-6.

    Raises:
        ValueError: A source is farther than redshift 100.
    """
    redshift, luminosity_distance = _table()
    nodes = np.log(luminosity_distance) - stretch_power * np.log1p(redshift)
    farthest = float(np.max(distance, initial=0.0))
    if farthest > np.exp(nodes[-1]):
        raise ValueError(
            f"a source at {farthest:g} Mpc: expected at most {np.exp(nodes[-1]):g} Mpc (redshift "
            f"{HIGHEST_REDSHIFT:g}), lower data.signals.population.distance.high"
        )
    return np.exp(np.interp(np.log(distance), nodes, np.log(redshift)))


def comoving_volume_quantile(
    low: float, high: float, index: float, fraction: Float[np.ndarray, "n"]
) -> Float[np.ndarray, "n"]:
    """Return the luminosity distances below which fractions of all sources lie.

    The density of sources per redshift is dV_c/dz (1 + z)^(index - 1): a rate per comoving
    volume and source time that grows as (1 + z)^index.

    Args:
        low, high: Luminosity distances of the nearest and the farthest, in Mpc.
        index: 0 for a rate that does not change.
        fraction: Between 0 and 1.

    Returns:
        Luminosity distances in Mpc.
    """
    distance = np.geomspace(low, high, NODES)
    z = redshift_at(distance)
    # dV_c/dz is proportional to (transverse comoving distance)^2 / H(z), Hogg 1999, eq. 28.
    density = (distance / (1 + z)) ** 2 * _cosmology().inv_efunc(z) * (1 + z) ** (index - 1)
    below = cumulative_trapezoid(density, z, initial=0)
    return np.interp(fraction * below[-1], below, distance)


@cache
def _cosmology() -> Any:
    from astropy.cosmology import Planck18  # here: its import takes seconds

    return Planck18


@cache
def _table() -> tuple[Float[np.ndarray, "node"], Float[np.ndarray, "node"]]:
    redshift = np.geomspace(LOWEST_REDSHIFT, HIGHEST_REDSHIFT, NODES)
    return redshift, _cosmology().luminosity_distance(redshift).value
