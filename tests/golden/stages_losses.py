"""The losses, and the gradient of a batch through all of the network."""

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from golden.stages_network import FRAME, MODELS, RATE

from ligo_cpc_snn.config.schema import InfoNceConfig, Negatives, PhaseConfig, TrainingConfig
from ligo_cpc_snn.models.detector import Detection, Representation, window_logits
from ligo_cpc_snn.models.snn import LayerTrace
from ligo_cpc_snn.objectives.detection import detection_loss, rate_penalty
from ligo_cpc_snn.objectives.infonce import Anchors, infonce
from ligo_cpc_snn.training.learner import create_learner
from ligo_cpc_snn.training.step import batch_gradient
from ligo_cpc_snn.types import Batch

BATCH, FRAMES = 6, 48
PHASE = PhaseConfig(infonce_weight=0.7, detection_weight=1.0, rate_weight=0.5)
GRADIENTS = {f"gradient, {negatives.value}": negatives for negatives in Negatives}
INFONCE = {f"infonce, {negatives.value}": negatives for negatives in Negatives}


def _infonce(negatives: Negatives) -> InfoNceConfig:
    return InfoNceConfig(steps=2, features=4, negatives=negatives, anchors=4)


def detection(inputs: dict[str, np.ndarray]) -> dict[str, Any]:
    """Return window logits, detection loss and rate penalty of frames' logits and spikes."""
    frame_logits = jnp.asarray(inputs["frame_logits"])
    traces = [LayerTrace(jnp.asarray(inputs[n]), jnp.zeros(())) for n in ("spikes_0", "spikes_1")]
    nothing = Representation(frame_logits, frame_logits)
    seen = Detection(frame_logits, frame_logits, traces, nothing)
    logit = jax.jit(partial(window_logits, first=5))(frame_logits)
    return {
        "logit": logit,
        "loss": jax.jit(detection_loss)(logit, jnp.asarray(inputs["label"])),
        "penalty": rate_penalty(seen, 0.1),
    }


def contrast(negatives: Negatives, inputs: dict[str, np.ndarray]) -> dict[str, Any]:
    """Return InfoNCE of each example, its metrics, and its gradient."""
    anchors = Anchors(*(jnp.asarray(inputs[name]) for name in Anchors._fields))

    def mean(anchors: Anchors) -> tuple[Any, Any]:
        loss, metrics = infonce(anchors, anchors.targets.shape[0] // 2, _infonce(negatives))
        return jnp.mean(loss), (loss, metrics)

    (_, (loss, metrics)), gradient = jax.jit(jax.value_and_grad(mean, has_aux=True))(anchors)
    named = {name.replace("/", " "): value for name, value in metrics.items()}
    return {"loss": loss, "metrics": named, "gradient": gradient._asdict()}


def structure(negatives: Negatives, kernels: Any = None, model: str = "temporal_contrast") -> Any:
    """Return a learner's structure and first parameters."""
    ways = {} if kernels is None else {"kernels": kernels}
    cfg = _infonce(negatives)
    return create_learner(
        MODELS["bridge"][model], cfg, detectors=2, sample_rate_hz=RATE, seed=3, **ways
    )


def gradient(
    negatives: Negatives,
    params: Any,
    inputs: dict[str, np.ndarray],
    *,
    accumulation: int = 1,
    kernels: Any = None,
) -> dict[str, Any]:
    """Return loss, gradient and metrics of a batch, in `accumulation` micro-batches."""
    batch = Batch(*(jnp.asarray(inputs[name]) for name in Batch._fields))
    take = compiled(negatives, accumulation, kernels)
    got = take(jax.tree.map(jnp.asarray, params), batch, jax.random.key(11))
    named = {name.replace("/", " "): value for name, value in got.metrics.items()}
    return {"loss": got.loss, "gradient": got.gradient, "metrics": named}


def loss(negatives: Negatives, params: Any, inputs: dict[str, np.ndarray], kernels: Any) -> Any:
    """Return the loss of a batch; the way back is then left out of the program."""
    batch = Batch(*(jnp.asarray(inputs[name]) for name in Batch._fields))
    take = batch_function(negatives, 1, kernels)
    only = jax.jit(lambda *args: take(*args).loss)
    return only(jax.tree.map(jnp.asarray, params), batch, jax.random.key(11))


@lru_cache
def compiled(negatives: Negatives, accumulation: int, kernels: Any) -> Callable[..., Any]:
    return jax.jit(batch_function(negatives, accumulation, kernels))


def batch_function(
    negatives: Negatives, accumulation: int, kernels: Any
) -> Callable[[Any, Batch, Any], Any]:
    """Return the loss and gradient of a batch, as a function of parameters, batch and key."""
    cfg = TrainingConfig(
        batch_size=BATCH, accumulation=accumulation, infonce=_infonce(negatives), target_rate=0.05
    )
    return partial(batch_gradient, structure(negatives, kernels)[0], phase=PHASE, cfg=cfg)


def draw_inputs(name: str, seed: int) -> dict[str, np.ndarray]:
    """Return logits and spikes, anchors, or a batch."""
    rng = np.random.RandomState(seed)
    label = np.arange(BATCH) % 2
    if name == "detection":
        logits = 4 * rng.standard_normal((BATCH, FRAMES))
        spikes = {f"spikes_{i}": rng.uniform(size=(FRAMES, BATCH, 5)) < 0.2 for i in range(2)}
        drawn: dict[str, np.ndarray] = {"frame_logits": logits, "label": label, **spikes}
    elif name in INFONCE:
        shape = (2 * BATCH, 2, 4, 4)
        p, t = rng.standard_normal((2, *shape))
        p = p + 2 * t
        unit = [x / np.linalg.norm(x, axis=-1, keepdims=True) for x in (p, t)]
        drawn = dict(zip(Anchors._fields, unit, strict=True))
    else:
        snr = label * rng.uniform(8, 20, BATCH)
        chirp = np.sin(np.linspace(0, 9, FRAMES * FRAME) ** 2)
        strain = rng.standard_normal((BATCH, 2, FRAMES * FRAME))
        drawn = {
            "strain": strain + 0.2 * snr[:, None, None] * chirp,
            "label": label,
            "snr": snr,
        }
    return {key: np.asarray(value, np.float32) for key, value in drawn.items()}
