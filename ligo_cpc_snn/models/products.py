"""Matrix products with factors of either precision; sums, results and gradients are float32.

In bfloat16 both factors are rounded to 8 significant bits and their products are summed in
float32, in the gradient's two products as well. Spikes, 0 and 1, are rounded to themselves.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from ligo_cpc_snn.config.runtime_schema import Precision

Dimensions = tuple[tuple[tuple[int, ...], tuple[int, ...]], tuple[tuple[()], tuple[()]]]


def _rounded(x: Array, y: Array, over: tuple[tuple[int, ...], tuple[int, ...]]) -> Array:
    """Contract axes of factors in bfloat16, summed in float32."""
    factors = x.astype(jnp.bfloat16), y.astype(jnp.bfloat16)
    return lax.dot_general(*factors, (over, ((), ())), preferred_element_type=jnp.float32)


@jax.custom_vjp
def _bfloat16(x: Float[Array, "*batch in"], kernel: Float[Array, "in out"]) -> Array:
    return _rounded(x, kernel, ((x.ndim - 1,), (0,)))


def _forward(x: Array, kernel: Array) -> tuple[Array, tuple[Array, Array]]:
    # What is kept for the way back is kept in bfloat16: half the memory.
    x, kernel = x.astype(jnp.bfloat16), kernel.astype(jnp.bfloat16)
    return _rounded(x, kernel, ((x.ndim - 1,), (0,))), (x, kernel)


def _backward(kept: tuple[Array, Array], g: Array) -> tuple[Array, Array]:
    x, kernel = kept
    batch = tuple(range(x.ndim - 1))
    g_x = _rounded(g, kernel, ((g.ndim - 1,), (1,)))
    return g_x, _rounded(x, g, (batch, batch))


_bfloat16.defvjp(_forward, _backward)


def product(
    x: Float[Array, "*batch in"],
    kernel: Float[Array, "in out"],
    precision: Precision = Precision.float32,
) -> Float[Array, "*batch out"]:
    """Return `x @ kernel` in float32, its factors in `precision`."""
    return _bfloat16(x, kernel) if precision is Precision.bfloat16 else x @ kernel


def _bfloat16_dot_general(
    x: Array, kernel: Array, dimensions: Dimensions, precision: Any = None, **_: Any
) -> Array:
    """Stand in for `lax.dot_general` in an `nnx.Linear`, which contracts last with first."""
    if dimensions != (((x.ndim - 1,), (0,)), ((), ())):
        raise ValueError(f"dimensions {dimensions}: expected those of an nnx.Linear")
    return _bfloat16(x, kernel)


def dot_general(precision: Precision) -> Any:
    """Return the `dot_general` that gives an `nnx.Linear` products of this precision."""
    return _bfloat16_dot_general if precision is Precision.bfloat16 else lax.dot_general
