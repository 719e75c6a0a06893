"""Energies: by hand, from counts and the energies of one operation."""

import jax
import numpy as np
import pytest
from exported import detector_of

from ligo_cpc_snn.config.model_schema import BridgeInput, BridgeKind, Neuron
from ligo_cpc_snn.evaluation.energy import ENERGIES, Arithmetic, energy
from ligo_cpc_snn.evaluation.synops import synaptic_operations

RATE, FRAME_RATE = 256, 32
PATCH, CONTEXT = 16 * 4, 3 * 4 * 4 + 4 * 4 + 4 * 12 + 4 * 4  # of one detector, per frame


def counted(**model):
    network = detector_of(**model).network
    strain = 3 * jax.random.normal(jax.random.key(1), (2, 2, 64 * 8))
    found = jax.device_get(jax.jit(lambda x: network(x)[0])(strain))
    return network, synaptic_operations(network, found, sample_rate_hz=RATE)


def test_a_spike_costs_an_addition_and_a_number_a_product_too():
    network, operations = counted()
    assert operations.accumulates > 0
    found = energy(network, operations, sample_rate_hz=RATE)
    macs = FRAME_RATE * 2 * (PATCH + CONTEXT)
    updates = FRAME_RATE * (6 + 5 + 1)
    assert found.front_end_macs == pytest.approx(macs)
    assert found.front_end_watts == pytest.approx(4.6e-12 * macs)
    assert found.head_watts == pytest.approx(0.9e-12 * operations.accumulates + 4.6e-12 * updates)
    assert found.watts == pytest.approx(found.front_end_watts + found.head_watts)


def test_a_context_that_nothing_looks_at_costs_nothing():
    network, operations = counted(bridge__input=BridgeInput.latents)
    found = energy(network, operations, sample_rate_hz=RATE)
    assert found.front_end_macs == pytest.approx(FRAME_RATE * 2 * PATCH)
    assert found.head_macs == pytest.approx(0, abs=1e-3)


def test_a_graded_head_multiplies():
    network, operations = counted(neuron=Neuron.none, bridge__kind=BridgeKind.none)
    found = energy(network, operations, sample_rate_hz=RATE)
    assert found.accumulates == 0
    assert found.head_macs > 0
    assert found.head_watts > 4.6e-12 * found.head_macs


def test_eight_bits_cost_less():
    network, operations = counted()
    of_int8 = energy(
        network, operations, sample_rate_hz=RATE, front=Arithmetic.int8, head=Arithmetic.int8
    )
    assert of_int8.watts < energy(network, operations, sample_rate_hz=RATE).watts
    leaks = 4.6e-12 * FRAME_RATE * (6 + 5 + 1)  # in float32 whatever the synapses are
    assert of_int8.head_watts == pytest.approx(0.1e-12 * operations.accumulates + leaks)
    ratio = ENERGIES[Arithmetic.float32].multiply_add / ENERGIES[Arithmetic.int8].multiply_add
    assert ratio == pytest.approx(4.6 / 0.3)
    assert np.isfinite(list(of_int8.to_dict().values())).all()
