"""What the training loop asks of its surroundings: checkpoints, log, progress bar, banks."""

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

from ligo_cpc_snn.types import StopRequest


@runtime_checkable
class Saver(Protocol):
    """What the loop needs of checkpoints."""

    def save(
        self, step: int, state: Any, metrics: Mapping[str, float], description: Mapping[str, Any]
    ) -> bool: ...


@runtime_checkable
class Recorder(Protocol):
    """What the loop needs of trackers."""

    def log(self, step: int, metrics: Mapping[str, Any]) -> None: ...


@runtime_checkable
class Display(Protocol):
    """What the loop needs of a progress bar."""

    def update(self, step: int, phase: str, metrics: Mapping[str, float]) -> None: ...


@runtime_checkable
class Supply(Protocol):
    """What the loop needs of training data: the banks of a step, always of the same shapes.

    `at` returns None when it was asked to stop while it waited for them.
    """

    def at(self, step: int, stop: StopRequest) -> Any | None: ...

    def changes_at(self, step: int) -> int | None: ...

    def renews_noise(self, step: int) -> bool: ...
