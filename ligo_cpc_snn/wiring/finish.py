"""The end of a run: evaluation, the event if there is one, and what the report reads."""

import json
import logging
import platform
from collections.abc import Mapping
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any

import jax
import numpy as np

from ligo_cpc_snn.config.schema import Config
from ligo_cpc_snn.dataset.load import EventStrain
from ligo_cpc_snn.evaluation.efficiency import detection_metrics
from ligo_cpc_snn.evaluation.spikes import spike_statistics
from ligo_cpc_snn.evaluation.synops import is_spiking, synaptic_operations
from ligo_cpc_snn.evaluation.traces import traces_of
from ligo_cpc_snn.evaluation.windows import score_windows
from ligo_cpc_snn.models.detector import Detection
from ligo_cpc_snn.search.event import EventResult, analyse_event, measure_background
from ligo_cpc_snn.search.stream import Statistic, statistic_of
from ligo_cpc_snn.search.trained import AT_CHANCE
from ligo_cpc_snn.stages import stage
from ligo_cpc_snn.strain.coincidence import Coincident
from ligo_cpc_snn.training.learner import Params
from ligo_cpc_snn.wiring.data import Data
from ligo_cpc_snn.wiring.export import measure_timing
from ligo_cpc_snn.wiring.functions import CASES, Functions, chunk_samples

log = logging.getLogger(__name__)

PACKAGES = (
    "ligo-cpc-snn",
    "jax",
    "jaxlib",
    "flax",
    "optax",
    "orbax-checkpoint",
    "spyx",
    "ripplegw",
)


@stage("evaluation")
def evaluate_windows(
    cfg: Config, functions: Functions, params: Params, data: Data, run_dir: Path
) -> dict[str, Any]:
    """Score noise and signals, save the scores and traces, and return the metrics."""
    settings = cfg.evaluation
    scores = score_windows(
        functions.score,
        params,
        data.validation,
        snrs=settings.snrs,
        noise_windows=settings.windows,
        signal_windows=settings.signal_windows,
        batch=settings.batch_size,
    )
    np.savez(
        run_dir / "evaluation.npz",
        noise_scores=scores.noise,
        signal_scores=scores.signal,
        snrs=settings.snrs,
    )
    measured = detection_metrics(
        scores.noise, scores.signal, settings.snrs, settings.false_positive_rates
    )
    timing = measure_timing(cfg, functions.lags, params, data.validation)
    inspected = _inspect(cfg, functions, params, data, run_dir)
    return {
        "detection": measured.to_dict(),
        "timing": asdict(timing),
        "parameters": sum(x.size for x in jax.tree.leaves(params["detector"])),
        **inspected,
    }


def _inspect(
    cfg: Config, functions: Functions, params: Params, data: Data, run_dir: Path
) -> dict[str, Any]:
    detector = functions.assemble(params)
    strain, detection = jax.device_get(functions.inspect(params, data.validation))
    rate = cfg.data.sample_rate_hz
    frame_rate = rate / detector.frame_samples
    arrays: dict[str, Any] = traces_of(list(CASES), strain, detection, detector.sequences(1))
    np.savez(run_dir / "traces.npz", **arrays, sample_rate_hz=rate, frame_rate_hz=frame_rate)
    # The windows of noise, where a detector spends its time.
    noise = slice(len(CASES) - 1, None)
    layers = [x._replace(spikes=x.spikes[:, noise]) for x in detection.layers]
    spikes, logits = detection.bridge_spikes[noise], detection.frame_logits[noise]
    quiet = detection._replace(frame_logits=logits, bridge_spikes=spikes, layers=layers)
    return {
        "spikes": _spike_statistics(cfg, quiet, frame_rate),
        "operations": synaptic_operations(detector, quiet, sample_rate_hz=rate).to_dict(),
    }


def _spike_statistics(cfg: Config, detection: Detection, frame_rate: float) -> dict[str, Any]:
    """Return the statistics of bridge and layers; those of graded numbers have none."""
    spikes = {"bridge": np.asarray(detection.bridge_spikes)}
    spikes |= {
        f"snn_{i}": np.asarray(x.spikes).swapaxes(0, 1) for i, x in enumerate(detection.layers)
    }
    limits = {
        "silent_below": cfg.model.bridge.silent_below,
        "saturated_above": cfg.model.bridge.saturated_above,
        "frame_rate_hz": frame_rate,
    }
    return {
        name: spike_statistics(x, **limits).to_dict() for name, x in spikes.items() if is_spiking(x)
    }


@stage("event")
def run_over_event(
    cfg: Config,
    functions: Functions,
    params: Params,
    data: Data,
    event: EventStrain,
    run_dir: Path,
) -> dict[str, Any]:
    """Run the detector over an event and over held-out noise, save it, return the summary."""
    assert cfg.event.gps is not None
    detector, rate = functions.assemble(params), cfg.data.sample_rate_hz

    def run(strain: np.ndarray, gps_start: float) -> Statistic:
        streams = strain.shape[0]
        return statistic_of(
            functions.advance[streams],
            params,
            detector.initial_state(streams),
            strain,
            frame_samples=detector.frame_samples,
            chunk_samples=chunk_samples(cfg, detector.frame_samples),
            gps_start=gps_start,
            sample_rate_hz=rate,
        )

    # Checkpoints are chosen by validation noise: where there is test noise, it is the background.
    blocks = data.noise.test or data.noise.validation
    held_out = [_stack(cfg, s) for block in blocks for s in block.stretches]
    background = measure_background(run, held_out, rate, cfg.event.time_slides)
    strain, gps_start = _stack(cfg, event.stretch)
    found = run(strain[None], gps_start)
    result = analyse_event(Statistic(found.gps, found.value[0]), background, cfg.event.gps)
    _save_event(cfg, result, strain, gps_start, run_dir)
    summary = result.summary(cfg.event.gps, cfg.event.tolerance_seconds)
    log.info("event %s: %s", cfg.event.name, json.dumps(summary))
    return {"event": {"name": cfg.event.name, "gps": cfg.event.gps, **summary}}


def _stack(cfg: Config, stretch: Coincident) -> tuple[np.ndarray, float]:
    strain = np.stack([stretch[name].strain for name in cfg.data.detectors])
    return strain, stretch[cfg.data.detectors[0]].gps_start


def _save_event(
    cfg: Config, result: EventResult, strain: np.ndarray, gps_start: float, run_dir: Path
) -> None:
    np.savez(
        run_dir / "event.npz",
        gps=result.statistic.gps,
        statistic=result.statistic.value,
        event_gps=np.float64(cfg.event.gps or 0.0),
        event_name=np.str_(cfg.event.name),
        threshold=result.threshold,
        background_zero_lag=result.background.zero_lag,
        background_slides=result.background.slides,
        whitened=strain,
        whitened_gps_start=gps_start,
        sample_rate_hz=cfg.data.sample_rate_hz,
        detectors=np.array(cfg.data.detectors),
    )


def caveats(cfg: Config, data: Data, metrics: Mapping[str, Any]) -> list[str]:
    """Return what a reader of a run's numbers must know; of a detector that is none it is logged.

    Args:
        metrics: of the run, `detection` among them.
    """
    seconds = sum(block.seconds for block in data.noise.validation)
    noise = (
        f"the {cfg.evaluation.windows} noise windows are drawn from {seconds:.0f} s of held-out "
        "noise per detector, shifted against each other: they overlap, and the intervals cover "
        "the drawing of windows, not the choice of this noise"
    )
    detection = metrics["detection"]
    if any(area["low"] > 0.5 for area in detection["auc"]):
        return [noise]
    loudest, area = detection["snrs"][-1], detection["auc"][-1]
    remedy = "its sign is turned" if area["high"] < 0.5 else "train it longer"
    chance = (
        f"{AT_CHANCE}: its AUC at SNR {loudest:g} is "
        f"{area['value']:.3f} (95 %: {area['low']:.3f} to {area['high']:.3f}), and 0.5 is chance: "
        f"{remedy}"
    )
    log.warning(chance)
    return [chance, noise]


def versions() -> dict[str, str]:
    """Return the versions of the packages that decide a run's numbers."""
    return {name: metadata.version(name) for name in PACKAGES} | {
        "python": platform.python_version()
    }


def write_metrics(run_dir: Path, metrics: Mapping[str, Any]) -> Path:
    """Write metrics.json, whole or not at all."""
    path = run_dir / "metrics.json"
    partial = path.with_suffix(".json.partial")
    partial.write_text(json.dumps(metrics, indent=2, allow_nan=False), encoding="utf-8")
    return partial.replace(path)
