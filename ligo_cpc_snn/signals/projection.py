"""Project polarizations onto detectors."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float

from ligo_cpc_snn.signals.waveforms import Parameters
from ligo_cpc_snn.strain.detectors import antenna_pattern, arrival_delay

Spectra = Complex[Array, "n frequency"] | Complex[np.ndarray, "n frequency"]


def project(
    h_plus: Spectra,
    h_cross: Spectra,
    parameters: Parameters,
    frequencies: Float[np.ndarray, "frequency"] | Float[Array, "frequency"],
    detectors: Sequence[str],
    gps: float,
) -> Complex[Array, "n detector frequency"]:
    """Return the strain in each detector, with its delay from the geocentre.

    The Earth is taken to stand still while the wave passes, with arms much shorter than
    the wave.

    Args:
        h_plus, h_cross: Polarizations in strain/Hz, t = 0 at the geocentre.
        parameters: right_ascension, declination, polarization in rad.
        frequencies: In Hz.
        detectors: Names.
        gps: GPS time of t = 0 in s; sets the Earth's rotation.

    Returns:
        Strain in strain/Hz; the time of t = 0 stays the geocentre's.
    """
    with jax.enable_x64(True):
        f = jnp.asarray(frequencies, jnp.float64)
        plus, cross, delay = network_response(parameters, detectors, gps)
        shift = -2 * jnp.pi * delay[:, :, None] * f
        strain = plus[:, :, None] * h_plus[:, None] + cross[:, :, None] * h_cross[:, None]
        return strain * (jnp.cos(shift) + 1j * jnp.sin(shift))


def network_response(
    parameters: Parameters, detectors: Sequence[str], gps: float
) -> tuple[Float[Array, "n detector"], Float[Array, "n detector"], Float[Array, "n detector"]]:
    """Return F_plus, F_cross and the delay from the geocentre in s, per source and detector."""
    angles = ("right_ascension", "declination", "polarization")
    sky = [jnp.asarray(parameters[name], jnp.float64) for name in angles]

    def of_one(name: str, ra: Array, dec: Array, psi: Array) -> tuple[Array, Array, Array]:
        return *antenna_pattern(name, ra, dec, psi, gps), arrival_delay(name, ra, dec, gps)

    per_detector = [
        jax.vmap(lambda ra, dec, psi, name=name: of_one(name, ra, dec, psi))(*sky)
        for name in detectors
    ]
    plus, cross, delay = (jnp.stack(column, axis=1) for column in zip(*per_detector, strict=True))
    return plus, cross, delay
