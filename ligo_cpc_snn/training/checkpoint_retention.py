"""Which checkpoints stay on disk."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from orbax.checkpoint.checkpoint_managers import PreservationPolicy

SCORE = "score"  # the metric that ranks checkpoints, larger is better


class KeepLatestAndBest(PreservationPolicy):
    """Keep the newest checkpoints and those with the highest finite scores."""

    def __init__(self, latest: int, best: int, scores: Mapping[int, float]) -> None:
        self.latest, self.best, self.scores = latest, best, scores

    def should_preserve(self, checkpoints: Sequence[Any], *, context: Any) -> Sequence[bool]:
        """Return for each checkpoint whether it stays, as Orbax asks."""
        steps = [checkpoint.step for checkpoint in checkpoints]
        kept = set(sorted(steps)[-self.latest :])
        kept |= set(ranked(steps, self.scores)[: self.best])
        return [step in kept for step in steps]


def ranked(steps: Iterable[int], scores: Mapping[int, float]) -> list[int]:
    """Return the steps that have a finite score, best first, the newest of equals first."""
    scored = [step for step in steps if np.isfinite(scores.get(step, np.nan))]
    return sorted(scored, key=lambda step: (scores[step], step), reverse=True)
