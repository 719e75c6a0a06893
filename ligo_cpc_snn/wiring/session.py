"""One run from its config to its report."""

import logging
import time
from contextlib import ExitStack, closing, nullcontext
from dataclasses import replace
from pathlib import Path

import jax

from ligo_cpc_snn.config.model_schema import EncoderKind
from ligo_cpc_snn.config.save import save_once
from ligo_cpc_snn.config.schema import Config, Resume
from ligo_cpc_snn.dataset.load import load_event
from ligo_cpc_snn.models.kernels import Kernels
from ligo_cpc_snn.runtime.processes import runtime_of_several
from ligo_cpc_snn.stages import stage
from ligo_cpc_snn.stopping import INTERRUPTED
from ligo_cpc_snn.training.checkpoints import Checkpoints
from ligo_cpc_snn.training.interrupts import Interrupts
from ligo_cpc_snn.training.learner import Params, Structure, learner_of
from ligo_cpc_snn.training.phases import Room, active_phases
from ligo_cpc_snn.training.set_aside import set_aside
from ligo_cpc_snn.training.trackers import Trackers, build_trackers
from ligo_cpc_snn.wiring.choices import training_choices
from ligo_cpc_snn.wiring.data import Data, prepare_data
from ligo_cpc_snn.wiring.distributed import Together, all_devices
from ligo_cpc_snn.wiring.front_end import first_filters
from ligo_cpc_snn.wiring.functions import prepare_functions
from ligo_cpc_snn.wiring.memory import (
    budgets_of,
    plan_of,
    room_beside,
    standing_parts,
    tell_and_check,
)
from ligo_cpc_snn.wiring.run import Run

log = logging.getLogger(__name__)

NOISE = "noise.json"  # record of a run's noise


def run_session(cfg: Config, run_dir: Path, cache_dir: Path) -> int:
    """Train, evaluate and report; go on from the last checkpoint where there is one.

    Args:
        cfg: checked config.
        run_dir: the run's folder, held by this process.
        cache_dir: where downloads are kept.

    Returns:
        Exit code: 0, or 130 when the run was asked to stop and saved its state.
    """
    begun, together = time.monotonic(), all_devices(cfg.runtime)
    _set_aside_earlier(cfg, run_dir, together)
    with (
        Interrupts() as stop,
        Checkpoints(run_dir / "checkpoints", cfg.training.checkpoint) as kept,
        ExitStack() as opened,
    ):
        # What could end the run later is looked at before minutes are spent.
        resuming = _may_resume(cfg, kept)
        _look_at_own_encoder(cfg)
        _begin_records(cfg, run_dir, resuming, together)
        steps = sum(phase.steps for phase in active_phases(cfg.training).values())
        log.info("run %s: %d steps, in %s", cfg.name, steps, run_dir)
        try:
            # Of several processes one may not leave alone: the others would wait for it.
            with nullcontext() if together.several else stop.leaving():
                event = load_event(cfg.data, cfg.event, cache_dir) if cfg.event.name else None
                run, params = _prepared(cfg, run_dir, cache_dir, kept, together, stop, opened)
            if together.any(stop.requested):
                raise KeyboardInterrupt
        except KeyboardInterrupt:
            return _stopped_early(resuming)
        log.info("ready after %.1f s", time.monotonic() - begun)
        if together.first:
            run.trackers = build_trackers(cfg.trackers.wandb, cfg.name)
        return run.complete(params, resuming, event, stop, begun)


def _stopped_early(resuming: bool) -> int:
    again = "goes on from its newest checkpoint" if resuming else "begins anew"
    log.warning("stopped before a step was made: nothing new to save, the same command %s", again)
    return INTERRUPTED


def _prepared(
    cfg: Config,
    run_dir: Path,
    cache_dir: Path,
    kept: Checkpoints,
    together: Together,
    stop: Interrupts,
    opened: ExitStack,
) -> tuple[Run, Params]:
    """Make the data, compile the functions and plan the memory of a run.

    Args:
        opened: closes the supply of data.

    Returns:
        The run, without trackers, and the parameters it begins with.

    Raises:
        KeyboardInterrupt: a process was asked to stop.
    """
    resuming = bool(kept.steps())
    budgets = budgets_of(cfg, together)
    data = prepare_data(
        cfg,
        cache_dir=cache_dir,
        budget_bytes=budgets.banks,
        host_bytes=budgets.noise,
        step=max(kept.steps(), default=0),
        # The first process writes it, the others read what is there.
        record=run_dir / NOISE if together.first or resuming else None,
        together=together,
        making_bytes=budgets.making,
    )
    opened.enter_context(closing(data.supply))
    runtime = runtime_of_several(cfg.runtime) if together.several else cfg.runtime
    choices = training_choices(replace(cfg, runtime=runtime))
    structure, params = _model(cfg, choices.kernels, data, resuming, together)
    if together.any(stop.requested):
        raise KeyboardInterrupt
    standing = standing_parts(cfg, data)
    room = Room(
        room_beside(standing, budgets, together),
        choices.accumulation,
        choices.steps_per_dispatch,
    )
    log.info("compiling: a later run of this machine has the programs from the cache")
    functions = prepare_functions(cfg, structure, params, data, together, room)
    plan = plan_of(cfg, standing, functions, params, budgets)
    tell_and_check(plan, cfg)
    return Run(cfg, run_dir, data, functions, kept, Trackers([]), plan, together), params


def _set_aside_earlier(cfg: Config, run_dir: Path, together: Together) -> None:
    """Rename the checkpoints of an earlier run that is not to be gone on with."""
    anew = cfg.resume is Resume.never and together.first
    if anew and (old := set_aside(run_dir / "checkpoints")):
        log.warning("resume=never: earlier checkpoints are now in %s", old)
    together.wait("checkpoints of before are set aside")


def _begin_records(cfg: Config, run_dir: Path, resuming: bool, together: Together) -> None:
    """Save the config; forget the noise of an attempt without a checkpoint."""
    if together.first:
        save_once(cfg, run_dir, resuming=resuming)
    if together.first and not resuming:
        (run_dir / NOISE).unlink(missing_ok=True)


def _look_at_own_encoder(cfg: Config) -> None:
    """Make the learner as shapes only: a class of the user's own that does not fit is told now."""
    if cfg.model.encoder.kind is EncoderKind.own:
        jax.eval_shape(lambda: learner_of(cfg)[1])


def _model(
    cfg: Config, kernels: Kernels, data: Data, resuming: bool, together: Together
) -> tuple[Structure, Params]:
    """Return the learner, its parameters on every device as a run begins with them."""
    structure, params = stage("model")(learner_of)(cfg, kernels)
    if not resuming:
        params = first_filters(cfg, structure, params, together.own(data.supply.banks))
    params = together.replicate(params)
    log.info("model: %d parameters", sum(x.size for x in jax.tree.leaves(params)))
    return structure, params


def _may_resume(cfg: Config, checkpoints: Checkpoints) -> bool:
    """Return whether there is a checkpoint to go on from."""
    found = bool(checkpoints.steps())
    if cfg.resume is Resume.must and not found:
        raise FileNotFoundError(
            f"resume=must: no checkpoint in {checkpoints.directory}; use resume=auto to begin"
        )
    return found
