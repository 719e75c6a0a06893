"""Accumulated equals full batch: loss, gradient and three updates, in float64."""

from functools import lru_cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from ligo_cpc_snn.config.model_schema import BridgeKind, ModelConfig
from ligo_cpc_snn.config.schema import (
    InfoNceConfig,
    Negatives,
    OptimiserConfig,
    PhaseConfig,
    TrainingConfig,
)
from ligo_cpc_snn.training.accumulation import Accumulated, accumulate, micro_batch_sizes
from ligo_cpc_snn.training.learner import compute_terms, create_learner
from ligo_cpc_snn.training.optimiser import build_optimiser
from ligo_cpc_snn.training.step import batch_gradient, draw_randomness
from ligo_cpc_snn.types import Batch

BATCH, SAMPLES = 16, 512
TOLERANCE = 1e-9
PHASE = PhaseConfig(steps=3, infonce_weight=0.7, detection_weight=1.0, rate_weight=0.5)


def small_model() -> ModelConfig:
    model = ModelConfig()
    model.encoder.features = model.context.features = 8
    model.context.dilations = [1, 2]
    model.snn.widths = [12, 10]
    return model


def training(negatives: Negatives, parts: int) -> TrainingConfig:
    infonce = InfoNceConfig(steps=3, features=6, negatives=negatives, anchors=5)
    return TrainingConfig(
        batch_size=BATCH, accumulation=parts, infonce=infonce, finetune=PHASE, target_rate=0.05
    )


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


def loud_batch() -> Batch:
    noise, amplitude = jax.random.split(jax.random.key(5))
    label = (jnp.arange(BATCH) % 2).astype(float)
    strain = jax.random.normal(noise, (BATCH, 2, SAMPLES))
    chirp = jnp.sin(jnp.linspace(0, 9, SAMPLES) ** 2)
    snr = jax.random.uniform(amplitude, (BATCH,), minval=8.0, maxval=20.0)
    return Batch(strain + 0.2 * (label * snr)[:, None, None] * chirp, label, snr)


@lru_cache
def compiled(negatives: Negatives, parts: int, bridge: BridgeKind):
    """Compile once per case: the tests below take many gradients."""
    model, cfg = small_model(), training(negatives, parts)
    model.bridge.kind = bridge
    structure, params = create_learner(model, cfg.infonce, detectors=2, sample_rate_hz=512, seed=3)
    run = jax.jit(partial(batch_gradient, structure, phase=PHASE, cfg=cfg))
    return run, jax.tree.map(lambda x: x.astype(jnp.float64), params)


def gradients(
    negatives: Negatives, parts: int, params=None, bridge=BridgeKind.temporal_contrast
) -> tuple[Accumulated, dict]:
    run, initial = compiled(negatives, parts, bridge)
    params = initial if params is None else params
    return run(params, loud_batch(), jax.random.key(11)), params


def assert_same(a, b) -> None:
    """All leaves agree to TOLERANCE, relative to the largest of each leaf."""
    assert jax.tree.structure(a) == jax.tree.structure(b)
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_allclose(x, y, rtol=TOLERANCE, atol=TOLERANCE)


@pytest.mark.parametrize("negatives", Negatives)
@pytest.mark.parametrize("parts", [2, 3, 4, 7])
def test_loss_and_gradient_equal_the_full_batch(negatives, parts):
    full, _ = gradients(negatives, 1)
    split, _ = gradients(negatives, parts)
    assert all(np.abs(x).max() > 0 for x in jax.tree.leaves(full.gradient["detector"]["encoder"]))
    assert_same(full, split)


@pytest.mark.parametrize("negatives", Negatives)
def test_three_updates_equal_the_full_batch(negatives):
    def three_updates(parts: int):
        optimiser = build_optimiser(OptimiserConfig(warmup_steps=1), PHASE)
        params, opt_state = None, None
        for _ in range(3):
            got, params = gradients(negatives, parts, params)
            opt_state = optimiser.init(params) if opt_state is None else opt_state
            updates, opt_state = optimiser.update(got.gradient, opt_state, params)
            params = optax.apply_updates(params, updates)
        return params

    full = three_updates(1)
    for parts in (2, 3, 4, 7):
        assert_same(full, three_updates(parts))


@pytest.mark.parametrize("negatives", Negatives)
def test_stochastic_spikes_do_not_depend_on_the_micro_batches(negatives):
    full, _ = gradients(negatives, 1, bridge=BridgeKind.rate)
    split, _ = gradients(negatives, 3, bridge=BridgeKind.rate)
    assert_same(full, split)


def test_sizes_differ_by_one_and_hold_every_example():
    for parts in range(1, BATCH + 1):
        sizes = [size for number, size in micro_batch_sizes(BATCH, parts) for _ in range(number)]
        assert len(sizes) == parts
        assert sum(sizes) == BATCH
        assert sizes == sorted(sizes, reverse=True)
        assert sizes[0] - sizes[-1] <= 1
    with pytest.raises(ValueError, match="accumulation=17"):
        micro_batch_sizes(BATCH, 17)


def test_batch_negatives_do_not_split_into_a_mean():
    """Treating them as a mean over micro-batches is another loss: the comparison sees it."""
    full, _ = gradients(Negatives.batch, 1)
    sequence, _ = gradients(Negatives.sequence, 1)
    with pytest.raises(AssertionError):
        assert_same(full.loss, sequence.loss)


@lru_cache
def summed_by_hand(parts: int) -> Accumulated:
    """Add equal micro-batches as a user would, before any division."""
    cfg = training(Negatives.sequence, 1)
    structure, params = create_learner(
        small_model(), cfg.infonce, detectors=2, sample_rate_hz=512, seed=3
    )
    params = jax.tree.map(lambda x: x.astype(jnp.float64), params)
    batch = loud_batch()
    randomness = draw_randomness(structure, jax.random.key(11), BATCH, SAMPLES, cfg.infonce)
    size = BATCH // parts

    @jax.jit
    def run(params, part):
        return accumulate(
            lambda p, b, keys: compute_terms(
                structure.learner(p), b, randomness._replace(keys=keys), PHASE, cfg.target_rate
            ),
            params,
            part,
            accumulation=1,
            infonce_weight=PHASE.infonce_weight,
            cfg=cfg.infonce,
        )

    total = None
    for start in range(0, BATCH, size):
        part = jax.tree.map(lambda x, s=start: x[s : s + size], (batch, randomness.keys))
        got = run(params, part)
        total = got if total is None else jax.tree.map(jnp.add, total, got)
    return total


def by_hand(parts: int, divide_gradient: float, divide_loss: float) -> Accumulated:
    """Divide what was added, with the two divisors to get wrong."""
    total = summed_by_hand(parts)
    gradient = jax.tree.map(lambda x: x / divide_gradient, total.gradient)
    return total._replace(gradient=gradient, loss=total.loss / divide_loss)


def test_the_two_well_known_mistakes_are_seen():
    full, _ = gradients(Negatives.sequence, 1)
    right = by_hand(4, divide_gradient=4, divide_loss=4)
    assert_same((full.loss, full.gradient), (right.loss, right.gradient))
    not_divided = by_hand(4, divide_gradient=1, divide_loss=4)
    with pytest.raises(AssertionError):
        assert_same(full.gradient, not_divided.gradient)
    not_scaled = by_hand(4, divide_gradient=4, divide_loss=1)
    with pytest.raises(AssertionError):
        assert_same(full.loss, not_scaled.loss)
