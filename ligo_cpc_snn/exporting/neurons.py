"""Each neuron of `spyx.nn` as NIR nodes that compute the same numbers, or a refusal by name.

NIR is of continuous time; with forward Euler steps of one frame `dt` its leaky integrator

    tau dv/dt = (v_leak - v) + R I   becomes   v[t] = (1 - dt/tau) v[t-1] + (R dt/tau) I[t],

so that a decay `beta` per frame is tau = dt / (1 - beta), R = tau / dt. NIR's spiking nodes (`LIF`,
`CubaLIF`) set the membrane to a value after a spike; ours subtract. So a neuron is written out as
integrator (`LI`), `Threshold` and what a spike takes off the membrane (`Scale`, an edge back, which
acts on the next frame). Ours read the spike off the membrane before the frame's input, these after
it: the numbers are the same, one frame earlier for each layer (`lag_frames` of the description).
Only the start from silence differs: a later layer of ours has had its bias for some frames longer.

Reference: Pedersen et al. 2024, Nat. Commun. 15, 8122 (NIR), table 1; `nir` 1.0.8, `nir.ir.neuron`.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
import nir
import numpy as np
import spyx.nn

from ligo_cpc_snn.exporting.errors import ExportError
from ligo_cpc_snn.models.graded import LeakyUnit

# A decay of exactly 1 has no finite time constant; 1 - 2^-40 is 1 in float32.
LEAST_LEAK = 2.0**-40

REFUSED: dict[type, str] = {
    spyx.nn.ALIF: "its reset takes off the spike times the adapted threshold, and NIR has no node "
    "that multiplies two signals",
    LeakyUnit: "its output is rectified, and NIR has no rectifier; it does not spike",
}


class Part(NamedTuple):
    """Nodes of a layer's neurons by name, and the edges among them.

    Currents come in at `current`; a recurrent layer's spikes come back to it, too.
    """

    nodes: dict[str, nir.NIRNode]
    edges: list[tuple[str, str]]
    current: str
    spikes: str


def neuron_part(name: str, neuron: Any, dt: float) -> Part:
    """Return the nodes of a layer's neurons.

    Args:
        name: Of the layer; its nodes' names begin with it.
        neuron: Of `spyx.nn`.
        dt: Length of a frame, s.

    Raises:
        ExportError: NIR cannot hold this kind; the message says why.
    """
    kind = type(neuron)
    if kind not in BUILDERS:
        why = REFUSED.get(kind, "no exact form in NIR is known for it")
        names = ", ".join(sorted(known.__name__ for known in BUILDERS))
        raise ExportError(
            f"{name}: neurons of kind {kind.__name__} cannot be exported: {why}. Train with "
            f"model.snn.neuron one of {names}"
        )
    return BUILDERS[kind](name, neuron, dt)


def decay_of(value: Any, width: int) -> np.ndarray:
    """Return decays per frame as the neuron uses them, in [0, 1]."""
    clipped = np.asarray(jnp.clip(value, 0, 1), np.float64)
    return np.broadcast_to(clipped, (width,)).copy()


def leaky(decay: np.ndarray, dt: float) -> nir.LI:
    """Return an integrator whose Euler step of `dt` is v = decay v + input."""
    tau = dt / np.maximum(1.0 - decay, LEAST_LEAK)
    return nir.LI(tau=tau, r=tau / dt, v_leak=np.zeros_like(tau))


def decay_per_frame(tau: np.ndarray, dt: float) -> np.ndarray:
    """Return the decay of an integrator's Euler step, in float32."""
    return (1.0 - dt / np.asarray(tau, np.float64)).astype(np.float32)


def _lif(name: str, neuron: Any, dt: float) -> Part:
    """v = beta v + x - theta s."""
    width = neuron.hidden_shape[0]
    membrane, spike, reset = f"{name}_3_membrane", f"{name}_4_spike", f"{name}_6_reset"
    nodes: dict[str, nir.NIRNode] = {
        membrane: leaky(decay_of(neuron.beta[...], width), dt),
        spike: _threshold(neuron, width),
        reset: nir.Scale(scale=np.full(width, -float(neuron.threshold), np.float32)),
    }
    edges = [(membrane, spike), (spike, reset), (reset, membrane)]
    return Part(nodes, edges, membrane, spike)


def _cuba_lif(name: str, neuron: Any, dt: float) -> Part:
    """i = alpha i + x; v = beta (v - theta s) + i: the reset leaks with the membrane."""
    width = neuron.hidden_shape[0]
    part, synapse = _lif(name, neuron, dt), f"{name}_2_synapse"
    beta = decay_of(neuron.beta[...], width)
    scale = (-float(neuron.threshold) * beta).astype(np.float32)
    nodes = {
        synapse: leaky(decay_of(neuron.alpha[...], width), dt),
        **part.nodes,
        f"{name}_6_reset": nir.Scale(scale=scale),
    }
    return Part(nodes, [(synapse, part.current), *part.edges], synapse, part.spikes)


def _recurrent(feedforward: Callable[[str, Any, float], Part]) -> Callable[[str, Any, float], Part]:
    """Return the builder of the kind whose spikes also come back through weights."""

    def build(name: str, neuron: Any, dt: float) -> Part:
        part, weights = feedforward(name, neuron, dt), f"{name}_5_recurrent"
        nodes = part.nodes | {weights: nir.Linear(weight=np.asarray(neuron.recurrent_w[...]).T)}
        edges = [*part.edges, (part.spikes, weights), (weights, part.current)]
        return Part(nodes, edges, part.current, part.spikes)

    return build


def _threshold(neuron: Any, width: int) -> nir.Threshold:
    return nir.Threshold(threshold=np.full(width, float(neuron.threshold), np.float32))


BUILDERS: dict[type, Callable[[str, Any, float], Part]] = {
    spyx.nn.LIF: _lif,
    spyx.nn.CuBaLIF: _cuba_lif,
    spyx.nn.RLIF: _recurrent(_lif),
    spyx.nn.RCuBaLIF: _recurrent(_cuba_lif),
}
