"""One run from its config to its report."""

import logging
import time
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from ligo_cpc_snn.config.model_schema import EncoderKind
from ligo_cpc_snn.config.save import plain, save_once
from ligo_cpc_snn.config.schema import Config, Resume
from ligo_cpc_snn.dataset.load import EventStrain, load_event
from ligo_cpc_snn.models.kernels import Kernels
from ligo_cpc_snn.reports.page import write_report
from ligo_cpc_snn.runtime.devices import describe_device, peak_memory_bytes
from ligo_cpc_snn.runtime.memory_plan import MemoryPlan
from ligo_cpc_snn.runtime.processes import runtime_of_several
from ligo_cpc_snn.stages import stage
from ligo_cpc_snn.training.checkpoints import Checkpoints
from ligo_cpc_snn.training.interrupts import Interrupts
from ligo_cpc_snn.training.learner import Params, Structure, learner_of
from ligo_cpc_snn.training.loop import Loop
from ligo_cpc_snn.training.phases import Room
from ligo_cpc_snn.training.progress import TrainingProgress
from ligo_cpc_snn.training.set_aside import set_aside
from ligo_cpc_snn.training.step import TrainState
from ligo_cpc_snn.training.trackers import Trackers, build_trackers
from ligo_cpc_snn.training.validation import validation_numbers
from ligo_cpc_snn.wiring import finish
from ligo_cpc_snn.wiring.choices import training_choices
from ligo_cpc_snn.wiring.data import Data, prepare_data
from ligo_cpc_snn.wiring.data_record import write_data_record
from ligo_cpc_snn.wiring.distributed import ONE_DEVICE, AgreedStop, Together, all_devices
from ligo_cpc_snn.wiring.export import export_detector
from ligo_cpc_snn.wiring.front_end import first_filters
from ligo_cpc_snn.wiring.functions import Functions, prepare_functions
from ligo_cpc_snn.wiring.memory import (
    budgets_of,
    memory_record,
    plan_of,
    room_beside,
    standing_parts,
    tell_and_check,
)
from ligo_cpc_snn.wiring.qtransform import write_qtransform
from ligo_cpc_snn.wiring.tracking import tell_banks, tell_results

log = logging.getLogger(__name__)

FINISHED, INTERRUPTED = 0, 130  # exit codes; 130 is the shell's for Ctrl-C


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
    budgets = budgets_of(cfg, together)
    _set_aside_earlier(cfg, run_dir, together)
    with (
        Interrupts() as stop,
        Checkpoints(run_dir / "checkpoints", cfg.training.checkpoint) as kept,
        ExitStack() as opened,
    ):
        # What could end the run later is looked at before minutes are spent.
        resuming = _may_resume(cfg, kept)
        _look_at_own_encoder(cfg)
        record = _begun_record(cfg, run_dir, resuming, together)
        event = load_event(cfg.data, cfg.event, cache_dir) if cfg.event.name else None
        data = prepare_data(
            cfg,
            cache_dir=cache_dir,
            budget_bytes=budgets.banks,
            host_bytes=budgets.noise,
            step=max(kept.steps(), default=0),
            record=record,
            together=together,
            making_bytes=budgets.making,
        )
        opened.enter_context(closing(data.supply))
        runtime = runtime_of_several(cfg.runtime) if together.several else cfg.runtime
        choices = training_choices(replace(cfg, runtime=runtime))
        structure, params = _model(cfg, choices.kernels, data, resuming, together)
        if together.any(stop.requested):
            return _stopped_early()
        standing = standing_parts(cfg, data)
        room = Room(
            room_beside(standing, budgets, together),
            choices.accumulation,
            choices.steps_per_dispatch,
        )
        functions = prepare_functions(cfg, structure, params, data, together, room)
        plan = plan_of(cfg, standing, functions, params, budgets)
        tell_and_check(plan, cfg)
        log.info("ready after %.1f s", time.monotonic() - begun)
        if together.any(stop.requested):
            return _stopped_early()
        trackers = build_trackers(cfg.trackers.wandb, cfg.name) if together.first else Trackers([])
        run = Run(cfg, run_dir, data, functions, kept, trackers, plan, together)
        return run.complete(params, resuming, event, stop, begun)


def _stopped_early() -> int:
    log.warning("stopped before a step was made: nothing new to save, the same command begins anew")
    return INTERRUPTED


def _set_aside_earlier(cfg: Config, run_dir: Path, together: Together) -> None:
    """Rename the checkpoints of an earlier run that is not to be gone on with."""
    anew = cfg.resume is Resume.never and together.first
    if anew and (old := set_aside(run_dir / "checkpoints")):
        log.warning("resume=never: earlier checkpoints are now in %s", old)
    together.wait("checkpoints of before are set aside")


def _begun_record(cfg: Config, run_dir: Path, resuming: bool, together: Together) -> Path | None:
    """Save the config; return where the noise is recorded, None where another process does it."""
    record = run_dir / "noise.json"
    if together.first:
        save_once(cfg, run_dir, resuming=resuming)
    if together.first and not resuming:
        record.unlink(missing_ok=True)  # of an attempt without a checkpoint
    return record if together.first or resuming else None


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


@dataclass
class Run:
    """A run whose data and functions are ready."""

    cfg: Config
    run_dir: Path
    data: Data
    functions: Functions
    checkpoints: Checkpoints
    trackers: Trackers
    plan: MemoryPlan
    together: Together = ONE_DEVICE
    warnings: set[str] = field(default_factory=set)

    def complete(
        self,
        params: Params,
        resuming: bool,
        event: EventStrain | None,
        stop: Interrupts,
        begun: float,
    ) -> int:
        """Train to the end, or until asked to stop; then evaluate and report."""
        restored = self._restore(params) if resuming else None
        step = None if restored is None else int(restored.step)
        self.trackers.start(plain(self.cfg), self.run_dir, step)
        validation = self.together.own(self.data.validation)
        tell_banks(self.trackers, self.cfg, self.data, validation, self.run_dir)
        status = "failed"
        try:
            state, done = self._train(params, restored, stop)
            self.checkpoints.wait()
            if done and self.together.first:
                self._conclude(state, event, begun)
            self.together.wait("the run is concluded")
            status = "finished" if done else "interrupted"
        finally:
            self.trackers.finish(status)
        # Who leaves first may take the others along, as srun --kill-on-bad-exit does.
        self.together.wait("the trackers are told")
        return FINISHED if done else INTERRUPTED

    def _restore(self, params: Params) -> TrainState | None:
        like = self.functions.phases[0].begin(params, jnp.zeros((), jnp.int32))
        found = self.checkpoints.restore_latest(like, _description(self.cfg))
        if found is None:
            return None
        state, step = found
        log.info("resumed from the checkpoint of step %d", step)
        return state

    @stage("training")
    def _train(
        self, params: Params, restored: TrainState | None, stop: Interrupts
    ) -> tuple[TrainState, bool]:
        cfg, phases = self.cfg, self.functions.phases
        bar = TrainingProgress(
            phases[-1].last,
            cfg.training.batch_size,
            enabled=cfg.trackers.progress and self.together.first,
        )
        with bar:
            agreed = AgreedStop(self.together, stop, bar, cfg.training.log_every)
            several = self.together.several
            loop = Loop(
                cfg.training,
                cfg.model.bridge,
                phases,
                self.data.supply,
                self.data.validation,
                self.checkpoints,
                self.trackers,
                agreed if several else bar,
                agreed if several else stop,
                _description(cfg),
                validation_numbers(cfg.training.evaluate_windows, cfg.evaluation.batch_size),
                peak_memory_bytes,
                self._save_failure,
                self.warnings,
                self.functions.mining,
                recovers=not several,  # another process would not know of it
            )
            return loop.run(params, restored)

    def _save_failure(self, state: TrainState, phase: str) -> str:
        """Keep the state before a non-finite step, beside the run's checkpoints."""
        folder = self.run_dir / "nonfinite"
        if self.together.first:
            set_aside(folder)  # of an earlier failure
        self.together.wait("an earlier failure is set aside")
        with Checkpoints(folder, self.cfg.training.checkpoint) as aside:
            aside.save(int(state.step), state, {}, _description(self.cfg) | {"phase": phase})
        return str(folder)

    @stage("conclusion")
    def _conclude(self, state: TrainState, event: EventStrain | None, begun: float) -> None:
        """Evaluate the last state, write the detector, metrics.json and the report."""
        cfg, functions, params = self.cfg, self.functions, self.together.own(state.measured)
        data = self.data._replace(validation=self.together.own(self.data.validation))
        metrics: dict[str, Any] = finish.evaluate_windows(
            cfg, functions, params, data, self.run_dir
        )
        if event is not None:
            metrics |= finish.run_over_event(cfg, functions, params, data, event, self.run_dir)
        metrics |= {
            "run": {"steps": int(state.step), "seconds": time.monotonic() - begun},
            "machine": describe_device(),
            "memory": memory_record(self.plan, functions, peak_memory_bytes()),
            "versions": finish.versions(),
            "warnings": [*sorted(self.warnings), finish.noise_caveat(cfg, data)],
        }
        export_detector(cfg, params, data, metrics, self.run_dir)
        finish.write_metrics(self.run_dir, metrics)
        write_data_record(self.run_dir, cfg, data)
        if event is not None:
            write_qtransform(self.run_dir, cfg, event.recorded, event.stretch, event.gps)
        page = write_report(self.run_dir)
        tell_results(self.trackers, cfg, metrics, self.run_dir, page)
        log.info("report: %s", page)


def _description(cfg: Config) -> dict[str, Any]:
    """Return what decides the parameters' shapes."""
    config = plain(cfg)
    return {
        "model": config["model"],
        "infonce": config["training"]["infonce"],
        "detectors": config["data"]["detectors"],
        "sample_rate_hz": config["data"]["sample_rate_hz"],
    }
