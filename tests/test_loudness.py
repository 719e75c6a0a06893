"""How much of a signal's SNR its bank keeps, and the warning where it is little."""

import logging

import jax.numpy as jnp
import numpy as np
import pytest

from ligo_cpc_snn.dataset.loudness import snr_fractions, warn_of_short_windows


def banked(fractions: list[float]) -> np.ndarray:
    """Signals in two detectors of which the bank keeps these shares."""
    shapes = np.random.default_rng(0).normal(size=(len(fractions), 2, 64))
    norms = np.linalg.norm(shapes.reshape(len(fractions), -1), axis=1)
    return (shapes * (np.array(fractions) / norms)[:, None, None]).astype(np.float32)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_fractions_are_those_of_the_network(dtype: str) -> None:
    wanted = [1.0, 0.5, 0.25]
    found = snr_fractions(jnp.asarray(banked(wanted), dtype))
    np.testing.assert_allclose(found, wanted, rtol=1e-6 if dtype == "float32" else 5e-3)


def test_half_of_the_signals_decide_whether_windows_are_short(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING):
        warn_of_short_windows(banked([0.2, 0.95, 1.0]))
        assert not caplog.messages
        warn_of_short_windows(banked([0.2, 0.61, 1.0]))
    (message,) = caplog.messages
    assert "half of the signals have less than 0.61 of their SNR in a window" in message
    assert "raise data.window_seconds" in message
