"""The multirate encoder: its filters are matched filters, its stream is causal and seamless."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from scipy import signal

from ligo_cpc_snn.config.model_schema import EncoderConfig, EncoderKind
from ligo_cpc_snn.models.multirate import Layout, MultirateEncoder, anti_alias, layout_of
from ligo_cpc_snn.models.multirate_filters import filters_of
from ligo_cpc_snn.signals.filter_bank import choose_templates

RATE = 1024
MERGER = 1400
SAMPLES = 1600


def config(**changes: object) -> EncoderConfig:
    settings = {"features": 3, "stride": 16, "fast_rank": 6, "slow_rank": 6, "slow_seconds": 1.0}
    return EncoderConfig(kind=EncoderKind.multirate, **(settings | changes))


def chirps(count: int) -> np.ndarray:
    """Return sweeps towards MERGER whose early part is slow, of unit norm."""
    before = (MERGER - np.arange(SAMPLES)) / RATE
    rows = []
    for i in range(count):
        phase = -2 * np.pi * 40 * (1 + 0.15 * i) * np.maximum(before, 0) ** 0.7
        envelope = np.where(before > 0, (np.maximum(before, 0) + 0.02) ** -0.25, 0)
        rows.append(envelope * np.cos(phase) * (before < 1.2))
    strain = np.stack(rows)
    return strain / np.linalg.norm(strain, axis=1, keepdims=True)


def encoder_for(templates: np.ndarray, cfg: EncoderConfig) -> tuple[MultirateEncoder, float]:
    layout = layout_of(cfg, RATE)
    encoder = MultirateEncoder(cfg, layout, channels=1, rngs=nnx.Rngs(0))
    filters, kept = filters_of(
        templates,
        end=MERGER + 16,
        layout=layout,
        fast_rank=cfg.fast_rank,
        slow_rank=cfg.slow_rank,
    )
    for name, values in filters.items():
        getattr(encoder, name)[...] = jnp.asarray(values)
    return encoder, kept


def amplitudes(encoder: MultirateEncoder, strain: np.ndarray) -> np.ndarray:
    state = encoder.initial_state(strain.shape[0])
    return np.asarray(encoder.amplitudes(jnp.asarray(strain, jnp.float32), state)[0])


def test_amplitude_of_a_template_is_its_norm_whatever_its_phase() -> None:
    templates = signal.hilbert(chirps(3), axis=1)
    encoder, kept = encoder_for(templates, config())
    assert kept == pytest.approx(1.0, abs=0.02)
    # The filters end 16 samples after the merger: so that a step ends there, begin at a frame.
    for phase in (0.0, 1.0, 2.5):
        strain = 0.1 * (templates * np.exp(1j * phase)).real
        found = amplitudes(encoder, np.pad(strain, ((0, 0), (0, 64)))[:, 8:-56])
        # 0.93: what lies between two rates and before the first second is not seen.
        for i in range(3):
            assert 0.093 < found[i, :, i].max() < 0.104


def test_noise_has_the_amplitudes_of_two_normal_numbers() -> None:
    encoder, _ = encoder_for(signal.hilbert(chirps(3), axis=1), config(stride=4, step=4))
    noise = np.random.default_rng(1).standard_normal((4, 64 * RATE))
    found = amplitudes(encoder, noise)[:, RATE:]
    # One step to a frame: Rayleigh, whose mean square is 2; the two rates overlap a little.
    np.testing.assert_allclose(np.mean(found**2, axis=(0, 1)), 2.0, rtol=0.08)


def test_chunks_give_what_the_whole_gives() -> None:
    encoder = MultirateEncoder(config(), layout_of(config(), RATE), channels=1, rngs=nnx.Rngs(1))
    strain = np.random.default_rng(2).standard_normal((2, 4096, 1)).astype(np.float32)
    whole, _ = encoder(jnp.asarray(strain), encoder.initial_state(2))
    state, parts = encoder.initial_state(2), []
    for part in np.split(strain, [16, 48, 1040, 3200], axis=1):
        latents, state = encoder(jnp.asarray(part), state)
        parts.append(latents)
    np.testing.assert_allclose(np.concatenate(parts, axis=1), whole, atol=1e-5)


def test_no_latent_sees_the_future_and_each_sees_as_far_back_as_said() -> None:
    cfg = config()
    layout = layout_of(cfg, RATE)
    encoder = MultirateEncoder(cfg, layout, channels=1, rngs=nnx.Rngs(1))
    strain = jnp.asarray(np.random.default_rng(2).standard_normal((1, 4096, 1)), jnp.float32)

    def latent(strain: jax.Array) -> jax.Array:
        return encoder(strain, encoder.initial_state(1))[0][0, 200].sum()

    seen = np.flatnonzero(np.asarray(jax.grad(latent)(strain))[0, :, 0])
    end = 201 * layout.frame
    assert seen.max() == end - 1 or seen.max() >= end - layout.frame
    assert end - seen.min() == pytest.approx(cfg.slow_seconds * RATE, abs=64)


def test_decimated_white_noise_keeps_its_variance_and_little_of_what_lies_above() -> None:
    kernel = anti_alias(4)
    assert np.sum(kernel**2) == pytest.approx(1.0)
    response = np.abs(np.fft.rfft(kernel, 4096)) ** 2
    frequency = np.fft.rfftfreq(4096) * 4  # in units of the decimated rate
    assert response[frequency > 0.75].max() < 1e-3 * response[0]


def test_templates_match_the_signals_they_were_chosen_from() -> None:
    strain = chirps(12)
    strain[5] = 0.0  # no power: left out
    few, many = choose_templates(strain, 2, 8), choose_templates(strain, 8, 8)
    assert few.templates.shape == (2, SAMPLES)
    assert many.matches.min() > few.matches.min()
    assert many.matches.max() == pytest.approx(1.0, abs=1e-4)
    np.testing.assert_allclose(np.linalg.norm(few.templates.real, axis=1), 1.0, rtol=0.01)
    np.testing.assert_allclose(np.linalg.norm(few.templates.imag, axis=1), 1.0, rtol=0.02)


def test_templates_are_lined_up() -> None:
    strain = np.repeat(chirps(1), 4, axis=0)
    strain += 1e-3 * np.random.default_rng(0).standard_normal(strain.shape)
    shifted = np.stack(
        [np.roll(row, shift) for row, shift in zip(strain, (0, 9, -7, 20), strict=True)]
    )
    lined_up = choose_templates(shifted, 4, 64).templates
    peaks = np.argmax(np.abs(lined_up), axis=1)
    assert np.ptp(peaks) <= 1


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"step": 3}, "step=3"),
        ({"slow_decimation": 6}, "slow_decimation=6"),
        ({"fast_seconds": 0.001}, "fast_seconds=0.001"),
        ({"slow_seconds": 0.1}, "slow_seconds=0.1"),
    ],
)
def test_layouts_that_do_not_fit_are_refused(changes: dict[str, float], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        layout_of(config(**changes), RATE)


def test_too_few_signals_and_joint_detectors_are_refused() -> None:
    with pytest.raises(ValueError, match=r"3 signals for 4 templates.*features"):
        choose_templates(chirps(3), 4, 8)
    with pytest.raises(ValueError, match="detectors=shared"):
        MultirateEncoder(config(), layout_of(config(), RATE), channels=2, rngs=nnx.Rngs(0))


def test_layout_counts_steps_and_phases() -> None:
    layout = Layout(frame=16, step=2, decimation=4, fast=176, slow=300)
    assert (layout.steps, layout.phases, layout.slow_frame) == (8, 2, 4)
    assert layout.past_fast % 16 == 0
    assert layout.past_slow % 4 == 0
