"""The training step as a workload: candidates are the run's own step, on banks of its shapes."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ligo_cpc_snn.config.data_schema import DataConfig, GlitchConfig
from ligo_cpc_snn.config.schema import Config
from ligo_cpc_snn.dataset.banks import (
    Banks,
    SignalBank,
    Stretch,
    build_noise_bank,
    no_glitches,
    no_transients,
)
from ligo_cpc_snn.dataset.sampling import build_sampler, signal_layout
from ligo_cpc_snn.dataset.storage import stored
from ligo_cpc_snn.models.kernels import Kernels
from ligo_cpc_snn.rng import stream
from ligo_cpc_snn.training.learner import learner_of
from ligo_cpc_snn.training.step import PhaseFunctions, TrainState
from ligo_cpc_snn.wiring.choices import kernels_of
from ligo_cpc_snn.wiring.optimize_agreement import difference
from ligo_cpc_snn.wiring.optimize_rounds import Program
from ligo_cpc_snn.wiring.optimize_workload import (
    Axis,
    Built,
    Lowered,
    kernel_axes,
    needed_bytes,
)
from ligo_cpc_snn.wiring.workloads import TRAINING, longest_phase, training_shapes

Step = Callable[[TrainState, Any], TrainState]

NOISE_SECONDS = 32.0  # of the banks: a step's time does not depend on their length
SIGNALS = 64
LOUDNESS = 10.0  # network SNR, for a config that takes it from the bank
MOST_STEPS = 64  # per dispatch


class TrainingStep:
    """The step of a config's longest phase."""

    name, unit = TRAINING, "step"
    settings = (*Kernels._fields, "accumulation", "steps_per_dispatch")

    def __init__(self, cfg: Config) -> None:
        self.cfg, self.shapes = cfg, training_shapes(cfg)
        # Glitches are left out: their banks cost what signals' do, and more to make.
        self.data = replace(cfg.data, glitches=GlitchConfig())
        self.banks = jax.device_put(white_banks(self.data))

    def axes(self, platform: str) -> list[Axis]:
        """Return kernels, micro-batches and steps per call."""
        return [
            *kernel_axes(platform),
            Axis("accumulation", most=self.cfg.training.batch_size),
            Axis("steps_per_dispatch", most=MOST_STEPS),
        ]

    def lower(self, settings: Mapping[str, Any]) -> Lowered:
        """Trace the step with these settings."""
        count = settings["steps_per_dispatch"]
        step, begin = self._functions(settings)
        lowered = jax.jit(_several(step, count), donate_argnums=0).lower(begin(), self.banks)

        def compile_it() -> Built:
            compiled = lowered.compile()
            going = begin()

            def call() -> TrainState:
                nonlocal going
                going = compiled(going, self.banks)
                return going

            def outputs(steps: int) -> TrainState:
                state = begin()
                for _ in range(steps // count):
                    state = compiled(state, self.banks)
                return state

            return Built(Program(call, count), outputs, needed_bytes(compiled))

        return Lowered(lowered.as_text(), compile_it)

    def _functions(self, settings: Mapping[str, Any]) -> tuple[Step, Callable[[], TrainState]]:
        """Return the step, and what makes a first state of its own."""
        cfg = self.cfg
        training = replace(cfg.training, accumulation=settings["accumulation"])
        structure, params = learner_of(cfg, kernels_of(settings))
        functions = PhaseFunctions(
            structure,
            build_sampler(self.data, training.batch_size),
            self.banks,
            phase=longest_phase(cfg),
            cfg=training,
            key=stream(cfg.seed, "optimize"),
        )
        names = functions.metric_names(params)
        first = functions.begin(params, jnp.zeros((), jnp.int32), names)
        # Copies: a step takes over the memory of its state.
        return functions.step, lambda: jax.tree.map(jnp.copy, first)

    def difference(self, settings: Mapping[str, Any], built: Built, plain: Built) -> float:
        """Return how far the optimiser's moments and the loss are off after the same steps."""
        count = settings["steps_per_dispatch"]
        got, expected = built.outputs(count), plain.outputs(count)
        losses = (state.metrics.sums["loss/total"] for state in (got, expected))
        return max(difference(*losses), difference(_moments(got), _moments(expected)))


def white_banks(data: DataConfig) -> Banks:
    """Return banks of unit noise, and of noise for signals: a step takes as long over them."""
    rng, detectors = np.random.default_rng(0), len(data.detectors)
    samples = max(round(NOISE_SECONDS * data.sample_rate_hz), 2 * data.window_samples)
    stretches = [[Stretch(rng.normal(size=samples), 0)] for _ in range(detectors)]
    layout = signal_layout(data)
    shape = (SIGNALS, detectors, layout.before + layout.after)
    shapes = rng.normal(size=shape).astype(np.float32)
    norm = np.linalg.norm(shapes, axis=(1, 2), keepdims=True)
    loudness = np.full(SIGNALS, LOUDNESS, np.float32)
    signals = SignalBank(shapes / norm, np.zeros(shape[:2], np.int32), loudness)
    noise = build_noise_bank(stretches, data.window_samples)
    glitches = no_glitches(2 * data.window_samples)
    return stored(Banks(noise, signals, glitches, no_transients()), data.storage)


def _several(step: Step, count: int) -> Step:
    """Return `count` steps as one function."""
    if count == 1:
        return step

    def steps(state: TrainState, banks: Any) -> TrainState:
        return jax.lax.scan(lambda s, _: (step(s, banks), None), state, None, length=count)[0]

    return steps


def _moments(state: TrainState) -> list[jax.Array]:
    leaves = jax.tree.leaves(state.opt_state)
    return [leaf for leaf in leaves if jnp.issubdtype(leaf.dtype, jnp.floating)]
