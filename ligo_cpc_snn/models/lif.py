"""The LIF recurrence over a whole sequence, with its gradient written out.

Reset by subtraction makes the backward recurrence linear once the membrane is
known: with V' = beta V + x - theta S(V - theta),

    dL/dV = beta dL/dV' + (dL/ds - theta dL/dV') S'(V - theta),   dL/dx = dL/dV'.

So only the membrane is kept, S' is taken over all frames at once, and the loop back
is one multiply-add. Reverse-mode differentiation of a scan keeps every
intermediate of every frame instead.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float
from spyx.axn import Activation

Sequence = Float[Array, "time batch neuron"]
Membrane = Float[Array, "batch neuron"]


def _membranes(x_tbf: Sequence, beta: Array, start: Membrane, theta: float, spike: Activation):  # type: ignore[no-untyped-def]
    def step(v: Array, x: Array) -> tuple[Array, Array]:
        return beta * v + x - spike(v - theta) * theta, v

    return jax.lax.scan(step, start, x_tbf)


@partial(jax.custom_vjp, nondiff_argnums=(3, 4))
def lif(
    x_tbf: Sequence, beta: Float[Array, "neuron"], start: Membrane, theta: float, spike: Activation
) -> tuple[Sequence, Sequence, Membrane]:
    """Run LIF neurons over their input currents, as `spyx.nn.LIF` does frame by frame.

    Args:
        x_tbf: input currents.
        beta: membrane decay per frame, in [0, 1].
        start: membrane before the first frame.
        theta: threshold, and what a spike takes off the membrane.
        spike: step function with a surrogate gradient.

    Returns:
        Spikes, the membranes they were read from (no gradient passes through these),
        and the membrane after the last frame.
    """
    last, v_tbf = _membranes(x_tbf, beta, start, theta, spike)
    return spike(v_tbf - theta), v_tbf, last


def _forward(x_tbf, beta, start, theta, spike):  # type: ignore[no-untyped-def]
    last, v_tbf = _membranes(x_tbf, beta, start, theta, spike)
    return (spike(v_tbf - theta), v_tbf, last), (v_tbf, beta)


def _backward(theta, spike, kept, cotangents):  # type: ignore[no-untyped-def]
    v_tbf, beta = kept
    g_spikes, _, g_last = cotangents
    _, pull = jax.vjp(spike, v_tbf - theta)
    (slope,) = pull(jnp.ones_like(v_tbf))
    decay, drive = beta - theta * slope, g_spikes * slope

    def step(g: Array, inputs: tuple[Array, Array]) -> tuple[Array, Array]:
        decay_t, drive_t = inputs
        return decay_t * g + drive_t, g

    g_start, g_x = jax.lax.scan(step, g_last, (decay, drive), reverse=True)
    return g_x, jnp.sum(g_x * v_tbf, axis=(0, 1)), g_start


lif.defvjp(_forward, _backward)
