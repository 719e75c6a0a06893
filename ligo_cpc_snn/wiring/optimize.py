"""Measure the workloads of a config on every device of this process, and keep the winners."""

import logging
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import jax
from flax import nnx

from ligo_cpc_snn.config.model_schema import DetectorFusion
from ligo_cpc_snn.config.schema import Config
from ligo_cpc_snn.config.search_schema import SearchConfig
from ligo_cpc_snn.models.detector import Detector
from ligo_cpc_snn.runtime.devices import (
    device_is_host,
    host_budget_bytes,
    memory_budget_bytes,
)
from ligo_cpc_snn.runtime.machine import machine_kind
from ligo_cpc_snn.runtime.tuning_store import Entry, device_name, store
from ligo_cpc_snn.search.run_weights import trained_detector
from ligo_cpc_snn.search.trained import TrainedDetector
from ligo_cpc_snn.search.weights import load_detector
from ligo_cpc_snn.wiring.choices import Settings, given_kernels, heuristic_of, plain_settings
from ligo_cpc_snn.wiring.optimize_climb import IMPOSSIBLE, Climb
from ligo_cpc_snn.wiring.optimize_detecting import MonthOfStrain, OneWindow
from ligo_cpc_snn.wiring.optimize_slides import TimeSlides
from ligo_cpc_snn.wiring.optimize_training import TrainingStep
from ligo_cpc_snn.wiring.optimize_workload import Workload
from ligo_cpc_snn.wiring.workloads import DETECTING, SEARCH, SLIDES, TRAINING, WINDOW

log = logging.getLogger(__name__)


def optimise(cfg: Config | SearchConfig, workloads: Sequence[str], rounds: int) -> list[Entry]:
    """Measure workloads and store what is fastest.

    Args:
        cfg: of a training, whose detector is measured with weights of no meaning, or of a search.
        workloads: names; of a search there is no training step.
        rounds: of each race.

    Returns:
        An entry for each workload and device, as stored.
    """
    found = []
    for name in workloads:
        for device in devices():
            with jax.default_device(device):
                entry = _measured(name, cfg, device, rounds)
            log.info("%s on %s: kept in %s", name, entry.device, store(entry))
            found.append(entry)
    return found


def devices() -> Iterator[Any]:
    """Yield the first device of each platform that this process has: a GPU, and the CPU."""
    yield jax.local_devices()[0]
    if jax.default_backend() != "cpu":
        yield jax.local_devices(backend="cpu")[0]


def workloads_of(cfg: Config | SearchConfig) -> tuple[str, ...]:
    """Return the names of the workloads that a config has: joint encoders have no slides."""
    search = isinstance(cfg, SearchConfig)
    model = load_detector(cfg.detector).model if isinstance(cfg, SearchConfig) else cfg.model
    joint = model.encoder.detectors is DetectorFusion.joint
    names = DETECTING if search else (TRAINING, *DETECTING)
    return tuple(name for name in names if not (joint and name == SLIDES))


def _measured(name: str, cfg: Config | SearchConfig, device: Any, rounds: int) -> Entry:
    workload, fixed = prepare(name, cfg)
    # The CPU beside a GPU has the host's memory.
    beside = device.platform == "cpu" and not device_is_host()
    budget = (host_budget_bytes if beside else memory_budget_bytes)(cfg.runtime)
    try:
        found = Climb(workload, fixed, rounds, budget).run(heuristic_of(device), device.platform)
    except IMPOSSIBLE as error:
        log.warning("the heuristic of %s cannot run: %s; from the plain way", device, error)
        found = Climb(workload, fixed, rounds, budget).run(plain_settings(), device.platform)
    return Entry(
        workload=name,
        platform=device.platform,
        device=device_name(device),
        machine=machine_kind(),
        shapes=workload.shapes,
        choice=found.settings,
        seconds=found.seconds,
        unit=workload.unit,
        speedup=found.speedup,
        table=found.table,
        measured=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def prepare(name: str, cfg: Config | SearchConfig) -> tuple[Workload, Settings]:
    """Return a workload on the default device, and what the config has decided of it."""
    fixed = given_kernels(cfg.runtime.kernels)
    if isinstance(cfg, SearchConfig):
        given = {n: getattr(cfg, n) for n in ("streams", "chunk_seconds") if getattr(cfg, n)}
        return _OF_DETECTORS[name](load_detector(cfg.detector)), fixed | given
    if name == TRAINING:
        if cfg.training.accumulation > 1:
            fixed["accumulation"] = cfg.training.accumulation
        return TrainingStep(cfg), fixed
    return _OF_DETECTORS[name](untrained(cfg)), fixed


_OF_DETECTORS: dict[str, Callable[[TrainedDetector], Workload]] = {
    SEARCH: MonthOfStrain,
    SLIDES: TimeSlides,
    WINDOW: OneWindow,
}


def untrained(cfg: Config) -> TrainedDetector:
    """Return the detector of a config with the parameters that a training begins with."""
    network = Detector(
        cfg.model,
        detectors=len(cfg.data.detectors),
        sample_rate_hz=cfg.data.sample_rate_hz,
        rngs=nnx.Rngs(cfg.seed),
    )
    params = nnx.to_pure_dict(nnx.state(network))
    return trained_detector(cfg, params, time_offset_seconds=0.0, card={})
