"""Spike statistics of hand-made rasters."""

import numpy as np
import pytest

from ligo_cpc_snn.evaluation.spikes import spike_statistics


def test_rates_and_faulty_neurons() -> None:
    spikes = np.zeros((2, 10, 4))
    spikes[..., 1] = 1
    spikes[:, :3, 2] = -1
    found = spike_statistics(spikes, frame_rate_hz=100.0)
    assert found.rate == pytest.approx((1 + 0.3) / 4)
    assert found.rate_hz == pytest.approx(32.5)
    assert found.silent_fraction == 0.5
    assert found.saturated_fraction == 0.25
    assert (found.neurons, found.fault) == (4, None)


@pytest.mark.parametrize("value, fault", [(0, "silent"), (1, "saturated")])
def test_a_layer_out_of_range_is_a_fault(value: int, fault: str) -> None:
    assert spike_statistics(np.full((5, 3), value)).fault == fault


@pytest.mark.parametrize(
    "spikes, message",
    [
        (np.full((4, 2), 0.5), "graded latents"),
        (np.full((4, 2), np.nan), "from nan to nan"),
        (np.zeros((0, 2)), r"shape \(0, 2\)"),
        (np.zeros(3), r"shape \(3,\)"),
    ],
)
def test_unusable_spikes_are_named(spikes: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        spike_statistics(spikes)
