"""The end of a run as a detector: `detector.safetensors` with its card, and its time offset.

Exported are the parameters that were evaluated: the moving average where the run took one
(training.average_decay), else those after the last step.
"""

import hashlib
import json
import logging
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ligo_cpc_snn.chunked import in_parts
from ligo_cpc_snn.config.save import plain
from ligo_cpc_snn.config.schema import Config
from ligo_cpc_snn.dataset.sampling import build_sampler
from ligo_cpc_snn.models.detector import Detector
from ligo_cpc_snn.rng import at_step, stream
from ligo_cpc_snn.search.run_weights import trained_detector
from ligo_cpc_snn.search.trained import TrainedDetector
from ligo_cpc_snn.search.weights import FILE, save_detector
from ligo_cpc_snn.training.learner import Params
from ligo_cpc_snn.wiring.data import Data

log = logging.getLogger(__name__)

Lags = Callable[[Params, Any, Array], Float[Array, "injection"]]

SNR_MIN, SNR_MAX = 10.0, 15.0  # of the injections that are timed
INJECTIONS = 512
PLACES = 4  # of the merger in the window; early, so that the statistic can rise after it
NOT_THE_DETECTOR = ("run_dir", "resume", "runtime", "trackers")  # of a config


@dataclass(frozen=True)
class Timing:
    """When the statistic peaks after the merger at the geocentre, over validation injections."""

    offset_seconds: float  # median
    median_error_seconds: float  # of times from which the offset was taken
    within_300_ms: float  # fraction of such times
    injections: int
    snr_min: float = SNR_MIN
    snr_max: float = SNR_MAX


def build_lags(cfg: Config, assemble: Callable[[Params], Detector], parts: int = 1) -> Lags:
    """Return `(params, banks, batch number) -> lags in s`, to be compiled.

    The network takes the batch in `parts`, one after the other.

    A lag is the time from the merger to the end of the loudest frame's strain.
    """
    rate = cfg.data.sample_rate_hz
    each = max(1, cfg.evaluation.batch_size // PLACES)
    sampler = build_sampler(cfg.data, each, signal_fraction=1.0)
    middle = (sampler.earliest + sampler.latest) / 2
    places = [round(x) for x in np.linspace(sampler.earliest, middle, PLACES)]
    samplers = [replace(sampler, earliest=place, latest=place) for place in places]

    def lags(params: Params, banks: Any, number: Array) -> Float[Array, "injection"]:
        detector = assemble(params)
        keys = jax.random.split(at_step(stream(cfg.seed, "timing"), number), PLACES)
        drawn = [s(banks, k, SNR_MIN, SNR_MAX) for s, k in zip(samplers, keys, strict=True)]
        strain = jnp.concatenate([batch.strain for batch in drawn])
        logits = in_parts(lambda part: detector(part)[0].frame_logits, parts)(strain)
        late = logits[:, detector.warm_up_frames :]
        loudest = detector.warm_up_frames + jnp.argmax(late, axis=-1)
        mergers = jnp.repeat(jnp.asarray(places), each)
        return ((loudest + 1) * detector.frame_samples - mergers) / rate

    return lags


def measure_timing(cfg: Config, lags: Lags, params: Params, banks: Any) -> Timing:
    """Run the compiled `lags` over validation injections."""
    calls = -(-INJECTIONS // (max(1, cfg.evaluation.batch_size // PLACES) * PLACES))
    got = [lags(params, banks, jax.device_put(np.int32(i))) for i in range(calls)]
    found = np.concatenate(jax.device_get(got))
    offset = float(np.median(found))
    error = np.abs(found - offset)
    return Timing(offset, float(np.median(error)), float(np.mean(error <= 0.3)), found.size)


def export_detector(
    cfg: Config, params: Params, data: Data, metrics: Mapping[str, Any], run_dir: Path
) -> TrainedDetector:
    """Write `detector.safetensors` into the run folder.

    Args:
        params: that were evaluated.
        metrics: of the run, as metrics.json holds them, `timing` among them.
    """
    detector = trained_detector(
        cfg,
        jax.device_get(params["detector"]),
        time_offset_seconds=metrics["timing"]["offset_seconds"],
        card=make_card(cfg, data, metrics),
    )
    path = save_detector(run_dir / FILE, detector)
    log.info(
        "detector: %s, statistic peaks %.0f ms %s the merger",
        path,
        abs(1e3 * detector.time_offset_seconds),
        "after" if detector.time_offset_seconds >= 0 else "before",
    )
    return detector


def make_card(cfg: Config, data: Data, metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is known of a run's detector."""
    config = {k: v for k, v in plain(cfg).items() if k not in NOT_THE_DETECTOR}
    config = without_folders(config)
    decay, steps = cfg.training.average_decay, metrics["run"]["steps"]
    signals = cfg.data.signals
    return {
        "data": {
            "source": cfg.data.source.value,
            "training_noise_seconds": sum(block.seconds for block in data.noise.training),
            "validation_noise_seconds": sum(block.seconds for block in data.noise.validation),
            "approximant": signals.approximant.value,
            "signals_in_bank": signals.bank_size,
            "refresh_steps": signals.refresh_steps,
            "window_seconds": cfg.data.window_seconds,
        },
        "seed": cfg.seed,
        "config": config,
        "config_sha256": hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest(),
        "commit": _commit(),
        "weights": f"moving average, decay {decay}" if decay else f"after step {steps}",
        "numbers": {
            name: metrics[name]
            for name in ("detection", "timing", "operations", "parameters", "run")
            if name in metrics
        },
        "machine": metrics.get("machine", {}),
        "versions": metrics["versions"],
        "limits": [
            f"trained and validated on windows of {cfg.data.window_seconds:g} s with "
            f"{', '.join(cfg.data.detectors)} at {cfg.data.sample_rate_hz} Hz, "
            f"{cfg.data.band_hz[0]:g} to {cfg.data.band_hz[1]:g} Hz",
            "the time offset is a median over validation injections of network SNR "
            f"{SNR_MIN:g} to {SNR_MAX:g}",
            *metrics.get("warnings", []),
        ],
    }


def without_folders(tree: Any) -> Any:
    """Return a config whose absolute paths, which are one machine's, are names."""
    if isinstance(tree, dict):
        return {name: without_folders(x) for name, x in tree.items()}
    if isinstance(tree, list):
        return [without_folders(x) for x in tree]
    return Path(tree).name if isinstance(tree, str) and Path(tree).is_absolute() else tree


def _commit() -> str | None:
    """Return the commit of the checkout this package is run from, None elsewhere."""
    package = Path(__file__).resolve().parents[1]

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(package), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=20)
        return done.stdout.strip()

    try:
        if Path(git("rev-parse", "--show-toplevel")) != package.parent:
            return None  # installed below somebody else's repository
        changed = git(
            "status", "--porcelain", "--untracked-files=no", "--", ":/ligo_cpc_snn", ":/conf"
        )
        return git("rev-parse", "HEAD") + ("-modified" if changed else "")
    except (OSError, subprocess.SubprocessError) as error:
        log.debug("no commit for the card: %s", error)
        return None
