"""Do slides give the background that separate noise gives?

Slides use the same strain many times over, so their peaks are not independent: with few
slides of much strain the tests' error levels are right, with many of little strain a
difference is claimed somewhat too often, never too seldom.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.stats import binomtest, ks_2samp


class Consistency(NamedTuple):
    """Verdict and numbers; the rate ratio is slid over true, with its interval."""

    consistent: bool
    ks_distance: float
    ks_p_value: float
    slid_peaks: int
    true_peaks: int
    rate_ratio: float
    rate_ratio_low: float
    rate_ratio_high: float
    significance: float


def slide_consistency(
    slid: Float[np.ndarray, "peak"],
    true: Float[np.ndarray, "other"],
    *,
    slid_seconds: float,
    true_seconds: float,
    threshold: float,
    significance: float = 0.01,
) -> Consistency:
    """Compare slid background peaks with those of separate noise without signals.

    The distributions of peaks above the threshold by Kolmogorov-Smirnov, their rates by the
    ratio of two Poisson means: given both counts' sum, one is binomial (Clopper-Pearson).

    Args:
        slid, true: clustered peaks, found with one threshold and cluster length.
        slid_seconds, true_seconds: live times.
        threshold: peaks above it are compared.
        significance: each of the two tests fails this often on consistent backgrounds.

    Raises:
        ValueError: one side has no peak above the threshold.
    """
    slid, true = slid[slid > threshold], true[true > threshold]
    for name, part in (("slid", slid), ("true", true)):
        if not part.size:
            raise ValueError(
                f"no {name} background peak above {threshold:g}: lower the threshold or give "
                "more noise"
            )
    ks = ks_2samp(slid, true)
    share = binomtest(slid.size, slid.size + true.size).proportion_ci(1 - significance)
    scale = true_seconds / slid_seconds
    low, high = (scale * p / (1 - p) if p < 1 else np.inf for p in (share.low, share.high))
    return Consistency(
        bool(ks.pvalue >= significance and low <= 1 <= high),
        float(ks.statistic),
        float(ks.pvalue),
        int(slid.size),
        int(true.size),
        scale * slid.size / true.size,
        float(low),
        float(high),
        significance,
    )
