"""Weights of few bits: int8 by Qwix, ternary by least squares, one scale per output channel.

Only weights are rounded, after training. What spikes feed needs no more: a spike is 0 or 1, so the
product with a spike is an addition of integers, and the scale of a channel is applied once, to the
sum (or is taken into the neuron's threshold). Biases, leaks and thresholds stay as they are.

`spyx.quant` hands rules to Qwix for the modules it finds; its `bitnet_ternary_rules` take `int2`,
which has four levels. Three levels are therefore made here, as ternary weight networks have them
(Li & Liu 2016, arXiv:1605.04711, equation 4), but with the exact minimum of the squared error in
place of their approximate threshold 0.7 mean|w|.
"""

from dataclasses import replace
from enum import Enum
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int8

from ligo_cpc_snn.errors import UserError
from ligo_cpc_snn.search.parameters import named
from ligo_cpc_snn.search.trained import TrainedDetector


class Weights(Enum):
    """In what the weights are stored: 32, 8, or 1.6 bits (-1, 0, 1)."""

    float32 = "float32"
    int8 = "int8"
    ternary = "ternary"


class Part(Enum):
    """`snn`: what spikes feed; `all`: encoder and context, too."""

    snn = "snn"
    all = "all"


class QuantisationError(UserError):
    """Weights that cannot be quantised here."""


class Quantised(NamedTuple):
    """A matrix as integers and a scale per output channel: weights = integers * scale."""

    integers: Int8[np.ndarray, "*inputs output"]
    scale: Float[np.ndarray, "output"]

    @property
    def weights(self) -> Float[np.ndarray, "*inputs output"]:
        """The numbers that the integers stand for."""
        return (self.integers * self.scale).astype(np.float32)


def quantised_detector(
    detector: TrainedDetector, kind: Weights, part: Part = Part.snn
) -> TrainedDetector:
    """Return the detector with rounded weights, in float32; its card says so.

    Args:
        detector: With parameters in float32.
        kind: Of the integers; float32 changes nothing.
        part: Whose weights are rounded.

    Raises:
        QuantisationError: int8 without Qwix.
    """
    if kind is Weights.float32:
        return detector
    chosen = weight_names(detector.params, part)
    rounded = {
        name: quantise(np.asarray(leaf), kind).weights
        for name, leaf in named(detector.params).items()
        if name in chosen
    }
    leaves = [rounded.get(name, leaf) for name, leaf in named(detector.params).items()]
    params = jax.tree.unflatten(jax.tree.structure(detector.params), leaves)
    about = {"weights": kind.value, "part": part.value, "parameters": sorted(chosen)}
    return replace(detector, params=params, card=detector.card | {"quantisation": about})


def weight_names(params: Any, part: Part) -> set[str]:
    """Return the names of the matrices that are multiplied with what comes in."""
    return {
        name
        for name, leaf in named(params).items()
        if np.ndim(leaf) >= 2 and (part is Part.all or name.startswith("snn."))
    }


def quantise(weights: Float[np.ndarray, "*inputs output"], kind: Weights) -> Quantised:
    """Return integers and scales of a matrix whose last axis is the output.

    Args:
        weights: Of a product `x @ weights`.
        kind: int8 or ternary.

    Raises:
        QuantisationError: int8 without Qwix.
    """
    return ternary(weights) if kind is Weights.ternary else int8(weights)


def int8(weights: Float[np.ndarray, "*inputs output"]) -> Quantised:
    """Return weights of 256 levels, a channel's largest magnitude at 127.5 (Qwix, `absmax`).

    Raises:
        QuantisationError: Qwix is not installed.
    """
    try:
        import qwix
    except ImportError as error:
        raise QuantisationError(
            "weights=int8 needs Qwix, which is not installed: pip install 'ligo-cpc-snn[export]'"
        ) from error
    array = jnp.asarray(weights, jnp.float32)
    got = qwix.quantize(array, jnp.int8, channelwise_axes=(array.ndim - 1,))
    return Quantised(np.asarray(got.qvalue, np.int8), np.asarray(got.scale, np.float32).ravel())


def ternary(weights: Float[np.ndarray, "*inputs output"]) -> Quantised:
    """Return weights of -s, 0 and s per channel, with the least squared error.

    Of the k largest magnitudes of a channel s is the mean; the error falls by k s^2, so k is where
    (sum of the k largest)^2 / k is largest.
    """
    rows = np.asarray(weights, np.float64).reshape(-1, weights.shape[-1])
    largest = -np.sort(-np.abs(rows), axis=0)
    count = np.arange(1, len(rows) + 1)[:, None]
    total = np.cumsum(largest, axis=0)
    best = np.argmax(total**2 / count, axis=0)
    columns = np.arange(rows.shape[1])
    scale = total[best, columns] / (best + 1)
    kept = (np.abs(rows) >= largest[best, columns]) & (rows != 0)
    integers = np.where(kept, np.sign(rows), 0).astype(np.int8).reshape(weights.shape)
    return Quantised(integers, scale.astype(np.float32))
