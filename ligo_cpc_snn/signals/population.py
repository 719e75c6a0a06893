"""Draw source parameters from the configured population."""

import zlib
from dataclasses import fields

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from ligo_cpc_snn.config.signals_schema import Distribution, PopulationConfig, PriorConfig


def draw(
    key: Key[Array, ""], population_cfg: PopulationConfig, n: int
) -> dict[str, Float[Array, "n"]]:
    """Draw `n` sources; the heavier body is number 1 and spins move with their bodies.

    A parameter's values depend on its name and the key, not on the other parameters.

    Args:
        key: Random key.
        population_cfg: One prior per parameter.
        n: Number of sources.

    Returns:
        One float32 array per field of `population_cfg`: masses in solar masses, angles
        in rad, spins dimensionless.
    """
    drawn = {
        field.name: _sample(
            jax.random.fold_in(key, zlib.crc32(field.name.encode())),
            getattr(population_cfg, field.name),
            n,
        )
        for field in fields(population_cfg)
        if isinstance(getattr(population_cfg, field.name), PriorConfig)
    }
    swap = drawn["mass_2"] > drawn["mass_1"]
    for first, second in (("mass_1", "mass_2"), ("spin_1z", "spin_2z")):
        a, b = drawn[first], drawn[second]
        drawn[first], drawn[second] = jnp.where(swap, b, a), jnp.where(swap, a, b)
    return drawn


def _sample(key: Key[Array, ""], prior: PriorConfig, n: int) -> Float[Array, "n"]:
    if prior.kind is Distribution.fixed:
        return jnp.full(n, prior.low, jnp.float32)
    # float32 on purpose: the same values whether or not 64-bit numbers are switched on.
    low, high = jnp.float32(prior.low), jnp.float32(prior.high)
    fraction = jax.random.uniform(key, (n,), jnp.float32)
    return jnp.clip(_quantile(prior.kind, low, high, fraction), low, high)


def _quantile(
    kind: Distribution, low: Float[Array, ""], high: Float[Array, ""], u: Float[Array, "n"]
) -> Float[Array, "n"]:
    """Return the value below which a fraction `u` of the prior lies."""
    match kind:
        case Distribution.uniform:
            return low + u * (high - low)
        case Distribution.log_uniform:
            return low * (high / low) ** u
        case Distribution.power_law:
            power = jnp.float32(3.0)
            return (low**power + u * (high**power - low**power)) ** (1 / power)
        case Distribution.sine:
            return jnp.arccos(jnp.cos(low) + u * (jnp.cos(high) - jnp.cos(low)))
        case Distribution.cosine:
            return jnp.arcsin(jnp.sin(low) + u * (jnp.sin(high) - jnp.sin(low)))
    raise ValueError(
        f"prior of kind {kind!r}: expected one of {', '.join(k.name for k in Distribution)}"
    )
