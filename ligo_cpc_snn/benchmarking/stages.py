"""The stages of a training step, as functions to be timed."""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array

from ligo_cpc_snn.config.schema import Config
from ligo_cpc_snn.dataset.banks import Banks
from ligo_cpc_snn.dataset.build import build_banks
from ligo_cpc_snn.dataset.noise import synthetic_noise
from ligo_cpc_snn.dataset.sampling import build_sampler
from ligo_cpc_snn.models.kernels import PLAIN, Kernels
from ligo_cpc_snn.rng import stream
from ligo_cpc_snn.training.learner import Params, Structure, learner_of
from ligo_cpc_snn.training.step import PhaseFunctions, TrainState
from ligo_cpc_snn.types import Strain

NOISE_SECONDS = 32.0
SIGNALS = 64

Stages = dict[str, Callable[[], Any]]


class Setting(NamedTuple):
    """A learner, banks and a batch of them."""

    cfg: Config
    structure: Structure
    params: Params
    banks: Banks
    strain: Strain
    kernels: Kernels


def prepare_setting(cfg: Config, kernels: Kernels = PLAIN) -> Setting:
    """Make a learner and small banks for a config."""
    banks = small_banks(cfg)
    structure, params = learner_of(cfg, kernels)
    sample = jax.jit(build_sampler(cfg.data, cfg.training.batch_size))
    strain = sample(banks, jax.random.key(0), 10.0, 20.0).strain
    return Setting(cfg, structure, params, banks, strain, kernels)


def small_banks(cfg: Config) -> Banks:
    """Return banks on the device: a step's time does not depend on their length."""
    noise = synthetic_noise(cfg.data, NOISE_SECONDS, cfg.seed, "benchmark")
    return jax.device_put(
        build_banks(noise, cfg.data, signals=SIGNALS, seed=cfg.seed, name="benchmark")
    )


def forward_stages(setting: Setting) -> Stages:
    """Return data, encoder, CPC (encoder and context), bridge and the whole forward pass."""
    cfg, structure, params, banks, strain, _ = setting
    sample = jax.jit(build_sampler(cfg.data, cfg.training.batch_size))
    key = jax.random.key(1)

    def encoder(params: Params, strain: Strain) -> Any:
        detector = structure.learner(params).detector
        x = strain.reshape(-1, strain.shape[-1], 1) if detector.shared else strain.swapaxes(1, 2)
        return detector.encoder(x, detector.encoder.initial_state(x.shape[0]))[0]

    def encode(params: Params, strain: Strain) -> Any:
        detector = structure.learner(params).detector
        return detector.encode(strain, detector.initial_state(strain.shape[0]))[0]

    def bridge(params: Params, representation: Any, keys: Array) -> Array:
        detector = structure.learner(params).detector
        state = detector.initial_state(strain.shape[0])
        return detector.spikes(representation, state, keys)[0]

    def forward(params: Params, strain: Strain) -> Array:
        return structure.learner(params).detector(strain)[0].frame_logits

    encode_jit, bridge_jit, forward_jit = jax.jit(encode), jax.jit(bridge), jax.jit(forward)
    encoder_jit = jax.jit(encoder)
    representation = encode_jit(params, strain)
    keys = jax.random.split(key, strain.shape[0] * structure.sequences)
    return {
        "data": lambda: sample(banks, key, 10.0, 20.0),
        "encoder": lambda: encoder_jit(params, strain),
        "cpc": lambda: encode_jit(params, strain),
        "bridge": lambda: bridge_jit(params, representation, keys),
        "forward": lambda: forward_jit(params, strain),
    }


def training_step(setting: Setting) -> tuple[Callable[[], TrainState], float]:
    """Return the joint training step, and the seconds its compilation took."""
    cfg, structure, params, banks, _, _ = setting
    phase = cfg.training.finetune
    functions = PhaseFunctions(
        structure,
        build_sampler(cfg.data, cfg.training.batch_size),
        banks,
        phase=phase,
        cfg=cfg.training,
        key=stream(cfg.seed, "benchmark"),
    )
    zero = jnp.zeros((), jnp.int32)
    names = functions.metric_names(params)
    # Compiled, so that no two leaves share a buffer: the step takes them over.
    state = jax.jit(lambda p, s: functions.begin(p, s, names))(params, zero)
    begun = time.perf_counter()
    compiled = jax.jit(functions.step, donate_argnums=0).lower(state, banks).compile()
    seconds = time.perf_counter() - begun

    def step() -> TrainState:
        nonlocal state
        state = compiled(state, banks)
        return state

    return step, seconds
