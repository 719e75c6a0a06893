"""One run from its config to its report."""

import logging
import time
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from ligo_cpc_snn.config.save import plain, save_once
from ligo_cpc_snn.config.schema import Config, Resume
from ligo_cpc_snn.dataset.load import EventStrain, load_event
from ligo_cpc_snn.reports.page import write_report
from ligo_cpc_snn.runtime.devices import describe_device, memory_budget_bytes, peak_memory_bytes
from ligo_cpc_snn.training.checkpoints import Checkpoints
from ligo_cpc_snn.training.interrupts import Interrupts
from ligo_cpc_snn.training.learner import Params, create_learner
from ligo_cpc_snn.training.loop import Loop, validation_numbers
from ligo_cpc_snn.training.progress import TrainingProgress
from ligo_cpc_snn.training.set_aside import set_aside
from ligo_cpc_snn.training.step import TrainState
from ligo_cpc_snn.training.trackers import Trackers, build_trackers
from ligo_cpc_snn.wiring import finish
from ligo_cpc_snn.wiring.data import Data, prepare_data
from ligo_cpc_snn.wiring.data_record import write_data_record
from ligo_cpc_snn.wiring.export import export_detector
from ligo_cpc_snn.wiring.front_end import first_filters
from ligo_cpc_snn.wiring.functions import Functions, prepare_functions
from ligo_cpc_snn.wiring.qtransform import write_qtransform

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
    begun = time.monotonic()
    if cfg.resume is Resume.never and (old := set_aside(run_dir / "checkpoints")):
        log.warning("resume=never: earlier checkpoints are now in %s", old)
    with (
        Interrupts() as stop,
        Checkpoints(run_dir / "checkpoints", cfg.training.checkpoint) as kept,
        ExitStack() as opened,
    ):
        # What could end the run later is looked at before minutes are spent.
        resuming = _may_resume(cfg, kept)
        save_once(cfg, run_dir, resuming=resuming)
        record = run_dir / "noise.json"
        if not resuming:
            record.unlink(missing_ok=True)  # of an attempt without a checkpoint
        event = load_event(cfg.data, cfg.event, cache_dir) if cfg.event.name else None
        data = prepare_data(
            cfg,
            cache_dir=cache_dir,
            budget_bytes=memory_budget_bytes(cfg.runtime),
            step=max(kept.steps(), default=0),
            record=record,
        )
        opened.enter_context(closing(data.supply))
        structure, params = create_learner(
            cfg.model,
            cfg.training.infonce,
            detectors=len(cfg.data.detectors),
            sample_rate_hz=cfg.data.sample_rate_hz,
            seed=cfg.seed,
        )
        if not resuming:
            params = first_filters(cfg, structure, params, data.supply.banks)
        log.info("model: %d parameters", sum(x.size for x in jax.tree.leaves(params)))
        if stop.requested:
            return INTERRUPTED
        functions = prepare_functions(cfg, structure, params, data)
        log.info("ready after %.1f s", time.monotonic() - begun)
        if stop.requested:
            return INTERRUPTED
        run = Run(cfg, run_dir, data, functions, kept, build_trackers(cfg.trackers.wandb, cfg.name))
        return run.complete(params, resuming, event, stop, begun)


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
        status = "failed"
        try:
            state, done = self._train(params, restored, stop)
            self.checkpoints.wait()
            if done:
                self._conclude(state, event, begun)
            status = "finished" if done else "interrupted"
        finally:
            self.trackers.finish(status)
        return FINISHED if done else INTERRUPTED

    def _restore(self, params: Params) -> TrainState | None:
        like = self.functions.phases[0].begin(params, jnp.zeros((), jnp.int32))
        found = self.checkpoints.restore_latest(like, _description(self.cfg))
        if found is None:
            return None
        state, step = found
        log.info("resumed from the checkpoint of step %d", step)
        return state

    def _train(
        self, params: Params, restored: TrainState | None, stop: Interrupts
    ) -> tuple[TrainState, bool]:
        cfg, phases = self.cfg, self.functions.phases
        bar = TrainingProgress(
            phases[-1].last, cfg.training.batch_size, enabled=cfg.trackers.progress
        )
        with bar:
            loop = Loop(
                cfg.training,
                cfg.model.bridge,
                phases,
                self.data.supply,
                self.data.validation,
                self.checkpoints,
                self.trackers,
                bar,
                stop,
                _description(cfg),
                validation_numbers(cfg.training.evaluate_windows, cfg.evaluation.batch_size),
                peak_memory_bytes,
                self._save_failure,
                self.warnings,
                self.functions.mining,
            )
            return loop.run(params, restored)

    def _save_failure(self, state: TrainState, phase: str) -> str:
        """Keep the state before a non-finite step, beside the run's checkpoints."""
        folder = self.run_dir / "nonfinite"
        set_aside(folder)  # of an earlier failure
        with Checkpoints(folder, self.cfg.training.checkpoint) as aside:
            aside.save(int(state.step), state, {}, _description(self.cfg) | {"phase": phase})
        return str(folder)

    def _conclude(self, state: TrainState, event: EventStrain | None, begun: float) -> None:
        """Evaluate the last state, write the detector, metrics.json and the report."""
        cfg, functions, params = self.cfg, self.functions, state.measured
        metrics: dict[str, Any] = finish.evaluate_windows(
            cfg, functions, params, self.data, self.run_dir
        )
        if event is not None:
            metrics |= finish.run_over_event(cfg, functions, params, self.data, event, self.run_dir)
        metrics |= {
            "run": {"steps": int(state.step), "seconds": time.monotonic() - begun},
            "machine": describe_device(),
            "versions": finish.versions(),
            "warnings": [*sorted(self.warnings), finish.noise_caveat(cfg, self.data)],
        }
        export_detector(cfg, params, self.data, metrics, self.run_dir)
        finish.write_metrics(self.run_dir, metrics)
        write_data_record(self.run_dir, cfg, self.data)
        if event is not None:
            write_qtransform(self.run_dir, cfg, event.recorded, event.stretch, event.gps)
        page = write_report(self.run_dir)
        for path in sorted((self.run_dir / "figures").glob("*.png")):
            self.trackers.figure(int(state.step), path.stem, path)
        self.trackers.artifact("model", self.run_dir / "checkpoints")
        self.trackers.artifact("report", page)
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
