"""Whether the LIF kernel of Triton computes on a device what the scan does: tried, not believed.

A GPU, its driver and the installed Triton may be of versions that nobody has tested together. So
`auto` takes the kernel only where a small forward and backward run of it, with each spike
function, compiled and gave the scan's numbers on that very device.
"""

import logging
from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ligo_cpc_snn.config.model_schema import Surrogate
from ligo_cpc_snn.config.runtime_schema import LifKernel
from ligo_cpc_snn.models.kernels import PLAIN, Kernels
from ligo_cpc_snn.models.lif import lif
from ligo_cpc_snn.models.lif_pallas import AHEAD
from ligo_cpc_snn.models.surrogate import build_surrogate

log = logging.getLogger(__name__)

# No whole group of frames and no whole block of lanes: the kernel's rests and masks count.
FRAMES, BATCH, WIDTH = AHEAD + 3, 3, 50
KINDS, SLOPE = tuple(Surrogate), 2.0
TOLERANCE = 1e-5  # of the largest gradient, as in the table of models/kernels.py


@cache
def failure(device: Any) -> str:
    """Return why the kernel is not to be used on a device; empty where it agrees with the scan.

    It is tried once per process and device; a failure is logged then.
    """
    try:
        with jax.default_device(device):
            kernel, scan = _computed(Kernels(lif=LifKernel.pallas)), _computed(PLAIN)
        reason = _difference(kernel, scan)
    except Exception as error:  # a compiler's, a driver's: each means that it cannot be used
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
    if reason:
        log.warning("LIF kernel of Triton tried on %s: %s; the scan is taken", device, reason)
    return reason


def _computed(kernels: Kernels) -> dict[str, Any]:
    """Return spikes and membranes, and the gradients, for each spike function."""

    def one(kind: Surrogate, x: Array, beta: Array, start: Array) -> Any:
        spike = build_surrogate(kind, SLOPE)

        def loss(x: Array, beta: Array, start: Array) -> Any:
            spikes, membranes, last = lif(x, beta, start, 1.0, spike, kernels)
            return jnp.sum(spikes * jnp.cos(x)) + jnp.sum(last**2), (spikes, membranes, last)

        return jax.grad(loss, (0, 1, 2), has_aux=True)(x, beta, start)

    def every(*inputs: Array) -> dict[str, Any]:
        return {kind.value: one(kind, *inputs) for kind in KINDS}

    found: dict[str, Any] = jax.device_get(jax.jit(every)(*_inputs()))
    return found


def _inputs() -> tuple[Array, Array, Array]:
    """Return currents, decays and first membranes with which float32 rounds no membrane.

    They are multiples of 1/8 and decays of 1/2 or 1: on another device a fused multiply-add
    gives the same number, and no spike has a reason to differ.
    """
    rng = np.random.default_rng(0)
    x = rng.integers(-4, 9, (FRAMES, BATCH, WIDTH)) / 8
    beta = rng.choice([0.5, 1.0], WIDTH)
    start = rng.integers(0, 8, (BATCH, WIDTH)) / 8
    return tuple(map(partial(jnp.asarray, dtype=jnp.float32), (x, beta, start)))  # type: ignore[return-value]


def _difference(kernel: dict[str, Any], scan: dict[str, Any]) -> str:
    """Return in what the two differ, or nothing."""
    for name, (gradients, outputs) in kernel.items():
        expected_gradients, expected_outputs = scan[name]
        if not all(map(np.array_equal, outputs, expected_outputs)):
            return f"its spikes or membranes are not the scan's (surrogate {name})"
        for got, expected in zip(gradients, expected_gradients, strict=True):
            apart = np.abs(got - expected).max() / np.abs(expected).max()
            if not apart <= TOLERANCE:
                return f"a gradient is {apart:.1e} off, allowed {TOLERANCE:g} (surrogate {name})"
    return ""
