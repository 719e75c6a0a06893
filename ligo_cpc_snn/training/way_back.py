"""What a run goes back to when a step finds no memory: a copy of a state that is known to be sound.

A step is given its state's memory to overwrite. Where it fails before it begins, the state is
still there and that step is taken again. Where it fails later, or its failure is seen only when
a later step's numbers are read, the state is lost: then the copy is taken, and the steps since.
A step depends on its number and state alone, so all numbers come out as they would have.
"""

import logging
from collections.abc import Callable

from ligo_cpc_snn.memory import is_sound
from ligo_cpc_snn.training.step import TrainState

log = logging.getLogger(__name__)

Copy = Callable[[TrainState], TrainState]


class WayBack:
    """The last state known to be sound."""

    def __init__(self, copy: Copy) -> None:
        self._copy = copy  # compiled
        self._kept: tuple[TrainState, int] | None = None

    def keep(self, state: TrainState, step: int) -> None:
        """Keep a copy of a state whose numbers were read, or that has just begun."""
        self._kept = self._copy(state), step

    def from_failure(self, state: TrainState, step: int) -> tuple[TrainState, int]:
        """Return the state, and its step, to go on from after a failure at `step`.

        Args:
            state: that the failed step was given.
        """
        if is_sound(state):
            return state, step
        assert self._kept is not None  # kept before a phase's first step
        kept, at = self._kept
        log.warning("the state of step %d is lost: taking steps %d to %d again", step, at, step)
        return self._copy(kept), at
