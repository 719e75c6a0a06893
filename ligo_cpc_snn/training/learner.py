"""What is trained, and its loss for a part of a batch.

The parameters are a plain nested dict: `detector` (encoder, context, bridge, snn) and
`heads` (of InfoNCE). The module is taken apart once and put together inside the loss.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float, Int, Key

from ligo_cpc_snn.config.model_schema import ModelConfig
from ligo_cpc_snn.config.schema import Config, InfoNceConfig, PhaseConfig
from ligo_cpc_snn.models.detector import Detection, Detector, Representation
from ligo_cpc_snn.models.kernels import PLAIN, Kernels
from ligo_cpc_snn.objectives.detection import detection_loss, firing_rates, rate_penalty
from ligo_cpc_snn.objectives.infonce import Anchors, InfoNceHeads
from ligo_cpc_snn.types import Batch

Params = dict[str, Any]

# Where a non-finite number can first be seen, in the order of the computation.
PARTS = ("strain", "latents", "context", "bridge", "membranes", "logits", "loss", "gradients")


class Randomness(NamedTuple):
    """What a batch draws beside its strain, made whole for all its micro-batches."""

    first: Int[Array, ""]  # frame of the first anchor
    keys: Key[Array, "batch sequence"]  # of stochastic bridges


class Learner(nnx.Module):
    """Detector and InfoNCE heads."""

    def __init__(
        self,
        model: ModelConfig,
        infonce: InfoNceConfig,
        *,
        detectors: int,
        sample_rate_hz: int,
        rngs: nnx.Rngs,
        kernels: Kernels = PLAIN,
    ):
        self.detector = Detector(
            model, detectors=detectors, sample_rate_hz=sample_rate_hz, rngs=rngs, kernels=kernels
        )
        self.heads = InfoNceHeads(
            infonce,
            context_features=model.context.features,
            latent_features=model.encoder.features,
            rngs=rngs,
            kernels=kernels,
        )


class Structure(NamedTuple):
    """The learner without its parameters, and how strain becomes sequences of frames."""

    graph: nnx.GraphDef[Learner]
    sequences: int  # per example
    frame_samples: int

    def learner(self, params: Params) -> Learner:
        """Put the learner together."""
        return nnx.merge(self.graph, params)


def create_learner(
    model: ModelConfig,
    infonce: InfoNceConfig,
    *,
    detectors: int,
    sample_rate_hz: int,
    seed: int,
    kernels: Kernels = PLAIN,
) -> tuple[Structure, Params]:
    """Return the learner's structure and its initial parameters, strongly typed.

    The parameters do not depend on `kernels`.

    Spyx and `jnp.full` make weakly typed leaves, with which a training step compiles
    three times.
    """
    learner = Learner(
        model,
        infonce,
        detectors=detectors,
        sample_rate_hz=sample_rate_hz,
        rngs=nnx.Rngs(seed),
        kernels=kernels,
    )
    graph, state = nnx.split(learner)
    params = nnx.to_pure_dict(state)
    detector = learner.detector
    structure = Structure(graph, detector.sequences(1), detector.frame_samples)
    return structure, jax.tree.map(lambda x: jax.lax.convert_element_type(x, x.dtype), params)


def learner_of(cfg: Config, kernels: Kernels = PLAIN) -> tuple[Structure, Params]:
    """Return the learner of a run's config, as `create_learner`."""
    return create_learner(
        cfg.model,
        cfg.training.infonce,
        detectors=len(cfg.data.detectors),
        sample_rate_hz=cfg.data.sample_rate_hz,
        seed=cfg.seed,
        kernels=kernels,
    )


class Terms(NamedTuple):
    """Losses per example, anchors for the loss that does not split, metrics per example."""

    loss: Float[Array, "batch"]
    anchors: Anchors | None
    logit: Float[Array, "batch"] | None
    metrics: dict[str, Float[Array, "batch"]]
    finite: Bool[Array, "part"]


def compute_terms(
    learner: Learner, batch: Batch, randomness: Randomness, phase: PhaseConfig, target_rate: float
) -> Terms:
    """Return all that a phase needs of one micro-batch.

    No gradient reaches a frozen encoder, so its backward pass costs nothing.
    """
    detector = learner.detector
    state = detector.initial_state(batch.strain.shape[0])
    representation, state = detector.encode(batch.strain, state)
    anchors, detection, logit = None, None, None
    loss = jnp.zeros(batch.label.shape)
    metrics: dict[str, Array] = {}
    if phase.infonce_weight:
        anchors = learner.heads(representation, randomness.first)
    if phase.detection_weight:
        if not phase.train_encoder:
            representation = jax.lax.stop_gradient(representation)
        detection, _ = detector.detect(representation, state, randomness.keys.reshape(-1))
        logit = detector.window_logits(detection.frame_logits)
        detect = detection_loss(logit, batch.label)
        penalty = rate_penalty(detection, target_rate)
        loss = phase.detection_weight * detect + phase.rate_weight * penalty
        metrics = _detection_metrics(detection, batch, detect, logit)
    finite = _finite(batch, representation, detection, loss)
    return Terms(loss, anchors, logit, metrics, finite)


def _detection_metrics(
    detection: Detection, batch: Batch, loss: Array, logit: Array
) -> dict[str, Array]:
    correct = (logit > 0) == (batch.label > 0.5)
    rates = {f"spike_rate/snn_{i}": firing_rates(x) for i, x in enumerate(detection.layers)}
    return {
        "loss/detection": loss,
        "accuracy": correct.astype(jnp.float32),
        "spike_rate/bridge": jnp.mean(detection.bridge_spikes, axis=(1, 2)),
        **rates,
    }


def _finite(
    batch: Batch, representation: Representation, detection: Detection | None, loss: Array
) -> Bool[Array, "part"]:
    seen: list[Any] = [batch.strain, representation.latents, representation.context]
    if detection is not None:
        membranes = [layer.membrane for layer in detection.layers]
        seen += [detection.bridge_spikes, membranes, detection.frame_logits, loss]
    else:
        seen += [(), (), (), loss]
    return jnp.stack([all_finite(x) for x in seen])


def all_finite(tree: Any) -> Bool[Array, ""]:
    """Return whether every number of a pytree is finite."""
    flags = [jnp.all(jnp.isfinite(x)) for x in jax.tree.leaves(tree)]
    return jnp.all(jnp.stack(flags)) if flags else jnp.asarray(True)
