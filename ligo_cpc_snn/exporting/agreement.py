"""Spike for spike: how many differ between two runs of a network, and why.

Two programs add the same numbers in another order, or fuse a product with a sum. A membrane that
lies within rounding of its threshold then spikes in one and not in the other, and what follows from
that spike differs, too. A difference is put down to rounding if the membrane was that close, to an
earlier difference if there was one within the network's memory, and is unexplained otherwise.

A graph that is a frame ahead for each layer begins otherwise, too: from silence, a later layer of
the network has had its bias for as many frames longer. What differs in the first `START_FRAMES`,
within every detector's warm-up, is put down to that.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Shaped

NEAR = 1e-4  # of a threshold of 1: float32 sums of a few hundred weights differ by 1e-6 to 1e-5
MEMORY_FRAMES = 256  # after which a difference is forgotten
START_FRAMES = 32
MOST = 1e-3  # of the spikes may differ: one difference must not excuse all that follow it


@dataclass(frozen=True)
class SpikeAgreement:
    """Counts of one comparison, over all layers."""

    frames: int
    spikes: int  # of the first run
    differing: int  # places where one spikes and the other does not
    by_rounding: int
    at_start: int  # of a graph that is ahead
    by_an_earlier_one: int
    unexplained: int
    largest_margin: float  # of those by rounding: membrane to threshold
    largest_logit_difference: float  # after the start

    @property
    def explained(self) -> bool:
        """Whether little differs, and nothing but by rounding, the start, and what follows."""
        later = self.differing - self.at_start
        return self.unexplained == 0 and later <= MOST * self.spikes


def agreement(
    spikes: Sequence[Shaped[np.ndarray, "frame neuron"]],
    others: Sequence[Shaped[np.ndarray, "frame neuron"]],
    margins: Sequence[Float[np.ndarray, "frame neuron"]],
    logits: Float[np.ndarray, "frame"],
    other_logits: Float[np.ndarray, "frame"],
    *,
    lags: bool,
) -> SpikeAgreement:
    """Compare two runs over the same input.

    Args:
        spikes: Of each layer in the first run.
        others: Of each layer in the second run.
        margins: Membrane less threshold at each place of the first run.
        logits, other_logits: Of both.
        lags: The second run is a frame ahead for each layer.
    """
    rounding = start = earlier = unexplained = differing = 0
    largest, before = 0.0, np.zeros(len(logits), bool)  # frames with a difference so far
    for number, (one, other, margin) in enumerate(zip(spikes, others, margins, strict=True), 1):
        differs = shifted(one, other, number if lags else 0)
        near = differs & (np.abs(margin) < NEAR)
        first = differs & ~near & (np.arange(len(logits)) < START_FRAMES * lags)[:, None]
        after = recently(before | differs.any(axis=1))[:, None] & differs & ~near & ~first
        rounding, earlier = rounding + int(near.sum()), earlier + int(after.sum())
        start += int(first.sum())
        unexplained += int((differs & ~near & ~first & ~after).sum())
        differing += int(differs.sum())
        largest = max(largest, float(np.abs(margin[near]).max(initial=0.0)))
        before |= differs.any(axis=1)
    lag = len(spikes) if lags else 0
    logit = np.abs(logits[lag:] - other_logits[: len(logits) - lag])[START_FRAMES * lags :]
    return SpikeAgreement(
        frames=len(logits),
        spikes=sum(int(np.count_nonzero(one)) for one in spikes),
        differing=differing,
        by_rounding=rounding,
        at_start=start,
        by_an_earlier_one=earlier,
        unexplained=unexplained,
        largest_margin=largest,
        largest_logit_difference=float(logit.max(initial=0.0)),
    )


def shifted(
    one: Shaped[np.ndarray, "frame neuron"], other: Shaped[np.ndarray, "frame neuron"], lag: int
) -> Bool[np.ndarray, "frame neuron"]:
    """Return where they differ, at the first one's frames; `other` is `lag` frames ahead.

    The first `lag` frames of `one` have no counterpart: nothing has reached the layer yet.
    """
    differs = np.asarray(one) > 0.5
    differs[lag:] ^= np.asarray(other)[: len(differs) - lag] > 0.5
    return differs


def recently(frames: Bool[np.ndarray, "frame"]) -> Bool[np.ndarray, "frame"]:
    """Return for each frame whether one of the `MEMORY_FRAMES` before it is true."""
    count = np.concatenate([[0], np.cumsum(frames)])
    at = np.arange(len(frames))
    return count[at] > count[np.maximum(at - MEMORY_FRAMES, 0)]
