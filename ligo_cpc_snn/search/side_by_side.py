"""One compiled call of a trained detector over several streams, each with a state of its own."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ligo_cpc_snn.config.model_schema import BridgeKind
from ligo_cpc_snn.search.trained import TrainedDetector
from ligo_cpc_snn.types import State


def warm_up_frames(detector: TrainedDetector) -> int:
    """Return the number of frames after silence that do not count."""
    return int(np.ceil(detector.warm_up_seconds / detector.frame_seconds - 1e-6))


def initial_state(detector: TrainedDetector) -> State:
    """Return the state of one stream before its first sample, its types not weak."""
    state = detector.network.initial_state(1)
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, leaf.dtype), state)


def advance_one(
    detector: TrainedDetector,
    keep_features: bool,
    params: Any,
    strain: Float[Array, "detector time"],
    state: State,
) -> tuple[Float[Array, "frame"], Array | None, State]:
    """Run one stream a chunk further, as `Detector` does for a batch of one.

    Keys of stochastic bridges are the same for every segment: their numbers depend on the
    frame's number in the segment alone, not on chunks or on what is beside it.
    """
    network = detector.assemble(params)
    keys = jax.random.split(jax.random.key(0), network.sequences(1))
    if not keep_features:
        detection, state = network(strain[None], state, keys=keys)
        return detection.frame_logits[0].astype(jnp.float32), None, state
    features, state = network.features(strain[None], state, keys)
    logits, snn = network.join(features, state.snn)
    spikes = detector.model.bridge.kind is not BridgeKind.none
    stored = features[0] > 0.5 if spikes else features[0].astype(jnp.float16)
    return logits[0].astype(jnp.float32), stored, state._replace(snn=snn)


def advance_all(
    detector: TrainedDetector,
    keep_features: bool,
    params: Any,
    strain: Float[Array, "stream detector time"],
    states: tuple[State, ...],
) -> tuple[Float[Array, "stream frame"], Array | None, tuple[State, ...]]:
    """Run streams a chunk further, each with all of its own state, counters included."""
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *states)
    one = partial(advance_one, detector, keep_features, params)
    logits, features, stacked = jax.vmap(one)(strain, stacked)
    split = tuple(jax.tree.map(lambda leaf: leaf[i], stacked) for i in range(len(states)))  # noqa: B023
    return logits, features, split
