"""Weights of few bits: the law of each kind."""

import numpy as np
import pytest
from exported import detector_of
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ligo_cpc_snn.exporting.quantisation import (
    Part,
    Weights,
    int8,
    quantised_detector,
    ternary,
    weight_names,
)
from ligo_cpc_snn.search.parameters import named
from ligo_cpc_snn.search.weights import read_detector, save_detector

MATRIX = arrays(np.float32, (6, 2), elements=st.floats(-4, 4, width=32))


@settings(max_examples=25, deadline=None)
@given(MATRIX)
def test_no_other_three_levels_are_nearer(weights):
    found = ternary(weights)
    assert set(np.unique(found.integers)) <= {-1, 0, 1}
    for column in range(2):
        w = weights[:, column].astype(float)
        reached = np.sum((w - found.weights[:, column]) ** 2)
        signs = np.array(np.meshgrid(*[(-1, 0, 1)] * 6)).reshape(6, -1).T
        power = np.maximum(np.sum(signs**2, axis=1), 1)
        least = np.sum(w**2) - np.max((signs @ w) ** 2 / power)
        assert reached <= least + 1e-5 * (1 + np.sum(w**2))


@settings(max_examples=25, deadline=None)
@given(MATRIX)
def test_int8_is_within_half_a_step(weights):
    pytest.importorskip("qwix", reason="extra export")
    found = int8(weights)
    assert found.integers.dtype == np.int8
    step = np.abs(weights).max(axis=0) / 127.5
    assert np.all(np.abs(found.weights - weights) <= 0.51 * step + 1e-6)


@pytest.mark.parametrize("kind", [Weights.int8, Weights.ternary])
@pytest.mark.parametrize("part", list(Part))
def test_only_the_part_asked_for_changes(kind, part):
    if kind is Weights.int8:
        pytest.importorskip("qwix", reason="extra export")
    detector = detector_of()
    rounded = quantised_detector(detector, kind, part)
    before, after = named(detector.params), named(rounded.params)
    changed = {name for name in before if not np.array_equal(before[name], after[name])}
    chosen = weight_names(detector.params, part)
    assert changed <= chosen
    assert {"snn.layers.0.product.kernel", "snn.layers.1.product.kernel"} <= changed
    assert any(name.startswith("encoder.") for name in changed) == (part is Part.all)
    assert not any("beta" in name or "bias" in name for name in chosen)


def test_a_rounded_detector_is_a_detector_like_others(tmp_path):
    rounded = quantised_detector(detector_of(), Weights.ternary)
    again = read_detector(save_detector(tmp_path / "ternary.safetensors", rounded))
    assert again.card["quantisation"]["weights"] == "ternary"
    kernel = named(again.params)["snn.layers.0.product.kernel"]
    assert all(len(np.unique(np.abs(column))) <= 2 for column in kernel.T)


def test_float32_changes_nothing():
    detector = detector_of()
    assert quantised_detector(detector, Weights.float32) is detector
