"""The training step of a phase, in micro-batches that fit the memory: alone and several at a time.

The number of micro-batches changes what the step takes of the memory, not its gradient.
"""

from collections.abc import Callable
from typing import Any

import jax

from ligo_cpc_snn.fitting import shape_of
from ligo_cpc_snn.memory import Fitted, OutOfMemoryError, largest_that_fits
from ligo_cpc_snn.training.step import TrainState

Step = Callable[[TrainState, Any], TrainState]
CompileMeasured = Callable[..., tuple[Callable[..., Any], int]]  # -> program, its bytes


class TrainingSteps:
    """The compiled updates of a phase.

    Args:
        name: of the phase.
        build: returns the step that takes so many micro-batches, not compiled.
        arguments: state and banks, or their shapes.
        batch_size: examples of a step.
        accumulation: micro-batches at least.
        per_dispatch: steps that `several` takes in one call of the device.
        room_bytes: for the step beside its arguments; None: as much as it takes.
        compile_measured: compiles a jitted function and tells the bytes it takes.
        jit: of functions on all devices of the run.
    """

    def __init__(
        self,
        name: str,
        build: Callable[[int], Step],
        arguments: tuple[Any, Any],
        *,
        batch_size: int,
        accumulation: int,
        per_dispatch: int,
        room_bytes: int | None,
        compile_measured: CompileMeasured,
        jit: Callable[..., Any] = jax.jit,
    ) -> None:
        self.name, self.batch_size, self.per_dispatch = name, batch_size, per_dispatch
        self._build, self._compile_measured, self._jit = build, compile_measured, jit
        self._shapes = jax.tree.map(shape_of, arguments)
        sizes = micro_batches(batch_size, accumulation)
        if room_bytes is None:
            self._take(Fitted(sizes[0], *self._compile(sizes[0])))
        else:
            self._take(largest_that_fits(self._compile, sizes, room_bytes))

    @property
    def accumulation(self) -> int:
        """Micro-batches of a step."""
        return -(-self.batch_size // self.micro_batch)

    def __call__(self, state: TrainState, data: Any) -> TrainState:
        """Take one step; the state is given up."""
        return self._one(state, data)

    def advance(self, state: TrainState, data: Any, steps: int) -> TrainState:
        """Take one step or `per_dispatch` steps; the state is given up."""
        return self._one(state, data) if steps == 1 else self._several(state, data)

    def halve(self) -> None:
        """Compile the step for micro-batches of half the size.

        Raises:
            OutOfMemoryError: there is one example in each already.
        """
        if self.micro_batch == 1:
            raise OutOfMemoryError(
                f"training step of {self.name}: out of memory with a single example in a "
                "micro-batch: shorten data.window_seconds, lower model.snn.widths, "
                "model.encoder.features or model.context.features, or give it more memory "
                "(runtime.memory_fraction, runtime.memory_budget_gb)"
            )
        half = -(-self.batch_size // (self.micro_batch // 2))
        size = -(-self.batch_size // half)  # parts are even, so that none is larger than need be
        with jax.transfer_guard("allow"):
            self._take(Fitted(size, *self._compile(size)))

    def _take(self, fitted: Fitted) -> None:
        self.micro_batch, self.needed_bytes = fitted.size, fitted.needed_bytes
        self._one = self._several = fitted.program
        if self.per_dispatch > 1:
            step, count = self._build(self.accumulation), self.per_dispatch

            def several(state: TrainState, data: Any) -> TrainState:
                return jax.lax.scan(lambda s, _: (step(s, data), None), state, length=count)[0]

            name = f"{self.name}: {count} training steps"
            self._several, needed = self._compile_one(name, several)
            self.needed_bytes = max(self.needed_bytes, needed)

    def _compile(self, micro_batch: int) -> tuple[Callable[..., Any], int]:
        parts = -(-self.batch_size // micro_batch)
        split = f" in {parts} parts" if parts > 1 else ""
        return self._compile_one(f"{self.name}: training step{split}", self._build(parts))

    def _compile_one(self, name: str, step: Step) -> tuple[Callable[..., Any], int]:
        return self._compile_measured(name, self._jit(step, donate_argnums=0), *self._shapes)


def micro_batches(batch_size: int, accumulation: int) -> list[int]:
    """Return the sizes of micro-batches, largest first, of `accumulation` or more of them.

    Each is the size of the largest part where a batch is split evenly.
    """
    parts = {-(-batch_size // size) for size in range(1, batch_size + 1)}
    return sorted({-(-batch_size // n) for n in parts if n >= accumulation}, reverse=True)
