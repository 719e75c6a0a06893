"""Open data through the real gwosc client, from a server on this machine."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from gwosc.api import v2
from gwosc_files import file_name, write_file
from gwosc_server import Fault, GwoscServer, serving

from ligo_cpc_snn.config.compose import load
from ligo_cpc_snn.config.data_schema import GwoscConfig
from ligo_cpc_snn.config.errors import ConfigError
from ligo_cpc_snn.strain.errors import GwoscError
from ligo_cpc_snn.strain.files import read_strain
from ligo_cpc_snn.strain.gwosc import fetch_strain, known_events, read_events_csv
from ligo_cpc_snn.strain.wanted import around

SHARED = Path(__file__).parents[2] / "shared" / "data"
needs_data = pytest.mark.skipif(
    not (SHARED / "gwosc32").is_dir(), reason=f"no folder {SHARED / 'gwosc32'}"
)
EVENTS = {"GW150914": 1126259462.4, "GW151226": 1135136350.6, "GW170104": 1167559936.6}
VERSIONS = "/api/v2/event-versions"


@pytest.fixture(autouse=True)
def fresh_client(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(v2, "JSON_CACHE", {})
    monkeypatch.setattr(v2, "RETRY_DEFAULT_WAIT_TIME", 0)


@pytest.fixture
def recorded() -> Iterator[GwoscServer]:
    with serving(SHARED / "gwosc32", EVENTS) as served:
        yield served


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GwoscServer]:
    (tmp_path / "archive").mkdir()
    write_file(tmp_path / "archive", "H1", 1126259447, 32)
    with serving(tmp_path / "archive", EVENTS) as served:
        yield served


@needs_data
def test_the_official_files_of_an_event(recorded: GwoscServer, tmp_path: Path) -> None:
    cfg = GwoscConfig(host=recorded.url, events=["GW150914"], event_seconds=32.0)
    segments = fetch_strain(cfg, ["H1", "L1"], tmp_path)
    names = [file_name(detector, 1126259447, 32) for detector in ("H1", "L1")]
    assert sorted(recorded.fetched) == names
    for segment, name in zip(segments, names, strict=True):
        (official,) = read_strain(SHARED / "gwosc32" / name)
        assert (segment.detector, segment.gps_start) == (official.detector, official.gps_start)
        np.testing.assert_allclose(segment.strain, official.strain, rtol=6e-8)


@needs_data
def test_a_span_of_a_run(recorded: GwoscServer, tmp_path: Path) -> None:
    cfg = GwoscConfig(host=recorded.url, start=1135136340, end=1135136360, run="O1")
    (segment,) = fetch_strain(cfg, ["H1"], tmp_path)
    assert (segment.gps_start, segment.duration) == (1135136340, 20)
    assert recorded.fetched == [file_name("H1", 1135136335, 32)]


@needs_data
def test_a_config_says_it_all(recorded: GwoscServer, tmp_path: Path) -> None:
    cfg = load(
        [
            "data.source=real",
            "data.gwosc.events=[GW170104]",
            "data.gwosc.event_seconds=32",
            f"data.gwosc.host={recorded.url}",
        ]
    )
    segments = fetch_strain(cfg.data.gwosc, cfg.data.detectors, tmp_path)
    assert [(s.detector, s.duration) for s in segments] == [("H1", 32), ("L1", 32)]


@pytest.mark.parametrize(
    ("gps", "seconds", "expected"),
    [
        (1126259462.4, 32, (1126259447, 1126259479)),  # GWOSC's own files of GW150914
        (1126259462.4, 4096, (1126257415, 1126261511)),
        (1167559936.6, 32, (1167559921, 1167559953)),
        (100.0, 5, (98, 104)),
    ],
)
def test_seconds_around_an_event_are_those_of_gwoscs_files(
    gps: float, seconds: float, expected: tuple[int, int]
) -> None:
    assert tuple(around(gps, seconds)) == expected


def test_the_newest_version_of_each_event_is_known_and_kept(
    server: GwoscServer, tmp_path: Path
) -> None:
    cfg = GwoscConfig(host=server.url)
    assert known_events(cfg, tmp_path) == EVENTS
    server.requests.clear()
    assert known_events(cfg, tmp_path) == EVENTS
    offline = GwoscConfig(host=server.url, offline=True)
    assert known_events(offline, tmp_path) == EVENTS
    assert server.requests == []


def test_an_old_list_is_asked_for_again_and_used_if_nobody_answers(
    server: GwoscServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cfg = GwoscConfig(host=server.url)
    known_events(cfg, tmp_path)
    (path,) = tmp_path.rglob("catalogue.json")
    age(path, 8)
    v2.JSON_CACHE.clear()
    server.requests.clear()
    server.faults[VERSIONS] = [Fault(status=500)]
    assert known_events(cfg, tmp_path) == EVENTS
    assert "in 10 attempts" in caplog.text
    assert "of 8 days ago is used" in caplog.text
    server.faults.clear()
    server.events["GW170608"] = 1180922494.5
    assert "GW170608" in known_events(cfg, tmp_path)


def age(path: Path, days: float) -> None:
    """Make the lists of a catalogue older, as if written by the package then."""
    from ligo_cpc_snn.strain.catalogue import _digest

    lists = json.loads(path.read_text())["lists"]
    for kept in lists.values():
        kept["asked"] = time.time() - days * 86400
    path.write_text(json.dumps({"sha256": _digest(lists), "lists": lists}))


def test_an_altered_catalogue_is_not_believed(
    server: GwoscServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cfg = GwoscConfig(host=server.url)
    known_events(cfg, tmp_path)
    (path,) = tmp_path.rglob("catalogue.json")
    for text in (path.read_text().replace("1126259462.4", "1126259463.4"), "{", "[]", "{}"):
        path.write_text(text)
        v2.JSON_CACHE.clear()
        caplog.clear()
        assert known_events(cfg, tmp_path) == EVENTS
        assert "not as it was written" in caplog.text


def test_offline_an_events_time_is_that_of_the_catalogue(
    server: GwoscServer, tmp_path: Path
) -> None:
    offline = GwoscConfig(host=server.url, events=["GW150914"], event_seconds=16, offline=True)
    with pytest.raises(GwoscError, match=r"time of event GW150914 is not in .*catalogue\.json"):
        fetch_strain(offline, ["H1"], tmp_path)
    with pytest.raises(GwoscError, match="the list of events is not in"):
        known_events(offline, tmp_path)
    known_events(GwoscConfig(host=server.url), tmp_path)
    with pytest.raises(GwoscError, match=r"lacks H1 16 s \(GPS 1126259455-1126259471\)"):
        fetch_strain(offline, ["H1"], tmp_path)
    online = GwoscConfig(host=server.url, events=["GW150914"], event_seconds=16)
    (segment,) = fetch_strain(online, ["H1"], tmp_path)
    (again,) = fetch_strain(offline, ["H1"], tmp_path)
    np.testing.assert_array_equal(segment.strain, again.strain)


def test_a_detector_without_data_is_named(server: GwoscServer, tmp_path: Path) -> None:
    cfg = GwoscConfig(host=server.url, start=1126259450, end=1126259460)
    with pytest.raises(GwoscError, match=r"no usable strain of L1 in 10 s .*no files"):
        fetch_strain(cfg, ["H1", "L1"], tmp_path)


def test_each_server_has_its_own_strain(server: GwoscServer, tmp_path: Path) -> None:
    cfg = GwoscConfig(host=server.url, start=1126259450, end=1126259460)
    fetch_strain(cfg, ["H1"], tmp_path)
    other = GwoscConfig(start=1126259450, end=1126259460, offline=True)
    with pytest.raises(GwoscError, match=r"strain.gwosc\.org lacks H1 10 s"):
        fetch_strain(other, ["H1"], tmp_path)


def test_a_server_that_is_not_there_is_one_clear_line(tmp_path: Path) -> None:
    cfg = GwoscConfig(host="http://127.0.0.1:9", events=["GW150914"])
    with pytest.raises(GwoscError, match=r"127\.0\.0\.1:9 did not answer .*strain_dir"):
        fetch_strain(cfg, ["H1"], tmp_path)
    with pytest.raises(GwoscError, match="list of events"):
        known_events(cfg, tmp_path)


@pytest.mark.parametrize(
    ("values", "span"),
    [
        ({"start": 10, "end": 20}, (10, 20)),
        ({"start": 10, "hours": 0.5}, (10, 1810)),
        ({"hours": 1.0}, None),
        ({"start": 10}, None),
        ({}, None),
    ],
)
def test_the_span_of_a_config(values: dict[str, float], span: tuple[int, int] | None) -> None:
    assert GwoscConfig(**values).span == span


def test_a_config_may_name_hours_or_a_run() -> None:
    real = ["data.source=real", "data.gwosc.run=O1"]
    assert load([*real, "data.gwosc.start=1130000000", "data.gwosc.hours=1"]).data.gwosc.span == (
        1130000000,
        1130003600,
    )
    for wrong in (["start=5"], ["hours=1"], ["start=5", "end=9", "hours=1"], ["start=9", "end=5"]):
        with pytest.raises(ConfigError, match=r"expected (both GPS times|less than end)"):
            load([*real, *(f"data.gwosc.{setting}" for setting in wrong)])


def test_a_run_without_a_span_says_what_span_it_has(server: GwoscServer, tmp_path: Path) -> None:
    cfg = load(["data.source=real", "data.gwosc.run=O1", f"data.gwosc.host={server.url}"])
    with pytest.raises(GwoscError, match="O1 alone: it is GPS 1126051217 to 1137254417"):
        fetch_strain(cfg.data.gwosc, ["H1"], tmp_path)


def test_reads_events_from_a_table(tmp_path: Path) -> None:
    path = tmp_path / "events.csv"
    path.write_text("name,gps,version\nGW1,10.5,2\nGW1,11.0,1\nGW2,20,1\n")
    assert read_events_csv(path) == {"GW1": 10.5, "GW2": 20.0}
    path.write_text("event,time\nGW1,10\n")
    with pytest.raises(ValueError, match="expected columns name and gps, found event, time"):
        read_events_csv(path)
    path.write_text("name,gps\nGW1,soon\n")
    with pytest.raises(ValueError, match="a gps is not a number"):
        read_events_csv(path)
    with pytest.raises(FileNotFoundError, match="no such file"):
        read_events_csv(tmp_path / "none.csv")


@pytest.mark.skipif(not SHARED.is_dir(), reason=f"no folder {SHARED}")
def test_reads_gwoscs_export() -> None:
    events = read_events_csv(SHARED / "catalog" / "event-versions.csv")
    assert events["GW150914"] == pytest.approx(1126259462.4)
    assert len(events) > 200
