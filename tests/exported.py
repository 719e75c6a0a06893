"""Small detectors of every kind of neuron, and spikes to feed their networks with."""

from typing import Any

import jax
import numpy as np
from flax import nnx
from small_detector import small_detector, small_model

from ligo_cpc_snn.config.model_schema import Neuron
from ligo_cpc_snn.models.snn import SpikingNetwork
from ligo_cpc_snn.search.trained import TrainedDetector

EXPORTABLE = (Neuron.LIF, Neuron.CuBaLIF, Neuron.RLIF, Neuron.RCuBaLIF)


def detector_of(neuron: Neuron = Neuron.LIF, **model: Any) -> TrainedDetector:
    """Two layers; weights so large that every layer spikes."""
    settings = small_model(neuron=neuron)
    settings.snn.widths = [6, 5]
    for name, value in model.items():
        setattr(getattr(settings, name.split("__")[0]), name.split("__")[1], value)
    detector = small_detector(settings)
    snn = detector.network.snn
    for layer in snn.layers:
        layer.product.kernel[...] = 2.0 * layer.product.kernel[...]
        layer.product.bias[...] = 0.1 + layer.product.bias[...]
    params = nnx.to_pure_dict(nnx.split(detector.network)[1])
    return small_detector(settings, params=jax.device_get(params))


def spikes_for(snn: SpikingNetwork, frames: int = 300, seed: int = 0) -> np.ndarray:
    """A quarter of all places spike."""
    inputs = snn.layers[0].product.kernel.shape[0]
    rng = np.random.default_rng(seed)
    return (rng.random((frames, inputs)) < 0.25).astype(np.float32)
