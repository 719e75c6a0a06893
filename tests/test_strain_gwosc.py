"""Open data through the real gwosc client, from a server on this machine."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from gwosc_server import GwoscServer

from ligo_cpc_snn.config.data_schema import GwoscConfig
from ligo_cpc_snn.strain.download import GwoscError, download
from ligo_cpc_snn.strain.gwosc import (
    fetch_segments,
    fetch_strain,
    known_events,
    read_events_csv,
    spans,
)

SHARED = Path(__file__).parents[2] / "shared" / "data"
needs_data = pytest.mark.skipif(
    not (SHARED / "gwosc32").is_dir(), reason=f"no folder {SHARED / 'gwosc32'}"
)
EVENTS = {"GW150914": 1126259462.4, "GW151226": 1135136350.6, "GW170104": 1167559936.6}
H1 = "H-H1_GWOSC_4KHZ_R1-1126259447-32.hdf5"
L1 = "L-L1_GWOSC_4KHZ_R1-1126259447-32.hdf5"


@pytest.fixture
def server() -> Iterator[GwoscServer]:
    served = GwoscServer(SHARED / "gwosc32", EVENTS)
    thread = threading.Thread(target=served.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield served
    served.shutdown()
    served.server_close()
    thread.join()


@needs_data
def test_fetches_the_files_of_events_once(server: GwoscServer, tmp_path: Path) -> None:
    cfg = GwoscConfig(host=server.url, events=["GW150914", "GW170104"], event_seconds=32.0)
    paths = fetch_segments(cfg, ["H1", "L1"], tmp_path)
    assert [path.parent for path in paths] == [tmp_path / "gwosc"] * 4
    assert {H1, L1} < {path.name for path in paths}
    assert (tmp_path / "gwosc" / H1).read_bytes() == (SHARED / "gwosc32" / H1).read_bytes()
    assert sorted(tmp_path.rglob("*")) == sorted([tmp_path / "gwosc", *paths])
    server.requests.clear()
    assert fetch_segments(cfg, ["H1", "L1"], tmp_path) == paths
    assert not [path for path in server.requests if path.startswith("/data/")]


@needs_data
def test_strain_is_cut_to_the_seconds_asked_for(server: GwoscServer, tmp_path: Path) -> None:
    cfg = GwoscConfig(host=server.url, events=["GW150914"], event_seconds=16.0)
    segments = fetch_strain(cfg, ["L1"], tmp_path)
    assert [(s.detector, s.sample_rate_hz) for s in segments] == [("L1", 4096)]
    assert segments[0].gps_start == pytest.approx(1126259454.4, abs=1 / 4096)
    assert segments[0].duration == pytest.approx(16.0, abs=1 / 4096)


@needs_data
def test_fetches_a_span_of_a_run(server: GwoscServer, tmp_path: Path) -> None:
    cfg = GwoscConfig(host=server.url, start=1135136340, end=1135136360)
    paths = fetch_segments(cfg, ["H1"], tmp_path)
    assert [path.name for path in paths] == ["H-H1_GWOSC_4KHZ_R1-1135136335-32.hdf5"]
    assert spans(cfg) == [(1135136340.0, 1135136360.0)]


@needs_data
def test_a_damaged_copy_is_fetched_again(server: GwoscServer, tmp_path: Path) -> None:
    cfg = GwoscConfig(host=server.url, events=["GW150914"], event_seconds=32.0)
    (path,) = fetch_segments(cfg, ["H1"], tmp_path)
    sound = path.read_bytes()
    path.write_bytes(sound[:5000])
    assert fetch_segments(cfg, ["H1"], tmp_path) == [path]
    assert path.read_bytes() == sound


@needs_data
@pytest.mark.parametrize("body", [b"<html>busy</html>", None], ids=["html", "truncated"])
def test_what_is_not_strain_is_refused_and_nothing_stays(
    server: GwoscServer, tmp_path: Path, body: bytes | None
) -> None:
    server.bodies[H1] = body or (SHARED / "gwosc32" / H1).read_bytes()[:200_000]
    cfg = GwoscConfig(host=server.url, events=["GW150914"], event_seconds=32.0)
    with pytest.raises(GwoscError, match=rf"{H1}.*what the server sent is (not|truncated)"):
        fetch_segments(cfg, ["H1"], tmp_path)
    assert list((tmp_path / "gwosc").iterdir()) == []


@needs_data
def test_the_newest_version_of_each_event_is_known(server: GwoscServer) -> None:
    assert known_events(server.url) == EVENTS


@needs_data
def test_an_unknown_event_is_named(server: GwoscServer, tmp_path: Path) -> None:
    cfg = GwoscConfig(host=server.url, events=["GW150915"])
    with pytest.raises(GwoscError, match="does not have event GW150915"):
        fetch_segments(cfg, ["H1"], tmp_path)


@needs_data
def test_a_span_without_data_is_named(server: GwoscServer, tmp_path: Path) -> None:
    cfg = GwoscConfig(host=server.url, start=1130000000, end=1130000100)
    with pytest.raises(GwoscError, match="strain of H1 in 1130000000 to 1130000100"):
        fetch_segments(cfg, ["H1"], tmp_path)


def test_a_server_that_is_not_there_is_one_clear_line(tmp_path: Path) -> None:
    cfg = GwoscConfig(host="http://127.0.0.1:9", events=["GW150914"])
    with pytest.raises(GwoscError, match=r"127\.0\.0\.1:9 did not answer .*strain_dir"):
        fetch_segments(cfg, ["H1"], tmp_path)
    with pytest.raises(GwoscError, match="list of events"):
        known_events("http://127.0.0.1:9")


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/data/../../etc/passwd",
        "http://127.0.0.1/data/%2e%2e%2fH-H1_GWOSC_4KHZ_R1-1126259447-32.hdf5",
        "file:///tmp/H-H1_GWOSC_4KHZ_R1-1126259447-32.hdf5",
        "http://127.0.0.1/data/",
    ],
)
def test_only_strain_files_names_are_used_as_names(tmp_path: Path, url: str) -> None:
    with pytest.raises(GwoscError, match="not the address of a GWOSC strain file"):
        download(url, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_span_needs_both_ends() -> None:
    with pytest.raises(GwoscError, match="expected start < end"):
        spans(GwoscConfig(start=5))


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
