"""Spiking network of Spyx neurons: spikes to one unbounded logit per frame.

Time-major inside. The product with the input weights does not depend on the
neurons' state: it is taken once over all frames, and only the neuron itself runs in
the scan. The numbers are those of `spyx.nn.run` over the same layers.
"""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import spyx.nn
from flax import nnx
from jaxtyping import Array, Float

from ligo_cpc_snn.config.model_schema import Neuron, SnnConfig
from ligo_cpc_snn.models.graded import LeakyUnit
from ligo_cpc_snn.models.kernels import PLAIN, Kernels
from ligo_cpc_snn.models.lif import lif
from ligo_cpc_snn.models.products import dot_general, product
from ligo_cpc_snn.models.recurrence import linear_recurrence
from ligo_cpc_snn.models.surrogate import build_surrogate
from ligo_cpc_snn.types import FrameLogits, Spikes, State


class LayerTrace(NamedTuple):
    """Spikes and membrane potential of one layer, time-major."""

    spikes: Float[Array, "time batch neuron"]
    membrane: Float[Array, "time batch neuron"]


class SpikingLayer(nnx.Module):
    """Input weights and a Spyx neuron.

    Args:
        neuron: name of a class in `spyx.nn`, or `none` for units that do not spike.
        spike: step function with a surrogate gradient.
        copies: parts of the inputs that begin with the same weights.
        kernels: `lif` of plain LIF neurons only, `unroll` of all, `precision` of the weights.
    """

    def __init__(
        self,
        inputs: int,
        width: int,
        neuron: Neuron,
        spike: spyx.axn.Activation,
        *,
        copies: int = 1,
        rngs: nnx.Rngs,
        kernels: Kernels = PLAIN,
    ):
        # A few per cent of sparse input spikes must reach a threshold of 1.
        initial = nnx.initializers.variance_scaling(4.0, "fan_in", "truncated_normal")
        dot, self.kernels = dot_general(kernels.precision), kernels
        self.product = nnx.Linear(inputs, width, kernel_init=initial, dot_general=dot, rngs=rngs)
        if copies > 1:
            part = self.product.kernel[...][: inputs // copies]
            self.product.kernel[...] = jnp.tile(part, (copies, 1))
        self.width = width
        if neuron is Neuron.none:
            self.neuron: Any = LeakyUnit(width, rngs=rngs)
            return
        self.neuron = getattr(spyx.nn, neuron.value)((width,), activation=spike, rngs=rngs)
        if "recurrent_w" in vars(self.neuron):
            # Spyx draws these with unit variance, which keeps every neuron firing.
            self.neuron.recurrent_w[...] = self.neuron.recurrent_w[...] * (0.5 / width**0.5)

    def initial_state(self, batch: int) -> State:
        """Return the state of silence before the first frame."""
        return self.neuron.initial_state(batch)

    def __call__(
        self, x_tbf: Float[Array, "time batch channel"], state: State
    ) -> tuple[LayerTrace, State]:
        return self.from_current(self.product(x_tbf), state)

    def from_current(
        self, current: Float[Array, "time batch neuron"], state: State
    ) -> tuple[LayerTrace, State]:
        """Run the neurons over their input currents."""
        if type(self.neuron) is spyx.nn.LIF:
            beta = jnp.clip(self.neuron.beta[...], 0, 1)
            spikes, membrane, state = lif(
                current, beta, state, self.neuron.threshold, self.neuron.spike, self.kernels
            )
            return LayerTrace(spikes, membrane), state
        graph, params = nnx.split(self.neuron)

        def step(state: Array, x: Array) -> tuple[Array, tuple[Array, Array]]:
            spikes, after = nnx.merge(graph, params)(x, state)
            return after, (spikes, state[..., : self.width])

        unroll = self.kernels.unroll
        state, (spikes, membrane) = jax.lax.scan(step, state, current, unroll=unroll)
        return LayerTrace(spikes, membrane), state


class LeakyReadout(nnx.Module):
    """Weighted spikes, leaked: Spyx's non-spiking `LI`, with a bias on its output."""

    def __init__(self, inputs: int, decay: float, *, rngs: nnx.Rngs, kernels: Kernels = PLAIN):
        dot, self.kernels = dot_general(kernels.precision), kernels
        self.product = nnx.Linear(inputs, 1, use_bias=False, dot_general=dot, rngs=rngs)
        self.leak = spyx.nn.LI((1,), beta=decay, rngs=rngs)
        self.bias = nnx.Param(jnp.zeros((1,)))

    def initial_state(self, batch: int) -> State:
        """Return the state of silence before the first frame."""
        return self.leak.initial_state(batch)

    def __call__(
        self, s_tbf: Float[Array, "time batch neuron"], state: State
    ) -> tuple[Float[Array, "time batch"], State]:
        beta = jnp.clip(self.leak.beta[...], 0, 1)
        drive = self.product(s_tbf)
        v_tb1, state = linear_recurrence(
            jnp.broadcast_to(beta, drive.shape), drive, state, self.kernels
        )
        return (v_tb1 + self.bias[...])[..., 0], state


class SpikingNetwork(nnx.Module):
    """Layers of spiking neurons and a leaky readout.

    Args:
        inputs: spike channels.
        detectors: whose channels stand side by side, for `cfg.exchangeable`.
        frame_seconds: time between frames, s.
        kernels: how it computes.
    """

    def __init__(
        self,
        cfg: SnnConfig,
        *,
        inputs: int,
        detectors: int = 1,
        frame_seconds: float,
        rngs: nnx.Rngs,
        kernels: Kernels = PLAIN,
    ):
        spike = build_surrogate(cfg.surrogate, cfg.slope)
        copies, layers = detectors if cfg.exchangeable else 1, []
        for width in cfg.widths:
            layer = SpikingLayer(
                inputs, width, cfg.neuron, spike, copies=copies, rngs=rngs, kernels=kernels
            )
            layers.append(layer)
            inputs, copies = width, 1
        self.layers = nnx.List(layers)
        decay = math.exp(-frame_seconds / cfg.readout_seconds)
        self.readout = LeakyReadout(inputs, decay, rngs=rngs, kernels=kernels)
        self.precision = kernels.precision

    def initial_state(self, batch: int) -> State:
        """Return the state of silence before the first frame."""
        layers = [layer.initial_state(batch) for layer in self.layers]
        return [*layers, self.readout.initial_state(batch)]

    def __call__(self, spikes: Spikes, state: State) -> tuple[FrameLogits, list[LayerTrace], State]:
        """Return a logit per frame, what each layer did (time-major), and the state after."""
        s_tbf, traces, after = jnp.swapaxes(spikes, 0, 1), [], []
        for layer, past in zip(self.layers, state[:-1], strict=True):
            trace, past = layer(s_tbf, past)
            s_tbf = trace.spikes
            traces.append(trace)
            after.append(past)
        logits_tb, past = self.readout(s_tbf, state[-1])
        return logits_tb.T, traces, [*after, past]

    def first_current(
        self, features: Float[Array, "*batch channel"], detector: int
    ) -> Float[Array, "*batch neuron"]:
        """Return what one detector's channels add to the first layer's currents, without bias.

        Args:
            features: of that detector; in `__call__` all detectors' stand side by side.
            detector: its place among them.
        """
        channels = features.shape[-1]
        weights = self.layers[0].product.kernel[...]
        mine = weights[detector * channels : (detector + 1) * channels]
        return product(features, mine, self.precision)

    def from_current(
        self, current: Float[Array, "time batch neuron"], state: State
    ) -> tuple[Float[Array, "time batch"], State]:
        """Return the logits, time-major, of the sum of all detectors' `first_current`."""
        first, bias = self.layers[0], self.layers[0].product.bias
        current = current if bias is None else current + bias[...]
        trace, past = first.from_current(current, state[0])
        s_tbf, after = trace.spikes, [past]
        for layer, past in zip(list(self.layers)[1:], state[1:-1], strict=True):
            trace, past = layer(s_tbf, past)
            s_tbf = trace.spikes
            after.append(past)
        logits_tb, past = self.readout(s_tbf, state[-1])
        return logits_tb, [*after, past]
