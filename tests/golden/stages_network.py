"""The stages of the network, each alone: encoder, context, bridge, spiking network.

A stage runs over its own inputs, from silence, in chunks of the lengths asked for. Its outputs
are those of all chunks side by side and, of a single chunk, the gradient of their weighted sum:
nothing is trained in chunks.
"""

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from ligo_cpc_snn.config.model_schema import (
    BridgeConfig,
    BridgeKind,
    ContextConfig,
    ContextKind,
    DetectorFusion,
    EncoderConfig,
    EncoderKind,
    ModelConfig,
    Neuron,
    SnnConfig,
)
from ligo_cpc_snn.models.detector import Detector

RATE, FRAME, FRAMES, BATCH, FEATURES = 256, 8, 64, 2, 4
CHUNKINGS = {"whole": (FRAMES,), "chunks": (13, 51)}  # frames; a latency block has 8
NETWORK = ("encoder", "context", "bridge", "snn")
FIRST_OUTPUT = {"encoder": "latents", "context": "context", "bridge": "spikes", "snn": "logits"}


def _model(**sections: Any) -> ModelConfig:
    parts = {
        "encoder": EncoderConfig(features=FEATURES, patch=2 * FRAME, stride=FRAME),
        "context": ContextConfig(features=FEATURES, dilations=[1, 2]),
        "bridge": BridgeConfig(kind=BridgeKind.threshold),
        "snn": SnnConfig(widths=[6, 5]),
    }
    return ModelConfig(**(parts | sections))


def _encoder(**settings: Any) -> ModelConfig:
    return _model(encoder=EncoderConfig(features=FEATURES, stride=FRAME, **settings))


_CONV = {"conv_kernels": [16, 4], "conv_strides": [4, 2]}
_RATES = {"fast_seconds": 0.125, "slow_seconds": 0.5, "fast_rank": 3, "slow_rank": 4}
MODELS: dict[str, dict[str, ModelConfig]] = {
    "encoder": {
        "patch": _encoder(patch=2 * FRAME),
        "patch, joint": _encoder(patch=2 * FRAME, detectors=DetectorFusion.joint),
        "conv": _encoder(kind=EncoderKind.conv, **_CONV),
        "multirate": _encoder(kind=EncoderKind.multirate, **_RATES),
    },
    "context": {
        kind.value: _model(context=ContextConfig(kind=kind, features=FEATURES, dilations=[1, 2]))
        for kind in ContextKind
    },
    "bridge": {
        **{kind.value: _model(bridge=BridgeConfig(kind=kind)) for kind in BridgeKind},
        "levels": _model(bridge=BridgeConfig(kind=BridgeKind.threshold, levels=3)),
    },
    "snn": {n.value: _model(snn=SnnConfig(neuron=n, widths=[6, 5])) for n in Neuron},
}


def module(stage: str, name: str, kernels: Any = None, detectors: int = 2) -> nnx.Module:
    """Return the part of a new detector that is the stage, computed as `kernels` say."""
    ways = {} if kernels is None else {"kernels": kernels}
    model = MODELS[stage][name]
    detector = Detector(model, detectors=detectors, sample_rate_hz=RATE, rngs=nnx.Rngs(5), **ways)
    return getattr(detector, stage)


def draw_inputs(stage: str, name: str, seed: int) -> dict[str, np.ndarray]:
    """Return what a stage is fed: strain, latents, or spikes."""
    rng = np.random.RandomState(seed)  # whose numbers never change
    if stage == "encoder":
        channels = 2 if "joint" in name else 1
        strain = rng.standard_normal((BATCH, FRAMES * FRAME, channels))
        strain[0, 100] = 40.0  # a glitch, beyond the saturation
        return {"strain": strain.astype(np.float32)}
    if stage == "snn":
        spikes = rng.uniform(size=(BATCH, FRAMES, 2 * FEATURES)) < 0.3
        return {"spikes": spikes.astype(np.float32)}
    noise = rng.standard_normal((BATCH, FRAMES + 2, FEATURES))
    smooth = noise[:, 2:] + noise[:, 1:-1] + 0.5 * noise[:, :-2]
    return {"latents": smooth.astype(np.float32)}


def run(
    stage: str,
    name: str,
    params: Any,
    inputs: dict[str, np.ndarray],
    *,
    chunks: tuple[int, ...] = (FRAMES,),
    kernels: Any = None,
) -> dict[str, Any]:
    """Return the outputs of a stage and, of a whole, the gradient of their weighted sum.

    Args:
        chunks: lengths, frames.
        kernels: ways of computing; None: the defaults.
    """
    (x,) = inputs.values()
    take = compiled(stage, name, chunks, kernels)
    return take(jax.tree.map(jnp.asarray, params), jnp.asarray(x))


@lru_cache
def compiled(stage: str, name: str, chunks: tuple[int, ...], kernels: Any) -> Callable[..., Any]:
    """Return the function of parameters and input that `run` calls."""
    graph = nnx.split(nnx.eval_shape(partial(module, stage, name, kernels)))[0]

    def outputs(params: Any, x: Any) -> tuple[Any, dict[str, Any]]:
        found = _in_chunks(stage, nnx.merge(graph, params), x, chunks)
        first = found[FIRST_OUTPUT[stage]]
        return jnp.sum(first * _weights(first.shape)), found

    def with_gradient(params: Any, x: Any) -> dict[str, Any]:
        take = jax.value_and_grad(outputs, argnums=(0, 1), has_aux=True)
        (_, found), (of_params, of_input) = take(params, x)
        gradient = {"input": of_input}
        if jax.tree.leaves(of_params):  # some bridges have none
            gradient["params"] = of_params
        return {**found, "gradient": gradient}

    if len(chunks) > 1:
        return jax.jit(lambda params, x: outputs(params, x)[1])
    return jax.jit(with_gradient)


def _weights(shape: tuple[int, ...]) -> np.ndarray:
    """Return weights without a pattern that a layer norm would cancel.

    In double precision, whatever runs the stage: the cosine of a number of thousands in single
    precision is another on every device.
    """
    return np.cos(np.arange(np.prod(shape)) ** 1.3).astype(np.float32).reshape(shape)


def _in_chunks(stage: str, layer: Any, x: Any, chunks: tuple[int, ...]) -> dict[str, Any]:
    state, found, start = layer.initial_state(x.shape[0]), [], 0
    keys = jax.random.split(jax.random.key(3), x.shape[0])
    step = FRAME if stage == "encoder" else 1
    for frames in chunks:
        part = x[:, start * step : (start + frames) * step]
        if stage == "snn":
            logits, traces, state = layer(part, state)
            out = {"logits": logits}
            for i, trace in enumerate(traces):
                out[f"spikes_{i}"] = jnp.swapaxes(trace.spikes, 0, 1)
                out[f"membranes_{i}"] = jnp.swapaxes(trace.membrane, 0, 1)
        else:
            more = (keys,) if stage == "bridge" else ()
            y, state = layer(part, state, *more)
            out = {FIRST_OUTPUT[stage]: y}
        found.append(out)
        start += frames
    return jax.tree.map(lambda *parts: jnp.concatenate(parts, axis=1), *found)
