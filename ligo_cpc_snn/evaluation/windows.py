"""Scores of validation windows: noise alone, and signals at fixed network SNRs."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Float, Key

from ligo_cpc_snn.models.detector import Detector
from ligo_cpc_snn.rng import at_step
from ligo_cpc_snn.types import Batch

Sample = Callable[[Any, Key[Array, ""], Any, Any], Batch]
Score = Callable[[Any, Any, Array, Array], Float[Array, "batch"]]


class WindowScores(NamedTuple):
    """Window logits: of noise, and of signals, one row per SNR."""

    noise: Float[np.ndarray, "n"]
    signal: Float[np.ndarray, "snr m"]


def at_once(function: Callable[[Array], Array]) -> Callable[[Array], Array]:
    """Return a function of windows as it is, which takes a batch at once."""
    return function


def build_score(
    assemble: Callable[[Any], Detector],
    sample: Sample,
    key: Key[Array, ""],
    split: Callable[[Callable[[Array], Array]], Callable[[Array], Array]] = at_once,
) -> Score:
    """Return `(params, banks, batch number, SNR) -> window logits`, to be compiled.

    Args:
        assemble: puts the detector together from its parameters.
        sample: composes a batch in which every window has a signal; at SNR 0 it is noise.
        key: of the evaluation's stream.
        split: makes the network take a batch part by part, where it would need too much memory.
    """

    def score(params: Any, banks: Any, number: Array, snr: Array) -> Float[Array, "batch"]:
        batch = sample(banks, at_step(key, number), snr, snr)
        detector = assemble(params)

        def logits(strain: Array) -> Array:
            return detector.window_logits(detector(strain)[0].frame_logits)

        return split(logits)(batch.strain)

    return score


def score_windows(
    score: Score,
    params: Any,
    banks: Any,
    *,
    snrs: Sequence[float],
    noise_windows: int,
    signal_windows: int,
    batch: int,
) -> WindowScores:
    """Score windows of validation noise and signals.

    Args:
        score: compiled, of `build_score`.
        snrs: network SNRs.
        noise_windows, signal_windows: windows of noise, and per SNR.
        batch: windows per call of `score`.
    """
    first = 0

    def scores(snr: float, windows: int) -> np.ndarray:
        nonlocal first
        calls = range(first, first - (-windows // batch))
        first = calls.stop  # no two windows share their random numbers
        got = [score(params, banks, *jax.device_put((np.int32(i), np.float32(snr)))) for i in calls]
        return np.concatenate(jax.device_get(got))[:windows]

    noise = scores(0.0, noise_windows)
    return WindowScores(noise, np.stack([scores(snr, signal_windows) for snr in snrs]))
