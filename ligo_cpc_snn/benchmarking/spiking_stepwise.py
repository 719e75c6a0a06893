"""The peers once more, frame by frame: the loop over time that their tutorials write.

Each frame goes through the weights, the neurons and the readout before the next one does. The
network and its weights are those of `spiking_peers`, where the weights meet all frames at once.
spikingjelly is not among them: its documented way is the multi-step mode.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from ligo_cpc_snn.benchmarking.spiking import Functions, SpikingSetting
from ligo_cpc_snn.benchmarking.spiking_peers import (
    TorchNetwork,
    norse_neurons,
    snntorch_neurons,
    torch_network,
)
from ligo_cpc_snn.benchmarking.torch_device import prepared, tensor, torch_device

Cell = Callable[[Any, Any], tuple[Any, Any]]  # (current, state or None) -> spikes, state


def snntorch_cell(beta: np.ndarray, device: str) -> Cell:
    """Return snntorch's neurons for one frame."""
    layer = snntorch_neurons(beta, device)

    def step(current: Any, membrane: Any) -> tuple[Any, Any]:
        spikes, membrane = layer(current, layer.init_leaky() if membrane is None else membrane)
        return spikes, membrane

    return step


def norse_cell(beta: np.ndarray, device: str) -> Cell:
    """Return norse's neurons for one frame; their state begins as None."""
    layer, gain = norse_neurons(beta, device)

    def step(current: Any, state: Any) -> tuple[Any, Any]:
        spikes, state = layer(current * gain, state)
        return spikes, state

    return step


CELLS: dict[str, Callable[[np.ndarray, str], Cell]] = {
    "norse": norse_cell,
    "snntorch": snntorch_cell,
}


def stepwise_peer(name: str, setting: SpikingSetting) -> Functions:
    """Return a peer's forward, and forward and backward, frame by frame."""
    import torch

    device = torch_device()
    network, spikes = torch_network(name, setting, device), tensor(setting.spikes, device, True)
    run = over_frames(name, network)

    def forward() -> Any:
        with torch.no_grad():
            return run(spikes)

    def gradient() -> Any:
        loss = (run(spikes) ** 2).mean()
        return torch.autograd.grad(loss, [*network.parameters, spikes])

    way = f"{name} frame by frame"
    functions = {f"snn, {way}": forward, f"snn gradient, {way}": gradient}
    return {key: prepared(function, device) for key, function in functions.items()}


def over_frames(name: str, network: TorchNetwork) -> Callable[[Any], Any]:
    """Return the network as a loop over frames: spikes (batch, time, channel) to its readout."""
    import torch
    from torch.nn.functional import linear

    cells = [CELLS[name](beta, network.device) for beta in network.betas]

    def run(spikes: Any) -> Any:
        states: list[Any] = [None] * len(cells)
        value, found = None, []
        for s_bf in spikes.transpose(0, 1):
            for i, (cell, (kernel, bias)) in enumerate(zip(cells, network.weights, strict=True)):
                s_bf, states[i] = cell(linear(s_bf, kernel, bias), states[i])
            drive = linear(s_bf, network.readout)
            value = drive if value is None else network.decay * value + drive
            found.append(value)
        return torch.stack(found)

    return run
