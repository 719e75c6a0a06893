"""The measurement as a user runs it: files, scores, figures and page from one command."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tiny import TINY

from ligo_cpc_snn import evaluate
from ligo_cpc_snn.config.compose import load, load_root
from ligo_cpc_snn.config.errors import ConfigError
from ligo_cpc_snn.config.roots import EVALUATION
from ligo_cpc_snn.evaluation.challenge import read_injections, segment_spans
from ligo_cpc_snn.evaluation.metrics import UnresolvedRateError
from ligo_cpc_snn.reports.published import PUBLISHED
from ligo_cpc_snn.reports.sensitivity_files import read_sensitivity
from ligo_cpc_snn.search.outputs import write_events
from ligo_cpc_snn.search.triggers import Triggers
from ligo_cpc_snn.wiring.campaign import run_campaign

DATA = [setting for setting in TINY if setting.startswith("data.")]
SMALL = [
    *DATA,
    "data.signals.population.distance_kind=chirp",
    "data.signals.population.distance.low=50",
    "data.signals.population.distance.high=350",
    "background_seconds=600",
    "foreground_seconds=300",
    "injections.spacing_seconds=8",
    "injections.edge_seconds=6",
    "noise_lowest_hz=20",
    "runtime.platform=cpu",
    "false_alarm_rates_per_month=[1000,10000,100000]",
    "published=ds1",
]


def settings(folder: Path, *more: str):
    return load_root([*SMALL, f"output_dir={folder}", *more], EVALUATION)


def some_search(folder: Path, events: Path, spread: float) -> None:
    """Events at the injections' SNRs, give or take, among quieter ones."""
    rng = np.random.default_rng(0)
    events.mkdir()
    table, _ = read_injections(folder / "injections.hdf")
    for kind in ("background", "foreground"):
        gps = np.concatenate([rng.uniform(*s, 60) for s in segment_spans(folder / f"{kind}.hdf")])
        statistic = 4 + rng.exponential(0.5 * spread, gps.size)
        if kind == "foreground":
            own = table["network_snr"] + rng.normal(0, spread, table["tc"].size)
            gps = np.concatenate([gps, table["tc"] + rng.normal(0, 0.01, own.size)])
            statistic = np.concatenate([statistic, own])
        triggers = Triggers(gps, statistic, np.zeros((gps.size, 0)))
        write_events(events / f"{kind}.hdf", triggers, 0.3)


def test_a_measurement_from_settings_to_page(tmp_path, caplog) -> None:
    folder = tmp_path / "m"
    folder.mkdir()
    assert run_campaign(settings(folder), folder, tmp_path) == 0
    assert "no search is asked for, files alone are made" in caplog.text
    assert "No search was run" in (folder / "report.html").read_text()
    made = (folder / "foreground.hdf").stat().st_mtime_ns
    for name, spread in (("good", 0.5), ("poor", 3.0)):
        some_search(folder, tmp_path / name, spread)
    both = f"events={{good: {tmp_path / 'good'}, poor search: {tmp_path / 'poor'}}}"
    assert run_campaign(settings(folder, both), folder, tmp_path) == 0
    first = next(r.getMessage() for r in caplog.records if "cannot be resolved" in r.getMessage())
    assert first.startswith("1000 false alarms a month")  # of no search: before they are looked at
    assert (folder / "foreground.hdf").stat().st_mtime_ns == made
    told = json.loads((folder / "sensitivity.json").read_text())
    assert list(told["searches"]) == ["good", "poor search"]
    reached = {
        name: {r["false_alarms"]["asked_per_month"]: r["distance"] for r in search["rates"]}
        for name, search in told["searches"].items()
    }
    assert list(reached["good"]) == [10000.0, 100000.0]
    assert reached["good"][1e4] > reached["poor search"][1e4] > 0
    assert list(told["searches"]["good"]["refused"]) == ["1000"]
    assert sorted(path.stem for path in (folder / "figures").iterdir()) == [
        "breakdown", "efficiency", "found_missed", "sensitive_distance", "timing",
    ]  # fmt: skip
    page = (folder / "report.html").read_text()
    assert "could not be drawn" not in page
    assert "poor search" in page
    assert "4320 and above" in page
    assert "published=ds1: the published distances are not comparable" in page
    assert "data.signals.population.distance.low=50.0, not 130.0" in told["caveats"][0]
    timed = told["searches"]["good"]["rates"][0]["timing_by_snr"]
    assert sum(row["found"] for row in timed) >= told["searches"]["good"]["rates"][0]["found"]
    assert all(row["error_95_seconds"] < 0.05 for row in timed if row["snr_from"] >= 10)
    assert "Errors of times by SNR" in page
    assert "d_max and Mc_max of a month of injections" in page
    files = read_sensitivity(folder)
    good = files.searches[0]
    assert good.found.sum() == good.reference["found"]
    assert files.injections["network_snr"].size == told["injections"]


def test_a_background_that_resolves_no_rate_is_refused_before_files_are_made(tmp_path) -> None:
    folder, events = tmp_path / "m", tmp_path / "events"
    folder.mkdir()
    events.mkdir()
    for kind in ("background", "foreground"):
        one = Triggers(np.array([1e9]), np.array([5.0]), np.zeros((1, 0)))
        write_events(events / f"{kind}.hdf", one, 0.3)
    more = ("false_alarm_rates_per_month=[1,1000]", f"events={{some: {events}}}")
    with pytest.raises(UnresolvedRateError, match="1000 false alarms a month cannot be resolved"):
        run_campaign(settings(folder, *more), folder, tmp_path)
    assert list(folder.iterdir()) == []


def test_the_command_says_what_it_takes() -> None:
    command = [sys.executable, "-m", "ligo_cpc_snn.evaluate", "--help"]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "searches=[" in told
    assert "mlgwsc1_ds1" in told


@pytest.mark.parametrize(
    "setting,message",
    [
        ("published=ds9", "published=ds9: expected one of ds1, ds3, ds4"),
        ("false_alarm_rates_per_month=[10,1]", "expected one or more, above 0, increasing"),
        ("noise_sets=[everything]", "expected one or more of training, validation, test"),
        ("injections.spacing_seconds=0", "expected more than 0"),
        ("data.source=recoloured", "takes synthetic or real noise"),
        ("backgroundseconds=3", "did you mean background_seconds"),
    ],
)
def test_settings_that_cannot_be_are_named(tmp_path, setting, message) -> None:
    with pytest.raises(ConfigError, match=message):
        settings(tmp_path, setting)


def test_populations_fill_the_same_keys_as_in_training(tmp_path) -> None:
    ours = settings(tmp_path).data.signals.population
    challenge = load_root(["+population=mlgwsc1_ds3"], EVALUATION).data.signals
    assert challenge == load(["+population=mlgwsc1_ds3"]).data.signals
    assert ours != challenge.population


def test_space_is_asked_for_before_anything_is_made(tmp_path) -> None:
    cfg = settings(tmp_path / "m")
    assert evaluate.bytes_needed(cfg) == round(1.05 * 8 * 900 * 512 * 2)


def test_published_distances_fall_with_the_rate() -> None:
    for searches in PUBLISHED.values():
        for values in searches.values():
            known = [value for value in values if value == value]
            assert known == sorted(known)
