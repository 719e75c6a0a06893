"""What a representation holds: linear read-outs of it, and its nearest neighbours.

A probe that is linear, and fitted on other examples than it is judged by, finds what is laid
out in the features plainly; what it misses may still be there.

Reference: Alain & Bengio 2016 (arXiv:1610.01644); van den Oord et al. 2018 (arXiv:1807.03748),
section 3, judges CPC so.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy import linalg


@dataclass(frozen=True)
class LinearProbe:
    """A ridge regression on standardised features.

    Args:
        centre, spread: of the features it was fitted on.
        weights: of the standardised features.
        mean: of the targets it was fitted on.
    """

    centre: Float[np.ndarray, "feature"]
    spread: Float[np.ndarray, "feature"]
    weights: Float[np.ndarray, "feature target"]
    mean: Float[np.ndarray, "target"]

    def __call__(self, features: Float[np.ndarray, "n feature"]) -> Float[np.ndarray, "n target"]:
        """Return what the probe reads from features."""
        return (features - self.centre) / self.spread @ self.weights + self.mean


def fit_probe(
    features: Float[np.ndarray, "n feature"],
    targets: Float[np.ndarray, "m target"],
    penalty: float = 0.1,
) -> LinearProbe:
    """Fit a linear read-out of targets.

    Args:
        features: one row per example; a feature that never changes is left alone.
        targets: in any unit, one row per example; a label is 0 or 1.
        penalty: of the squared weights, as a share of the features' variance.

    Raises:
        ValueError: the numbers of rows differ, or there are fewer than two.
    """
    x, y = np.asarray(features, np.float64), np.asarray(targets, np.float64)
    if x.shape[0] != y.shape[0] or x.shape[0] < 2:
        raise ValueError(
            f"probe of {x.shape[0]} rows of features and {y.shape[0]} of targets: expected as "
            "many, and two or more"
        )
    centre, spread, mean = x.mean(axis=0), x.std(axis=0), y.mean(axis=0)
    spread = np.where(spread > 1e-12 * np.maximum(np.abs(centre), 1.0), spread, 1.0)
    z = (x - centre) / spread
    normal = z.T @ z / z.shape[0] + penalty * np.eye(z.shape[1])
    weights = linalg.solve(normal, z.T @ (y - mean) / z.shape[0], assume_a="pos")
    return LinearProbe(centre, spread, weights, mean)


def explained_variance(
    predicted: Float[np.ndarray, "n target"], true: Float[np.ndarray, "n target"]
) -> float:
    """Return the share of the targets' variance that a prediction explains, at most 1.

    0 is what their mean would reach; a probe can do worse on examples that it has not seen.
    """
    left = np.sum((np.asarray(true) - predicted) ** 2)
    return float(1 - left / np.sum((true - np.mean(true, axis=0)) ** 2))


def neighbours(
    queries: Float[np.ndarray, "query feature"],
    gallery: Float[np.ndarray, "n feature"],
    count: int = 1,
) -> Int[np.ndarray, "query count"]:
    """Return the rows of the gallery that are most like each query, the nearest first.

    Alike is a large cosine of the angle between features, whose mean over the gallery is taken
    off first: without it all point the same way.

    Raises:
        ValueError: the gallery has fewer rows than asked for.
    """
    if not 1 <= count <= len(gallery):
        raise ValueError(
            f"count={count} neighbours of a gallery of {len(gallery)}: expected 1 to {len(gallery)}"
        )
    centre = np.mean(gallery, axis=0)
    alike = _unit(queries - centre) @ _unit(gallery - centre).T
    return np.argsort(-alike, axis=1, kind="stable")[:, :count]


def _unit(x: Float[np.ndarray, "n feature"]) -> Float[np.ndarray, "n feature"]:
    return x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)
