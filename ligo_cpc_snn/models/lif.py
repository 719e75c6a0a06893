"""The LIF recurrence over a whole sequence, with its gradient written out.

Reset by subtraction makes the backward recurrence linear once the membrane is
known: with V' = beta V + x - theta S(V - theta),

    dL/dV = beta dL/dV' + (dL/ds - theta dL/dV') S'(V - theta),   dL/dx = dL/dV'.

So only the membrane is kept, and the way back can be taken in parallel. Reverse-mode
differentiation of a scan keeps every intermediate of every frame instead.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float
from spyx.axn import Activation

from ligo_cpc_snn.config.runtime_schema import LifKernel, RecurrenceKernel
from ligo_cpc_snn.models import lif_pallas
from ligo_cpc_snn.models.kernels import PLAIN, Kernels
from ligo_cpc_snn.models.recurrence import affine_scan

Sequence = Float[Array, "time batch neuron"]
Membrane = Float[Array, "batch neuron"]


@partial(jax.custom_vjp, nondiff_argnums=(3, 4, 5))
def lif(
    x_tbf: Sequence,
    beta: Float[Array, "neuron"],
    start: Membrane,
    theta: float,
    spike: Activation,
    kernels: Kernels = PLAIN,
) -> tuple[Sequence, Sequence, Membrane]:
    """Run LIF neurons over their input currents, as `spyx.nn.LIF` does frame by frame.

    Args:
        x_tbf: input currents.
        beta: membrane decay per frame, in [0, 1].
        start: membrane before the first frame.
        theta: threshold, and what a spike takes off the membrane.
        spike: step function with a surrogate gradient.
        kernels: `lif`; without its kernel `unroll`, and `recurrence` for the way back.

    Returns:
        Spikes, the membranes they were read from (no gradient passes through these),
        and the membrane after the last frame.

    Raises:
        KernelError: `pallas` where there is no GPU for it.
    """
    return _run(x_tbf, beta, start, theta, spike, kernels)


def _run(x_tbf, beta, start, theta, spike, kernels):  # type: ignore[no-untyped-def]
    def scan(x_tbf: Sequence, beta: Array, start: Membrane) -> tuple[Sequence, Sequence, Membrane]:
        def step(v: Array, x: Array) -> tuple[Array, Array]:
            return beta * v + x - spike(v - theta) * theta, v

        last, v_tbf = lax.scan(step, start, x_tbf, unroll=kernels.unroll)
        return spike(v_tbf - theta), v_tbf, last

    if kernels.lif is LifKernel.pallas:
        kernel = partial(lif_pallas.forward, theta=theta, spike=spike)
        return lif_pallas.on_gpu(kernel, scan, x_tbf, beta, start)
    return scan(x_tbf, beta, start)


def _forward(x_tbf, beta, start, theta, spike, kernels):  # type: ignore[no-untyped-def]
    spikes, v_tbf, last = _run(x_tbf, beta, start, theta, spike, kernels)
    return (spikes, v_tbf, last), (v_tbf, beta)


def _backward(theta, spike, kernels, kept, cotangents):  # type: ignore[no-untyped-def]
    v_tbf, beta = kept
    g_spikes, _, g_last = cotangents

    def scan(
        v_tbf: Sequence, beta: Array, g_spikes: Sequence, g_last: Membrane
    ) -> tuple[Sequence, Array, Membrane]:
        way_back = _parallel if kernels.recurrence is RecurrenceKernel.associative else _by_frame
        g_x, g_start = way_back(v_tbf, beta, g_spikes, g_last, theta, spike, kernels)
        return g_x, jnp.sum(g_x * v_tbf, axis=(0, 1)), g_start

    if kernels.lif is LifKernel.pallas:
        kernel = partial(lif_pallas.backward, theta=theta, spike=spike)
        return lif_pallas.on_gpu(kernel, scan, v_tbf, beta, g_spikes, g_last)
    return scan(v_tbf, beta, g_spikes, g_last)


def _slope(v: Array, theta: float, spike: Activation) -> Array:
    _, pull = jax.vjp(spike, v - theta)
    return pull(jnp.ones_like(v))[0]


def _by_frame(v_tbf, beta, g_spikes, g_last, theta, spike, kernels):  # type: ignore[no-untyped-def]
    """Return the gradients of currents and first membranes, S' taken frame by frame.

    Taken over all frames at once it is two more arrays to write and read: a third of the
    processor time of the whole SNN, measured on x86 at 256 frames of 16 x 256 neurons.
    """

    def step(g: Array, inputs: tuple[Array, Array]) -> tuple[Array, Array]:
        v, g_spike = inputs
        slope = _slope(v, theta, spike)
        return (beta - theta * slope) * g + g_spike * slope, g

    frames = (v_tbf, g_spikes)
    g_start, g_x = lax.scan(step, g_last, frames, reverse=True, unroll=kernels.unroll)
    return g_x, g_start


def _parallel(v_tbf, beta, g_spikes, g_last, theta, spike, kernels):  # type: ignore[no-untyped-def]
    """Return the same by compositions of neighbouring frames."""
    slope = _slope(v_tbf, theta, spike)
    decay, drive = beta - theta * slope, g_spikes * slope
    g, g_start = affine_scan(decay, drive, g_last, kernels, reverse=True)
    return jnp.concatenate([g[1:], g_last[None]]), g_start


lif.defvjp(_forward, _backward)
