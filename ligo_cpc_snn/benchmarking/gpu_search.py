"""How fast strain is searched: the network alone on the device, and the engine with whitening."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import jax
import numpy as np

from ligo_cpc_snn.benchmarking.gpu_steps import FASTER, cannot
from ligo_cpc_snn.benchmarking.timing import time_together
from ligo_cpc_snn.config.schema import Config
from ligo_cpc_snn.search.engine import Engine
from ligo_cpc_snn.search.run_weights import trained_detector
from ligo_cpc_snn.search.side_by_side import advance_all, initial_state
from ligo_cpc_snn.search.trained import TrainedDetector
from ligo_cpc_snn.strain.coincidence import Coincident
from ligo_cpc_snn.strain.segments import StrainSegment
from ligo_cpc_snn.training.learner import learner_of

SHAPES = ((4, 8.0), (64, 32.0), (256, 64.0))  # (streams, seconds of a chunk)
TINY_SHAPES = ((2, 2.0),)
SEGMENT_SECONDS, SEGMENTS = 512.0, 128
PSD_SECONDS = 256.0


def measure_search(cfg: Config, repeats: int, tiny: bool) -> list[dict[str, Any]]:
    """Return rows of (name, hours of strain per second, times real time)."""
    _, params = learner_of(cfg)
    plain = trained_detector(cfg, params["detector"], time_offset_seconds=0.0, card={})
    shapes = TINY_SHAPES if tiny else SHAPES
    ways = {"plain": FASTER["plain"]} if tiny else FASTER
    functions: dict[str, Callable[[], Any]] = {}
    seconds: dict[str, float] = {}
    for name, kernels in ways.items():
        if cannot(kernels):
            continue
        for streams, chunk in shapes:
            key = f"network, {name}, {streams} x {chunk:g} s"
            detector = replace(plain, kernels=kernels)
            functions[key], seconds[key] = network(detector, streams, chunk)
    rows = [
        _row(name, seconds[name], timing.median)
        for name, timing in time_together(functions, repeats).items()
    ]
    best = max(rows, key=lambda row: row["times_real_time"])
    kernels = next(k for n, k in ways.items() if best["name"].startswith(f"network, {n}, "))
    streams, chunk = shapes[len(shapes) // 2]  # the host whitens for so many in good time
    length, count = (16.0, 2) if tiny else (SEGMENT_SECONDS, SEGMENTS)
    return [*rows, whole(replace(plain, kernels=kernels), streams, chunk, length, count)]


def network(
    detector: TrainedDetector, streams: int, chunk_seconds: float
) -> tuple[Callable[[], Any], float]:
    """Return one call of the network over strain on the device, and its seconds of strain."""
    frames = max(1, round(chunk_seconds / detector.frame_seconds))
    samples = frames * detector.frame_samples
    shape = (streams, len(detector.detectors), samples)
    strain = jax.device_put(np.random.default_rng(0).normal(size=shape).astype(np.float32))
    params, states = jax.device_put(detector.params), (initial_state(detector),) * streams
    run = jax.jit(partial(advance_all, detector, True)).lower(params, strain, states).compile()
    return lambda: run(params, strain, states), streams * samples / detector.sample_rate_hz


def whole(
    detector: TrainedDetector, streams: int, chunk_seconds: float, length: float, count: int
) -> dict[str, Any]:
    """Search simulated segments by the engine, whitening on the host included."""
    engine = Engine(
        detector,
        chunk_seconds=chunk_seconds,
        streams=streams,
        psd_seconds=min(PSD_SECONDS, length),
        keep_features=True,
    )
    one = _noise(detector, length)
    for _ in engine.run([one]):  # compiles for a single stream
        pass
    for _ in engine.run([one] * streams):  # and for all of them
        pass
    before = engine.throughput
    for _ in engine.run([one] * count):
        pass
    spent = engine.throughput.wall_seconds - before.wall_seconds
    name = f"engine with whitening, {streams} x {chunk_seconds:g} s"
    return _row(name, engine.throughput.strain_seconds - before.strain_seconds, spent)


def _noise(detector: TrainedDetector, seconds: float) -> Coincident:
    """Return white noise as strain of every detector."""
    rng, rate = np.random.default_rng(1), detector.sample_rate_hz
    return {
        name: StrainSegment(
            name, 1e9, rate, 1e-21 * rng.normal(size=round(seconds * rate)), "simulated"
        )
        for name in detector.detectors
    }


def _row(name: str, strain_seconds: float, seconds: float) -> dict[str, Any]:
    speed = strain_seconds / seconds
    return {"name": name, "hours_per_second": speed / 3600, "times_real_time": speed}
