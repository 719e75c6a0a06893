"""What a run records of its data: every figure's arrays, and a chirp that whitening brings out."""

from pathlib import Path

import numpy as np
import pytest

from ligo_cpc_snn.config.compose import load
from ligo_cpc_snn.dataset import loudness
from ligo_cpc_snn.reports.figures import plots
from ligo_cpc_snn.reports.run_files import read_run
from ligo_cpc_snn.reports.theme import LIGHT, png
from ligo_cpc_snn.signals.whitened import _chunks_of_signals
from ligo_cpc_snn.strain.segments import StrainSegment
from ligo_cpc_snn.wiring.data import prepare_data
from ligo_cpc_snn.wiring.data_record import write_data_record
from ligo_cpc_snn.wiring.qtransform import write_qtransform

SMALL = [
    "data.sample_rate_hz=1024",
    "data.signals.bank_size=64",
    "data.signals.validation_bank_size=64",
    "data.synthetic.seconds=16",
    "data.synthetic.validation_seconds=8",
    "data.psd.kind=perturbed",
    "data.psd.count=2",
    "data.glitches.synthetic_fraction=0.1",
    "data.glitches.bank_size=16",
]
RATE, GPS = 1024, 1126259462.4


def test_record_of_a_run_draws_every_figure_that_it_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    cfg = load(SMALL)
    monkeypatch.setattr(loudness, "ENOUGH", 2.0)  # windows are too short for more than there is
    data = prepare_data(cfg, cache_dir=tmp_path, budget_bytes=10**9)
    assert sum("raise data.window_seconds" in message for message in caplog.messages) == 1
    made = _chunks_of_signals.cache_info()
    write_data_record(tmp_path, cfg, data)
    # The same chunks, compiled with the banks: a waveform may take minutes to compile.
    assert _chunks_of_signals.cache_info().misses == made.misses
    assert _chunks_of_signals.cache_info().hits > made.hits
    with np.load(tmp_path / "data.npz") as saved:
        arrays = dict(saved)
    assert arrays["psd_asd"].shape[:2] == (2, 2)
    assert np.all(arrays["population_mass_1"] >= arrays["population_mass_2"])
    kept = arrays["population_in_bank_snr_fraction"]
    assert kept.shape == (64,)
    assert np.all((kept > 0.8) & (kept < 1 + 1e-6))
    scaled = arrays["population_network_snr"] * arrays["population_distance"]
    assert np.corrcoef(scaled, arrays["population_chirp_mass"])[0, 1] > 0.3
    assert arrays["glitch_strain"].shape[1] == 2 * cfg.data.window_samples
    assert not arrays["transient_snr"].size  # none in simulated noise
    shown = [plot for plot in plots(read_run(tmp_path)) if plot.section == "Data"]
    assert [plot.name for plot in shown] == ["psds", "population", "glitches"]


def test_q_transform_finds_a_burst_where_it_is(tmp_path: Path) -> None:
    cfg = load(["data.sample_rate_hz=1024"])
    cfg.event.name = "GW150914"
    rng = np.random.default_rng(0)
    time = np.arange(12 * RATE) / RATE - 6.0
    burst = 5 * np.exp(-(((time + 0.1) / 0.02) ** 2)) * np.sin(2 * np.pi * 120 * time)
    loud = 1000 * np.sin(2 * np.pi * 30 * time)
    white = {
        name: StrainSegment(name, GPS - 6.0, RATE, rng.normal(size=time.size) + burst, "made")
        for name in ("H1", "L1")
    }
    raw = {
        name: StrainSegment(name, GPS - 6.0, RATE, 1e-22 * (s.strain + loud), "made")
        for name, s in white.items()
    }
    write_qtransform(tmp_path, cfg, raw, white, GPS)
    with np.load(tmp_path / "qtransform.npz") as saved:
        q = dict(saved)
    assert q["before"].shape == q["after"].shape == (2, q["times"].size, q["frequencies"].size)
    np.testing.assert_allclose(np.median(q["after"], axis=(1, 2)), 1, rtol=1e-5)
    for energy, hertz, tolerance in (("after", 120, 0.15), ("before", 30, 0.15)):
        t, f = np.unravel_index(np.argmax(q[energy][0]), q[energy][0].shape)
        assert q["frequencies"][f] == pytest.approx(hertz, rel=tolerance)
        if energy == "after":
            assert q["times"][t] == pytest.approx(-0.1, abs=0.02)
    (plot,) = [p for p in plots(read_run(tmp_path)) if p.section == "Data"]
    assert len(png(plot.draw(LIGHT))) > 5_000
