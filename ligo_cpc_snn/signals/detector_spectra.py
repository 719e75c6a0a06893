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

BLOCK = 64  # frequencies whose delays' phases are a product of two tables


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

    To be traced where 64-bit numbers are on. Phases are reduced to a turn in float64: what
    follows in float32 is a mismatch below 1e-12.

    Args:
        wave: What is made.
        grid: Frequencies.
        sources: Parameters, with right_ascension, declination and polarization.
        responses: What each detector's spectrum is multiplied with.
        detectors: Names.
        gps: Time that sets the Earth's rotation, in s.
    """
    plus, cross, delay = network_response(sources, detectors, gps)
    turns = _delay_turns(delay, grid)
    weights = responses.astype(jnp.float32)
    f = grid.frequencies()
    if MODELS[wave.approximant].aligned:
        amplitude, phase = amplitude_and_phase(
            wave.approximant, sources, f, wave.reference_hz, wave.lowest_hz
        )
        cosine = jnp.cos(sources["inclination"])[:, None]
        # h_cross is h_plus a quarter of a turn later: one complex number per detector.
        orientation = jax.lax.complex(plus * 0.5 * (1 + cosine**2), -cross * cosine)
        h = amplitude.astype(jnp.float32) * _turn(phase)
        return (_single(orientation)[..., None] * turns) * (h[:, None] * weights)
    arguments = (sources, f, wave.reference_hz, wave.lowest_hz, wave.approximant, wave.modes)
    h_plus, h_cross = (_single(h)[:, None] for h in traced_polarizations(*arguments))
    plus, cross = (x.astype(jnp.float32)[..., None] for x in (plus, cross))
    return (plus * h_plus + cross * h_cross) * weights * turns


def _delay_turns(
    delay: Float[Array, "n detector"], grid: Grid
) -> Complex[Array, "n detector frequency"]:
    """Return exp(-2 pi i f delay), a product of blocks' first values and steps within."""
    blocks = -(-grid.count // BLOCK)
    first = grid.step_hz * (grid.first + BLOCK * jnp.arange(blocks))
    within = grid.step_hz * jnp.arange(BLOCK)
    angle = -2 * jnp.pi * delay[..., None]
    table = _turn(angle * first)[..., :, None] * _turn(angle * within)[..., None, :]
    return table.reshape(*delay.shape, blocks * BLOCK)[..., : grid.count]


def _turn(angle: Float[Array, "*shape"]) -> Complex[Array, "*shape"]:
    turns = angle / (2 * jnp.pi)
    reduced = (2 * jnp.pi * (turns - jnp.round(turns))).astype(jnp.float32)
    return jax.lax.complex(jnp.cos(reduced), jnp.sin(reduced))


def _single(values: Complex[Array, "*shape"]) -> Complex[Array, "*shape"]:
    return values.astype(jnp.complex64)
