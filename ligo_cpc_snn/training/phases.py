"""The phases of a run, in order: their functions, compiled before the first step."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array

from ligo_cpc_snn.config.schema import Config, PhaseConfig, TrainingConfig
from ligo_cpc_snn.rng import stream
from ligo_cpc_snn.training.learner import Params, Structure
from ligo_cpc_snn.training.optimiser import build_optimiser, build_schedule
from ligo_cpc_snn.training.step import (
    PhaseFunctions,
    Sampler,
    TrainState,
    build_phase,
    clear_metrics,
)
from ligo_cpc_snn.training.validation import build_validation

Compile = Callable[..., Callable[..., Any]]  # (name, jitted function, *arguments) -> compiled


class Phase(NamedTuple):
    """A phase with the steps at which it begins and ends, and its compiled functions."""

    name: str
    cfg: PhaseConfig
    first: int
    last: int
    metrics: tuple[str, ...]
    begin: Callable[[Params, Array], TrainState]
    step: Callable[[TrainState, Any], TrainState]
    validate: Callable[..., dict[str, Array]]
    clear: Callable[[TrainState], TrainState]


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
    compile_ahead: Compile,
    hard: Any = None,
) -> list[Phase]:
    """Build and compile the functions of every phase.

    Args:
        sample, sample_validation: compose batches of training and of validation.
        training, validation: what these draw from, or its shapes.
        compile_ahead: compiles a jitted function for arguments, and says how long it took.
        hard: shapes of mined noise, or None (see `build_phase`).
    """
    train_cfg, key = cfg.training, stream(cfg.seed, "training")
    active = active_phases(train_cfg)
    built: dict[str, PhaseFunctions] = {}
    for name, phase in active.items():
        built[name] = build_phase(
            structure,
            build_optimiser(train_cfg.optimiser, phase),
            build_schedule(train_cfg.optimiser, phase),
            sample,
            training,
            phase=phase,
            cfg=train_cfg,
            key=key,
            hard=hard,
        )
    zero = jnp.zeros((), jnp.int32)
    # The same names in every phase, so that a checkpoint of one fits the next.
    names = {name: built[name].metric_names(params) for name in active}
    everything = tuple(sorted(set().union(*names.values())))
    phases, first, clear = [], 0, None
    for name, phase in active.items():
        begin = jax.jit(lambda p, s, f=built[name]: f.begin(p, s, everything))
        compiled_begin = compile_ahead(f"{name}: begin", begin, params, zero)
        state = jax.eval_shape(begin, params, zero)
        step = jax.jit(built[name].step, donate_argnums=0)
        validate = jax.jit(
            build_validation(
                structure, sample_validation, phase, train_cfg, stream(cfg.seed, "validation")
            )
        )
        if clear is None:
            clear = compile_ahead("clear metrics", jax.jit(clear_metrics, donate_argnums=0), state)
        phases.append(
            Phase(
                name,
                phase,
                first,
                first + phase.steps,
                names[name],
                compiled_begin,
                compile_ahead(f"{name}: training step", step, state, training),
                compile_ahead(f"{name}: validation", validate, params, validation, zero),
                clear,
            )
        )
        first += phase.steps
    return phases


def phase_at(phases: list[Phase], step: int) -> Phase:
    """Return the phase that applies the update after `step`, or the last one at the end."""
    return next((phase for phase in phases if step < phase.last), phases[-1])
