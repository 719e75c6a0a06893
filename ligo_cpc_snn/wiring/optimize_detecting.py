"""A trained detector's workloads: a month of strain, and one second with little latency.

The network alone is timed, as `search.engine` and `search.live` call it; strain is whitened beside
it and takes the same time whatever is chosen here.
"""

import math
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import jax
import numpy as np
from jaxtyping import Float32

from ligo_cpc_snn.config.model_schema import DetectorFusion
from ligo_cpc_snn.models.kernels import Kernels
from ligo_cpc_snn.search.live import CHUNK_SECONDS
from ligo_cpc_snn.search.side_by_side import advance_all, advance_one, initial_state
from ligo_cpc_snn.search.trained import TrainedDetector
from ligo_cpc_snn.types import State
from ligo_cpc_snn.wiring.choices import kernels_of, shapes_of
from ligo_cpc_snn.wiring.optimize_agreement import difference
from ligo_cpc_snn.wiring.optimize_rounds import Program
from ligo_cpc_snn.wiring.optimize_workload import (
    Axis,
    Built,
    Lowered,
    kernel_axes,
    needed_bytes,
)
from ligo_cpc_snn.wiring.workloads import SEARCH, WINDOW

WORK_SECONDS = 64.0  # of strain in one call at least, so that a call is no instant
COMPARED_SECONDS = 16.0
SECONDS_PER_UNIT = 3600.0


class MonthOfStrain:
    """The network over streams of strain side by side, in chunks."""

    name, unit = SEARCH, "hour of strain"
    settings = (*Kernels._fields, "streams", "chunk_seconds")

    def __init__(self, detector: TrainedDetector) -> None:
        self.detector, self.shapes = detector, shapes_of(detector)
        self.compared = white_strain(detector, COMPARED_SECONDS)
        shared = detector.model.encoder.detectors is DetectorFusion.shared
        self.keep_features = shared  # for time slides, which a search makes by default

    def axes(self, platform: str) -> list[Axis]:
        """Return kernels, streams and seconds of strain per call."""
        return [*kernel_axes(platform), Axis("chunk_seconds"), Axis("streams")]

    def lower(self, settings: Mapping[str, Any]) -> Lowered:
        """Trace a chunk of all streams."""
        detector = replace(self.detector, kernels=kernels_of(settings))
        streams = settings["streams"]
        frames = max(1, round(settings["chunk_seconds"] / detector.frame_seconds))
        samples = frames * detector.frame_samples
        params, silence = jax.device_put(detector.params), (initial_state(detector),) * streams
        strain = white_strain(detector, samples / detector.sample_rate_hz)[None].repeat(streams, 0)
        run = jax.jit(partial(advance_all, detector, self.keep_features))
        lowered = run.lower(params, strain, silence)
        seconds = streams * samples / detector.sample_rate_hz
        calls = max(1, round(WORK_SECONDS / seconds))

        def compile_it() -> Built:
            compiled = lowered.compile()

            def call() -> list[Any]:
                states: tuple[State, ...] = silence
                found = []
                for _ in range(calls):
                    logits, features, states = compiled(params, strain, states)
                    found.append((np.asarray(logits), jax.device_get(features)))
                return found

            def outputs(units: int) -> Float32[np.ndarray, "frame"]:
                states, logits = silence, []
                for chunk in chunks_of(self.compared, samples):
                    side_by_side = chunk[None].repeat(streams, 0)
                    found, _, states = compiled(params, side_by_side, states)
                    logits.append(np.asarray(found)[0])
                return np.concatenate(logits)[: self.compared.shape[1] // detector.frame_samples]

            program = Program(call, calls * seconds / SECONDS_PER_UNIT)
            return Built(program, outputs, needed_bytes(compiled))

        return Lowered(lowered.as_text(), compile_it)

    def difference(self, settings: Mapping[str, Any], built: Built, plain: Built) -> float:
        """Return how far the statistic of the same strain is off, over its spread."""
        return difference(built.outputs(1), plain.outputs(1), about_mean=True)


class OneWindow:
    """A second of strain as it is being recorded: small chunks, one after another."""

    name, unit = WINDOW, "second of strain"
    settings = Kernels._fields

    def __init__(self, detector: TrainedDetector) -> None:
        self.detector, self.shapes = detector, shapes_of(detector)
        self.compared = white_strain(detector, COMPARED_SECONDS)
        frames = max(1, round(CHUNK_SECONDS / detector.frame_seconds))
        self.chunk = frames * detector.frame_samples

    def axes(self, platform: str) -> list[Axis]:
        """Return the kernels."""
        return list(kernel_axes(platform))

    def lower(self, settings: Mapping[str, Any]) -> Lowered:
        """Trace a chunk."""
        detector = replace(self.detector, kernels=kernels_of(settings))
        params, silence = jax.device_put(detector.params), initial_state(detector)
        second = self.compared[:, : detector.sample_rate_hz]
        chunks = chunks_of(second, self.chunk)
        run = jax.jit(partial(advance_one, detector, False))
        lowered = run.lower(params, chunks[0], silence)

        def compile_it() -> Built:
            compiled = lowered.compile()

            def over(pieces: list[np.ndarray]) -> Float32[np.ndarray, "frame"]:
                state, logits = silence, []
                for piece in pieces:
                    found, _, state = compiled(params, piece, state)
                    logits.append(np.asarray(found))
                return np.concatenate(logits)

            whole = chunks_of(self.compared, self.chunk)
            return Built(
                Program(lambda: over(chunks), 1.0),
                lambda units: over(whole),
                needed_bytes(compiled),
            )

        return Lowered(lowered.as_text(), compile_it)

    def difference(self, settings: Mapping[str, Any], built: Built, plain: Built) -> float:
        """Return how far the statistic of the same strain is off, over its spread."""
        return difference(built.outputs(1), plain.outputs(1), about_mean=True)


def white_strain(detector: TrainedDetector, seconds: float) -> Float32[np.ndarray, "detector time"]:
    """Return whitened strain without a signal: unit noise, the same each time."""
    samples = math.ceil(seconds * detector.sample_rate_hz)
    shape = (len(detector.detectors), samples)
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def chunks_of(
    strain: Float32[np.ndarray, "detector time"], samples: int
) -> list[Float32[np.ndarray, "detector time"]]:
    """Cut strain into chunks; the last is filled up with zeros, which change nothing before."""
    padded = np.pad(strain, ((0, 0), (0, -strain.shape[1] % samples)))
    return [padded[:, i : i + samples] for i in range(0, padded.shape[1], samples)]
