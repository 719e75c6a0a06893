"""Synaptic operations: counted by hand on networks small enough for it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import tiny

from ligo_cpc_snn.evaluation.synops import count_macs, is_spiking, synaptic_operations
from ligo_cpc_snn.models.detector import Detector
from ligo_cpc_snn.search.run_weights import trained_detector
from ligo_cpc_snn.training.learner import create_learner

RATE, FRAMES, BATCH = 512, 16, 3
FRAME_RATE = RATE / 8
# Patch of 16 samples to 8 features; one mixer (3 x 8 to 8, 8 to 8); glr (8 to 24, 8 to 8); all of
# it for two detectors.
FRONT = 2 * (16 * 8 + 24 * 8 + 8 * 8 + 8 * 24 + 8 * 8)


def run(*overrides: str):
    cfg = tiny(*overrides)
    _, params = create_learner(
        cfg.model, cfg.training.infonce, detectors=2, sample_rate_hz=RATE, seed=0
    )
    made = trained_detector(cfg, params["detector"], time_offset_seconds=0.0, card={})
    detector: Detector = made.network
    strain = 3 * jax.random.normal(jax.random.key(1), (BATCH, 2, FRAMES * 8))
    return detector, jax.device_get(jax.jit(lambda x: detector(x)[0])(strain))


def count(spikes) -> float:
    """Spikes per frame of the batch's average window."""
    return float(np.sum(spikes)) / (BATCH * FRAMES)


def test_a_spike_costs_its_fan_out_and_the_front_end_all_its_weights():
    detector, found = run("model.snn.widths=[8,5]")
    got = synaptic_operations(detector, found, sample_rate_hz=RATE)
    bridge, first, second = map(count, (found.bridge_spikes, *(x.spikes for x in found.layers)))
    assert min(bridge, first, second) > 0
    assert got.accumulates == pytest.approx(FRAME_RATE * (8 * bridge + 5 * first + second))
    assert got.multiply_accumulates == pytest.approx(FRAME_RATE * FRONT)
    # The bridge has 2 x 8 channels for each of the two detectors.
    assert got.dense == pytest.approx(FRAME_RATE * (FRONT + 32 * 8 + 8 * 5 + 5))
    assert got.spikes == pytest.approx(FRAME_RATE * (bridge + first + second))
    assert got.bridge_rate_hz == pytest.approx(FRAME_RATE * bridge / 32)
    assert got.neuron_rate_hz == pytest.approx(FRAME_RATE * (first + second) / 13)


def test_a_context_that_the_bridge_does_not_read_costs_nothing():
    detector, found = run("model.bridge.input=latents")
    got = synaptic_operations(detector, found, sample_rate_hz=RATE)
    assert got.multiply_accumulates == pytest.approx(FRAME_RATE * 2 * 16 * 8)


def test_neurons_that_hear_each_other_cost_more_per_spike():
    detector, found = run("model.snn.neuron=RLIF")
    got = synaptic_operations(detector, found, sample_rate_hz=RATE)
    bridge, first = count(found.bridge_spikes), count(found.layers[0].spikes)
    assert first > 0
    assert got.accumulates == pytest.approx(FRAME_RATE * (8 * bridge + (8 + 1) * first))
    assert got.dense == pytest.approx(FRAME_RATE * (FRONT + 32 * 8 + 8 * 8 + 8))


def test_without_a_bridge_the_first_layer_multiplies():
    detector, found = run("model.bridge.kind=none")
    got = synaptic_operations(detector, found, sample_rate_hz=RATE)
    graded = np.count_nonzero(found.bridge_spikes) / (BATCH * FRAMES)
    assert got.multiply_accumulates == pytest.approx(FRAME_RATE * (FRONT + 8 * graded))
    assert got.accumulates == pytest.approx(FRAME_RATE * count(found.layers[0].spikes))
    assert got.bridge_rate_hz is None
    assert got.neuron_rate_hz is not None


def test_a_silent_network_takes_no_synaptic_operation():
    detector, found = run()
    silent = found._replace(
        bridge_spikes=np.zeros_like(found.bridge_spikes),
        layers=[x._replace(spikes=np.zeros_like(x.spikes)) for x in found.layers],
    )
    got = synaptic_operations(detector, silent, sample_rate_hz=RATE)
    assert (got.accumulates, got.spikes, got.neuron_rate_hz) == (0, 0, 0)
    assert got.multiply_accumulates == pytest.approx(FRAME_RATE * FRONT)


def test_a_head_of_graded_numbers_multiplies_what_is_not_zero():
    """A non-spiking head of the same shape: half of its activations are zero."""
    detector, found = run("model.snn.widths=[8]")
    half = np.zeros_like(found.layers[0].spikes)
    half[..., ::2] = 0.3
    graded = found._replace(layers=[found.layers[0]._replace(spikes=half)])
    got = synaptic_operations(detector, graded, sample_rate_hz=RATE)
    assert got.neuron_rate_hz is None
    assert got.multiply_accumulates == pytest.approx(FRAME_RATE * (FRONT + 4))
    assert got.accumulates == pytest.approx(FRAME_RATE * 8 * count(found.bridge_spikes))


@pytest.mark.parametrize("kind", ["gru", "conv"])
def test_the_number_does_not_depend_on_the_length(kind):
    detector, found = run(f"model.context.kind={kind}")
    got = synaptic_operations(detector, found, sample_rate_hz=RATE).multiply_accumulates
    short = found._replace(
        frame_logits=found.frame_logits[:, :4],
        bridge_spikes=found.bridge_spikes[:, :4],
        layers=[x._replace(spikes=x.spikes[:4]) for x in found.layers],
    )
    again = synaptic_operations(detector, short, sample_rate_hz=RATE).multiply_accumulates
    assert got == pytest.approx(again)
    mixers = 6 * (24 * 8 + 8 * 8) if kind == "conv" else 24 * 8 + 8 * 8
    recurrence = 8 * 8 if kind == "conv" else 2 * 8 * 24
    assert got == pytest.approx(FRAME_RATE * 2 * (16 * 8 + mixers + recurrence))


def test_macs_of_products_convolutions_loops_and_branches():
    weight, x = jnp.ones((4, 6)), jnp.ones((5, 4))

    def macs(function, *arguments) -> int:
        return count_macs(jax.make_jaxpr(function)(*arguments))

    assert macs(lambda x: x @ weight, x) == 5 * 4 * 6
    assert macs(jax.jit(lambda x: (x @ weight) @ weight.T + x), x) == 2 * 5 * 4 * 6
    scanned = macs(lambda x: jax.lax.scan(lambda c, _: (c @ weight @ weight.T, 0), x, None, 7), x)
    assert scanned == 7 * 2 * 5 * 4 * 6
    branches = macs(
        lambda x: jax.lax.cond(
            x[0, 0] > 0, lambda: x @ weight, lambda: x[:, :6] @ jnp.ones((4, 6)) @ jnp.ones((6, 6))
        ),
        x,
    )
    assert branches == 5 * 4 * 6 + 5 * 6 * 6
    lines, kernel = jnp.ones((1, 3, 20)), jnp.ones((8, 3, 5))
    convolved = macs(lambda x: jax.lax.conv(x, kernel, (1,), "VALID"), lines)
    assert convolved == 16 * 8 * 3 * 5
    with pytest.raises(ValueError, match="unknown length"):
        macs(
            lambda x: jax.lax.while_loop(lambda c: c[0, 0] < 9, lambda c: c @ jnp.ones((4, 4)), x),
            x,
        )


def test_spikes_are_told_from_graded_numbers():
    assert is_spiking(np.array([[0.0, 1.0, -1.0]]))
    assert not is_spiking(np.array([0.0, 0.5]))
