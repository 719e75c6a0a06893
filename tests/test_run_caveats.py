"""What a run says of its own numbers: above all when its detector is none."""

from types import SimpleNamespace

import numpy as np
import pytest
from tiny import tiny

from ligo_cpc_snn.evaluation.efficiency import detection_metrics
from ligo_cpc_snn.wiring import finish

DATA = SimpleNamespace(noise=SimpleNamespace(validation=[SimpleNamespace(seconds=512.0)] * 2))
SNRS = [5.0, 20.0]


def caveats(louder: tuple[float, float], caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the caveats of scores that are so much louder than noise at each SNR."""
    rng = np.random.default_rng(5)
    signals = rng.normal(size=(2, 200)) + np.array(louder)[:, None]
    measured = detection_metrics(rng.normal(size=400), signals, SNRS, [0.1])
    caplog.clear()
    return finish.caveats(tiny(), DATA, {"detection": measured.to_dict()})


def test_a_detector_that_learned_nothing_is_called_so(caplog):
    chance, noise = caveats((0.0, 0.0), caplog)
    assert chance.startswith("this detector does not tell signals from noise: its AUC at SNR 20 is")
    assert chance in caplog.text
    assert chance.endswith("train it longer")
    assert "drawn from 1024 s of held-out noise" in noise
    inverted, _ = caveats((-1.0, -1.0), caplog)
    assert inverted.endswith("and 0.5 is chance: its sign is turned")


@pytest.mark.parametrize("louder", [(0.0, 3.0), (1.0, 1.0)])
def test_one_that_finds_anything_is_not(louder, caplog):
    (noise,) = caveats(louder, caplog)
    assert "held-out noise" in noise
    assert caplog.text == ""
