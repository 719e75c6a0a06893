"""Sine-Gaussian bursts in the frequency domain."""

import jax.numpy as jnp
from jaxtyping import Array, Complex, Float

from ligo_cpc_snn.signals.aligned import Parameters

ROOT_SUM_SQUARE = 1e-22  # 1/sqrt(Hz) of strain, at the distance of 1 Gpc


def sine_gaussian(
    parameters: Parameters, frequencies: Float[Array, "frequency"]
) -> tuple[Complex[Array, "n frequency"], Complex[Array, "n frequency"]]:
    """Return the Fourier transforms of elliptically polarized sine-Gaussians.

    h_plus and h_cross are a Gaussian, whose standard deviation in time is
    quality / (2 pi frequency_hz), times a cosine and a sine; the integral of the sum of
    their squares is `ROOT_SUM_SQUARE` squared. As a binary's, they are in the proportion of
    (1 + c^2) / 2 to c for c the cosine of the inclination.

    Args:
        parameters: frequency_hz, quality, inclination and phase.
        frequencies: In Hz.

    Returns:
        Transforms in strain/Hz.

    Reference: ripple's SineGaussian, transformed by hand; LAL's XLALSimBurstSineGaussian.
    """
    centre, quality, inclination, phase = (
        jnp.asarray(parameters[name])[:, None]
        for name in ("frequency_hz", "quality", "inclination", "phase")
    )
    width = quality / (2 * jnp.pi * centre)
    cosine = jnp.cos(inclination)
    plus, cross = _amplitudes(0.5 * (1 + cosine**2), jnp.abs(cosine), width, quality, phase)
    turn = jnp.cos(phase) - 1j * jnp.sin(phase)
    # A real signal's positive frequencies hold the tail of its negative ones too.
    above = turn * _gaussian(frequencies - centre, width)
    below = jnp.conj(turn) * _gaussian(frequencies + centre, width)
    return plus * 0.5 * (above + below), jnp.sign(cosine) * cross * -0.5j * (above - below)


def _amplitudes(
    major: Array, minor: Array, width: Array, quality: Array, phase: Array
) -> tuple[Array, Array]:
    norm = jnp.sqrt(major**2 + minor**2)
    half = 0.5 * jnp.sqrt(jnp.pi) * width
    decay = jnp.exp(-(quality**2)) * jnp.cos(2 * phase)
    plus = ROOT_SUM_SQUARE * major / norm / jnp.sqrt(half * (1 + decay))
    return plus, ROOT_SUM_SQUARE * minor / norm / jnp.sqrt(half * (1 - decay))


def _gaussian(frequencies: Array, width: Array) -> Array:
    """Return the transform of a Gaussian of unit height."""
    angle = 2 * jnp.pi * frequencies * width
    return jnp.sqrt(2 * jnp.pi) * width * jnp.exp(-0.5 * angle**2)
