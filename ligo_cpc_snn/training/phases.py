"""The phases of a run, in order: their functions, compiled before the first step."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array

from ligo_cpc_snn.config.schema import Config, PhaseConfig, TrainingConfig
from ligo_cpc_snn.fitting import InParts
from ligo_cpc_snn.memory import tree_bytes
from ligo_cpc_snn.rng import stream
from ligo_cpc_snn.training.learner import Params, Structure
from ligo_cpc_snn.training.micro_batches import CompileMeasured, TrainingSteps, micro_batches
from ligo_cpc_snn.training.step import (
    PhaseFunctions,
    Sampler,
    Spread,
    TrainState,
    clear_metrics,
    on_one_device,
)
from ligo_cpc_snn.training.validation import Validate, build_validation


class Phase(NamedTuple):
    """A phase with the steps at which it begins and ends, and its compiled functions."""

    name: str
    cfg: PhaseConfig
    first: int
    last: int
    metrics: tuple[str, ...]
    begin: Callable[[Params, Array], TrainState]
    step: TrainingSteps
    validate: Validate
    clear: Callable[[TrainState], TrainState]
    copy: Callable[[TrainState], TrainState]
    state_bytes: int = 0
    validation_bytes: int = 0  # of the program as compiled first, beside its arguments


class Room(NamedTuple):
    """How a phase may compute: memory beside the banks, and how many steps at a time.

    Args:
        memory_bytes: for state and programs; None: as much as they take.
        accumulation: micro-batches of a step at least.
        steps_per_dispatch: steps in one call of the device.
    """

    memory_bytes: int | None = None
    accumulation: int = 1
    steps_per_dispatch: int = 1


def active_phases(cfg: TrainingConfig) -> dict[str, PhaseConfig]:
    """Return the phases that have steps, in the order they run."""
    named = {"pretrain": cfg.pretrain, "probe": cfg.probe, "finetune": cfg.finetune}
    return {name: phase for name, phase in named.items() if phase.steps > 0}


def prepare_phases(
    cfg: Config,
    structure: Structure,
    params: Params,
    sample: Sampler,
    sample_validation: Sampler,
    training: Any,
    validation: Any,
    compile_measured: CompileMeasured,
    hard: Any = None,
    room: Room | None = None,
    jit: Callable[..., Any] = jax.jit,
    spread: Spread = on_one_device,
    recovers: bool = True,
) -> list[Phase]:
    """Build and compile the functions of every phase.

    Args:
        sample, sample_validation: compose batches of training and of validation.
        training, validation: what these draw from, or its shapes.
        compile_measured: compiles a jitted function for arguments, says how long it took, and
            tells the bytes it takes beside them.
        hard: shapes of mined noise, or None (see `PhaseFunctions`).
        room: memory and steps at a time; None: what the config says, without a limit.
        jit: of functions on all devices of the run.
        spread: shares the examples of a micro-batch among devices.
        recovers: whether a validation without memory is taken again in smaller parts.
    """
    room = room or Room(accumulation=cfg.training.accumulation)
    maker = _Maker(cfg, structure, compile_measured, room, jit, spread, recovers)
    active = active_phases(cfg.training)
    built = {name: maker.functions(name, sample, training, hard) for name in active}
    # The same names in every phase, so that a checkpoint of one fits the next.
    names = {name: built[name](1).metric_names(params) for name in active}
    everything = tuple(sorted(set().union(*names.values())))
    zero = jnp.zeros((), jnp.int32)
    phases: list[Phase] = []
    first, shared = 0, None
    for name, phase in active.items():
        begin, state = maker.begin(name, built[name](1), everything, params)
        state_bytes = tree_bytes(state)
        shared = shared or maker.of_any_state(state)
        given = params, validation, zero
        validate = maker.validation(phase, name, sample_validation, given, state_bytes)
        step = maker.steps(name, built[name], state, training)
        last = first + phase.steps
        needed = state_bytes, validate.needed_bytes
        phases.append(
            Phase(name, phase, first, last, names[name], begin, step, validate, *shared, *needed)
        )
        first = last
    return phases


@dataclass
class _Maker:
    """Builds and compiles what a phase needs, within its room."""

    cfg: Config
    structure: Structure
    compile_measured: CompileMeasured
    room: Room
    jit: Callable[..., Any]
    spread: Spread
    recovers: bool

    def functions(
        self, name: str, sample: Sampler, training: Any, hard: Any
    ) -> Callable[[int], PhaseFunctions]:
        """Return a phase's functions by the number of micro-batches."""
        cfg = self.cfg.training
        phase = active_phases(cfg)[name]

        def build(accumulation: int) -> PhaseFunctions:
            return PhaseFunctions(
                self.structure,
                sample,
                training,
                phase=phase,
                cfg=replace(cfg, accumulation=accumulation),
                key=stream(self.cfg.seed, "training"),
                hard=hard,
                spread=self.spread,
            )

        return build

    def begin(
        self, name: str, functions: PhaseFunctions, metrics: tuple[str, ...], params: Params
    ) -> tuple[Callable[[Params, Array], TrainState], Any]:
        """Compile what makes a phase's first state, and return the shapes of that."""
        begin = self.jit(lambda params, step: functions.begin(params, step, metrics))
        zero = jnp.zeros((), jnp.int32)
        compiled, _ = self.compile_measured(f"{name}: begin", begin, params, zero)
        return compiled, jax.eval_shape(begin, params, zero)

    def steps(
        self, name: str, build: Callable[[int], PhaseFunctions], state: Any, training: Any
    ) -> TrainingSteps:
        """Compile the training step, in as few micro-batches as fit."""
        return TrainingSteps(
            name,
            lambda accumulation: build(accumulation).step,
            (state, training),
            batch_size=self.cfg.training.batch_size,
            accumulation=self.room.accumulation,
            per_dispatch=self.room.steps_per_dispatch,
            room_bytes=self._beside(tree_bytes(state)),
            compile_measured=self.compile_measured,
            jit=self.jit,
        )

    def validation(
        self,
        phase: PhaseConfig,
        name: str,
        sample: Sampler,
        arguments: tuple[Any, ...],
        state_bytes: int,
    ) -> InParts:
        """Compile the validation of a batch, in as few parts as fit."""
        cfg, batch = self.cfg.training, self.cfg.evaluation.batch_size
        key = stream(self.cfg.seed, "validation")

        return InParts(
            f"{name}: validation",
            lambda parts: build_validation(self.structure, sample, phase, cfg, key, parts),
            arguments,
            sizes=micro_batches(batch, 1),
            room_bytes=self._beside(state_bytes),
            compile_measured=self.compile_measured,
            jit=self.jit,
            recovers=self.recovers,
        )

    def of_any_state(self, state: Any) -> tuple[Callable[..., Any], Callable[..., Any]]:
        """Compile what is done to the states of all phases: clear the metrics, copy."""
        clear = self.jit(clear_metrics, donate_argnums=0)
        copy = self.jit(lambda s: jax.tree.map(jnp.copy, s))
        compiled_clear, _ = self.compile_measured("clear metrics", clear, state)
        return compiled_clear, self.compile_measured("copy of the state", copy, state)[0]

    def _beside(self, state_bytes: int) -> int | None:
        """Return the room beside the state and the copy of it that a run can go back to."""
        memory = self.room.memory_bytes
        return None if memory is None else memory - 2 * state_bytes


def phase_at(phases: list[Phase], step: int) -> Phase:
    """Return the phase that applies the update after `step`, or the last one at the end."""
    return next((phase for phase in phases if step < phase.last), phases[-1])
