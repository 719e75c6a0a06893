"""Linear recurrences over time: frame after frame, or all frames in log(time) parallel steps.

h[t] = decay[t] h[t-1] + drive[t] is a composition of affine maps, which is associative
(Blelloch 1990, "Prefix sums and their applications", section 1.4): a GPU composes neighbours
in pairs, pairs of pairs and so on. A CPU does less work frame after frame.

The gradient is written out. It is the same recurrence in reverse,

    dL/dh[t] = g[t] + decay[t+1] dL/dh[t+1],   dL/ddecay[t] = dL/dh[t] h[t-1],

so that only `decay` and `h` are kept.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from ligo_cpc_snn.config.runtime_schema import RecurrenceKernel
from ligo_cpc_snn.models.kernels import PLAIN, Kernels

Sequence = Float[Array, "time *state"]
Value = Float[Array, "*state"]


def affine_scan(
    decay: Sequence, drive: Sequence, start: Value, kernels: Kernels, *, reverse: bool = False
) -> tuple[Sequence, Value]:
    """Return h, time-major, and its last value; no gradient is defined beyond JAX's own.

    Args:
        decay, drive: of h[t] = decay[t] h[t-1] + drive[t].
        start: h before the first frame, or after the last in `reverse`.
        reverse: run from the last frame to the first.
    """
    if kernels.recurrence is RecurrenceKernel.associative:

        def compose(one: Any, other: Any) -> Any:
            return one[0] * other[0], one[1] * other[0] + other[1]

        decays, drives = lax.associative_scan(compose, (decay, drive), reverse=reverse)
        h = decays * start + drives
        return h, h[0] if reverse else h[-1]

    def step(h: Array, inputs: tuple[Array, Array]) -> tuple[Array, Array]:
        h = inputs[0] * h + inputs[1]
        return h, h

    last, h = lax.scan(step, start, (decay, drive), reverse=reverse, unroll=kernels.unroll)
    return h, last


@partial(jax.custom_vjp, nondiff_argnums=(3,))
def linear_recurrence(
    decay: Sequence, drive: Sequence, start: Value, kernels: Kernels = PLAIN
) -> tuple[Sequence, Value]:
    """Return h with h[t] = decay[t] h[t-1] + drive[t], time-major, and the last h.

    Args:
        decay, drive: per frame.
        start: h before the first frame.
        kernels: `recurrence` and `unroll` are looked at.
    """
    return affine_scan(decay, drive, start, kernels)


def _forward(decay, drive, start, kernels):  # type: ignore[no-untyped-def]
    h, last = affine_scan(decay, drive, start, kernels)
    return (h, last), (decay, h, start)


def _backward(kernels, kept, cotangents):  # type: ignore[no-untyped-def]
    decay, h, start = kept
    g_h, g_last = cotangents
    # c[t] = decay[t+1] dL/dh[t+1] reaches h[t] from the frames after it; g_last the last one.
    g = g_h.at[-1].add(g_last)
    later = jnp.concatenate([decay[1:], jnp.zeros_like(decay[:1])])
    g, _ = affine_scan(later, g, jnp.zeros_like(start), kernels, reverse=True)
    before = jnp.concatenate([start[None], h[:-1]])
    return g * before, g, decay[0] * g[0]


linear_recurrence.defvjp(_forward, _backward)
