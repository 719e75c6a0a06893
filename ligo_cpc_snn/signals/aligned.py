"""Amplitude and phase of the (2, 2) mode of binaries with aligned spins."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ligo_cpc_snn.config.signals_schema import Approximant
from ligo_cpc_snn.signals.approximants import (
    MODELS,
    ripple_model,
    ripple_parameters,
    total_mass_seconds,
)
from ligo_cpc_snn.signals.interpolation import cubic_interpolation, log_nodes, log_position

Parameters = Mapping[str, Float[Array, "n"] | Float[np.ndarray, "n"]]

NODES = 512
# ripple cuts the phase at a whole number of the grid's first step below the end: a small
# first step keeps what is lost below it.
FIRST_STEP_HZ = 1e-3


def amplitude_and_phase(
    approximant: Approximant,
    parameters: Parameters,
    frequencies: Float[Array, "frequency"],
    reference_hz: float,
    lowest_hz: float,
) -> tuple[Float[Array, "n frequency"], Float[Array, "n frequency"]]:
    """Return amplitude (strain/Hz at 1 Gpc) and phase (rad) of a source seen face on.

    To be traced where 64-bit numbers are on, after `ripple_model` was called once.

    Args:
        approximant: One whose `Model.aligned` is true.
        parameters: Those that the model reads, in float64.
        frequencies: In Hz.
        reference_hz: Where `phase` is the orbital phase, in Hz.
        lowest_hz: The amplitude is 0 below it, in Hz.

    Returns:
        h_plus is amplitude times exp(i phase), times (1 + cos^2(inclination)) / 2.
    """
    model = ripple_model(approximant, reference_hz)
    sign_phase = 0.0 if MODELS[approximant].sign > 0 else np.pi
    octaves = jnp.log(jnp.maximum(frequencies, lowest_hz) / lowest_hz)

    def of_one(one: dict[str, Float[Array, ""]]) -> tuple[Array, Array]:
        highest = highest_frequency(approximant, one, jnp.max(frequencies), lowest_hz)
        beyond = MODELS[approximant].cutoff / total_mass_seconds(one)
        coarse = log_nodes(lowest_hz, highest, NODES)
        values = jnp.stack(_evaluate(model, coarse, beyond, ripple_parameters(one)))
        inside = (frequencies >= lowest_hz) & (frequencies <= highest)
        position = log_position(octaves, lowest_hz, highest, NODES)
        amplitude, phase = cubic_interpolation(values, position)
        return jnp.where(inside, amplitude, 0.0), phase + sign_phase

    names = MODELS[approximant].parameters
    return jax.vmap(of_one)({name: jnp.asarray(parameters[name]) for name in names})


def highest_frequency(
    approximant: Approximant,
    one: Mapping[str, Float[Array, ""]],
    highest_hz: Float[Array, ""],
    lowest_hz: float,
) -> Float[Array, ""]:
    """Return where the waveform or the grid ends, whichever is lower, in Hz."""
    cutoff = MODELS[approximant].cutoff / total_mass_seconds(one) - 2 * FIRST_STEP_HZ
    return jnp.maximum(jnp.minimum(cutoff, highest_hz), 1.01 * lowest_hz)


def _evaluate(
    model: Any, coarse: Float[Array, "node"], beyond: Float[Array, ""], named: dict[str, Any]
) -> tuple[Float[Array, "node"], Float[Array, "node"]]:
    # NRTidalv3 takes t = 0 from the last frequency if that is below the merger's: one more
    # frequency, at the model's end, makes the time independent of the band.
    stepped = jnp.concatenate(
        [coarse[:1], coarse[:1] + FIRST_STEP_HZ, coarse[1:], jnp.maximum(beyond, coarse[-1])[None]]
    )
    phase = model.phase(stepped, named)
    amplitude = model.amplitude(stepped, named)
    amplitude, phase = (jnp.concatenate([row[:1], row[2:-1]]) for row in (amplitude, phase))
    return amplitude, phase
