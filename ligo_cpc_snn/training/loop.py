"""The order of a run and its side effects: evaluate, save, refresh, mine, step, log.

`step` counts the updates applied. Refresh: the banks of the step are asked for, and hard
noise that was mined in other noise is forgotten. Mine: the loudest noise of these banks is
looked for. Both depend on the step's number alone, and what is saved is what was there
before them, so that a run that goes on does them again. The loop runs under JAX's transfer
guard: nothing goes to the device but the next banks, from their own thread, and metrics
leave it once per logging interval. Where a call of the device takes several steps, nothing of
the above falls inside of it. A step that finds no memory is taken again in smaller parts.
"""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp

from ligo_cpc_snn.config.model_schema import BridgeConfig
from ligo_cpc_snn.config.schema import TrainingConfig
from ligo_cpc_snn.memory import is_out_of_memory, is_sound
from ligo_cpc_snn.training.learner import PARTS, Params
from ligo_cpc_snn.training.mining import Mining
from ligo_cpc_snn.training.phases import Phase, phase_at
from ligo_cpc_snn.training.services import Display, Recorder, Saver, Supply
from ligo_cpc_snn.training.step import TrainState
from ligo_cpc_snn.training.validation import summarise
from ligo_cpc_snn.training.way_back import WayBack
from ligo_cpc_snn.types import StopRequest

log = logging.getLogger(__name__)


class NonFiniteError(ArithmeticError):
    """A step met a number that is not finite."""


class _NoMemoryForStep(Exception):  # noqa: N818 (never leaves the loop)
    """The call of a step raised that there is no memory."""


@dataclass
class Loop:
    """A run's training, from any step to its end.

    Args:
        cfg: intervals and batch size.
        bridge: its bounds of spike rates, beyond which is warned.
        phases: compiled, in order.
        supply: of training banks, on the device.
        validation_banks: on the device.
        saver, recorder, display, stop: the run's services.
        description: of the architecture, saved with each checkpoint.
        validation_batches: numbers of the validation batches, as device arrays.
        peak_memory: current peak in bytes.
        save_failure: called with the state before a non-finite step, returns where it is.
        warnings: what was warned of, added to; it is told once.
        mining: of hard noise, or None.
        recovers: whether a step without memory is taken again in smaller parts.
    """

    cfg: TrainingConfig
    bridge: BridgeConfig
    phases: list[Phase]
    supply: Supply
    validation_banks: Any
    saver: Saver
    recorder: Recorder
    display: Display
    stop: StopRequest
    description: Mapping[str, Any]
    validation_batches: list[jax.Array]
    peak_memory: Callable[[], int]
    save_failure: Callable[[TrainState, str], str]
    warnings: set[str]
    mining: Mining | None = None
    recovers: bool = True
    _last_log: tuple[int, float] = field(init=False, default=(0, 0.0))  # step, monotonic s
    _validated: tuple[int, dict[str, float]] = field(init=False, default_factory=lambda: (-1, {}))
    _way_back: WayBack = field(init=False)

    def run(self, params: Params | None, restored: TrainState | None) -> tuple[TrainState, bool]:
        """Train from initial parameters, or on from a restored state.

        Returns:
            The last state, and whether training reached its end (not so when asked to stop).
        """
        start = 0 if restored is None else int(restored.step)
        phase = phase_at(self.phases, start)
        if restored is None:
            assert params is not None
            state = phase.begin(params, jnp.zeros((), jnp.int32))
        else:
            state = restored
        self._last_log = (start, time.monotonic())
        with jax.transfer_guard("disallow"):
            for phase in self.phases:
                if start < phase.last:
                    state, done = self._run_phase(phase, state, start)
                    if not done:
                        return state, False
        return state, True

    def _run_phase(self, phase: Phase, state: TrainState, start: int) -> tuple[TrainState, bool]:
        step = begun = max(phase.first, start)
        if step == phase.first:
            kept = {"hard": state.hard, "average": state.average}
            state = phase.begin(state.params, state.step)._replace(**kept)
            log.info("phase %s: steps %d to %d", phase.name, phase.first, phase.last)
        self._way_back = WayBack(phase.copy)
        self._way_back.keep(state, step)
        ended = False
        while step < phase.last and not ended:
            try:
                state, step, ended = self._turn(phase, state, step, begun)
            except (jax.errors.JaxRuntimeError, MemoryError, _NoMemoryForStep) as error:
                state, step = self._in_smaller_parts(phase, state, step, error)
        if ended:
            return state, False
        self._evaluate(phase, state, step)
        self._save(phase, state, step)
        return state, True

    def _turn(
        self, phase: Phase, state: TrainState, step: int, begun: int
    ) -> tuple[TrainState, int, bool]:
        """Do all that belongs to the next call of the step; also return whether to stop."""
        if step > begun and step % self.cfg.evaluate_every == 0 and self._validated[0] != step:
            self._evaluate(phase, state, step)
            self._way_back.keep(state, step)  # or its numbers would be logged twice
        if step > begun and step % self.cfg.checkpoint.every_steps == 0:
            self._save(phase, state, step)
            self._way_back.keep(state, step)
        banks = self.supply.at(step, self.stop)
        if banks is None:
            return self._stopped(phase, state, step)
        state = self._mine(phase, state, banks, step)
        count = self._steps_at_once(phase, step)
        try:
            state = phase.step.advance(state, banks, count)
        except (jax.errors.JaxRuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            raise _NoMemoryForStep(str(error)) from error
        step += count
        self.display.update(step, phase.name, {})
        if step % self.cfg.log_every == 0 or step == phase.last or self.stop.requested:
            state = self._log(phase, state, step)
            self._way_back.keep(state, step)
        if self.stop.requested and step < self.phases[-1].last:
            return self._stopped(phase, state, step)
        return state, step, False

    def _steps_at_once(self, phase: Phase, step: int) -> int:
        """Return how many steps the next call takes: no interval ends inside of it."""
        count = phase.step.per_dispatch
        every = [self.cfg.log_every, self.cfg.evaluate_every, self.cfg.checkpoint.every_steps]
        every += [self.mining.every] if self.mining else []
        ends = [phase.last, *((step // n + 1) * n for n in every)]
        changes = self.supply.changes_at(step)
        ends += [] if changes is None else [changes]
        return count if step + count <= min(ends) else 1

    def _in_smaller_parts(
        self, phase: Phase, state: TrainState, step: int, error: Exception
    ) -> tuple[TrainState, int]:
        """Return state and step to go on from when a step found no memory, with half of it asked.

        Raises:
            OutOfMemoryError: it had a single example at a time.
            Exception: the error, where it is another.
        """
        of_step = isinstance(error, _NoMemoryForStep)
        # Outside of the step it may be a step's all the same, seen when its numbers are read.
        seen_late = not of_step and is_out_of_memory(error) and not is_sound(state)
        if not self.recovers or not (of_step or seen_late):
            raise (error.__cause__ or error) if of_step else error
        before = phase.step.micro_batch
        phase.step.halve()
        message = (
            f"out of memory in phase {phase.name}: micro-batches of {phase.step.micro_batch} "
            f"examples instead of {before}, the same steps and numbers"
        )
        self.warnings.add(message)
        log.warning("%s (step %d: %s)", message, step, str(error).partition("\n")[0])
        return self._way_back.from_failure(state, step)

    def _stopped(self, phase: Phase, state: TrainState, step: int) -> tuple[TrainState, int, bool]:
        log.warning("asked to stop: saving step %d", step)
        self._save(phase, state, step)
        return state, step, True

    def _mine(self, phase: Phase, state: TrainState, banks: Any, step: int) -> TrainState:
        """Forget hard noise that is in the banks no longer; look for more when it is time."""
        if self.mining is None:
            return state
        if self.supply.renews_noise(step):
            state = state._replace(hard=self.mining.forget())
        if step and step % self.mining.every == 0 and phase.cfg.detection_weight:
            state = state._replace(hard=self.mining.search(state.params, banks, state.step))
        return state

    def _evaluate(self, phase: Phase, state: TrainState, step: int) -> None:
        begun = time.monotonic()
        outputs = [
            phase.validate(state.measured, self.validation_banks, number)
            for number in self.validation_batches
        ]
        metrics = summarise(jax.device_get(outputs))
        self._validated = (step, metrics)
        self._record(step, phase, "validation", metrics)
        self._not_training(begun)

    def _not_training(self, begun: float) -> None:
        """Leave the time since `begun` out of the throughput."""
        step, then = self._last_log
        self._last_log = (step, then + time.monotonic() - begun)

    def _save(self, phase: Phase, state: TrainState, step: int) -> None:
        self._check_finite(state, phase, step)
        if self._validated[0] != step:
            self._evaluate(phase, state, step)
        score = self._validated[1]["score"]
        begun = time.monotonic()
        self.saver.save(step, state, {"score": score}, self.description)
        self._not_training(begun)

    def _log(self, phase: Phase, state: TrainState, step: int) -> TrainState:
        """Read the metrics of the steps since the last time, and set their sums to zero."""
        self._check_finite(state, phase, step)
        sums, count = jax.device_get((state.metrics.sums, state.metrics.count))
        means = {name: float(sums[name]) / max(int(count), 1) for name in phase.metrics}
        before, then = self._last_log
        now = time.monotonic()
        rate = (step - before) * self.cfg.batch_size / max(now - then, 1e-9)
        self._last_log = (step, now)
        means |= {
            "examples_per_second": rate,
            "peak_memory_gb": self.peak_memory() / 1e9,
        }
        self._watch_bridge(means)
        self._record(step, phase, "train", means)
        self.display.update(step, phase.name, {"loss": means["loss/total"]})
        return phase.clear(state)

    def _record(self, step: int, phase: Phase, split: str, metrics: Mapping[str, float]) -> None:
        self.recorder.log(step, {"phase": phase.name, "split": split, **metrics})

    def _watch_bridge(self, means: dict[str, float]) -> None:
        """Report a bridge that hardly ever or nearly always spikes."""
        rate = means.get("spike_rate/bridge")
        if rate is None:
            return
        fault = None
        if rate < self.bridge.silent_below:
            fault = "silent"
        elif rate > self.bridge.saturated_above:
            fault = "saturated"
        means["bridge_fault"] = float(fault is not None)
        message = f"the SpikeBridge was {fault}: see spike_rate/bridge and model.bridge.threshold"
        if fault and message not in self.warnings:
            self.warnings.add(message)
            log.warning("%s (rate %.4f)", message, rate)

    def _check_finite(self, state: TrainState, phase: Phase, step: int) -> None:
        bad_step, bad_part = (int(x) for x in jax.device_get((state.bad_step, state.bad_part)))
        if bad_step < 0:
            return
        where = self.save_failure(state, phase.name)
        raise NonFiniteError(
            f"not finite at step {bad_step} of phase {phase.name} (seen between steps "
            f"{self._last_log[0]} and {step}): first in the {PARTS[bad_part]}. The state before "
            f"that step is in {where}; a lower training.{phase.name}.learning_rate or "
            "training.optimiser.clip_norm often helps"
        )
