"""Every experiment of conf/, shrunk, run from its strain to its report."""

import json
from pathlib import Path

import pytest

from ligo_cpc_snn.config.compose import load
from ligo_cpc_snn.wiring.session import run_session

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
SHRINK = [
    "data.signals.bank_size=64",
    "data.signals.validation_bank_size=64",
    "model.encoder.features=8",
    "model.context.features=8",
    "model.context.dilations=[1]",
    "model.snn.widths=[8]",
    "training.batch_size=4",
    "training.pretrain.steps=1",
    "training.probe.steps=1",
    "training.finetune.steps=2",
    "training.evaluate_windows=8",
    "evaluation.windows=64",
    "evaluation.signal_windows=16",
    "evaluation.snrs=[20.0]",
    "evaluation.false_positive_rates=[0.2]",
    "evaluation.batch_size=16",
]


def run(tmp_path: Path, *overrides: str) -> dict:
    cfg = load([*overrides, *SHRINK, f"run_dir={tmp_path}"])
    assert run_session(cfg, tmp_path, tmp_path) == 0
    page = (tmp_path / "report.html").read_text()
    assert "the run did not write it" not in page
    return json.loads((tmp_path / "metrics.json").read_text())


def test_quickstart(tmp_path):
    metrics = run(tmp_path, "experiment=quickstart", "data.synthetic.seconds=32")
    assert metrics["run"]["steps"] == 4


@pytest.mark.skipif(not SHARED.is_dir(), reason="real strain of ../shared/data is not here")
def test_gw150914(tmp_path):
    """The whole path on real strain: files, cuts, PSDs, banks, held-out noise, the event."""
    metrics = run(
        tmp_path,
        "experiment=gw150914",
        f"data.strain_dir={SHARED}",
        f"data.real.events_file={SHARED / 'catalog' / 'event-versions.csv'}",
        # A few files are enough here.
        'data.real.exclude_files=["mlgwsc1/*","long/mlgwsc1*","context128/GW1[67]*",'
        '"context128/GW19*","context128/GWC*"]',
        "data.real.validation_fraction=0.1",
        "event.time_slides=2",
    )
    event = metrics["event"]
    assert event["held_out_seconds"] > 30
    assert event["slid_seconds"] == 2 * event["held_out_seconds"]
    assert 1126259447 < event["peak_gps"] < 1126259479
