"""A spiking network as a NIR graph, whole: nothing is left out, or it is refused.

`snn_graph` writes every neuron out in primitives whose equations are those of the network.
`compact_graph` has one `nir.LIF` per layer, as compilers for chips want it. By its equation a
`nir.LIF` is set to `v_reset` after a spike; this network's neurons subtract their threshold, which
the node's metadata says (`reset: subtract`): a simulator that does not look there gives others.

A file keeps its nodes in the order of their names, and NIRTorch (2.6) takes an input in a loop that
it has not met yet for one of the step before: so names are numbered along the way of the signal.
"""

from itertools import pairwise
from typing import Any

import nir
import numpy as np
import spyx.nn

from ligo_cpc_snn.exporting.errors import ExportError
from ligo_cpc_snn.exporting.neurons import Part, decay_of, leaky, neuron_part
from ligo_cpc_snn.models.snn import SpikingLayer, SpikingNetwork

SUBTRACT = "subtract"
INPUT, OUTPUT = "input", "output"


def snn_graph(snn: SpikingNetwork, dt: float) -> nir.NIRGraph:
    """Return the graph that computes what the network computes.

    Args:
        snn: With its parameters.
        dt: Length of a frame, s.

    Raises:
        ExportError: a layer has no exact form in NIR; the message names it.
    """
    parts = [neuron_part(f"layer_{i}", x.neuron, dt) for i, x in enumerate(snn.layers)]
    return _chained(snn, parts, dt)


def compact_graph(snn: SpikingNetwork, dt: float) -> nir.NIRGraph:
    """Return the graph with one node per layer of neurons.

    Raises:
        ExportError: the neurons are not plain LIF.
    """
    return _chained(snn, [_one_node(f"layer_{i}", x, dt) for i, x in enumerate(snn.layers)], dt)


def _one_node(name: str, layer: SpikingLayer, dt: float) -> Part:
    neuron = layer.neuron
    if type(neuron) is not spyx.nn.LIF:
        raise ExportError(
            f"{name}: {type(neuron).__name__} has no single node in NIR that computes it: use the "
            "graph of primitives"
        )
    integrator = leaky(decay_of(neuron.beta[...], layer.width), dt)
    node = nir.LIF(
        tau=integrator.tau,
        r=integrator.r,
        v_leak=integrator.v_leak,
        v_threshold=np.full(layer.width, float(neuron.threshold)),
        v_reset=np.zeros(layer.width),
        metadata={"reset": SUBTRACT},
    )
    return Part({f"{name}_3_lif": node}, [], f"{name}_3_lif", f"{name}_3_lif")


def _chained(snn: SpikingNetwork, parts: list[Part], dt: float) -> nir.NIRGraph:
    """Join weights and neurons of all layers, and the readout."""
    inputs = snn.layers[0].product.kernel.shape[0]
    nodes: dict[str, nir.NIRNode] = {INPUT: nir.Input({"input": np.array([inputs])})}
    edges: list[tuple[str, str]] = []
    before = INPUT
    for i, (layer, part) in enumerate(zip(snn.layers, parts, strict=True)):
        weights = f"layer_{i}_1_weights"
        nodes |= {weights: _affine(layer.product), **part.nodes}
        edges += [(before, weights), (weights, part.current), *part.edges]
        before = part.spikes
    readout = _readout(snn, dt)
    nodes |= readout | {OUTPUT: nir.Output({"output": np.array([1])})}
    names = [before, *readout, OUTPUT]
    edges += list(pairwise(names))
    metadata = {"dt": dt, "made_by": "ligo_cpc_snn", "lag_frames": len(parts)}
    return nir.NIRGraph(nodes=nodes, edges=edges, metadata=metadata)


def _affine(linear: Any) -> nir.Affine:
    """Return the product's node; NIR's weights are (output, input)."""
    weight = np.asarray(linear.kernel[...]).T
    bias = np.zeros(len(weight), np.float32) if linear.bias is None else linear.bias[...]
    return nir.Affine(weight=weight, bias=np.asarray(bias))


def _readout(snn: SpikingNetwork, dt: float) -> dict[str, nir.NIRNode]:
    """Return the leaky readout; its bias is added to what leaves it."""
    readout = snn.readout
    return {
        "readout_1_weights": nir.Linear(weight=np.asarray(readout.product.kernel[...]).T),
        "readout_2_leak": leaky(decay_of(readout.leak.beta[...], 1), dt),
        "readout_3_bias": nir.Affine(
            weight=np.ones((1, 1), np.float32), bias=np.asarray(readout.bias[...])
        ),
    }
