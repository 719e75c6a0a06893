"""The files of a search: whole, exact, the same bytes again; events named; candidates cut out."""

import csv
import json
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
from search_run import DETECTORS, OFFSET, around

from ligo_cpc_snn.config.data_schema import GwoscConfig
from ligo_cpc_snn.search import outputs
from ligo_cpc_snn.search.catalogue import events_in, find_events, known, with_events
from ligo_cpc_snn.search.outputs import TriggerTable, unranked
from ligo_cpc_snn.search.record import (
    ANALYSED,
    LEFT_OUT,
    WARM_UP,
    BackgroundRecord,
    SearchedSpan,
    SearchRecord,
    write_record,
)
from ligo_cpc_snn.search.stream import Statistic
from ligo_cpc_snn.search.triggers import Triggers
from ligo_cpc_snn.strain.client import Client
from ligo_cpc_snn.strain.gwosc import open_cache
from ligo_cpc_snn.strain.segments import StrainSegment
from ligo_cpc_snn.units import YEAR_SECONDS
from ligo_cpc_snn.wiring.candidates import Around, write_candidates

CATALOGUE = Path(__file__).parents[2] / "shared" / "data" / "catalog" / "event-versions.csv"


def _table(number: int, *, seed: int = 0) -> TriggerTable:
    rng = np.random.default_rng(seed)
    gps = 1.2e9 + np.sort(rng.uniform(0, 1e5, number))
    table = unranked(
        Triggers(gps, rng.normal(size=number), rng.normal(size=(number, 2))), DETECTORS
    )
    far = rng.lognormal(5, 4, number)
    p_value = np.where(rng.random(number) < 0.3, np.nan, rng.random(number))
    return table._replace(
        far_per_year=far, ifar_years=1 / far, far_low_per_year=0 * far, far_high_per_year=3 * far,
        p_value=p_value, extrapolated=rng.random(number) < 0.5,
        upper_limit=rng.random(number) < 0.5,
        nearest_event=tuple(f"GW{i}, é" for i in range(number)),
        nearest_event_offset_seconds=rng.normal(size=number),
    )  # fmt: skip


def _assert_equal(one: TriggerTable, other: TriggerTable) -> None:
    for name, value in one._asdict().items():
        np.testing.assert_array_equal(value, getattr(other, name), err_msg=name)


@pytest.mark.parametrize("number", [0, 1, 23])
def test_table_reads_back_exactly_from_both_files(tmp_path: Path, number: int) -> None:
    table = _table(number)
    paths = tmp_path / "t.csv", tmp_path / "t.hdf5"
    outputs.write_triggers(*paths, table, {"weights": "abc"})
    _assert_equal(outputs.read_triggers(paths[1]), table)
    with paths[0].open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == number
    for name, values in table.columns().items():
        for row, value in zip(rows, values, strict=True):
            if isinstance(value, str):
                assert row[name] == value
            elif isinstance(value, np.bool_):
                assert row[name] == ("true" if value else "false")
            else:
                np.testing.assert_equal(float(row[name] or "nan"), float(value))


def test_columns_are_those_promised_with_units_and_provenance(tmp_path: Path) -> None:
    outputs.write_triggers(tmp_path / "t.csv", tmp_path / "t.hdf5", _table(2), {"weights": "abc"})
    header = (tmp_path / "t.csv").read_text().split("\n")[0]
    assert header == (
        "time,statistic,contribution_H1,contribution_L1,far_per_year,ifar_years,far_low_per_year,"
        "far_high_per_year,p_value,extrapolated,upper_limit,nearest_event,nearest_event_offset_seconds"
    )
    with h5py.File(tmp_path / "t.hdf5") as file:
        assert set(file) == set(header.split(","))
        units = {name: file[name].attrs["unit"] for name in file}
        assert json.loads(file.attrs["provenance"]) == {"weights": "abc"}
        assert list(file.attrs["detectors"]) == list(DETECTORS)
    assert units["time"] == "GPS s"
    assert units["far_per_year"] == "1/yr"
    assert units["nearest_event_offset_seconds"] == "s"


def test_the_same_table_gives_the_same_bytes(tmp_path: Path) -> None:
    table = _table(9)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        outputs.write_triggers(tmp_path / name / "csv", tmp_path / name / "hdf5", table, {"x": 1})
        outputs.write_events(tmp_path / name / "events", table, 0.3)
        outputs.write_background(
            tmp_path / name / "npz", table.statistic, seconds=9.0, slides=2, zero_lag_seconds=4.5
        )
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes(), path.name


def test_interrupted_writing_leaves_the_file_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "events.hdf"
    outputs.write_events(path, _table(3), 0.3)
    before = path.read_bytes()

    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("ligo_cpc_snn.strain.replacing.os.replace", fail)
    with pytest.raises(KeyboardInterrupt):
        outputs.write_events(path, _table(5), 0.3)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("number", [0, 4])
def test_events_are_those_of_the_mock_data_challenge(tmp_path: Path, number: int) -> None:
    table = _table(number)
    found = Triggers(table.time, table.statistic.astype(np.float32), table.contributions)
    outputs.write_events(tmp_path / "events.hdf", found, 0.25)
    with h5py.File(tmp_path / "events.hdf") as file:
        assert set(file) == {"time", "stat", "var"}
        assert all(file[name].shape == (number,) and file[name].dtype == "f8" for name in file)
        np.testing.assert_array_equal(file["time"], table.time)
        np.testing.assert_array_equal(file["stat"], found.statistic)
        assert np.all(file["var"][()] == 0.25)


def test_background_is_kept_in_descending_order(tmp_path: Path) -> None:
    statistic = np.array([3.0, 5.0, 4.0])
    path = tmp_path / "background.npz"
    outputs.write_background(path, statistic, seconds=700.0, slides=7, zero_lag_seconds=100.0)
    with np.load(path) as saved:
        assert saved["statistic"].tolist() == [5.0, 4.0, 3.0]
        assert (saved["seconds"], saved["slides"], saved["zero_lag_seconds"]) == (700, 7, 100)


def _record(**changes: object) -> SearchRecord:
    spans = [SearchedSpan(0, 4, WARM_UP), SearchedSpan(4, 3600), SearchedSpan(3600, 3603, LEFT_OUT)]
    settings: dict = {
        "name": "x", "detector": {"numbers": np.array([1.0, np.nan])}, "source": "files",
        "open_data": False, "spans": spans, "seconds_read": 3600.0, "threshold": 2.5,
        "machine": {"speed": np.float32(1.5)},
        "cluster_seconds": 0.3, "timing_seconds": 0.3,
        "wall_seconds": 6.0, "cpu_seconds": 9.0, "cores": 4,
        "background": BackgroundRecord(100, YEAR_SECONDS / 4, 2.0),
    }  # fmt: skip
    return SearchRecord(**settings | changes)


def test_record_says_what_follows_from_it(tmp_path: Path) -> None:
    write_record(tmp_path / "search.json", _record())

    def never(text: str) -> float:
        raise AssertionError(f"{text} is no JSON")

    told = json.loads((tmp_path / "search.json").read_text(), parse_constant=never)
    assert told["seconds"] == {"read": 3600, "analysed": 3596, "warm_up": 4, "left_out": 3}
    assert told["throughput"]["times_real_time_per_core"] == 400
    assert told["throughput"]["strain_hours_per_minute"] == 10
    assert told["lowest_far_per_year"] == 4
    assert told["machine"] == {"speed": 1.5}
    assert told["detector"]["numbers"] == [1.0, None]
    assert _record(background=None, wall_seconds=0.0).to_dict()["lowest_far_per_year"] is None


def test_span_of_unknown_state_or_backwards_is_refused() -> None:
    with pytest.raises(ValueError, match="expected start <= end and one of 'analysed'"):
        SearchedSpan(0, 1, "searched")
    with pytest.raises(ValueError, match="span 2 to 1"):
        SearchedSpan(2, 1, ANALYSED)


def test_nearest_event_is_the_nearest_of_all() -> None:
    rng = np.random.default_rng(3)
    table = _table(200)
    events = {f"e{i}": float(t) for i, t in enumerate(1.2e9 + rng.uniform(-2e4, 1.2e5, 40))}
    named = with_events(table, known(events, "test"))
    for row, time in enumerate(table.time):
        assert named.nearest_event[row] == min(events, key=lambda name: abs(events[name] - time))
        assert named.nearest_event_offset_seconds[row] == time - events[named.nearest_event[row]]


def test_without_events_the_table_stays_as_it_was() -> None:
    table = unranked(Triggers(np.ones(2), np.ones(2), np.ones((2, 2))), DETECTORS)
    assert with_events(table, known({}, "")).nearest_event == ("", "")
    empty = unranked(Triggers(np.zeros(0), np.zeros(0), np.zeros((0, 2))), DETECTORS)
    assert with_events(empty, known({"a": 1.0}, "")).nearest_event == ()


def test_events_in_the_time_analysed_only() -> None:
    events = known({"before": 3.0, "in": 5.0, "lost": 3601.0}, "test")
    assert events_in(events, _record().spans) == {"in": 5.0}


@pytest.mark.skipif(not CATALOGUE.is_file(), reason="catalogue of ../shared/data is not here")
def test_events_of_the_export(tmp_path: Path) -> None:
    events = find_events(CATALOGUE, GwoscConfig(), tmp_path, ask=False)
    assert dict(zip(events.names, events.gps, strict=True))["GW150914"] == 1126259462.4
    assert events.source == "event-versions.csv"
    assert np.all(np.diff(events.gps) >= 0)


def test_cached_events_are_used_and_nobody_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def asked(_: Client) -> dict[str, float]:
        raise AssertionError("the server was asked")

    monkeypatch.setattr(Client, "events", asked)
    caplog.set_level("INFO")
    assert find_events(None, GwoscConfig(), tmp_path, ask=False).names == ()
    assert "nearest_event stays empty" in caplog.text
    _, catalogue = open_cache(GwoscConfig(), tmp_path)
    catalogue.client = SimpleNamespace(events=lambda: {"GW2": 2.0, "GW1": 1.0})  # type: ignore[assignment]
    catalogue.events()
    found = find_events(None, GwoscConfig(), tmp_path, ask=False)
    assert (found.names, found.gps.tolist(), found.source) == (("GW1", "GW2"), [1.0, 2.0], "GWOSC")


GW, NOISE = 1126259462.42, 1126259562.5


def _candidates(path: Path, times: list[float], loud: list[float], **near: Around | None) -> dict:
    order = np.argsort(times)
    table = unranked(
        Triggers(np.array(times)[order], np.array(loud)[order], np.ones((len(times), 2))), DETECTORS
    )
    asked: list[float] = []

    def provide(gps: float) -> Around | None:
        asked.append(gps)
        return near.get("given", around(gps))

    write_candidates(path, table, provide, time_offset_seconds=OFFSET, band_hz=(20.0, 900.0),
                     limit=2)  # fmt: skip
    assert asked == sorted(asked)
    with np.load(path) as saved:
        return {name: saved[name] for name in saved.files}


def test_candidates_are_the_loudest_and_peak_at_their_times(tmp_path: Path) -> None:
    found = _candidates(tmp_path / "c.npz", [GW, GW - 50, NOISE], [9.0, 3.0, 11.0])
    assert found["time"].tolist() == [NOISE, GW]
    for index in (0, 1):
        time, value = found[f"{index}_statistic_time"], found[f"{index}_statistic"]
        assert abs(time[np.argmax(value)]) <= 1 / 128
        assert -2 <= time[0] < -1.98
        assert 1.98 < time[-1] <= 2
    own = around(GW).whitened["H1"]
    first = int(np.ceil((GW - 0.5 - own.gps_start) * own.sample_rate_hz))
    size = found["1_whitened"].shape[1]
    assert size == own.sample_rate_hz
    np.testing.assert_array_equal(
        found["1_whitened"][0], own.strain[first : first + size].astype(np.float32)
    )
    energy, frequencies = found["1_q_energy"], found["1_q_frequencies"]
    assert energy.shape == (2, found["q_times"].size, frequencies.size)
    assert found["0_q_energy"].max() < 0.6 * energy.max()  # noise against the chirp
    late = (found["q_times"] > -0.05) & (found["q_times"] < 0.03)
    rising = frequencies[energy[0][late].sum(0).argmax()]
    early = frequencies[energy[0][found["q_times"] < -0.3].sum(0).argmax()]
    assert rising > 1.4 * early


def test_candidate_without_strain_or_near_a_gap(tmp_path: Path) -> None:
    found = _candidates(tmp_path / "c.npz", [GW], [9.0], given=None)
    assert found["time"].tolist() == [GW]
    assert not [name for name in found if name.startswith("0_")]
    whole = around(GW)
    cut = {
        name: StrainSegment(name, s.gps_start, s.sample_rate_hz, s.strain[: round(5.7 * 2048)], "")
        for name, s in whole.whitened.items()
    }
    kept = whole.statistic.gps < GW + 0.2
    near = Around(Statistic(whole.statistic.gps[kept], whole.statistic.value[kept]), cut)
    found = _candidates(tmp_path / "d.npz", [GW], [9.0], given=near)
    assert "0_q_energy" not in found
    assert 0 < found["0_whitened"].shape[1] < 2048
    assert found["0_statistic_time"][-1] < 0.2
