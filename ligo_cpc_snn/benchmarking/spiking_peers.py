"""The spiking network by spikingjelly, norse and snntorch, with our weights.

Each is given what its own way leaves open: weights multiplied with all frames at once, a
readout whose leak is one matrix product. Ours spike one frame after their input, as Spyx does.
snntorch's neurons are otherwise ours; those of spikingjelly and norse take a spike off before
the membrane decays, not after.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from ligo_cpc_snn.benchmarking.spiking import Functions, SpikingSetting
from ligo_cpc_snn.benchmarking.torch_device import prepared, tensor, torch_device

# Modules that each needs.
MODULES = {
    "spikingjelly": ("torch", "spikingjelly.activation_based.neuron"),
    "norse": ("torch", "norse.torch"),
    "snntorch": ("torch", "snntorch"),
}

# Runs a layer of neurons over currents of shape (time, batch, neuron), from silence.
Run = Callable[[Any], Any]


def spikingjelly_layer(beta: np.ndarray, device: str) -> Run:
    """Return spikingjelly's neurons in its multi-step mode."""
    from spikingjelly.activation_based import functional, neuron, surrogate

    # One time constant for all neurons: a vector of them is another class of its own.
    layer = neuron.LIFNode(
        tau=float(1 / (1 - beta.mean())), decay_input=False, v_threshold=1.0, v_reset=None,
        surrogate_function=surrogate.ATan(alpha=2.0), step_mode="m",
    ).to(device)  # fmt: skip

    def run(current: Any) -> Any:
        functional.reset_net(layer)
        return layer(current)

    return run


def norse_neurons(beta: np.ndarray, device: str) -> tuple[Any, Any]:
    """Return norse's cheapest neurons, those without a synaptic current, and their gain."""
    import torch
    from norse.torch import LIFBoxCell, LIFBoxParameters
    from norse.torch.functional.reset import reset_subtract

    step = 1e-3
    rate = tensor(1 - beta, device) / step
    zero, one = torch.zeros((), device=device), torch.ones((), device=device)
    parameters = LIFBoxParameters(
        tau_mem_inv=rate, v_leak=zero, v_th=one, v_reset=zero, alpha=tensor(100.0, device),
        reset_method=reset_subtract,
    )  # fmt: skip
    return LIFBoxCell(parameters, dt=step).to(device), 1 / (step * rate)


def norse_layer(beta: np.ndarray, device: str) -> Run:
    """Return norse's neurons, lifted over time."""
    from norse.torch import Lift

    cell, gain = norse_neurons(beta, device)
    layer = Lift(cell)
    return lambda current: layer(current * gain)[0]


def snntorch_neurons(beta: np.ndarray, device: str) -> Any:
    """Return snntorch's neurons."""
    import snntorch

    spike = snntorch.surrogate.atan(2.0)
    return snntorch.Leaky(beta=tensor(beta, device), spike_grad=spike).to(device)


def snntorch_layer(beta: np.ndarray, device: str) -> Run:
    """Return snntorch's neurons, in a loop over time."""
    import torch

    layer = snntorch_neurons(beta, device)

    def run(current: Any) -> Any:
        membrane, spikes = layer.init_leaky(), []
        for frame in current:
            spike, membrane = layer(frame, membrane)
            spikes.append(spike)
        return torch.stack(spikes)

    return run


LAYERS = {"spikingjelly": spikingjelly_layer, "norse": norse_layer, "snntorch": snntorch_layer}


class TorchNetwork:
    """Layers of a peer's neurons and a leaky readout.

    Args:
        weights: (kernel, bias) of each layer, kernels of shape (inputs, neurons).
        betas: decay of each layer's membranes per frame.
        readout: kernel of the readout.
        decay: of the readout per frame.
        frames: in a sequence.
    """

    def __init__(
        self, layer: Callable[[np.ndarray, str], Run], weights: Sequence[tuple[Any, Any]],
        betas: Sequence[Any], readout: Any, decay: float, frames: int, device: str,
    ) -> None:  # fmt: skip
        self.betas, self.decay, self.device = [np.asarray(b) for b in betas], decay, device
        self.weights = [tuple(tensor(w.T, device, True) for w in pair) for pair in weights]
        self.neurons = [layer(beta, device) for beta in self.betas]
        self.readout = tensor(np.asarray(readout).T, device, True)
        lag = np.subtract.outer(np.arange(frames), np.arange(frames))
        self.leak = tensor(np.where(lag >= 0, decay ** np.maximum(lag, 0), 0.0), device)

    @property
    def parameters(self) -> list[Any]:
        """All that has a gradient."""
        return [*(part for pair in self.weights for part in pair), self.readout]

    def layers(self, spikes: Any) -> list[Any]:
        """Return each layer's spikes, time-major, for spikes of shape (batch, time, channel)."""
        from torch.nn.functional import linear

        found, s_tbf = [], spikes.transpose(0, 1)
        for (kernel, bias), run in zip(self.weights, self.neurons, strict=True):
            s_tbf = run(linear(s_tbf, kernel, bias))
            found.append(s_tbf)
        return found

    def __call__(self, spikes: Any) -> Any:
        """Return the readout, (time, batch, output)."""
        from torch.nn.functional import linear

        drive = linear(self.layers(spikes)[-1], self.readout)
        return (self.leak @ drive.flatten(1)).view(drive.shape)


def spiking_peer(name: str, setting: SpikingSetting) -> Functions:
    """Return a peer's forward, and forward and backward, of the setting's network."""
    import torch

    device = torch_device()
    network, spikes = torch_network(name, setting, device), tensor(setting.spikes, device, True)

    def forward() -> Any:
        with torch.no_grad():
            return network(spikes)

    def gradient() -> Any:
        loss = (network(spikes) ** 2).mean()
        return torch.autograd.grad(loss, [*network.parameters, spikes])

    functions = {f"snn, {name}": forward, f"snn gradient, {name}": gradient}
    return {key: prepared(function, device) for key, function in functions.items()}


def parameters(product: nnx.Linear) -> tuple[Any, Any]:
    """Return kernel and bias of one of our layers."""
    assert product.bias is not None
    return product.kernel[...], product.bias[...]


def torch_network(name: str, setting: SpikingSetting, device: str) -> TorchNetwork:
    """Return a peer's network with the setting's weights."""
    network, frames = setting.network, setting.spikes.shape[1]
    layers = list(network.layers)
    weights = [parameters(layer.product) for layer in layers]
    betas = [jax.device_get(jnp.clip(layer.neuron.beta[...], 0, 1)) for layer in layers]
    decay, readout = float(network.leak.beta[...].mean()), network.product.kernel[...]
    return TorchNetwork(LAYERS[name], weights, betas, readout, decay, frames, device)
