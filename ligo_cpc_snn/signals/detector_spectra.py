"""Whitened spectra of signals in several detectors, on an even grid of frequencies."""

from collections.abc import Sequence
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float

from ligo_cpc_snn.config.signals_schema import Approximant
from ligo_cpc_snn.signals.aligned import Parameters, amplitude_and_phase
from ligo_cpc_snn.signals.approximants import MODELS
from ligo_cpc_snn.signals.projection import network_response
from ligo_cpc_snn.signals.waveforms import traced_polarizations


@dataclass(frozen=True)
class Wave:
    """Which waves are made: approximant, modes, and frequencies in Hz."""

    approximant: Approximant
    modes: tuple[str, ...]
    reference_hz: float
    lowest_hz: float


@dataclass(frozen=True)
class Grid:
    """Frequencies `step_hz` times `first`, `first` + 1, ..., `count` of them."""

    step_hz: float
    first: int
    count: int

    def frequencies(self) -> Float[Array, "frequency"]:
        """Return the frequencies, Hz."""
        return self.step_hz * jnp.arange(self.first, self.first + self.count, dtype=jnp.float64)


def whitened_spectra(
    wave: Wave,
    grid: Grid,
    sources: Parameters,
    responses: Float[Array, "detector frequency"],
    detectors: Sequence[str],
    gps: float,
) -> Complex[Array, "n detector frequency"]:
    """Return spectra of sources at 1 Gpc times the filters' responses, complex64.

    To be traced where 64-bit numbers are on. Phases are reduced to a turn in float64; what
    follows is in float32.

    Args:
        wave: What is made.
        grid: Frequencies.
        sources: Parameters, with right_ascension, declination and polarization.
        responses: What each detector's spectrum is multiplied with.
        detectors: Names.
        gps: Time that sets the Earth's rotation, in s.
    """
    plus, cross, delay = network_response(sources, detectors, gps)
    weights = responses.astype(jnp.float32)
    f = grid.frequencies()
    late = -2 * jnp.pi * delay[..., None] * f
    if MODELS[wave.approximant].aligned:
        amplitude, phase = amplitude_and_phase(
            wave.approximant, sources, f, wave.reference_hz, wave.lowest_hz
        )
        cosine = jnp.cos(sources["inclination"])[:, None]
        # h_cross is h_plus a quarter of a turn later: one wave in each detector.
        real, imaginary = plus * 0.5 * (1 + cosine**2), -cross * cosine
        angle = phase[:, None] + (late + jnp.arctan2(imaginary, real)[..., None])
        size = jnp.hypot(real, imaginary).astype(jnp.float32)[..., None] * weights
        return _turn(angle, size * amplitude.astype(jnp.float32)[:, None])
    arguments = (sources, f, wave.reference_hz, wave.lowest_hz, wave.approximant, wave.modes)
    h_plus, h_cross = (_single(h)[:, None] for h in traced_polarizations(*arguments))
    plus, cross = (x.astype(jnp.float32)[..., None] for x in (plus, cross))
    return (plus * h_plus + cross * h_cross) * _turn(late, weights)


def _turn(angle: Float[Array, "*shape"], size: Float[Array, "..."]) -> Complex[Array, "*shape"]:
    """Return size times exp(i angle) in single precision."""
    turns = angle * (0.5 / jnp.pi)
    reduced = (2 * jnp.pi * (turns - jnp.round(turns))).astype(jnp.float32)
    return jax.lax.complex(size * jnp.cos(reduced), size * jnp.sin(reduced))


def _single(values: Complex[Array, "*shape"]) -> Complex[Array, "*shape"]:
    return values.astype(jnp.complex64)
