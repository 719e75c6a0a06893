"""The training step: compiled once, real float32, moving only what a phase trains."""

from dataclasses import replace
from itertools import cycle

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import tiny

from ligo_cpc_snn.config.model_schema import BridgeKind, ContextKind, Neuron
from ligo_cpc_snn.config.schema import Schedule, SnrRange
from ligo_cpc_snn.dataset.banks import (
    Banks,
    SignalBank,
    Stretch,
    build_noise_bank,
    no_glitches,
    no_transients,
)
from ligo_cpc_snn.dataset.sampling import build_sampler, signal_layout
from ligo_cpc_snn.rng import stream
from ligo_cpc_snn.training.learner import PARTS, create_learner
from ligo_cpc_snn.training.optimiser import (
    build_schedule,
    decay_mask,
    parameter_path,
    trained_parts,
)
from ligo_cpc_snn.training.step import PhaseFunctions, clear_metrics, snr_range


def banks_of(cfg) -> Banks:
    """White noise and chirps: the step does not care where they come from."""
    rng = np.random.default_rng(0)
    noise = [[Stretch(rng.standard_normal(4096).astype(np.float32), 0)] for _ in range(2)]
    layout = signal_layout(cfg.data)
    time = np.linspace(0, 1, layout.before + layout.after)
    chirp = np.sin(80 * time**3)[None, None] * np.ones((8, 2, 1))
    signals = (chirp / np.linalg.norm(chirp, axis=(1, 2), keepdims=True)).astype(np.float32)
    psd = np.zeros((8, 2), np.int32)
    window = cfg.data.window_samples
    bank = SignalBank(signals, psd, np.ones(8, np.float32))
    parts = build_noise_bank(noise, window), bank, no_glitches(window), no_transients()
    return jax.device_put(Banks(*parts))


def phase_of(cfg, name="finetune", banks=None, **choices):
    """Return the phase's functions, its first state and the banks."""
    structure, params = create_learner(
        cfg.model, cfg.training.infonce, detectors=2, sample_rate_hz=512, seed=0, **choices
    )
    phase, banks = getattr(cfg.training, name), banks_of(cfg) if banks is None else banks
    functions = PhaseFunctions(
        structure,
        build_sampler(cfg.data, cfg.training.batch_size),
        banks,
        phase=phase,
        cfg=cfg.training,
        key=stream(0, "training"),
    )
    state = functions.begin(params, jnp.zeros((), jnp.int32), functions.metric_names(params))
    return functions, state, banks


@pytest.mark.parametrize("name", ["pretrain", "probe", "finetune"])
def test_the_step_is_compiled_once(name):
    functions, state, banks = phase_of(tiny(), name)
    step = jax.jit(functions.step)
    for _ in range(3):
        state = step(state, banks)
    assert step._cache_size() == 1
    assert int(state.step) == 3


def test_a_weakly_typed_parameter_would_be_seen():
    """The test above can fail: a leaf made of a Python scalar is another program."""
    functions, state, banks = phase_of(tiny())
    step = jax.jit(functions.step)
    step(state, banks)
    state.params["detector"]["snn"]["readout"]["leak"]["beta"] = jnp.full((), 0.9)
    step(state, banks)
    assert step._cache_size() == 2


def primitives_and_types(jaxpr) -> tuple[set[str], set[str]]:
    names, types = set(), set()
    for equation in jaxpr.eqns:
        names.add(equation.primitive.name)
        types |= {str(v.aval.dtype) for v in equation.outvars if hasattr(v.aval, "dtype")}
        for value in equation.params.values():
            for inner in jax.tree.leaves(value, is_leaf=lambda x: hasattr(x, "eqns")):
                inner = getattr(inner, "jaxpr", inner)
                if hasattr(inner, "eqns"):
                    more = primitives_and_types(inner)
                    names, types = names | more[0], types | more[1]
    return names, types


FORBIDDEN_TYPES = {"complex64", "complex128", "float64", "int64"}


# Every choice of context, bridge and neuron, a few at a time.
CHOICES = list(zip(cycle(ContextKind), BridgeKind, Neuron, strict=False))


@pytest.mark.parametrize(("context", "bridge", "neuron"), CHOICES)
def test_the_step_has_no_complex_or_float64_number_and_no_fft(context, bridge, neuron):
    """An Apple GPU has none of them (design, decision 2)."""
    choice = [
        f"model.context.kind={context.value}",
        f"model.bridge.kind={bridge.value}",
        f"model.snn.neuron={neuron.value}",
    ]
    functions, state, banks = phase_of(tiny(*choice))
    names, types = primitives_and_types(jax.make_jaxpr(functions.step)(state, banks).jaxpr)
    assert "dot_general" in names
    assert "fft" not in names
    assert not types & FORBIDDEN_TYPES


def test_a_complex_number_inside_a_scan_would_be_seen():
    def inside(x):
        return jax.lax.scan(lambda c, y: (c, jnp.abs(jnp.fft.fft(y))), x, x[None])[1]

    names, types = primitives_and_types(jax.make_jaxpr(inside)(jnp.ones(4)).jaxpr)
    assert "fft" in names
    assert types & FORBIDDEN_TYPES


def moved(before, after) -> set[str]:
    changed = jax.tree.map(lambda a, b: bool(np.any(a != b)), before, after)
    paths = jax.tree_util.tree_leaves_with_path(changed)
    return {parameter_path(path) for path, value in paths if value}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("pretrain", {"detector.encoder", "detector.context", "heads"}),
        ("probe", {"detector.bridge", "detector.snn"}),
        (
            "finetune",
            {"detector.encoder", "detector.context", "detector.bridge", "detector.snn", "heads"},
        ),
    ],
)
def test_a_phase_moves_its_parts_and_leaves_the_rest_alone(name, expected):
    cfg = tiny("training.optimiser.warmup_steps=1")
    functions, state, banks = phase_of(cfg, name)
    step = jax.jit(functions.step)
    after = step(step(state, banks), banks)
    changed = moved(state.params, after.params)
    parts = {part for part in expected if any(path.startswith(part) for path in changed)}
    assert parts == expected
    assert all(path.startswith(tuple(expected)) for path in changed)
    assert set(trained_parts(getattr(cfg.training, name))) == expected


def test_without_contrastive_loss_the_encoder_can_still_be_trained():
    cfg = tiny("training.finetune.infonce_weight=0", "training.optimiser.warmup_steps=1")
    functions, state, banks = phase_of(cfg)
    step = jax.jit(functions.step)
    changed = moved(state.params, step(step(state, banks), banks).params)
    assert any(path.startswith("detector.encoder") for path in changed)
    assert not any(path.startswith("heads") for path in changed)


def test_metrics_are_sums_over_the_steps_since_they_were_cleared():
    functions, state, banks = phase_of(tiny())
    step = jax.jit(functions.step)
    one = step(state, banks)
    two = step(one, banks)
    assert int(two.metrics.count) == 2
    only = step(clear_metrics(one), banks)
    for name, total in two.metrics.sums.items():
        expected = float(one.metrics.sums[name]) + float(only.metrics.sums[name])
        assert float(total) == pytest.approx(expected, rel=1e-5, abs=1e-7), name
    logged = "loss/total", "loss/infonce", "gradient_norm/snn", "spike_rate/bridge", "data/snr"
    for name in logged:
        assert np.isfinite(two.metrics.sums[name])


@pytest.mark.parametrize(
    ("poison", "part"),
    [("strain", "strain"), ("encoder", "latents"), ("context", "context"), ("snn", "membranes")],
)
def test_the_first_non_finite_part_is_named_and_the_state_before_it_kept(poison, part):
    cfg = tiny()
    banks = banks_of(cfg)
    if poison == "strain":
        bad = banks.noise._replace(strain=banks.noise.strain.at[:].set(jnp.nan))
        banks = banks._replace(noise=bad)
    functions, state, banks = phase_of(cfg, banks=banks)
    if poison != "strain":
        detector = state.params["detector"]
        part_params = detector[poison]["layers"][0] if poison == "snn" else detector[poison]
        weights = {
            "encoder": lambda p: p["convs"][0]["product"],
            "context": lambda p: p["recurrence"]["project"],
            "snn": lambda p: p["product"],
        }[poison](part_params)
        weights["kernel"] = weights["kernel"].at[0].set(jnp.inf)
    before = state.params
    after = jax.jit(functions.step)(state, banks)
    assert int(after.bad_step) == 0
    assert PARTS[int(after.bad_part)] == part
    assert int(after.step) == 0
    assert not moved(before, after.params)
    again = jax.jit(functions.step)(after, banks)
    assert int(again.bad_step) == 0


def test_a_run_that_mines_no_noise_has_the_state_of_runs_before_there_was_mining():
    _, state, _ = phase_of(tiny())
    names = [jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_leaves_with_path(state)]
    assert state.hard is None
    assert not any("hard" in name for name in names)


def test_snr_goes_from_loud_to_quiet():
    snr = SnrRange(20.0, 30.0, 7.0, 20.0, ramp_begin=0.2, ramp_end=0.6)
    for fraction, expected in ((0.0, (20, 30)), (0.2, (20, 30)), (0.4, (13.5, 25)), (0.9, (7, 20))):
        got = snr_range(snr, jnp.asarray(fraction))
        np.testing.assert_allclose(got, expected, rtol=1e-5)


def test_the_curriculum_reaches_the_batches():
    functions, state, banks = phase_of(
        tiny("training.finetune.steps=1000", "training.batch_size=32")
    )
    step = jax.jit(functions.step)
    loud = float(step(state, banks).metrics.sums["data/snr"])
    late = replace_phase_step(state, 990)
    quiet = float(step(late, banks).metrics.sums["data/snr"])
    assert 20 < loud < 30
    assert 7 < quiet < 18


def replace_phase_step(state, value: int):
    return state._replace(phase_step=jnp.full((), value, jnp.int32))


def test_schedules_warm_up_and_end_as_configured():
    cfg = tiny().training
    phase = replace(cfg.finetune, steps=100, learning_rate=2e-3)
    optimiser = replace(cfg.optimiser, warmup_steps=10, final_fraction=0.1)
    cosine = build_schedule(optimiser, phase)
    assert float(cosine(0)) == 0
    assert float(cosine(10)) == pytest.approx(2e-3)
    assert float(cosine(100)) == pytest.approx(2e-4)
    constant = build_schedule(replace(optimiser, schedule=Schedule.constant), phase)
    assert float(constant(5)) == pytest.approx(1e-3)
    assert float(constant(99)) == pytest.approx(2e-3)


def test_weight_decay_acts_on_matrices_only():
    _, state, _ = phase_of(tiny())
    mask = jax.tree_util.tree_leaves_with_path(decay_mask(state.params))
    for path, decayed in mask:
        assert decayed == parameter_path(path).endswith("kernel")
    assert {decayed for _, decayed in mask} == {True, False}
