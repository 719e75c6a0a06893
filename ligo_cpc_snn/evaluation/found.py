"""Found and missed injections: against their loudness, their masses and distances, and in time."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from scipy import stats

from ligo_cpc_snn.evaluation.metrics import CONFIDENCE, Estimate

HALVES = 240  # values of the SNR of 50 % efficiency tried
WIDTHS = np.geomspace(0.02, 5.0, 36)  # of the logistic curve, in SNR


def wilson(successes: int, trials: int) -> Estimate:
    """Return a proportion with its score interval.

    Reference: Wilson 1927, JASA 22, 209, through `scipy.stats.binomtest`.
    """
    interval = stats.binomtest(successes, trials).proportion_ci(CONFIDENCE, method="wilson")
    return Estimate(successes / trials, float(interval.low), float(interval.high))


def found_in_bins(
    found: Bool[np.ndarray, "n"], values: Float[np.ndarray, "n"], edges: Sequence[float]
) -> list[dict[str, Any]]:
    """Return the fraction found in bins of a quantity; empty bins are left out.

    Args:
        found: Whether each injection was found.
        values: The quantity; those outside of the edges are in no bin.
        edges: Increasing, n + 1 for n bins; the last bin holds its upper edge.
    """
    rows = []
    for number, (low, high) in enumerate(pairwise(edges)):
        last = number == len(edges) - 2
        inside = (values >= low) & ((values <= high) if last else (values < high))
        if inside.any():
            fraction = wilson(int(found[inside].sum()), int(inside.sum()))
            rows.append(
                {"from": float(low), "to": float(high), "injections": int(inside.sum())}
                | fraction.to_dict()
            )
    return rows


def equal_bins(values: Float[np.ndarray, "n"], bins: int) -> list[float]:
    """Return edges of bins that hold about as many values each."""
    return [float(edge) for edge in np.unique(np.quantile(values, np.linspace(0, 1, bins + 1)))]


def half_efficiency(
    found: Bool[np.ndarray, "n"], snr: Float[np.ndarray, "n"]
) -> tuple[Estimate, float] | None:
    """Return the SNR at which half of the signals are found, and how fast the efficiency rises.

    The efficiency is 1 / (1 + exp(-(snr - half) / width)), of maximum likelihood over a grid;
    the interval is where the likelihood, maximised over the width, is within the quantile of
    chi squared. It stays finite where found and missed do not overlap.

    Args:
        found: Whether each injection was found.
        snr: Optimal network SNR of each.

    Returns:
        The SNR with its interval and the width; None where all or none are found, or the
        curve does not reach a half within the SNRs injected.

    Reference: Wilks 1938, Ann. Math. Stat. 9, 60.
    """
    if found.all() or not found.any():
        return None
    halves = np.linspace(snr.min(), snr.max(), HALVES)
    likelihood = np.stack([_likelihood(found, snr, halves, width) for width in WIDTHS])
    profile = likelihood.max(axis=0)
    best = int(np.argmax(profile))
    if best in (0, HALVES - 1):
        return None
    within = halves[profile >= profile[best] - stats.chi2.ppf(CONFIDENCE, 1) / 2]
    estimate = Estimate(float(halves[best]), float(within[0]), float(within[-1]))
    return estimate, float(WIDTHS[np.argmax(likelihood[:, best])])


def _likelihood(
    found: Bool[np.ndarray, "n"],
    snr: Float[np.ndarray, "n"],
    halves: Float[np.ndarray, "half"],
    width: float,
) -> Float[np.ndarray, "half"]:
    """Return the logarithm of the likelihood of each half-point."""
    sign = np.where(found, 1.0, -1.0)
    return -np.logaddexp(0, -sign * (snr - halves[:, None]) / width).sum(axis=1)


def timing(offsets: Float[np.ndarray, "n"]) -> dict[str, Any]:
    """Return how well events tell the time of their injections, in s.

    Args:
        offsets: Event's time minus injection's, of found injections.
    """
    if not offsets.size:
        return {"found": 0}
    away = np.abs(offsets)
    return {
        "found": int(offsets.size),
        "median_offset": float(np.median(offsets)),
        "median_error": float(np.median(away)),
        "error_95": float(np.quantile(away, 0.95)),
        "largest_error": float(away.max()),
    }
