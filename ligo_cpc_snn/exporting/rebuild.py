"""A NIR graph that was exported here, as a spiking network again.

The graph is not trusted: the kind of the neurons is read off its nodes' names, the graph of such a
network is built, and nodes and edges must be exactly those, with shapes that fit each other.
"""

import re
from typing import Any

import jax
import nir
import numpy as np
from flax import nnx

from ligo_cpc_snn.config.model_schema import Neuron, SnnConfig
from ligo_cpc_snn.exporting.errors import ExportError
from ligo_cpc_snn.exporting.graph import INPUT, snn_graph
from ligo_cpc_snn.exporting.neurons import decay_per_frame
from ligo_cpc_snn.models.snn import SpikingNetwork

WIDEST, MOST_LAYERS = 65_536, 64
REMEDY = "use a graph that ligo-export wrote"
KINDS = {
    (False, False): Neuron.LIF,
    (True, False): Neuron.CuBaLIF,
    (False, True): Neuron.RLIF,
    (True, True): Neuron.RCuBaLIF,
}


def network_of(graph: nir.NIRGraph) -> tuple[SpikingNetwork, float]:
    """Return the network of a graph of primitives, and its time step in s.

    Raises:
        ExportError: the graph is not one that `snn_graph` makes.
    """
    nodes, dt = graph.nodes, _time_step(graph)
    widths, kind = _widths(nodes), _kind(nodes)
    network = _empty(_size(nodes, INPUT), widths, kind, dt)
    _compare(graph, snn_graph(network, dt))
    for number, layer in enumerate(network.layers):
        _fill_layer(layer, nodes, f"layer_{number}", dt)
    readout = network.readout
    readout.product.kernel[...] = nodes["readout_1_weights"].weight.T.astype(np.float32)
    readout.leak.beta[...] = decay_per_frame(nodes["readout_2_leak"].tau, dt)[0]
    readout.bias[...] = nodes["readout_3_bias"].bias.astype(np.float32)
    return network, dt


def _time_step(graph: nir.NIRGraph) -> float:
    try:
        dt = float(np.asarray(graph.metadata["dt"]))
    except (KeyError, TypeError, ValueError) as error:
        raise ExportError(f"the graph has no time step `dt` in its metadata: {REMEDY}") from error
    if not 0 < dt < 10:
        raise ExportError(f"dt={dt} s in the graph's metadata: expected 0 to 10 s, {REMEDY}")
    return dt


def _size(nodes: dict[str, Any], name: str) -> int:
    shape: tuple[int, ...] = ()
    if name in nodes:
        output = next(iter(nodes[name].output_type.values()))
        shape = tuple(int(n) for n in np.atleast_1d(output))
    if len(shape) != 1 or not 1 <= shape[0] <= WIDEST:
        raise ExportError(
            f"node {name} of the graph is missing or has shape {shape}: expected 1 to "
            f"{WIDEST} channels, {REMEDY}"
        )
    return shape[0]


def _widths(nodes: dict[str, Any]) -> list[int]:
    layers = sorted(
        int(m[1]) for n in nodes if (m := re.fullmatch(r"layer_(\d{1,3})_1_weights", n))
    )
    if not layers or layers != list(range(len(layers))) or len(layers) > MOST_LAYERS:
        raise ExportError(
            f"the graph has layers {layers}: expected 0, 1, ... and {MOST_LAYERS} at most, {REMEDY}"
        )
    return [_size(nodes, f"layer_{i}_1_weights") for i in layers]


def _kind(nodes: dict[str, Any]) -> Neuron:
    return KINDS["layer_0_2_synapse" in nodes, "layer_0_5_recurrent" in nodes]


def _empty(inputs: int, widths: list[int], kind: Neuron, dt: float) -> SpikingNetwork:
    """Return a network of zeros; nothing is drawn for it."""
    cfg = SnnConfig(neuron=kind, widths=widths)

    def build() -> SpikingNetwork:
        return SpikingNetwork(cfg, inputs=inputs, frame_seconds=dt, rngs=nnx.Rngs(0))

    graph, shapes = nnx.split(nnx.eval_shape(build))
    zeros = jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), shapes)
    return nnx.merge(graph, jax.device_put(zeros))


def _compare(graph: nir.NIRGraph, expected: nir.NIRGraph) -> None:
    """Raise ExportError where nodes, edges or shapes differ from those of the network."""
    if set(graph.nodes) != set(expected.nodes) or set(graph.edges) != set(expected.edges):
        odd = sorted(set(graph.nodes) ^ set(expected.nodes))[:3] or "edges"
        raise ExportError(f"the graph is not that of a network known here ({odd}): {REMEDY}")
    for name, node in expected.nodes.items():
        got = graph.nodes[name]
        if type(got) is not type(node):
            raise ExportError(
                f"node {name} is a {type(got).__name__}, expected {type(node).__name__}: {REMEDY}"
            )
        for field, wanted in vars(node).items():
            if isinstance(wanted, np.ndarray):
                _check_array(f"{name}.{field}", np.asarray(getattr(got, field)), wanted.shape)


def _check_array(name: str, array: np.ndarray, shape: tuple[int, ...]) -> None:
    if array.dtype.kind != "f" or array.shape != shape or not np.isfinite(array).all():
        raise ExportError(
            f"{name} has shape {array.shape} and type {array.dtype}, expected finite numbers of "
            f"shape {shape}: {REMEDY}"
        )


def _fill_layer(layer: Any, nodes: dict[str, Any], name: str, dt: float) -> None:
    weights, neuron = nodes[f"{name}_1_weights"], layer.neuron
    layer.product.kernel[...] = weights.weight.T.astype(np.float32)
    layer.product.bias[...] = weights.bias.astype(np.float32)
    threshold = np.unique(nodes[f"{name}_4_spike"].threshold)
    if len(threshold) != 1:
        raise ExportError(f"{name} has several thresholds, expected one: {REMEDY}")
    neuron.threshold = float(threshold[0])
    neuron.beta[...] = decay_per_frame(nodes[f"{name}_3_membrane"].tau, dt)
    if f"{name}_2_synapse" in nodes:
        neuron.alpha[...] = decay_per_frame(nodes[f"{name}_2_synapse"].tau, dt)
    if f"{name}_5_recurrent" in nodes:
        neuron.recurrent_w[...] = nodes[f"{name}_5_recurrent"].weight.T.astype(np.float32)
