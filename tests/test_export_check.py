"""The whole check of an exported folder as the command runs it, independent simulator included."""

import json
from dataclasses import replace

import pytest
from exported import detector_of

from ligo_cpc_snn import export
from ligo_cpc_snn.runtime import environment
from ligo_cpc_snn.search.weights import save_detector

pytest.importorskip("snntorch", reason="extra export")
pytest.importorskip("nirtorch", reason="extra export")


def test_the_command_runs_the_graph_in_an_independent_simulator(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(environment, "prepare", lambda *_: None)  # JAX is imported already
    monkeypatch.setenv("LIGO_CACHE_DIR", str(tmp_path / "cache"))
    detector, folder = tmp_path / "small.safetensors", tmp_path / "out"
    save_detector(detector, replace(detector_of(), sample_rate_hz=256))
    assert export.main([str(detector), "-o", str(folder)]) == 0
    assert export.main(["--check", str(folder), "--seconds", "8"]) == 0
    out = capsys.readouterr().out
    assert "snn.nir in snnTorch (NIRTorch): 0 of" in out
    check = json.loads((folder / "check.json").read_text())
    for part in ("round_trip", "simulated", "compact"):
        assert check[part]["spikes"] > 100
        assert check[part]["differing"] == 0
    assert check["literal"]["differing"] > 0  # the check can tell networks apart
    assert {"snntorch", "nirtorch", "torch"} <= set(check["versions"])
