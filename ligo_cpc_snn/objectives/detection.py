"""Detection and firing-rate losses, one value per example."""

import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from ligo_cpc_snn.models.detector import Detection
from ligo_cpc_snn.models.snn import LayerTrace
from ligo_cpc_snn.types import WindowLogits


def detection_loss(logits: WindowLogits, label: Float[Array, "batch"]) -> Float[Array, "batch"]:
    """Return the binary cross-entropy of each window's logit."""
    return optax.sigmoid_binary_cross_entropy(logits, label)


def firing_rates(trace: LayerTrace) -> Float[Array, "batch"]:
    """Return spikes per neuron and frame of a layer, for each example."""
    return jnp.mean(trace.spikes, axis=(0, 2))


def rate_penalty(detection: Detection, target: float) -> Float[Array, "batch"]:
    """Return the squared excess of each layer's firing rate over `target`, summed.

    Relative to the target, and taken per example so that it splits over micro-batches.
    """
    rates = [firing_rates(layer) for layer in detection.layers]
    excess = [jnp.maximum(rate / target - 1.0, 0.0) ** 2 for rate in rates]
    return sum(excess, start=jnp.zeros(()))
