"""What takes the place of plain noise, and what a batch was without it."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import tiny

from ligo_cpc_snn.config.data_schema import GlitchConfig
from ligo_cpc_snn.config.errors import ConfigError
from ligo_cpc_snn.dataset.banks import (
    Banks,
    GlitchBank,
    HardCrops,
    SignalBank,
    Stretch,
    Transients,
    build_noise_bank,
    no_glitches,
    no_transients,
)
from ligo_cpc_snn.dataset.negatives import Shares
from ligo_cpc_snn.dataset.sampling import (
    Sampler,
    build_sampler,
    draw_noise_windows,
    gather_noise,
)

WINDOW, BATCH = 16, 800
SIGNALS = 7


def banks(glitches: bool = False, transients: bool = False) -> Banks:
    """Noise of two PSDs whose samples tell where they lie; signals that are silent."""
    ramp = np.arange(160.0, dtype=np.float32)
    ramps = [[Stretch(ramp[:100] + d, 0), Stretch(ramp[100:] + d, 1)] for d in (0, 1000)]
    psd = np.tile(np.arange(SIGNALS, dtype=np.int32)[:, None] % 2, (1, 2))
    snr = np.linspace(4.0, 40.0, SIGNALS, dtype=np.float32)
    signals = SignalBank(np.zeros((SIGNALS, 2, 24), np.float32), psd, snr)
    return Banks(
        build_noise_bank(ramps, WINDOW),
        signals,
        some_glitches() if glitches else no_glitches(2 * WINDOW),
        some_transients() if transients else no_transients(),
    )


def some_glitches() -> GlitchBank:
    """One sample each, at the middle: of detector 0 with PSD 1, of detector 1 with PSD 0."""
    strain = np.zeros((2, 2 * WINDOW), np.float32)
    strain[:, WINDOW] = 1.0
    return GlitchBank(strain, np.array([0, 1], np.int32), np.array([1, 0], np.int32))


def some_transients() -> Transients:
    """At sample 50 of detector 0 and sample 120 of detector 1."""
    detector, at = np.array([0, 1], np.int32), np.array([50, 120], np.int32)
    return Transients(detector, at - WINDOW + 3, at - 2)


def sampler(shares: Shares, fraction: float = 0.25, **settings) -> Sampler:
    return Sampler(BATCH, WINDOW, 14, 6, 14, fraction, shares, **settings)


def draw(shares: Shares, made: Banks, hard: HardCrops | None = None, **settings):
    sample = jax.jit(sampler(shares, **settings))
    return sample(made, jax.random.key(5), 5.0, 9.0, hard)


def starts(strain: jax.Array) -> np.ndarray:
    """Return where the crops begin, of noise without glitches."""
    return np.asarray(strain)[..., 0].astype(int) - np.array([0, 1000])


def likely(count: int, share: float, of: int) -> bool:
    """Whether a binomial count is within four standard deviations."""
    return abs(count - share * of) < 4 * np.sqrt(of * share * (1 - share)) + 1e-9


def test_without_shares_a_batch_is_what_it_always_was():
    """The numbers of the first sampler, worked out by hand: old runs are repeated bit by bit."""
    made, key = banks(), jax.random.key(5)
    of_numbers, of_noise, of_snr, _ = jax.random.split(key, 4)
    index = np.asarray(jax.random.bits(of_numbers, (2, BATCH)))[0] % SIGNALS
    crops = {0: (100 - WINDOW + 1, 0), 1: (60 - WINDOW + 1, 100)}
    number, first = np.array([crops[int(p)] for p in index % 2]).T
    bits = np.asarray(jax.random.bits(of_noise, (BATCH, 2)))
    expected = bits % number[:, None].astype(np.uint32) + first[:, None]
    batch = draw(Shares(), made)
    np.testing.assert_array_equal(starts(batch.strain), expected)
    snr = jax.random.uniform(of_snr, (BATCH,), jnp.float32, 5.0, 9.0)
    np.testing.assert_array_equal(batch.snr, snr * batch.label)


def test_a_synthetic_glitch_is_in_one_detector_with_the_drawn_snr_and_psd():
    made = banks(glitches=True)
    noiseless = made._replace(noise=made.noise._replace(strain=made.noise.strain * 0))
    shares = Shares(synthetic=0.4, snr_min=8.0, snr_max=80.0)
    batch, quiet = draw(shares, made), draw(shares, noiseless)
    heard = np.asarray(quiet.strain).max(axis=-1)
    noise = np.asarray(batch.label) == 0
    assert not heard[~noise].any()
    assert np.all((heard > 0).sum(axis=1) <= 1)
    glitch = heard.any(axis=1)
    assert likely(glitch.sum(), 0.4, noise.sum())
    assert likely((heard[:, 0] > 0).sum(), 0.5, glitch.sum())
    loud = heard[glitch].max(axis=1)
    assert np.all((loud >= 8 * (1 - 1e-5)) & (loud < 80))
    assert likely((loud < np.sqrt(8 * 80)).sum(), 0.5, loud.size)  # log-uniform
    places = np.asarray(quiet.strain)[glitch].max(axis=1).argmax(axis=-1)
    assert set(places) == set(range(WINDOW))
    # The noise has the PSD of the glitch: of detector 0's it is number 1, from 100 on.
    begin = starts(jnp.asarray(batch.strain) - quiet.strain)
    assert np.all(begin[heard[:, 0] > 0] >= 100)
    assert np.all(begin[heard[:, 1] > 0] < 100)


def test_a_real_transient_lies_inside_the_window_of_one_detector():
    made = banks(transients=True)
    plain, batch = draw(Shares(), made), draw(Shares(real=0.5), made)
    was, begin = starts(plain.strain), starts(batch.strain)
    noise = np.asarray(batch.label) == 0
    np.testing.assert_array_equal(begin[~noise], was[~noise])
    moved = (begin != was) & noise[:, None]
    assert moved.sum(axis=1).max() == 1
    # A few transients are where the plain crop was.
    assert likely(moved.any(axis=1).sum(), 0.5, noise.sum())
    for detector, at in ((0, 50), (1, 120)):
        found = begin[moved[:, detector], detector]
        assert set(found) == set(range(at - WINDOW + 3, at - 1))


def test_hard_crops_are_rows_of_the_bank_once_there_are_any():
    rows = np.array([[3, 9], [101, 122], [40, 41], [0, 0]], np.int32)
    made, shares = banks(), Shares(hard=0.3)
    was = starts(draw(Shares(), made).strain)
    hard = HardCrops(rows, np.array(3, np.int32))
    batch = draw(shares, made, hard)
    begin, noise = starts(batch.strain), np.asarray(batch.label) == 0
    changed = (begin != was).any(axis=1)
    assert not changed[~noise].any()
    assert likely(changed.sum(), 0.3, noise.sum())
    assert {tuple(row) for row in begin[changed]} == {(3, 9), (101, 122), (40, 41)}
    for empty in (None, hard._replace(filled=np.array(0, np.int32))):
        np.testing.assert_array_equal(starts(draw(shares, made, empty).strain), was)


def test_all_kinds_together_exclude_each_other_and_are_labelled_noise():
    made = banks(glitches=True, transients=True)
    signals = made.signals._replace(strain=np.full((SIGNALS, 2, 24), 0.5, np.float32))
    made = made._replace(signals=signals)
    hard = HardCrops(np.array([[7, 7]], np.int32), np.array(1, np.int32))
    shares = Shares(decoy=0.25, synthetic=0.25, real=0.25, hard=0.25)
    batch = draw(shares, made, hard, fraction=0.1)
    label, snr = np.asarray(batch.label), np.asarray(batch.snr)
    assert label.sum() == BATCH / 10
    assert np.all(snr[label == 0] == 0)
    assert np.all(snr[label == 1] >= 5)
    ramp = np.diff(np.asarray(batch.strain), axis=-1)
    glitch = (np.abs(ramp - 1) > 1e-3).any(axis=(1, 2))  # a step in the ramp
    # A decoy is a half times its SNR in one detector, so that its samples are not whole.
    decoy = ~glitch & (np.abs(np.asarray(batch.strain) % 1) > 1e-3).any(axis=(1, 2)) & (label == 0)
    begin = np.round(np.asarray(batch.strain)[..., 0]).astype(int) - np.array([0, 1000])
    is_hard = (begin == 7).all(axis=1) & ~glitch & (label == 0)
    for kind in (glitch, decoy, is_hard):
        assert likely(kind.sum(), 0.25, (label == 0).sum())
    with pytest.raises(ValueError, match=r"decoy_fraction=0.5 .*real_fraction=0.6.*at most 1"):
        Shares(decoy=0.5, real=0.6)


def test_empty_banks_cost_nothing():
    shares = Shares(synthetic=0.3, real=0.3, hard=0.3)
    made, key = banks(), jax.random.key(0)
    program = str(jax.make_jaxpr(sampler(shares))(made, key, 5.0, 9.0))
    full = str(jax.make_jaxpr(sampler(shares))(banks(True, True), key, 5.0, 9.0))
    plain = str(jax.make_jaxpr(sampler(Shares()))(made, key, 5.0, 9.0))
    assert program.count("gather") == plain.count("gather") < full.count("gather")
    assert "callback" not in full
    assert "fft" not in full


def test_signals_of_a_population_are_as_loud_as_their_distance_makes_them():
    made = banks()
    made.signals.strain[...] = 1.0
    batch = draw(Shares(), made, population=True)
    index = np.asarray(jax.random.bits(jax.random.split(jax.random.key(5), 4)[0], (2, BATCH)))[0]
    expected = made.signals.snr[index % SIGNALS] * np.asarray(batch.label)
    np.testing.assert_array_equal(batch.snr, expected)
    added = np.asarray(batch.strain) - np.asarray(draw(Shares(), made, fraction=0.0).strain)
    np.testing.assert_allclose(added[:, 0].mean(axis=-1), expected, atol=1e-3)


@pytest.mark.parametrize("storage", [jnp.bfloat16, jnp.float16])
def test_banks_stored_in_halves_give_the_same_batch_to_their_precision(storage):
    made, rng = banks(True, True), np.random.default_rng(0)
    noise = rng.standard_normal(made.noise.strain.shape).astype(np.float32)
    signals = rng.standard_normal(made.signals.strain.shape).astype(np.float32) / 7
    made = made._replace(
        noise=made.noise._replace(strain=noise), signals=made.signals._replace(strain=signals)
    )
    halves = Banks(
        *(part._replace(strain=part.strain.astype(storage)) for part in made[:3]), made.transients
    )
    shares = Shares(decoy=0.2, synthetic=0.2, real=0.2)
    batch, half = draw(shares, made), draw(shares, halves)
    mined, _ = draw_noise_windows(halves.noise, jax.random.key(0), WINDOW, 2)
    assert half.strain.dtype == mined.dtype == jnp.float32
    np.testing.assert_array_equal(half.snr, batch.snr)
    precision = float(jnp.finfo(storage).eps)
    largest = 1 + np.abs(np.asarray(batch.strain)).max()
    error = np.abs(np.asarray(half.strain - batch.strain)).max()
    assert 0 < error < precision * largest


def test_noise_windows_to_mine_are_of_one_psd_and_all_equally_likely():
    noise = jax.device_put(banks().noise)
    mined = jax.jit(lambda key: draw_noise_windows(noise, key, WINDOW, 13000))
    strain, begin = mined(jax.random.key(1))
    np.testing.assert_array_equal(starts(strain), begin)
    np.testing.assert_array_equal(gather_noise(noise, begin, WINDOW), strain)
    begin = np.asarray(begin)
    assert np.all((begin[:, 0] >= 100) == (begin[:, 1] >= 100))
    for column in begin.T:
        _, counts = np.unique(column, return_counts=True)
        assert counts.size == 85 + 45
        assert np.sum((counts - 100) ** 2 / 100) < 180  # 129 dof, p = 0.002


def test_the_sampler_of_a_run_takes_its_shares_and_that_of_evaluation_none():
    data = tiny("data.signals.decoy_fraction=0.1", "data.signals.loudness=population").data
    glitches = GlitchConfig(synthetic_fraction=0.2, real_fraction=0.3, hard_fraction=0.4)
    data = replace(data, glitches=glitches)
    made = build_sampler(data, 4)
    assert made.negatives == Shares(0.1, 0.2, 0.3, 0.4, glitches.snr_min, glitches.snr_max)
    assert made.population
    evaluation = build_sampler(data, 4, signal_fraction=1.0)
    assert not evaluation.negatives.any
    assert not evaluation.population


def test_glitches_too_short_to_be_placed_anywhere_are_named():
    made = banks(glitches=True)
    made = made._replace(glitches=made.glitches._replace(strain=np.zeros((2, 20), np.float32)))
    with pytest.raises(ValueError, match="20 samples in the bank: expected at least 32"):
        draw(Shares(synthetic=0.5), made)


@pytest.mark.parametrize(
    "overrides, message",
    [
        (("data.signals.decoy_fraction=0.5", "data.glitches.real_fraction=0.6"), "at most 1"),
        (("data.glitches.synthetic_fraction=0.1", "data.glitches.families=[]"), "one or more"),
    ],
)
def test_shares_that_cannot_be_are_refused_by_the_config(overrides, message):
    with pytest.raises(ConfigError, match=f"data.glitches.*{message}"):
        tiny(*overrides)


def test_steps_take_the_signals_in_turn_and_none_twice():
    """Two signals a batch of eight, a bank of ten: five steps show each, the sixth begins anew."""
    strain = np.zeros((10, 2, 24), np.float32)
    strain[:, :, 14] = np.arange(1, 11)[:, None]
    psd = np.zeros((10, 2), np.int32)
    silent = build_noise_bank([[Stretch(np.zeros(64, np.float32), 0)]] * 2, WINDOW)
    bank = SignalBank(strain, psd, np.ones(10, np.float32))
    made = Banks(silent, bank, no_glitches(2 * WINDOW), no_transients())
    compose = jax.jit(Sampler(8, WINDOW, 14, 6, 14, 0.25))
    shown = []
    for step in range(6):
        batch = compose(made, jax.random.key(step), 1.0, 1.0, step=jnp.int32(step))
        shown.append(np.asarray(batch.strain).max(axis=(1, 2))[np.asarray(batch.label) > 0])
    assert sorted(np.concatenate(shown[:5])) == list(range(1, 11))
    np.testing.assert_array_equal(shown[5], shown[0])
