"""The spiking network alone: ours, plain Spyx, and the matrix products that both must take."""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import spyx.nn
from flax import nnx
from jaxtyping import Array, Float

from ligo_cpc_snn.benchmarking.scales import OUTPUTS
from ligo_cpc_snn.config.model_schema import SnnConfig
from ligo_cpc_snn.models.kernels import PLAIN, Kernels
from ligo_cpc_snn.models.recurrence import linear_recurrence
from ligo_cpc_snn.models.snn import SpikingNetwork
from ligo_cpc_snn.types import Spikes

SPIKE_RATE = 0.1  # of the inputs, per channel and frame
# The machine's speed, the same at every scale: the products of this shape, with gradients.
REFERENCE_SHAPE, REFERENCE_WIDTHS = (16, 256, 512), (256, 128)

Functions = dict[str, Callable[[], Any]]


class SpikingSetting(NamedTuple):
    """A network, and spikes for it."""

    graph: nnx.GraphDef["WideNetwork"]
    params: Any
    spikes: Spikes

    @property
    def network(self) -> "WideNetwork":
        """The network with its parameters."""
        return nnx.merge(self.graph, self.params)


class WideNetwork(nnx.Module):
    """Our spiking layers with a leaky readout of several outputs, as classifiers have.

    A detector's readout has one output; the layers are a detector's own.
    """

    def __init__(
        self, cfg: SnnConfig, *, inputs: int, frame_seconds: float, rngs: nnx.Rngs, kernels: Kernels
    ):
        self.kernels = kernels
        network = SpikingNetwork(
            cfg, inputs=inputs, frame_seconds=frame_seconds, rngs=rngs, kernels=kernels
        )
        self.layers = network.layers
        self.product = nnx.Linear(cfg.widths[-1], OUTPUTS, use_bias=False, rngs=rngs)
        decay = math.exp(-frame_seconds / cfg.readout_seconds)
        self.leak = spyx.nn.LI((OUTPUTS,), beta=decay, rngs=rngs)

    def __call__(self, spikes: Spikes) -> Float[Array, "time batch output"]:
        s_tbf = jnp.swapaxes(spikes, 0, 1)
        for layer in self.layers:
            s_tbf = layer(s_tbf, layer.initial_state(spikes.shape[0]))[0].spikes
        beta, drive = jnp.clip(self.leak.beta[...], 0, 1), self.product(s_tbf)
        start = self.leak.initial_state(spikes.shape[0])
        decay = jnp.broadcast_to(beta, drive.shape)
        return linear_recurrence(decay, drive, start, self.kernels)[0]

    def plain(self, spikes: Spikes) -> Float[Array, "time batch output"]:
        """Run the same layers the plain way: a Spyx Sequential inside `spyx.nn.run`."""
        parts = [part for layer in self.layers for part in (layer.product, layer.neuron)]
        model = spyx.nn.Sequential(*parts, self.product, self.leak)
        return jnp.swapaxes(spyx.nn.run(model, spikes, batch_major=True)[0], 0, 1)


def spiking_setting(
    cfg: SnnConfig, shape: tuple[int, int, int], kernels: Kernels = PLAIN
) -> SpikingSetting:
    """Return a network of the config, and spikes of shape (batch, frames, channels)."""
    _, frames, channels = shape
    network = WideNetwork(
        cfg, inputs=channels, frame_seconds=1.0 / frames, rngs=nnx.Rngs(0), kernels=kernels
    )
    spikes = jax.random.uniform(jax.random.key(2), shape) < SPIKE_RATE
    return SpikingSetting(*nnx.split(network), spikes.astype(jnp.float32))


def spiking_functions(setting: SpikingSetting) -> Functions:
    """Return forward, and forward and backward, of ours and of `spyx.nn.run`.

    The gradient is that of the parameters and of the input, as a training step needs it.
    """
    graph, params, spikes = setting

    def ours(params: Any, spikes: Array) -> Array:
        return nnx.merge(graph, params)(spikes)

    def plain(params: Any, spikes: Array) -> Array:
        return nnx.merge(graph, params).plain(spikes)

    def gradient(run: Callable[[Any, Array], Array]) -> Any:
        return jax.jit(jax.value_and_grad(lambda p, s: jnp.mean(run(p, s) ** 2), argnums=(0, 1)))

    programs = {
        "snn": jax.jit(ours),
        "snn gradient": gradient(ours),
        "snn, spyx.nn.run": jax.jit(plain),
        "snn gradient, spyx.nn.run": gradient(plain),
    }
    return {name: _call(program, params, spikes) for name, program in programs.items()}


def _call(program: Any, *arguments: Any) -> Callable[[], Any]:
    return lambda: program(*arguments)


def matrix_products(shape: tuple[int, int, int], widths: Sequence[int]) -> Functions:
    """Return the network's matrix products alone: no neurons, nothing between the layers.

    Forward one a layer; backward two more, with the weights and with the layer's inputs.
    """
    batch, frames, channels = shape
    sizes, rows = [channels, *widths, OUTPUTS], batch * frames
    keys = iter(jax.random.split(jax.random.key(3), 3 * len(sizes)))
    pairs = list(pairwise(sizes))
    inputs = [jax.random.normal(next(keys), (rows, a)) for a, _ in pairs]
    weights = [jax.random.normal(next(keys), (a, b)) for a, b in pairs]
    gradients = [jax.random.normal(next(keys), (rows, b)) for _, b in pairs]

    def forward(inputs: list[Array], weights: list[Array]) -> list[Array]:
        return [x @ w for x, w in zip(inputs, weights, strict=True)]

    def both(inputs: list[Array], weights: list[Array], gradients: list[Array]) -> Any:
        back = [g @ w.T for g, w in zip(gradients, weights, strict=True)]
        of_weights = [x.T @ g for x, g in zip(inputs, gradients, strict=True)]
        return forward(inputs, weights), back, of_weights

    return {
        "matrix products": _call(jax.jit(forward), inputs, weights),
        "matrix products gradient": _call(jax.jit(both), inputs, weights, gradients),
    }


def reference() -> Callable[[], Any]:
    """Return the function that every stage's time is divided by."""
    return matrix_products(REFERENCE_SHAPE, REFERENCE_WIDTHS)["matrix products gradient"]
