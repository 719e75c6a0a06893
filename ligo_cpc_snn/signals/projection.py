"""Project polarizations onto detectors, at rest or turning with the Earth."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float

from ligo_cpc_snn.signals.aligned import Parameters
from ligo_cpc_snn.signals.double_precision import double_precision
from ligo_cpc_snn.strain.detectors import antenna_pattern, arrival_delay

Spectra = Complex[Array, "n frequency"] | Complex[np.ndarray, "n frequency"]
Frequencies = Float[np.ndarray, "frequency"] | Float[Array, "frequency"]
Times = Float[np.ndarray, "n frequency"] | Float[Array, "n frequency"]
Response = tuple[Float[Array, "n detector"], Float[Array, "n detector"], Float[Array, "n detector"]]

# rad/s: 1.00273790935 turns in 86400 s, Aoki et al. 1982 (the linear term of sidereal time).
EARTH_TURN = 2 * np.pi * 1.00273790935 / 86400


AFTER = 0.1  # share of the transform's circle that is after t = 0


def project(
    h_plus: Spectra,
    h_cross: Spectra,
    parameters: Parameters,
    frequencies: Frequencies,
    detectors: Sequence[str],
    gps: float,
    *,
    times: Times | None = None,
) -> Complex[Array, "n detector frequency"]:
    """Return the strain in each detector, with its delay from the geocentre.

    Arms are much shorter than the wave. Without `times` the Earth stands still while the
    wave passes. That costs little: of two neutron stars of 1.4 solar masses, 160 s from
    20 Hz, the mismatch with the turning Earth's strain is 1e-5 in the median and 4e-4 at
    most, near a detector's blind spot (test_signals_projection.py).

    Args:
        h_plus, h_cross: Polarizations in strain/Hz, t = 0 at the geocentre.
        parameters: right_ascension, declination, polarization in rad.
        frequencies: In Hz.
        detectors: Names.
        gps: GPS time of t = 0 in s; sets the Earth's rotation.
        times: When each frequency passes, in s after `gps`, as `passing_times` gives them
            (a stationary phase). The Earth is turned by as much.

    Returns:
        Strain in strain/Hz; the time of t = 0 stays the geocentre's.
    """
    with double_precision():
        f = jnp.asarray(frequencies, jnp.float64)
        if times is None:
            plus, cross, delay = (
                x[..., None] for x in network_response(parameters, detectors, gps)
            )
        else:
            plus, cross, delay = _turning_response(parameters, detectors, gps, jnp.asarray(times))
        shift = -2 * jnp.pi * delay * f
        strain = plus * h_plus[:, None] + cross * h_cross[:, None]
        return strain * (jnp.cos(shift) + 1j * jnp.sin(shift))


def passing_times(h: Spectra, frequencies: Frequencies) -> Float[np.ndarray, "n frequency"]:
    """Return when each frequency passes, -(d phase / d f) / (2 pi), in s after t = 0.

    Args:
        h: Transform of one polarization.
        frequencies: Even, in Hz, in steps of less than 1 over the signal's duration.

    Returns:
        Times; 0 where the transform is 0.
    """
    h = np.asarray(h)
    step = frequencies[1] - frequencies[0]
    # The time half a step below and above each frequency, and their mean.
    turned = np.angle(h[:, 1:] * np.conj(h[:, :-1])) / (-2 * np.pi * step)
    # A phase knows the time up to the circle of the transform: most of it is before t = 0.
    turned = (turned - AFTER / step) % (1 / step) + (AFTER - 1) / step
    padded = np.concatenate([turned[:, :1], turned, turned[:, -1:]], axis=1)
    return np.where(h == 0, 0.0, 0.5 * (padded[:, 1:] + padded[:, :-1]))


def network_response(parameters: Parameters, detectors: Sequence[str], gps: float) -> Response:
    """Return F_plus, F_cross and the delay from the geocentre in s, per source and detector."""
    sky = _sky(parameters)

    def of_one(name: str, ra: Array, dec: Array, psi: Array) -> tuple[Array, Array, Array]:
        return *antenna_pattern(name, ra, dec, psi, gps), arrival_delay(name, ra, dec, gps)

    per_detector = [
        jax.vmap(lambda ra, dec, psi, name=name: of_one(name, ra, dec, psi))(*sky)
        for name in detectors
    ]
    plus, cross, delay = (jnp.stack(column, axis=1) for column in zip(*per_detector, strict=True))
    return plus, cross, delay


def _turning_response(
    parameters: Parameters, detectors: Sequence[str], gps: float, times: Array
) -> tuple[Array, Array, Array]:
    """Return `network_response` at gps + times, each (n, detector, frequency)."""
    ra, dec, psi = _sky(parameters)
    # The Earth's turn to the east is the source's to the west: a smaller right ascension.
    turned = {"right_ascension": ra[:, None] - EARTH_TURN * times}
    turned |= {"declination": jnp.broadcast_to(dec[:, None], times.shape)}
    turned |= {"polarization": jnp.broadcast_to(psi[:, None], times.shape)}
    flat = network_response({k: v.ravel() for k, v in turned.items()}, detectors, gps)
    shape = (*times.shape, len(detectors))
    plus, cross, delay = (jnp.moveaxis(x.reshape(shape), -1, 1) for x in flat)
    return plus, cross, delay


def _sky(parameters: Parameters) -> list[Float[Array, "n"]]:
    names = ("right_ascension", "declination", "polarization")
    return [jnp.asarray(parameters[name], jnp.float64) for name in names]
