"""Curves from metrics.jsonl, and the caveats and headlines worded from saved files."""

import json
from pathlib import Path

import numpy as np
import pytest

from ligo_cpc_snn.reports import caveats, headline
from ligo_cpc_snn.reports.history import read_history
from ligo_cpc_snn.reports.run_files import RunFiles


def _write(folder: Path, rows: list[dict], tail: str = "") -> Path:
    path = folder / "metrics.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows) + tail)
    return path


def test_curves_by_split_with_half_written_line_and_repeated_step(tmp_path: Path) -> None:
    rows = [
        {"step": 2, "phase": "probe", "split": "train", "loss": 5.0},
        {"step": 1, "phase": "pretrain", "split": "train", "loss": 4.0},
        {"step": 2, "phase": "probe", "split": "train", "loss": 3.0},
        {"step": 2, "phase": "probe", "split": "validation", "loss": 9.0},
        {"step": 3, "phase": "probe", "split": "train", "loss": float("nan")},
    ]
    history = read_history(_write(tmp_path, rows, '{"step": 4, "lo'))
    steps, values = history.series("loss", "train")
    assert (steps.tolist(), values.tolist()) == ([1, 2], [4.0, 3.0])
    assert history.last("loss", "validation") == 9.0
    assert history.last("absent") is None
    assert history.phases() == [("pretrain", 0, 1), ("probe", 1, 3)]
    assert history.non_finite() == [("loss", 3)]
    assert history.broken_lines == 1
    found = caveats.warnings(RunFiles(tmp_path, history=history))
    assert found[0] == "loss was not finite at step 3"
    assert "1 unreadable line" in found[1]


def _event(loudest: float, peak: float, background: list[float]) -> dict[str, np.ndarray]:
    gps = 1000 + np.arange(100) / 10
    statistic = np.zeros(100)
    statistic[50] = 5.0
    statistic[round((loudest - 1000) * 10)] = peak
    return {
        "gps": gps, "statistic": statistic, "event_gps": np.array(1005.0),
        "event_name": np.array("GW1"), "threshold": np.array(4.0),
        "background_zero_lag": np.array(background),
    }  # fmt: skip


def test_found_event_has_no_caveat() -> None:
    config = {"event": {"tolerance_seconds": 0.15}}
    files = RunFiles(Path(), config=config, event=_event(1005.1, 6.0, [1.0, 4.5]))
    assert caveats.warnings(files) == []
    assert headline.event_offset(files.event) == pytest.approx(0.1)
    (card,) = headline.cards(files)
    assert (card.name, card.value) == ("GW1", "loudest point")
    assert "1 of 2 in zero lag" in card.detail


def test_missed_event_is_said() -> None:
    files = RunFiles(Path(), event=_event(1008.0, 6.0, [4.5, 4.6]))
    files.event["statistic"][50] = 3.0
    found = caveats.warnings(files)
    assert "GW1 is not the loudest point of the span: that lies +3.000 s" in found[0]
    assert found[1] == "GW1 stays below the threshold: 3.00 against 4.00"
    assert found[2] == "held-out noise in true time is as loud as GW1 in 2 seconds"
    assert headline.cards(files)[0].value == "NOT the loudest point"


def test_faulty_layers_refused_rates_and_run_warnings_are_said() -> None:
    metrics = {
        "warnings": ["the run's own"],
        "spikes": {
            "bridge": {"fault": "silent", "rate": 0.001, "silent_fraction": 1.0},
            "snn_0": {"fault": None, "rate": 0.1, "silent_fraction": 0.75},
            "snn_1": {"fault": None, "rate": 0.5, "silent_fraction": 0, "saturated_fraction": 0.6},
        },
        "detection": {"refused": {"1e-06": "too few windows"}},
    }
    assert caveats.warnings(RunFiles(Path(), metrics=metrics)) == [
        "the run's own",
        "bridge is silent: 0.1 % of its neurons fire per frame",
        "SNN layer 1: 75 % of its neurons are silent",
        "SNN layer 2: 60 % of its neurons fire almost always",
        "too few windows",
    ]


def test_headline_uses_the_snr_nearest_to_twelve() -> None:
    assert headline.headline_index([4.0, 10.0, 15.0, 30.0]) == 1
    assert headline.headline_index([4.0, 12.0, 15.0]) == 1
