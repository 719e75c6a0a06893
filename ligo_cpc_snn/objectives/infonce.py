"""InfoNCE: from the context now, tell the true latent k frames ahead from others.

The heads project to a few features and only a sample of anchor frames is scored,
so that memory stays far below (batch x frames)^2. With negatives from the same
sequence the loss is a mean over examples, which splits over micro-batches; with
negatives from the batch it does not, and `training/accumulation.py` does it in two
passes over the projected anchors.

Reference: van den Oord et al. 2018 (arXiv:1807.03748), equation 4.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float, Int, Key

from ligo_cpc_snn.config.schema import InfoNceConfig, Negatives
from ligo_cpc_snn.models.detector import Representation
from ligo_cpc_snn.models.kernels import PLAIN, Kernels
from ligo_cpc_snn.models.products import dot_general


class Anchors(NamedTuple):
    """Projected predictions and their targets at sampled frames; unit vectors."""

    predictions: Float[Array, "sequence step anchor feature"]
    targets: Float[Array, "sequence step anchor feature"]


class InfoNceHeads(nnx.Module):
    """One linear prediction per future step, and one projection of the latents."""

    def __init__(
        self,
        cfg: InfoNceConfig,
        *,
        context_features: int,
        latent_features: int,
        rngs: nnx.Rngs,
        kernels: Kernels = PLAIN,
    ):
        dot = dot_general(kernels.precision)
        self.steps, self.first_step = cfg.steps, cfg.first_step
        self.features, self.anchors = cfg.features, cfg.anchors
        self.reach = cfg.first_step + cfg.steps - 1
        predictions = cfg.steps * cfg.features
        self.predict = nnx.Linear(context_features, predictions, dot_general=dot, rngs=rngs)
        self.target = nnx.Linear(
            latent_features, cfg.features, use_bias=False, dot_general=dot, rngs=rngs
        )

    def __call__(self, representation: Representation, first: Int[Array, ""]) -> Anchors:
        """Return unit predictions and targets for anchors evenly spaced from frame `first`."""
        spacing = anchor_spacing(representation.latents.shape[1], self.anchors, self.reach)
        targets = _unit(self.target(representation.latents))
        context = _every(representation.context, first, spacing, self.anchors)
        predicted = self.predict(context)
        predicted = predicted.reshape(*context.shape[:2], self.steps, self.features)
        ahead = first + self.first_step
        future = [_every(targets, ahead + k, spacing, self.anchors) for k in range(self.steps)]
        return Anchors(_unit(jnp.swapaxes(predicted, 1, 2)), jnp.stack(future, axis=1))


def anchor_spacing(frames: int, anchors: int, reach: int) -> int:
    """Return the frames between anchors, such that every future step lies inside the window.

    Raises:
        ValueError: when the window has fewer frames than anchors and steps need.
    """
    usable = frames - reach
    if usable < anchors:
        raise ValueError(
            f"a window of {frames} frames leaves {usable} anchors, training.infonce.anchors="
            f"{anchors}: lower anchors or steps, or lengthen data.window_seconds"
        )
    return usable // anchors


def draw_first(key: Key[Array, ""], frames: int, cfg: InfoNceConfig) -> Int[Array, ""]:
    """Draw the first anchor's frame: all anchors move together, so over the steps of a run
    every frame is an anchor, and taking them is a slice rather than a gather.
    """
    reach = cfg.first_step + cfg.steps - 1
    spacing = anchor_spacing(frames, cfg.anchors, reach)
    return jax.random.randint(key, (), 0, frames - reach - spacing * (cfg.anchors - 1))


def _every(x: Array, first: Int[Array, ""], spacing: int, number: int) -> Array:
    """Return `number` frames of `x`, `spacing` apart, from frame `first`."""
    sequences, _, features = x.shape
    size = spacing * (number - 1) + 1
    part = jax.lax.dynamic_slice(x, (0, first, 0), (sequences, size, features))
    return part[:, ::spacing]


def infonce_per_sequence(
    anchors: Anchors, temperature: float
) -> tuple[Float[Array, "sequence"], Float[Array, "sequence"]]:
    """Return loss and accuracy of each sequence, its own other anchors as negatives."""
    scores = jnp.einsum("skaf,skbf->skab", anchors.predictions, anchors.targets) / temperature
    loss, correct = _cross_entropy(scores, jnp.arange(scores.shape[-1]))
    return jnp.mean(loss, axis=(1, 2)), jnp.mean(correct, axis=(1, 2))


def infonce_over_batch(
    anchors: Anchors, group: Int[Array, "sequence"], temperature: float
) -> tuple[Float[Array, "sequence"], Float[Array, "sequence"]]:
    """Return loss and accuracy of each sequence, all anchors of the batch as negatives.

    `group` is the example a sequence belongs to: the same signal in another detector is
    no negative.
    """
    n, steps, count, features = anchors.predictions.shape
    flat_p = jnp.swapaxes(anchors.predictions, 0, 1).reshape(steps, n * count, features)
    flat_t = jnp.swapaxes(anchors.targets, 0, 1).reshape(steps, n * count, features)
    scores = jnp.einsum("kpf,kqf->kpq", flat_p, flat_t) / temperature
    sequence = jnp.repeat(jnp.arange(n), count)
    scores = jnp.where(_other_detector(group[sequence], sequence), -jnp.inf, scores)
    loss, correct = _cross_entropy(scores, jnp.arange(n * count))
    per_sequence = lambda x: jnp.mean(x.reshape(steps, n, count), axis=(0, 2))  # noqa: E731
    return per_sequence(loss), per_sequence(correct)


def spread(anchors: Anchors) -> Float[Array, "sequence"]:
    """Return the mean squared distance of the unit targets from their mean, per sequence.

    1 for targets spread over the sphere, 0 when all latents are the same (collapse).
    """
    mean = jnp.mean(anchors.targets, axis=(1, 2))
    return 1.0 - jnp.sum(mean**2, axis=-1)


def infonce(
    anchors: Anchors, examples: int, cfg: InfoNceConfig
) -> tuple[Float[Array, "batch"], dict[str, Float[Array, "batch"]]]:
    """Return each example's loss with the negatives that `cfg` names, and its metrics.

    Args:
        anchors: of all sequences, those of one example side by side.
        examples: in the batch; each has the same number of sequences (detectors).
        cfg: negatives and temperature.

    Returns:
        The mean over an example's sequences of the loss; `infonce/accuracy`, and
        `infonce/spread`, near 0 when the latents have collapsed.
    """
    sequences = anchors.targets.shape[0]
    if cfg.negatives is Negatives.sequence:
        loss, accuracy = infonce_per_sequence(anchors, cfg.temperature)
    else:
        group = jnp.repeat(jnp.arange(examples), sequences // examples)
        loss, accuracy = infonce_over_batch(anchors, group, cfg.temperature)
    seen = {
        "loss/infonce": loss,
        "infonce/accuracy": accuracy,
        "infonce/spread": spread(anchors),
    }
    metrics = {name: jnp.mean(x.reshape(examples, -1), axis=1) for name, x in seen.items()}
    return metrics["loss/infonce"], metrics


def _other_detector(group: Int[Array, "p"], sequence: Int[Array, "p"]) -> Bool[Array, "p p"]:
    return (group[:, None] == group[None]) & (sequence[:, None] != sequence[None])


def _cross_entropy(scores: Array, truth: Array) -> tuple[Array, Array]:
    picked = jnp.take_along_axis(scores, jnp.broadcast_to(truth, scores.shape[:-1])[..., None], -1)
    correct = jnp.argmax(scores, axis=-1) == truth
    return jax.nn.logsumexp(scores, axis=-1) - picked[..., 0], correct.astype(scores.dtype)


def _unit(x: Array) -> Array:
    # The constant keeps the gradient finite at zero.
    return x * jax.lax.rsqrt(jnp.sum(x**2, axis=-1, keepdims=True) + 1e-6)
