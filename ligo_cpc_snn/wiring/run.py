"""A prepared run: it trains, evaluates what it trained and reports."""

import logging
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jax.numpy as jnp

from ligo_cpc_snn.config.save import plain
from ligo_cpc_snn.config.schema import Config
from ligo_cpc_snn.dataset.load import EventStrain
from ligo_cpc_snn.reports.page import write_report
from ligo_cpc_snn.runtime.devices import describe_device, peak_memory_bytes
from ligo_cpc_snn.runtime.memory_plan import MemoryPlan
from ligo_cpc_snn.stages import stage
from ligo_cpc_snn.stopping import INTERRUPTED
from ligo_cpc_snn.training.checkpoints import Checkpoints
from ligo_cpc_snn.training.interrupts import Interrupts
from ligo_cpc_snn.training.learner import Params
from ligo_cpc_snn.training.loop import Loop
from ligo_cpc_snn.training.progress import TrainingProgress
from ligo_cpc_snn.training.set_aside import set_aside
from ligo_cpc_snn.training.step import TrainState
from ligo_cpc_snn.training.trackers import Trackers
from ligo_cpc_snn.training.validation import validation_numbers
from ligo_cpc_snn.wiring import finish
from ligo_cpc_snn.wiring.data import Data
from ligo_cpc_snn.wiring.data_record import write_data_record
from ligo_cpc_snn.wiring.distributed import ONE_DEVICE, AgreedStop, Together
from ligo_cpc_snn.wiring.export import export_detector
from ligo_cpc_snn.wiring.functions import Functions
from ligo_cpc_snn.wiring.memory import (
    memory_record,
)
from ligo_cpc_snn.wiring.qtransform import write_qtransform
from ligo_cpc_snn.wiring.tracking import tell_banks, tell_results

log = logging.getLogger(__name__)

FINISHED = 0  # exit code


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
        status = "failed"
        try:
            tell_banks(self.trackers, self.cfg, self.data, validation, self.run_dir)
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
        done = step >= self.functions.phases[-1].last
        told = ": all are done, the run is evaluated anew" if done else ""
        log.info("resumed from the checkpoint of step %d%s", step, told)
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
        log.info("evaluating %d windows of noise", cfg.evaluation.windows)
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
            "warnings": [*sorted(self.warnings), *finish.caveats(cfg, data, metrics)],
        }
        export_detector(cfg, params, data, metrics, self.run_dir)
        finish.write_metrics(self.run_dir, metrics)
        write_data_record(self.run_dir, cfg, data)
        if event is not None:
            write_qtransform(self.run_dir, cfg, event.recorded, event.stretch, event.gps)
        log.info("writing the report")
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
