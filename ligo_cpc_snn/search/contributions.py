"""What each detector adds to the statistic of a trigger."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Int, Shaped

from ligo_cpc_snn.search.trained import TrainedDetector

TRIGGERS = 16  # side by side; fewer are filled up, so one program is compiled


def contributions(
    detector: TrainedDetector,
    features: Shaped[np.ndarray, "detector frame channel"],
    frames: Int[np.ndarray, "trigger"],
    *,
    noise_mean: Float[np.ndarray, "detector channel"] | None = None,
    memory_seconds: float = 1.0,
) -> Float[np.ndarray, "trigger detector"]:
    """Return the statistic less the statistic without one detector, for each detector.

    Both are taken from the SNN run over the last `memory_seconds` up to the trigger's frame;
    "without" means that the detector's features are their mean in noise throughout. The
    contributions of all detectors do not add up to the statistic: the SNN is not linear.

    Args:
        detector: with one encoder per detector.
        features: of the segment, as `Detector.features` gives them.
        frames: of the triggers, in the segment.
        noise_mean: of the features; None: the mean over the segment given. It also stands
            before the segment's start.
        memory_seconds: several times the SNN's memory.
    """
    if noise_mean is None:
        noise_mean = features.mean(axis=1, dtype=np.float64)
    mean = noise_mean.astype(np.float32)
    memory = max(round(memory_seconds / detector.frame_seconds), 1)
    graph, params = nnx.split(detector.network)
    found = [np.zeros((0, len(mean)), np.float32)]
    for i in range(0, frames.size, TRIGGERS):
        part = frames[i : i + TRIGGERS]
        filled = np.resize(part, TRIGGERS)
        pieces = np.stack([_piece(features, mean, int(frame), memory) for frame in filled])
        found.append(
            np.asarray(_added(graph, params, jnp.asarray(pieces), jnp.asarray(mean)))[: part.size]
        )
    return np.concatenate(found)


def _piece(
    features: np.ndarray, mean: np.ndarray, frame: int, memory: int
) -> Float[np.ndarray, "detector frame channel"]:
    """Return `memory` frames that end with `frame`."""
    seen = features[:, max(frame + 1 - memory, 0) : frame + 1].astype(np.float32)
    before = np.repeat(mean[:, None], memory - seen.shape[1], axis=1)
    return np.concatenate([before, seen], axis=1)


@partial(jax.jit, static_argnums=0)
def _added(
    graph: Any,
    params: Any,
    pieces: Float[Array, "trigger detector frame channel"],
    mean: Float[Array, "detector channel"],
) -> Float[Array, "trigger detector"]:
    """Return the last logits with all detectors less those with one at its mean."""
    network = nnx.merge(graph, params)
    absent = jnp.eye(len(mean), dtype=bool)[:, None, :, None, None]
    without = jnp.where(absent, mean[:, None], pieces)
    both = jnp.concatenate([pieces[None], without]).reshape(-1, *pieces.shape[1:])
    logits, _ = network.join(both, network.snn.initial_state(len(both)))
    last = logits[:, -1].reshape(-1, len(pieces))
    return (last[0] - last[1:]).T
