"""What the training loop asks of its surroundings: checkpoints, log, progress bar, banks."""

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

from ligo_cpc_snn.types import StopRequest


@runtime_checkable
class Saver(Protocol):
    """What the loop needs of checkpoints."""

    def save(
        self, step: int, state: Any, metrics: Mapping[str, float], description: Mapping[str, Any]
    ) -> bool:
        """Save the state after `step` updates.

        Returns:
            False if this very step is already saved, True otherwise.
        """


@runtime_checkable
class Recorder(Protocol):
    """What the loop needs of trackers."""

    def log(self, step: int, metrics: Mapping[str, Any]) -> None:
        """Record numbers, and words such as phase and split, after `step` updates."""


@runtime_checkable
class Display(Protocol):
    """What the loop needs of a progress bar."""

    def update(self, step: int, phase: str, metrics: Mapping[str, float]) -> None:
        """Show where the run is."""


@runtime_checkable
class Supply(Protocol):
    """What the loop needs of training data: the banks of a step, always of the same shapes."""

    def at(self, step: int, stop: StopRequest) -> Any | None:
        """Return the banks of a step; None when it was asked to stop while it waited for them."""

    def changes_at(self, step: int) -> int | None:
        """Return the first step after `step` that has other banks; None: they stay."""

    def renews_noise(self, step: int) -> bool:
        """Return whether the noise of this step is other than that of the step before."""
