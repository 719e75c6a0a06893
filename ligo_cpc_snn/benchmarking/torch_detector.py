"""The default detector in torch: convolutions, a GRU and a peer's spiking neurons.

The parts are those of `models/detector.py`; in place of the gated linear recurrence stands
torch's own GRU. Every detector's strain is a sequence of its own until the spikes are joined.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import nn

from ligo_cpc_snn.benchmarking.spiking_peers import LAYERS, TorchNetwork
from ligo_cpc_snn.config.model_schema import EncoderConfig, EncoderKind, ModelConfig


class ConvEncoder(nn.Module):
    """Our causal convolutions as `conv1d`: bent strain, strides, a layer norm.

    Args:
        cfg: of kind `patch` or `conv`, for one channel.
    """

    def __init__(self, cfg: EncoderConfig) -> None:
        super().__init__()
        patch = cfg.kind is EncoderKind.patch
        kernels = [cfg.patch] if patch else list(cfg.conv_kernels)
        strides = [cfg.stride] if patch else list(cfg.conv_strides)
        inputs = [1] + [cfg.features] * (len(kernels) - 1)
        self.saturation, self.past = cfg.saturation, np.subtract(kernels, strides).tolist()
        self.convs = nn.ModuleList(
            nn.Conv1d(a, cfg.features, k, s)
            for a, k, s in zip(inputs, kernels, strides, strict=True)
        )
        self.norm = nn.LayerNorm(cfg.features, eps=1e-6)

    def forward(self, strain: Any) -> Any:
        """Return latents (sequence, frame, feature) of strain (sequence, 1, time)."""
        x = self.saturation * torch.tanh(strain / self.saturation)
        for i, (conv, past) in enumerate(zip(self.convs, self.past, strict=True)):
            x = nn.functional.gelu(x, approximate="tanh") if i else x
            x = conv(nn.functional.pad(x, (past, 0)))
        return self.norm(x.transpose(1, 2))

    def take(self, products: Sequence[tuple[Any, Any]]) -> None:
        """Take the weights of our convolutions, (kernel * inputs, outputs) and bias of each."""
        with torch.no_grad():
            for conv, (kernel, bias) in zip(self.convs, products, strict=True):
                outputs, inputs, size = conv.weight.shape
                by_tap = np.asarray(kernel).reshape(size, inputs, outputs)
                conv.weight.copy_(torch.tensor(by_tap.transpose(2, 1, 0).copy()))
                conv.bias.copy_(torch.tensor(np.array(bias)))


class DilatedConv(nn.Module):
    """Our residual block: a dilated causal convolution of three taps, and a product."""

    def __init__(self, features: int, dilation: int) -> None:
        super().__init__()
        self.norm, self.past = nn.LayerNorm(features), 2 * dilation
        self.mix = nn.Conv1d(features, features, 3, dilation=dilation)
        self.out = nn.Linear(features, features)

    def forward(self, x: Any) -> Any:
        """Return frames (batch, frame, feature) mixed with those before them."""
        seen = nn.functional.pad(self.norm(x).transpose(1, 2), (self.past, 0))
        mixed = nn.functional.gelu(self.mix(seen), approximate="tanh")
        return x + self.out(mixed.transpose(1, 2))


class Spike(torch.autograd.Function):
    """A step with Spyx's arctan surrogate of slope 2."""

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        """Return 1 where x is above 0, otherwise 0."""
        ctx.save_for_backward(x)
        return (x > 0).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, gradient: Any) -> Any:
        """Return the gradient through the surrogate."""
        (x,) = ctx.saved_tensors
        return gradient / ((1 + (2 * torch.pi * x) ** 2) * torch.pi)


class TorchDetector(nn.Module):
    """Encoder, context, temporal-contrast bridge and spiking network.

    Args:
        peer: whose neurons run, as spikingjelly.
        detectors: in the strain.
        frames: of a window.
        frame_seconds: time between two, s.
    """

    def __init__(
        self, peer: str, cfg: ModelConfig, *, detectors: int, frames: int, frame_seconds: float,
        device: str,
    ) -> None:  # fmt: skip
        super().__init__()
        features, hidden = cfg.encoder.features, cfg.context.features
        self.encoder = ConvEncoder(cfg.encoder)
        self.mixers = nn.Sequential(*(DilatedConv(features, d) for d in cfg.context.dilations))
        self.context = nn.GRU(features, hidden, batch_first=True)
        self.threshold = nn.Parameter(torch.full((hidden,), cfg.bridge.threshold))
        sizes = [2 * hidden * detectors, *cfg.snn.widths]
        drawn = [nn.Linear(a, b) for a, b in pairwise(sizes)]
        weights = [(x.weight.detach().numpy().T, x.bias.detach().numpy()) for x in drawn]
        readout = nn.Linear(sizes[-1], 1).weight.detach().numpy().T
        decay = float(np.exp(-frame_seconds / cfg.snn.readout_seconds))
        betas = [np.full(width, 0.9, np.float32) for width in cfg.snn.widths]
        self.spiking = TorchNetwork(LAYERS[peer], weights, betas, readout, decay, frames, device)
        self.detectors = detectors
        self.to(device)

    def all_parameters(self) -> list[Any]:
        """Return all that is trained."""
        return [*self.parameters(), *self.spiking.parameters]

    def forward(self, strain: Any) -> tuple[Any, Any, Any]:
        """Return frame logits (frame, batch), latents and context of each sequence."""
        batch = strain.shape[0]
        latents = self.encoder(strain.flatten(0, 1).unsqueeze(1))
        context, _ = self.context(self.mixers(latents))
        change = torch.diff(context, dim=1, prepend=torch.zeros_like(context[:, :1]))
        on, off = Spike.apply(change - self.threshold), Spike.apply(-change - self.threshold)
        spikes = torch.cat([on, off], dim=-1).unflatten(0, (batch, self.detectors))
        return self.spiking(spikes.transpose(1, 2).flatten(2))[..., 0], latents, context
