"""A whole training step in torch, of the same parts and losses as ours.

Ours draws its batch inside the step; torch is given one that is made.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from ligo_cpc_snn.benchmarking.spiking_peers import parameters
from ligo_cpc_snn.benchmarking.stages import Setting
from ligo_cpc_snn.benchmarking.torch_detector import ConvEncoder, TorchDetector
from ligo_cpc_snn.benchmarking.torch_device import prepared, tensor, torch_device
from ligo_cpc_snn.config.model_schema import (
    BridgeKind,
    ContextKind,
    DetectorFusion,
    EncoderKind,
    ModelConfig,
    Neuron,
)
from ligo_cpc_snn.config.schema import Config, InfoNceConfig
from ligo_cpc_snn.models.encoder import CpcEncoder

Functions = dict[str, Callable[[], Any]]


def why_other_parts(model: ModelConfig) -> str | None:
    """Return which part of a config torch has no counterpart of here, or None."""
    written = {
        "encoder.kind": (model.encoder.kind, (EncoderKind.patch, EncoderKind.conv)),
        "encoder.detectors": (model.encoder.detectors, (DetectorFusion.shared,)),
        "context.kind": (model.context.kind, (ContextKind.glr, ContextKind.gru)),
        "bridge.kind": (model.bridge.kind, (BridgeKind.temporal_contrast,)),
        "snn.neuron": (model.snn.neuron, (Neuron.LIF,)),
    }
    for name, (value, known) in written.items():
        if value not in known:
            return f"model.{name}={value.value} is not written in torch"
    return None


def encoder_functions(setting: Setting) -> Functions:
    """Return the encoder's forward pass by torch's `conv1d`, with our weights."""
    cfg, device = setting.cfg.model.encoder, torch_device()
    encoder, strain = ConvEncoder(cfg), tensor(setting.strain, device).flatten(0, 1).unsqueeze(1)
    ours = setting.structure.learner(setting.params).detector.encoder
    assert isinstance(ours, CpcEncoder)  # of the kinds that `why_other_parts` lets through
    encoder.take([parameters(conv.product) for conv in ours.convs])
    encoder.to(device)

    def forward() -> Any:
        with torch.no_grad():
            return encoder(strain)

    return {"encoder, torch conv1d": prepared(forward, device)}


def step_functions(setting: Setting, peer: str) -> Functions:
    """Return a training step with a peer's neurons: loss, gradient, clipping, AdamW."""
    cfg, device, data = setting.cfg, torch_device(), setting.cfg.data
    samples = setting.structure.frame_samples
    torch.manual_seed(cfg.seed)
    detector = TorchDetector(
        peer, cfg.model, detectors=len(data.detectors), frames=data.window_samples // samples,
        frame_seconds=samples / data.sample_rate_hz, device=device,
    )  # fmt: skip
    loss = Loss(cfg, device)
    parameters = [*detector.all_parameters(), *loss.parameters()]
    rate, decay = cfg.training.finetune.learning_rate, cfg.training.optimiser.weight_decay
    # Fused: the fastest of torch's own.
    optimiser = torch.optim.AdamW(parameters, lr=rate, weight_decay=decay, fused=True)
    strain = tensor(setting.strain, device)
    label = tensor(torch.arange(strain.shape[0]) % 2, device)

    def step() -> Any:
        optimiser.zero_grad()
        total = loss(*detector(strain), label)
        total.backward()
        nn.utils.clip_grad_norm_(parameters, cfg.training.optimiser.clip_norm)
        optimiser.step()
        return total

    return {f"training step, torch conv + GRU + {peer}": prepared(step, device)}


class Loss(nn.Module):
    """Binary cross-entropy of a window's logit, and InfoNCE with a sequence's own negatives."""

    def __init__(self, cfg: Config, device: str) -> None:
        super().__init__()
        infonce: InfoNceConfig = cfg.training.infonce
        self.cfg, self.weight = infonce, cfg.training.finetune.infonce_weight
        self.predict = nn.Linear(cfg.model.context.features, infonce.steps * infonce.features)
        self.target = nn.Linear(cfg.model.encoder.features, infonce.features, bias=False)
        self.to(device)

    def forward(self, logits: Any, latents: Any, context: Any, label: Any) -> Any:
        """Return the loss of a batch; the logits are time-major (frame, batch)."""
        window = torch.logsumexp(logits, dim=0)
        detection = nn.functional.binary_cross_entropy_with_logits(window, label)
        return detection + self.weight * self.infonce(latents, context)

    def infonce(self, latents: Any, context: Any) -> Any:
        """Return the loss at anchors that are evenly spaced."""
        cfg, frames = self.cfg, latents.shape[1]
        reach = cfg.first_step + cfg.steps - 1
        spacing = (frames - reach) // cfg.anchors
        anchors = torch.arange(cfg.anchors, device=latents.device) * spacing
        ahead = cfg.first_step + torch.arange(cfg.steps, device=latents.device)
        targets = nn.functional.normalize(self.target(latents), dim=-1)
        targets = targets[:, anchors[None] + ahead[:, None]]
        predicted = self.predict(context[:, anchors]).unflatten(-1, (cfg.steps, cfg.features))
        predicted = nn.functional.normalize(predicted.transpose(1, 2), dim=-1)
        scores = torch.einsum("skaf,skbf->skab", predicted, targets) / cfg.temperature
        truth = torch.arange(cfg.anchors, device=latents.device).expand(scores.shape[:-1])
        return nn.functional.cross_entropy(scores.flatten(0, 2), truth.flatten())
