"""`ligo-benchmark data`: what it compares is the same, absent peers are told, aims are judged."""

import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from ligo_cpc_snn import benchmark
from ligo_cpc_snn.benchmarking import data, own_data
from ligo_cpc_snn.benchmarking.agreement import agreement
from ligo_cpc_snn.benchmarking.data_setting import why_absent
from ligo_cpc_snn.benchmarking.data_tables import as_markdown, as_text
from ligo_cpc_snn.benchmarking.first_batch import cold_start
from ligo_cpc_snn.config.compose import load
from ligo_cpc_snn.config.errors import ConfigError
from ligo_cpc_snn.errors import UserError

SMALL = [
    "data.sample_rate_hz=1024",
    "data.signals.bank_size=4",
    "data.signals.validation_bank_size=2",
    "data.synthetic.seconds=8",
    "data.synthetic.validation_seconds=8",
]


def rows(**per_second: float) -> list[dict]:
    return [
        {"program": name, "how": "get_td_waveform", "per_second": v, "quartiles": [v / 2, 2 * v]}
        for name, v in per_second.items()
    ]


def result(**changes) -> dict:
    machine = {"processor": "one", "host_memory_bytes": 2**30}
    first = {"first batch": 9.0, "imports and platform": 3.0, "banks": 5.0}
    measured = {
        "setting": {
            "window_seconds": 4.0, "sample_rate_hz": 2048, "detectors": ["H1", "L1"],
            "lowest_hz": 20.0, "repeats": 3, "cores": 2, "machine": machine,
        },
        "tasks": {
            "signals": rows(ligo_cpc_snn=1600.0, PyCBC=100.0, ml4gw=400.0),
            "noise": rows(ligo_cpc_snn=3000.0, PyCBC=200.0),
            "whitening of 4 s": rows(ligo_cpc_snn=10.0, gwpy=5.0),
        },
        "agreement": {"PyCBC": {"snr_difference": 0.001, "overlap": 0.9999, "same": True}},
        "absent": {},
        "first_batch": first
        | {"sampler compiled and run": 1.0, "signals": 9216, "noise seconds": 768.0},
        "versions": {"jax": "0.10"},
    } | changes  # fmt: skip
    return measured | {"missed": data.missed(measured)}


def test_reached_aims_and_missed_ones():
    assert result()["missed"] == []
    slow = {"signals": rows(ligo_cpc_snn=1000.0, PyCBC=100.0, ml4gw=400.0)}
    slow["noise"] = rows(ligo_cpc_snn=1.0, PyCBC=1.0)
    missed = result(tasks=slow)["missed"]
    assert missed[0].startswith("signals: 10.0 times PyCBC, aim 15")
    assert missed[1].startswith("signals: 2.5 times ml4gw, aim 3")
    assert missed[2].startswith("noise: 1.0 times PyCBC")
    late = result()["first_batch"] | {"first batch": 11.0}
    assert result(first_batch=late)["missed"] == ["first batch: 11.0 s, aim 10 s"]


def test_an_absent_peer_misses_nothing_and_is_told():
    alone = {"signals": rows(ligo_cpc_snn=1.0), "noise": rows(ligo_cpc_snn=1.0)}
    measured = result(tasks=alone, agreement={}, absent={"PyCBC": "pycbc is not installed"})
    assert measured["missed"] == []
    for text in (as_text(measured), as_markdown(measured)):
        assert "PyCBC left out: pycbc is not installed" in text
        assert "no peer to compare" in text


def test_other_signals_are_a_miss():
    different = {"PyCBC": {"snr_difference": 0.02, "overlap": 0.9, "same": False}}
    measured = result(agreement=different)
    assert measured["missed"] == ["PyCBC makes other signals than we do"]
    assert "within 2 % of ours" in as_text(measured)


def test_tables_hold_every_row_and_the_versions():
    text, page = as_text(result()), as_markdown(result())
    for table in (text, page):
        assert "1,600" in table
        assert "jax 0.10" in table
        assert "9216 signals and 768 s" in table
    assert "| PyCBC | get_td_waveform | 100 | 50 - 200 | 16 |" in page


def test_command_line(monkeypatch, capsys):
    asked = []

    def measure(overrides, repeats):
        asked.append((list(overrides), repeats))
        return result()

    monkeypatch.setattr(data, "measure", measure)
    assert benchmark.main(["data", "--json", "--repeats=2", "seed=3"]) == 0
    assert asked == [(["seed=3"], 2)]
    assert json.loads(capsys.readouterr().out)["setting"]["cores"] == 2
    assert benchmark.main(["data", "--markdown"]) == 0
    assert capsys.readouterr().out.startswith("# Training data, compared")
    monkeypatch.setattr(data, "measure", lambda *_: result() | {"missed": ["signals"]})
    assert benchmark.main(["data"]) == 1


def test_only_one_waveform_is_compared(capsys):
    with pytest.raises(ConfigError, match="compared on IMRPhenomD"):
        data.measure(["data.signals.approximant=IMRPhenomXAS"], 1)
    assert benchmark.main(["data", "data.sample_rate=1"]) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_why_a_peer_is_absent():
    assert why_absent("json", "numpy") is None
    reason = why_absent("json", "no_such_package_of_anyone")
    assert reason is not None
    assert "no_such_package_of_anyone is not installed: pip install" in reason


def test_agreement_sees_loudness_and_shape_but_neither_time_nor_phase():
    rng = np.random.default_rng(1)
    samples, before, after = 512, 300, 100
    envelope = np.exp(-(((np.arange(samples) - 256) / 30.0) ** 2))
    whole = envelope * np.sin(0.3 * np.arange(samples) + rng.uniform(0, 6, (3, 2, 1)))
    whole = np.roll(whole, -256, axis=-1)
    crop = np.concatenate([whole[..., -before:], whole[..., :after]], axis=-1)
    snr = np.linalg.norm(whole, axis=-1)
    same = agreement(crop / 7, snr, whole, (before, after))
    assert same.same
    assert same.overlap == pytest.approx(1.0, abs=1e-9)
    assert agreement(crop, snr, np.roll(whole, 9, -1), (before, after)).overlap > 0.999
    louder = agreement(crop, snr, 1.02 * whole, (before, after))
    assert louder.snr_difference == pytest.approx(0.02)
    assert not louder.same
    assert (
        agreement(crop + 0.2 * rng.normal(size=crop.shape), snr, whole, (before, after)).overlap
        < 0.95
    )


def test_our_makers_count_what_they_make(monkeypatch):
    monkeypatch.setattr(own_data, "SIGNALS", 2)
    monkeypatch.setattr(own_data, "SOURCES", 2)
    monkeypatch.setattr(own_data, "WINDOWS", 2)
    monkeypatch.setattr(own_data, "STRETCH_SECONDS", 16.0)
    monkeypatch.setattr(own_data, "LONG_SECONDS", 8.0)
    cfg = load([*data.SETTING, "data.sample_rate_hz=1024"]).data
    setting, strain = own_data.make_setting(cfg, 0)
    assert strain.shape == (2, 2, setting.window) == (2, 2, 4096)
    np.testing.assert_allclose(np.sum(strain.astype(float) ** 2, (1, 2)), 1, rtol=0.01)
    with ThreadPoolExecutor(2) as threads:
        (signals,) = own_data.signals(setting, cfg)
        assert signals.run()[0].shape == (signals.items, 2, setting.window)
        for noise in own_data.noise(setting, threads, 2):
            made = [x for of_thread in noise.run() for x in of_thread]
            assert sum(x.size for x in made) == noise.items * setting.window
        for seconds, found in own_data.whitening(setting, cfg, threads).items():
            kept = round((seconds - cfg.filter_seconds) * 1024)
            for whitening in found:
                assert [x.size for x in whitening.run()] == [kept] * whitening.items


def test_first_batch_comes_from_a_process_of_its_own():
    found = cold_start(["runtime.platform=cpu", *SMALL])
    parts = ("imports and platform", "banks", "sampler compiled and run")
    assert found["first batch"] == pytest.approx(sum(found[part] for part in parts))
    assert found["first batch"] <= found["whole process"]
    assert (found["signals"], found["noise seconds"]) == (6, 16)
    with pytest.raises(UserError, match="highpass"):
        cold_start(["data.highpass_hz=900", *SMALL])
