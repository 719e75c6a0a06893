"""Whether a candidate computes the same as the plain way, within the stated tolerance.

Compared are numbers that the workload is for: of training the optimiser's moments (of the
gradient) and the loss after the candidate's steps, of a search the statistic of each frame, of
slides their peaks' statistics. The difference is the norm of what differs over the norm of
what it should be (for a statistic: over its spread).

| precision | tolerance | why |
|---|---|---|
| float32 | 1e-3 | sums in another order differ by 1e-6; a spike at its threshold, more |
| bfloat16 | 5e-2 | factors have 8 bits, 2^-7 of a product's absolute sum |

A candidate beyond its tolerance cannot win, however fast it is.
"""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

TOLERANCE = {"float32": 1e-3, "bfloat16": 5e-2}


def tolerance(settings: Mapping[str, Any]) -> float:
    """Return the tolerance of a candidate's precision; a workload may leave it as it is."""
    return TOLERANCE[settings.get("precision", "float32")]


def difference(got: Any, expected: Any, *, about_mean: bool = False) -> float:
    """Return how far numbers are from what they should be, relative; NaN counts as infinite.

    Args:
        got, expected: pytrees of arrays of the same shapes.
        about_mean: the norm is that of the deviations from the mean, as a statistic's is.
    """
    found, wanted = _flat(got), _flat(expected)
    if found.shape != wanted.shape:
        raise ValueError(f"{found.size} numbers are compared with {wanted.size}: expected as many")
    scale = np.linalg.norm(wanted - wanted.mean() if about_mean else wanted)
    apart = np.linalg.norm(found - wanted)
    if not np.isfinite(apart):
        return float("inf")
    return float(apart / scale) if scale else float("inf" if apart else 0.0)


def _flat(tree: Any) -> np.ndarray:
    leaves = [np.ravel(np.asarray(x, np.float64)) for x in jax.tree.leaves(jax.device_get(tree))]
    return np.concatenate(leaves)
