"""One run from its config to its report."""

import logging
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from ligo_cpc_snn.config.save import plain, save_once
from ligo_cpc_snn.config.schema import Config, Resume
from ligo_cpc_snn.reports.page import write_report
from ligo_cpc_snn.runtime.devices import describe_device, memory_budget_bytes, peak_memory_bytes
from ligo_cpc_snn.training.checkpoints import Checkpoints
from ligo_cpc_snn.training.interrupts import Interrupts
from ligo_cpc_snn.training.learner import Params, Structure, create_learner
from ligo_cpc_snn.training.loop import Loop, validation_numbers
from ligo_cpc_snn.training.progress import TrainingProgress
from ligo_cpc_snn.training.set_aside import set_aside
from ligo_cpc_snn.training.step import TrainState
from ligo_cpc_snn.training.trackers import Trackers, build_trackers
from ligo_cpc_snn.wiring import finish
from ligo_cpc_snn.wiring.data import Data, prepare_data
from ligo_cpc_snn.wiring.functions import Functions, prepare_functions

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
    data = prepare_data(cfg, cache_dir=cache_dir, budget_bytes=memory_budget_bytes(cfg.runtime))
    structure, params = create_learner(
        cfg.model,
        cfg.training.infonce,
        detectors=len(cfg.data.detectors),
        sample_rate_hz=cfg.data.sample_rate_hz,
        seed=cfg.seed,
    )
    log.info("model: %d parameters", sum(x.size for x in jax.tree.leaves(params)))
    functions = prepare_functions(cfg, structure, params, data)
    log.info("ready after %.1f s", time.monotonic() - begun)
    if cfg.resume is Resume.never and (old := set_aside(run_dir / "checkpoints")):
        log.warning("resume=never: earlier checkpoints are now in %s", old)
    checkpoints = Checkpoints(run_dir / "checkpoints", cfg.training.checkpoint)
    try:
        restored = _restore(cfg, checkpoints, functions, params)
        save_once(cfg, run_dir, resuming=restored is not None)
        trackers = build_trackers(cfg.trackers.wandb, cfg.name)
        trackers.start(plain(cfg), run_dir, None if restored is None else int(restored.step))
        status = "failed"
        try:
            state, done, warnings = _train(
                cfg, functions, params, restored, data, checkpoints, trackers, run_dir
            )
            status = "finished" if done else "interrupted"
            checkpoints.wait()
            if done:
                _conclude(
                    cfg,
                    structure,
                    functions,
                    state,
                    data,
                    trackers,
                    run_dir,
                    cache_dir,
                    warnings,
                    begun,
                )
        finally:
            trackers.finish(status)
    finally:
        checkpoints.close()
    return FINISHED if done else INTERRUPTED


def _restore(
    cfg: Config, checkpoints: Checkpoints, functions: Functions, params: Params
) -> TrainState | None:
    if cfg.resume is Resume.never:
        return None
    first = functions.phases[0]
    like = first.begin(params, jnp.zeros((), jnp.int32))
    found = checkpoints.restore_latest(like, _description(cfg))
    if found is None:
        if cfg.resume is Resume.must:
            raise FileNotFoundError(
                f"resume=must: no checkpoint in {checkpoints.directory}; use resume=auto to begin"
            )
        return None
    state, step = found
    log.info("resumed from the checkpoint of step %d", step)
    return state


def _description(cfg: Config) -> dict[str, Any]:
    """Return what decides the parameters' shapes."""
    config = plain(cfg)
    return {
        "model": config["model"],
        "infonce": config["training"]["infonce"],
        "detectors": config["data"]["detectors"],
        "sample_rate_hz": config["data"]["sample_rate_hz"],
    }


def _train(
    cfg: Config,
    functions: Functions,
    params: Params,
    restored: TrainState | None,
    data: Data,
    checkpoints: Checkpoints,
    trackers: Trackers,
    run_dir: Path,
) -> tuple[TrainState, bool, set[str]]:
    def save_failure(state: TrainState, phase: str) -> str:
        set_aside(run_dir / "nonfinite")  # of an earlier failure
        aside = Checkpoints(run_dir / "nonfinite", cfg.training.checkpoint)
        aside.save(int(state.step), state, {}, _description(cfg) | {"phase": phase})
        aside.close()
        return str(run_dir / "nonfinite")

    total = functions.phases[-1].last
    settings = cfg.evaluation
    warnings: set[str] = set()
    bar = TrainingProgress(total, cfg.training.batch_size, enabled=cfg.trackers.progress)
    with Interrupts() as stop, bar:
        loop = Loop(
            cfg.training,
            cfg.model.bridge,
            functions.phases,
            data.training,
            data.validation,
            checkpoints,
            trackers,
            bar,
            stop,
            _description(cfg),
            validation_numbers(cfg.training.evaluate_windows, settings.batch_size),
            peak_memory_bytes,
            save_failure,
            warnings,
        )
        state, done = loop.run(params, restored)
    return state, done, warnings


def _conclude(
    cfg: Config,
    structure: Structure,
    functions: Functions,
    state: TrainState,
    data: Data,
    trackers: Trackers,
    run_dir: Path,
    cache_dir: Path,
    warnings: set[str],
    begun: float,
) -> None:
    """Evaluate the trained detector, write metrics.json and the report."""
    metrics: dict[str, Any] = finish.evaluate_windows(cfg, functions, state.params, data, run_dir)
    if cfg.event.name:
        metrics |= finish.run_over_event(cfg, functions, state.params, data, run_dir, cache_dir)
    metrics |= {
        "run": {"steps": int(state.step), "seconds": time.monotonic() - begun},
        "machine": describe_device(),
        "versions": finish.versions(),
        "warnings": sorted(warnings),
    }
    finish.write_metrics(run_dir, metrics)
    page = write_report(run_dir)
    for path in sorted((run_dir / "figures").glob("*.png")):
        trackers.figure(int(state.step), path.stem, path)
    trackers.artifact("model", run_dir / "checkpoints")
    trackers.artifact("report", page)
    log.info("report: %s", page)
