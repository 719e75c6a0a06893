"""Coarse grids of frequencies, and interpolation between them.

In the logarithm of the frequency the phase of an inspiral, f^(-5/3), curves evenly: 512
nodes from 20 Hz up keep it to 1e-5 rad even for the 1e4 rad of two neutron stars.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float, Int


def log_nodes(lowest_hz: float, highest_hz: Float[Array, ""], count: int) -> Float[Array, "node"]:
    """Return `count` frequencies in geometric progression, both ends included."""
    return lowest_hz * (highest_hz / lowest_hz) ** jnp.linspace(0, 1, count)


def log_position(
    octaves: Float[Array, "point"], lowest_hz: float, highest_hz: Float[Array, ""], count: int
) -> Float[Array, "point"]:
    """Return where frequencies lie among `log_nodes`, in nodes from the first.

    Args:
        octaves: Logarithm of the frequencies over `lowest_hz`, which all sources share.
        lowest_hz, highest_hz, count: Of the nodes; frequencies are taken to lie among them.
    """
    scale = (count - 1) / jnp.log(highest_hz / lowest_hz)
    return jnp.clip(octaves * scale, 0, count - 1)


def cubic_interpolation(
    values: Float[Array, "row node"], position: Float[Array, "point"]
) -> Float[Array, "row point"]:
    """Interpolate rows given at nodes 0, 1, 2, ... by cubics through the four nearest nodes."""
    first, weights = cubic_weights(position, values.shape[1])
    return sum((w * values[:, first + k] for k, w in enumerate(weights)), jnp.zeros(()))


def cubic_weights(
    position: Float[Array, "point"], nodes: int
) -> tuple[Int[Array, "point"], tuple[Float[Array, "point"], ...]]:
    """Return the first of the four nodes around each position, and what each is weighted with."""
    first = jnp.clip(jnp.floor(position).astype(jnp.int32) - 1, 0, nodes - 4)
    t = position - first
    return first, (
        -(t - 1) * (t - 2) * (t - 3) / 6,
        t * (t - 2) * (t - 3) / 2,
        -t * (t - 1) * (t - 3) / 2,
        t * (t - 1) * (t - 2) / 6,
    )
