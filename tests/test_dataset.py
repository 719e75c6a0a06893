"""Banks and what is drawn from them."""

import dataclasses
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import tiny

from ligo_cpc_snn.config.data_schema import Source
from ligo_cpc_snn.dataset.banks import (
    Banks,
    SignalBank,
    Stretch,
    build_noise_bank,
    no_glitches,
    no_transients,
)
from ligo_cpc_snn.dataset.build import BankError, build_banks, plan_banks, plan_synthetic
from ligo_cpc_snn.dataset.load import load_noise
from ligo_cpc_snn.dataset.negatives import Shares
from ligo_cpc_snn.dataset.noise import synthetic_noise
from ligo_cpc_snn.dataset.recorded import real_noise
from ligo_cpc_snn.dataset.sampling import Sampler, build_sampler, draw_noise
from ligo_cpc_snn.strain.segments import StrainSegment

WINDOW = 8


def ramp(start: float, size: int) -> np.ndarray:
    return np.arange(start, start + size, dtype=np.float32)


def numbered_bank():
    """Samples tell where they come from: detector, PSD and place."""
    first = [Stretch(ramp(0, 20), 0), Stretch(ramp(1000, 12), 1), Stretch(ramp(100, 9), 0)]
    second = [Stretch(ramp(5000, 15), 1), Stretch(ramp(4000, 8), 0), Stretch(ramp(9000, 3), 0)]
    return jax.device_put(build_noise_bank([first, second], WINDOW))


def test_noise_is_cropped_from_stretches_of_the_asked_psd_only():
    bank = numbered_bank()
    psd = jnp.tile(jnp.array([[0, 1], [1, 0]]), (500, 1))
    crops = np.asarray(jax.jit(lambda k: draw_noise(bank, k, psd, WINDOW))(jax.random.key(0)))
    np.testing.assert_array_equal(np.diff(crops), 1)  # never across two stretches
    begin = crops[..., 0]
    assert set(begin[::2, 0]) == {*range(0, 13), 100, 101}  # every crop, each of PSD 0
    assert set(begin[::2, 1]) == set(range(5000, 5008))
    assert set(begin[1::2, 0]) == set(range(1000, 1005))
    assert set(begin[1::2, 1]) == {4000}  # the stretch of 3 samples holds no window


def test_all_crops_are_equally_likely():
    bank = numbered_bank()
    psd = jnp.zeros((6000, 2), jnp.int32)
    crops = np.asarray(draw_noise(bank, jax.random.key(1), psd, WINDOW))
    _, counts = np.unique(crops[:, 0, 0], return_counts=True)
    assert counts.size == 15
    expected = 6000 / 15
    assert np.sum((counts - expected) ** 2 / expected) < 36  # chi-squared, 14 dof, p = 0.001


def test_a_psd_without_noise_in_one_detector_is_an_error():
    with pytest.raises(ValueError, match="detector number 1 has no noise of PSD number 1"):
        build_noise_bank(
            [[Stretch(ramp(0, 9), 0), Stretch(ramp(0, 9), 1)], [Stretch(ramp(0, 9), 0)]], WINDOW
        )
    with pytest.raises(ValueError, match="longest has 5"):
        build_noise_bank([[Stretch(ramp(0, 5), 0)]], WINDOW)


def flat_banks(signals: int = 3) -> Banks:
    noise = build_noise_bank([[Stretch(np.zeros(64, np.float32), 0)]] * 2, 16)
    strain = np.zeros((signals, 2, 24), np.float32)
    strain[:, :, 14] = 1.0  # the merger
    bank = SignalBank(strain, np.zeros((signals, 2), np.int32), np.ones(signals, np.float32))
    return jax.device_put(Banks(noise, bank, no_glitches(16), no_transients()))


def test_signals_have_the_drawn_snr_and_place():
    sampler = Sampler(400, 16, merger=14, earliest=6, latest=14, signal_fraction=0.25)
    batch = jax.jit(sampler)(flat_banks(), jax.random.key(3), 5.0, 9.0)
    assert float(batch.label.sum()) == 100
    found = np.asarray(batch.strain).max(axis=-1)
    np.testing.assert_allclose(found, np.repeat(batch.snr[:, None], 2, axis=1), rtol=1e-6)
    loud = np.asarray(batch.label) > 0
    assert np.all((batch.snr[loud] >= 5) & (batch.snr[loud] < 9))
    places = np.asarray(batch.strain)[loud, 0].argmax(axis=-1)
    assert set(places) == set(range(6, 15))


def test_decoys_are_noise_with_a_signal_in_one_detector_only():
    sampler = Sampler(400, 16, 14, 6, 14, signal_fraction=0.25, negatives=Shares(decoy=0.5))
    batch = jax.jit(sampler)(flat_banks(), jax.random.key(3), 5.0, 9.0)
    heard = np.asarray(batch.strain).max(axis=-1) > 0
    noise = np.asarray(batch.label) == 0
    assert np.all(heard[~noise])
    assert set(heard[noise].sum(axis=1)) == {0, 1}
    assert heard[noise].any(axis=1).mean() == pytest.approx(0.5, abs=0.1)
    loudness = np.asarray(batch.strain)[noise].max(axis=(1, 2))
    assert np.all(loudness < 36)
    assert loudness.max() > 20
    assert np.all(batch.snr[noise] == 0)


def test_a_batch_is_a_pure_function_of_its_key():
    sampler = Sampler(8, 16, 14, 6, 14, 0.5)
    banks = numbered_and_signals()
    one, again, other = (sampler(banks, jax.random.key(k), 5.0, 9.0) for k in (1, 1, 2))
    np.testing.assert_array_equal(one.strain, again.strain)
    assert np.any(one.strain != other.strain)


def numbered_and_signals() -> Banks:
    noise = build_noise_bank([[Stretch(ramp(0, 64), 0)], [Stretch(ramp(500, 64), 0)]], 16)
    return flat_banks()._replace(noise=noise)


def test_synthetic_banks_are_white_and_signals_of_unit_snr():
    data = tiny().data
    noise = synthetic_noise(data, 16.0, seed=1, name="train")
    banks = build_banks(noise, data, signals=64, seed=1, name="train")
    low, high = data.band_hz
    variance = (high - low) / (data.sample_rate_hz / 2)
    assert banks.noise.strain.var() == pytest.approx(variance, rel=0.1)  # soft band edges
    one, other = banks.noise.strain
    assert abs(np.corrcoef(one, other)[0, 1]) < 4 / np.sqrt(one.size)
    norm = np.sqrt((banks.signals.strain**2).sum(axis=(1, 2)))
    assert np.all(norm <= 1 + 1e-4)  # what lies before the window is cropped
    assert np.median(norm) > 0.95


def test_every_crop_of_a_signal_lies_in_the_bank():
    data = tiny().data
    noise = synthetic_noise(data, 8.0, seed=1, name="train")
    banks = build_banks(noise, data, signals=64, seed=1, name="train")
    sampler = build_sampler(data, 1)
    for place in (sampler.earliest, sampler.latest):
        start = sampler.merger - place
        assert 0 <= start <= banks.signals.strain.shape[-1] - sampler.window


def test_banks_that_do_not_fit_are_refused_before_they_are_made():
    data = tiny("data.synthetic.seconds=1e6").data
    with pytest.raises(BankError, match=r"banks need 4\d\d\d MB .*budget is 100 MB"):
        load_noise(data, seed=0, cache_dir=Path(), budget_bytes=100_000_000)


def test_the_plan_is_what_the_banks_take():
    data = tiny().data
    noise = load_noise(data, seed=0, cache_dir=Path(), budget_bytes=10**9)
    banks = build_banks(noise.training, data, signals=data.signals.bank_size, seed=0, name="train")
    assert noise.plan == plan_synthetic(data)
    assert noise.plan == plan_banks(data, noise.training, noise.validation)
    assert banks.noise.strain.nbytes == noise.plan.training_noise
    assert banks.signals.strain.nbytes == noise.plan.training_signals


def recorded(detector: str, gps: float, seconds: float, seed: int) -> StrainSegment:
    noise = np.random.default_rng(seed).standard_normal(round(seconds * 512)) * 1e-21
    return StrainSegment(detector, gps, 512, noise, f"{detector} recorded")


def real_data(**settings):
    data = tiny().data
    lengths = {"minimum_seconds": 8.0, "psd_seconds": 32.0, "block_seconds": 8}
    real = dataclasses.replace(data.real, **(lengths | settings))
    return dataclasses.replace(data, source=Source.real, real=real)


def test_recorded_noise_is_whitened_with_its_own_psd():
    quiet, loud = recorded("H1", 1000.0, 64.0, 1), recorded("L1", 1000.0, 64.0, 2)
    loud = dataclasses.replace(loud, strain=loud.strain * 30)
    noise = real_noise([quiet, loud], real_data(), {})
    for stretch in (s for block in noise.training for s in block.stretches):
        for segment in stretch.values():
            low, high = real_data().band_hz
            assert segment.strain.var() == pytest.approx((high - low) / 256, rel=0.15)


@pytest.mark.parametrize("text", ["1126259446", "a-b", "1-"])
def test_a_wrong_span_is_named(text):
    segments = [recorded(name, 1000.0, 64.0, 1) for name in ("H1", "L1")]
    with pytest.raises(ValueError, match="exclude_gps"):
        real_noise(segments, real_data(exclude_gps=[text]), {})


def test_nothing_left_is_an_error():
    with pytest.raises(BankError, match="no train noise is left"):
        build_banks([], tiny().data, signals=4, seed=0, name="train")
