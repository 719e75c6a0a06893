"""The LIF recurrence as one GPU kernel each way, the loop over time inside (Pallas, Triton).

A neuron of a sequence is a lane. A program holds the membranes of `LANES` of them in
registers and goes through time once; `AHEAD` frames are read before the first of them is
needed, so that the memory works while the membranes are updated. A scan would start several
kernels for each frame.

Kept for the way back are the membranes alone, as in `models/lif.py`, whose equations these are.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.experimental import pallas as pl
from jaxtyping import Array, Float
from spyx.axn import Activation

from ligo_cpc_snn.errors import UserError

LANES = 128  # a warp's 32 threads, four warps
AHEAD = 8

Sequence = Float[Array, "time batch neuron"]
Membrane = Float[Array, "batch neuron"]

_INTERPRETED: ContextVar[bool] = ContextVar("interpreted", default=False)


class KernelError(UserError):
    """A kernel was asked for that this machine cannot run."""


@contextmanager
def interpreted() -> Iterator[None]:
    """Let the kernel run on any device, step by step and slowly: for tests."""
    token = _INTERPRETED.set(True)
    try:
        yield
    finally:
        _INTERPRETED.reset(token)


def on_gpu(kernel: Callable[..., Any], scan: Callable[..., Any], *args: Array) -> Any:
    """Return what `kernel` gives on a GPU, and what `scan` does where it is lowered for a CPU.

    Raises:
        KernelError: JAX has no GPU that Triton compiles for.
    """
    if _INTERPRETED.get():
        return kernel(*args, interpret=True)
    platform = jax.default_backend()
    if platform not in ("gpu", "cuda", "rocm"):
        raise KernelError(
            f"runtime.kernels.lif=pallas: expected an NVIDIA or AMD GPU, JAX runs on {platform}; "
            "use runtime.kernels.lif=scan or auto"
        )
    return lax.platform_dependent(*args, cuda=kernel, rocm=kernel, default=scan)


def _triton() -> Any:
    try:
        from jax.experimental.pallas import triton
    except ImportError as error:
        raise KernelError(
            f"runtime.kernels.lif=pallas: Triton is not in this JAX {jax.__version__} ({error}); "
            "use runtime.kernels.lif=scan or auto, or install a newer jax"
        ) from error
    return triton


def forward(
    x_tbf: Sequence,
    beta: Float[Array, "neuron"],
    start: Membrane,
    theta: float,
    spike: Activation,
    interpret: bool = False,
) -> tuple[Sequence, Sequence, Membrane]:
    """Return spikes, the membranes they were read from, and the membrane after the last."""
    body = partial(_forward_kernel, theta=theta, spike=spike)
    rows = jnp.broadcast_to(beta, start.shape), start
    (spikes, v), (last,) = _over_lanes(body, rows, (x_tbf,), (2, 1), interpret)
    return spikes, v, last


def backward(
    v_tbf: Sequence,
    beta: Float[Array, "neuron"],
    g_spikes: Sequence,
    g_last: Membrane,
    theta: float,
    spike: Activation,
    interpret: bool = False,
) -> tuple[Sequence, Float[Array, "neuron"], Membrane]:
    """Return the gradients of currents, decays and first membranes."""
    body = partial(_backward_kernel, theta=theta, spike=spike)
    rows = jnp.broadcast_to(beta, g_last.shape), g_last
    (g_x,), (g_beta, g_start) = _over_lanes(body, rows, (v_tbf, g_spikes), (1, 2), interpret)
    return g_x, jnp.sum(g_beta, axis=0), g_start


def _over_lanes(
    body: Callable[..., None],
    rows: tuple[Membrane, ...],
    sequences: tuple[Sequence, ...],
    outputs: tuple[int, int],
    interpret: bool,
) -> tuple[list[Sequence], list[Membrane]]:
    """Run a kernel over blocks of lanes.

    Args:
        body: of the lanes and references to rows, sequences, then the outputs.
        rows: numbers per lane.
        sequences: numbers per frame and lane.
        outputs: how many sequences come out, and how many rows after them.
    """
    frames, batch, neurons = sequences[0].shape
    lanes, (wholes, singles) = batch * neurons, outputs
    row = pl.BlockSpec((LANES,), lambda i: (i,))
    whole = pl.BlockSpec((frames, LANES), lambda i: (0, i))
    triton = _triton()
    call = pl.pallas_call(
        partial(body, partial(_Lanes, triton, frames, lanes)),
        out_shape=[jax.ShapeDtypeStruct((frames, lanes), jnp.float32)] * wholes
        + [jax.ShapeDtypeStruct((lanes,), jnp.float32)] * singles,
        grid=(pl.cdiv(lanes, LANES),),
        in_specs=[row] * len(rows) + [whole] * len(sequences),
        out_specs=[whole] * wholes + [row] * singles,
        compiler_params=triton.CompilerParams(num_warps=LANES // 32),
        interpret=interpret,
    )
    out = call(*(x.reshape(-1) for x in rows), *(x.reshape(frames, -1) for x in sequences))
    back = [x.reshape(*x.shape[:-1], batch, neurons) for x in out]
    return back[:wholes], back[wholes:]


class _Lanes:
    """The lanes of one program: what reads and writes them, and the way through time.

    Args:
        triton: module of Pallas.
        frames, lanes: of the whole sequence; the last program has fewer lanes than `LANES`.
        reverse: go from the last frame to the first.
    """

    def __init__(self, triton: Any, frames: int, lanes: int, reverse: bool = False):
        self.frames, self.reverse = frames, reverse
        mine = pl.program_id(0) * LANES + jnp.arange(LANES)
        self.read = partial(triton.load, mask=mine < lanes, other=0.0)
        self.write = partial(triton.store, mask=mine < lanes)

    def through(self, refs: tuple[Any, ...], first: Any, frame: Callable[..., Any]) -> Any:
        """Return the last carry of `frame(t, carry, inputs)`, `AHEAD` frames read at a time."""

        def several(start: Any, number: int, carry: Any) -> Any:
            at = [start + i for i in range(number)]
            at = [self.frames - 1 - t for t in at] if self.reverse else at
            inputs = [tuple(self.read(ref.at[t]) for ref in refs) for t in at]
            for t, now in zip(at, inputs, strict=True):
                carry = frame(t, carry, now)
            return carry

        groups = self.frames // AHEAD
        carry = lax.fori_loop(0, groups, lambda i, c: several(i * AHEAD, AHEAD, c), first)
        return lax.fori_loop(groups * AHEAD, self.frames, lambda t, c: several(t, 1, c), carry)


def _forward_kernel(  # type: ignore[no-untyped-def]
    lanes, beta_ref, start_ref, x_ref, spikes_ref, v_ref, last_ref, *, theta, spike
):
    program = lanes()
    beta = program.read(beta_ref)

    def frame(t: Any, v: Array, inputs: tuple[Array, ...]) -> Array:
        # `jax.vjp` gives the step itself: Triton knows no function with its own gradient.
        spikes, _ = jax.vjp(spike, v - theta)
        program.write(spikes_ref.at[t], spikes)
        program.write(v_ref.at[t], v)
        return beta * v + inputs[0] - spikes * theta

    program.write(last_ref, program.through((x_ref,), program.read(start_ref), frame))


def _backward_kernel(  # type: ignore[no-untyped-def]
    lanes, beta_ref, g_last_ref, v_ref, g_ref, g_x_ref, g_beta_ref, g_start_ref, *, theta, spike
):
    program = lanes(reverse=True)
    beta, g_last = program.read(beta_ref), program.read(g_last_ref)

    def frame(t: Any, carry: tuple[Array, Array], inputs: tuple[Array, ...]) -> Any:
        (g, g_beta), (v, g_spikes) = carry, inputs
        _, pull = jax.vjp(spike, v - theta)
        (slope,) = pull(jnp.ones_like(v))
        program.write(g_x_ref.at[t], g)
        return (beta - theta * slope) * g + g_spikes * slope, g_beta + g * v

    carry = program.through((v_ref, g_ref), (g_last, jnp.zeros_like(g_last)), frame)
    program.write(g_start_ref, carry[0])
    program.write(g_beta_ref, carry[1])
