"""Efficiency curves: interpolation, refusals and the shape of metrics.json."""

import json

import numpy as np
import pytest

from ligo_cpc_snn.evaluation.efficiency import detection_metrics, snr_at

SNRS = [4.0, 8.0, 12.0]


def _scores() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    shifts = np.array([0.0, 2.0, 6.0])[:, None]
    return rng.normal(size=2000), rng.normal(size=(3, 500)) + shifts


def test_metrics_survive_json_and_agree_with_counting() -> None:
    noise, signals = _scores()
    measured = detection_metrics(noise, signals, SNRS, [0.1, 0.01])
    saved = json.loads(json.dumps(measured.to_dict(), allow_nan=False))
    assert saved["noise_windows"] == 2000
    assert saved["signal_windows"] == 500
    for curve in saved["efficiency"]:
        threshold = curve["threshold"]["value"]
        values = [rate["value"] for rate in curve["rates"]]
        np.testing.assert_allclose(values, np.mean(signals > threshold, axis=1))
        assert SNRS[0] < curve["snr_50"] < SNRS[2]
    assert saved["efficiency"][1]["snr_50"] > saved["efficiency"][0]["snr_50"]


def test_unresolved_rate_is_listed_with_its_reason() -> None:
    measured = detection_metrics(*_scores(), SNRS, [0.1, 1e-3])
    assert [curve.threshold.nominal_rate for curve in measured.efficiency] == [0.1]
    assert "10000 or more" in measured.refused["0.001"]


@pytest.mark.parametrize(
    "rates, expected",
    [
        ([0.0, 0.4, 0.8], 9.0),
        ([0.5, 0.6, 0.8], 4.0),
        ([0.0, 0.1, 0.5], 12.0),
        ([0.6, 0.7, 0.8], None),
        ([0.0, 0.1, 0.2], None),
        ([0.5, 0.5, 0.5], None),
    ],
)
def test_snr_of_half_efficiency(rates: list[float], expected: float | None) -> None:
    assert snr_at(0.5, SNRS, rates) == (expected if expected is None else pytest.approx(expected))


def test_wrong_shapes_and_order_are_errors() -> None:
    noise, signals = _scores()
    with pytest.raises(ValueError, match=r"shape \(3, 500\) for 2 SNRs"):
        detection_metrics(noise, signals, SNRS[:2], [0.1])
    with pytest.raises(ValueError, match="strictly increasing"):
        detection_metrics(noise, signals, SNRS[::-1], [0.1])
