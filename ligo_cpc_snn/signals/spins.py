"""Spins of a binary: components, and the two numbers that say most about them."""

import numpy as np
from jaxtyping import Float

Components = tuple[Float[np.ndarray, "n"], Float[np.ndarray, "n"], Float[np.ndarray, "n"]]


def components(
    magnitude: Float[np.ndarray, "n"],
    tilt: Float[np.ndarray, "n"],
    azimuth: Float[np.ndarray, "n"],
) -> Components:
    """Return x, y and z of a spin; the orbital angular momentum points along z.

    Args:
        magnitude: Dimensionless, 0 to 1.
        tilt, azimuth: In rad.
    """
    across = magnitude * np.sin(tilt)
    return across * np.cos(azimuth), across * np.sin(azimuth), magnitude * np.cos(tilt)


def chi_eff(
    mass_1: Float[np.ndarray, "n"],
    mass_2: Float[np.ndarray, "n"],
    spin_1z: Float[np.ndarray, "n"],
    spin_2z: Float[np.ndarray, "n"],
) -> Float[np.ndarray, "n"]:
    """Return the mass-weighted mean of the aligned spins, Ajith et al. 2011, PRL 106, 241101."""
    return (mass_1 * spin_1z + mass_2 * spin_2z) / (mass_1 + mass_2)


def chi_p(
    mass_1: Float[np.ndarray, "n"],
    mass_2: Float[np.ndarray, "n"],
    spin_1_across: Float[np.ndarray, "n"],
    spin_2_across: Float[np.ndarray, "n"],
) -> Float[np.ndarray, "n"]:
    """Return the effective precession spin of mass_1 >= mass_2.

    Args:
        mass_1, mass_2: In any one unit.
        spin_1_across, spin_2_across: Magnitudes of the spins in the orbital plane.

    Reference: Schmidt et al. 2015, PRD 91, 024043.
    """
    q = mass_2 / mass_1
    return np.maximum(spin_1_across, q * (4 * q + 3) / (4 + 3 * q) * spin_2_across)
