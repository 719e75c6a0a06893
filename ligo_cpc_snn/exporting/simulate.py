"""An exported graph in an independent simulator: snnTorch's neurons, wired by NIRTorch (PyTorch).

NIRTorch reads the edges, sums what meets at a node and hands a spike that goes back to the next
step. snnTorch's own `import_from_nir` is not used: it takes a time step of 0.1 ms, resets to zero
and has no `LI` (version 1.0.0). The nodes' mapping is here, in snnTorch's neurons.
"""

from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any, NamedTuple

import nir
import numpy as np
from jaxtyping import Float, Shaped

from ligo_cpc_snn.exporting.errors import ExportError
from ligo_cpc_snn.exporting.graph import SUBTRACT
from ligo_cpc_snn.exporting.neurons import decay_per_frame

ZERO = "zero"


class Simulated(NamedTuple):
    """What the simulator says: spikes of each layer (frame, neuron), and a logit per frame."""

    layers: list[Shaped[np.ndarray, "frame neuron"]]
    logits: Float[np.ndarray, "frame"]


def versions() -> dict[str, str]:
    """Return the versions of the simulator's packages.

    Raises:
        ExportError: one of them is not installed.
    """
    from importlib import metadata

    _torch()
    return {name: metadata.version(name) for name in ("snntorch", "nirtorch", "torch", "nir")}


def simulate(
    graph: nir.NIRGraph,
    spikes: Shaped[np.ndarray, "frame channel"],
    *,
    reset: str = SUBTRACT,
    progress: Callable[[int], None] | None = None,
) -> Simulated:
    """Run a graph over spikes, a frame at a time, in float32.

    Args:
        graph: Of `snn_graph` or `compact_graph`, as it was read back.
        spikes: Into the network.
        reset: Of `nir.LIF` nodes: `subtract`, as their metadata says, or `zero`, as NIR's equation.
        progress: Told the frames done, now and then.

    Raises:
        ExportError: the simulator is not installed.
    """
    torch, snntorch, nirtorch = _torch()
    dt = float(np.asarray(graph.metadata["dt"]))
    module = nirtorch.nir_to_torch(graph, _node_map(torch, snntorch, dt, reset))
    seen: dict[str, list[np.ndarray]] = {}
    for name in _spiking(graph):
        module.get_submodule(name).register_forward_hook(_recorder(seen.setdefault(name, [])))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # of so small products a second thread only waits for the first
    try:
        logits = _stepped(torch, module, spikes, progress)
    finally:
        torch.set_num_threads(threads)
    return Simulated([np.stack(rows) > 0.5 for rows in seen.values()], logits)


def _stepped(
    torch: ModuleType,
    module: Any,
    spikes: Shaped[np.ndarray, "frame channel"],
    progress: Callable[[int], None] | None,
) -> Float[np.ndarray, "frame"]:
    """Return the output of each frame; the state is handed from step to step."""
    logits, state = np.empty(len(spikes), np.float32), None
    with torch.no_grad():
        given = _tensor(torch, spikes)
        for number in range(len(given)):
            value, state = module(given[number : number + 1], state)
            logits[number] = float(value)
            if progress is not None and number % 1000 == 999:
                progress(number + 1)
    return logits


def _spiking(graph: nir.NIRGraph) -> list[str]:
    """Return the names of the nodes that spike, layer by layer."""
    kinds = (nir.Threshold, nir.LIF)
    names = [name for name, node in graph.nodes.items() if isinstance(node, kinds)]
    return sorted(names, key=lambda name: int(name.split("_")[1]))


def _recorder(rows: list[np.ndarray]) -> Callable[..., None]:
    def record(module: Any, inputs: Any, output: Any) -> None:
        spikes = output[0] if isinstance(output, tuple) else output
        rows.append(spikes.numpy()[0].copy())

    return record


def _node_map(
    torch: ModuleType, snntorch: ModuleType, dt: float, reset: str
) -> Mapping[type, Callable[[Any], Any]]:
    """Return how each kind of node becomes a module of snnTorch or PyTorch."""
    cell, step, scaled = _modules(torch)

    def integrator(node: Any) -> Any:
        """`snntorch.Leaky` without reset; its membrane goes on."""
        return cell(_leaky(torch, snntorch, node, dt, "none"), False)

    def spiking(node: Any) -> Any:
        threshold = _tensor(torch, node.v_threshold)
        return cell(_leaky(torch, snntorch, node, dt, reset, threshold), True)

    def linear(node: Any) -> Any:
        outputs, inputs = node.weight.shape
        bias = getattr(node, "bias", None)
        module = torch.nn.Linear(inputs, outputs, bias=bias is not None)
        module.weight.data = _tensor(torch, node.weight)
        if bias is not None:
            module.bias.data = _tensor(torch, bias)
        return module

    spike = snntorch.surrogate.atan()
    return {
        nir.LI: integrator,
        nir.LIF: spiking,
        nir.Threshold: lambda node: step(_tensor(torch, node.threshold), spike),
        nir.Scale: lambda node: scaled(_tensor(torch, node.scale)),
        nir.Affine: linear,
        nir.Linear: linear,
    }


def _modules(torch: ModuleType) -> tuple[type, type, type]:
    """Return the modules that NIRTorch wires; they exist only where PyTorch does."""

    class Cell(torch.nn.Module):
        """A neuron of snnTorch with its state handed in and out; its spikes or membrane go on."""

        def __init__(self, neuron: Any, spikes: bool) -> None:
            super().__init__()
            self.neuron, self.spikes = neuron, spikes

        def forward(self, x: Any, state: Any = None) -> tuple[Any, Any]:
            spikes, membrane = self.neuron(x, state)
            return (spikes if self.spikes else membrane), membrane

    class Step(torch.nn.Module):
        """A spike function at a threshold."""

        def __init__(self, threshold: Any, spike: Any) -> None:
            super().__init__()
            self.threshold, self.spike = threshold, spike

        def forward(self, x: Any) -> Any:
            return self.spike(x - self.threshold)

    class Scaled(torch.nn.Module):
        """A factor per channel."""

        def __init__(self, scale: Any) -> None:
            super().__init__()
            self.scale = scale

        def forward(self, x: Any) -> Any:
            return x * self.scale

    return Cell, Step, Scaled


def _leaky(
    torch: ModuleType,
    snntorch: ModuleType,
    node: Any,
    dt: float,
    reset: str,
    threshold: Any = 1.0,
) -> Any:
    """Return snnTorch's leaky integrator with Euler's decay for a step of `dt`."""
    if not np.allclose(node.r * dt / node.tau, 1.0, rtol=1e-6) or np.any(node.v_leak):
        raise ExportError(
            "a node has another input gain than 1 or a resting potential: see snn.nir"
        )
    beta = _tensor(torch, decay_per_frame(node.tau, dt))
    return snntorch.Leaky(
        beta, threshold=threshold, reset_mechanism=reset, reset_delay=reset != ZERO
    )


def _tensor(torch: ModuleType, array: Any) -> Any:
    return torch.from_numpy(np.array(array, np.float32))


def _torch() -> tuple[ModuleType, ModuleType, ModuleType]:
    try:
        import nirtorch
        import snntorch
        import snntorch.surrogate
        import torch
    except ImportError as error:
        raise ExportError(
            f"running the graph in an independent simulator needs {error.name}, which is not "
            "installed: pip install 'ligo-cpc-snn[export]'"
        ) from error
    return torch, snntorch, nirtorch
