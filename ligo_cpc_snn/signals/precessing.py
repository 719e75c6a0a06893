"""Polarizations of precessing binaries, as slow functions times the phases of carriers.

A mode of order m turns m/2 times as fast as the (2, 2) mode of the same orbit, which
IMRPhenomXAS gives: divided by that phase at 2 f / m, its share of a polarization varies
with the precession only, and is interpolated from a coarse grid.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float

from ligo_cpc_snn.config.signals_schema import Approximant
from ligo_cpc_snn.signals.aligned import Parameters, highest_frequency
from ligo_cpc_snn.signals.approximants import MODELS, ripple_model, ripple_parameters
from ligo_cpc_snn.signals.higher_modes import XPHM_MODES, mode_sums
from ligo_cpc_snn.signals.interpolation import cubic_weights, log_nodes, log_position

NODES = 768


def precessing_polarizations(
    approximant: Approximant,
    modes: tuple[str, ...],
    parameters: Parameters,
    frequencies: Float[Array, "frequency"],
    reference_hz: float,
    lowest_hz: float,
) -> tuple[Complex[Array, "n frequency"], Complex[Array, "n frequency"]]:
    """Return plus and cross polarizations at 1 Gpc; arguments as in `polarizations`.

    To be traced where 64-bit numbers are on, after `ripple_model` was called once.
    """
    quadrupole = approximant is Approximant.IMRPhenomXP or set(modes) == {"22"}
    chosen = ("22",) if quadrupole else modes or XPHM_MODES
    octaves = jnp.log(jnp.maximum(frequencies, lowest_hz) / lowest_hz)

    def of_one(one: dict[str, Float[Array, ""]]) -> tuple[Array, Array]:
        highest = highest_frequency(approximant, one, jnp.max(frequencies), lowest_hz)
        coarse = log_nodes(lowest_hz, highest, NODES)
        carriers, slow = _factors(chosen, one, coarse, reference_hz)
        inside = (frequencies >= lowest_hz) & (frequencies <= highest)
        position = log_position(octaves, lowest_hz, highest, NODES)
        plus, cross = _assemble(carriers, slow, position)
        return jnp.where(inside, plus, 0), jnp.where(inside, cross, 0)

    names = MODELS[approximant].parameters
    return jax.vmap(of_one)({name: jnp.asarray(parameters[name]) for name in names})


def _factors(
    modes: tuple[str, ...], one: dict[str, Array], coarse: Float[Array, "node"], reference_hz: float
) -> tuple[Float[Array, "order node"], Complex[Array, "order polarization node"]]:
    """Return the carriers' phases, and the polarizations' sums over modes of their order."""
    named = ripple_parameters(one)
    orders = sorted({int(mode[1]) for mode in modes})
    carrier = ripple_model(Approximant.IMRPhenomXAS, reference_hz)
    aligned = named | {"phase_c": 0.0}
    phases = jnp.stack([m / 2 * carrier.phase(2 / m * coarse, aligned) for m in orders])
    if modes == ("22",):
        both = ripple_model(Approximant.IMRPhenomXP, reference_hz)(coarse, named)
        sums = jnp.stack([both["p"], both["c"]])[None]
    else:
        sums = mode_sums(modes, orders, one, coarse, reference_hz)
    return phases, sums * _turn(-phases)[:, None]


def _assemble(
    carriers: Float[Array, "order node"],
    slow: Complex[Array, "order polarization node"],
    position: Float[Array, "frequency"],
) -> tuple[Complex[Array, "frequency"], Complex[Array, "frequency"]]:
    first, weights = cubic_weights(position, carriers.shape[-1])

    def interpolate(rows: Any) -> Any:
        return sum(w * rows[..., first + k] for k, w in enumerate(weights))

    total = jnp.sum(_turn(interpolate(carriers))[:, None] * interpolate(slow), axis=0)
    return total[0], total[1]


def _turn(phase: Array) -> Array:
    return jax.lax.complex(jnp.cos(phase), jnp.sin(phase))
